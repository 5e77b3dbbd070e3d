// Norm, rotation, activation and softmax, eight lanes at a time.
#include "lanes.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

void qk_avx2_rms_norm(const float *x, const float *weight, float epsilon, float *out, int32_t n) {
    __m256 low = _mm256_setzero_ps(), high = low;
    for (int32_t i = 0; i < n; i += 16) {
        __m256 a = qk_load_lanes(x + i, n - i), b = qk_load_lanes(x + i + 8, n - i - 8);
        low = _mm256_fmadd_ps(a, a, low);
        high = _mm256_fmadd_ps(b, b, high);
    }
    __m256 factor = _mm256_set1_ps(1.0f / sqrtf(qk_fold_lanes(low, high) / (float)n + epsilon));
    for (int32_t i = 0; i < n; i += 8) {
        __m256 scaled = _mm256_mul_ps(qk_load_lanes(x + i, n - i), factor);
        qk_store_lanes(out + i, n - i, _mm256_mul_ps(scaled, qk_load_lanes(weight + i, n - i)));
    }
}

void qk_avx2_rope(float *x, const float *cos, const float *sin, int32_t heads, int32_t head_dim) {
    int32_t half = head_dim / 2;
    for (int32_t h = 0; h < heads; h++) {
        float *first = x + (int64_t)h * head_dim, *second = first + half;
        for (int32_t i = 0; i < half; i += 8) {
            __m256 a = qk_load_lanes(first + i, half - i), b = qk_load_lanes(second + i, half - i);
            __m256 c = qk_load_lanes(cos + i, half - i), s = qk_load_lanes(sin + i, half - i);
            qk_store_lanes(first + i, half - i, _mm256_fmsub_ps(a, c, _mm256_mul_ps(b, s)));
            qk_store_lanes(second + i, half - i, _mm256_fmadd_ps(b, c, _mm256_mul_ps(a, s)));
        }
    }
}

void qk_avx2_silu_mul(const float *gate, const float *up, float *out, int64_t n) {
    const __m256 sign = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1.0f);
    for (int64_t i = 0; i < n; i += 8) {
        __m256 g = qk_load_lanes(gate + i, n - i);
        __m256 silu = _mm256_div_ps(g, _mm256_add_ps(one, qk_exp_lanes(_mm256_xor_ps(g, sign))));
        qk_store_lanes(out + i, n - i, _mm256_mul_ps(silu, qk_load_lanes(up + i, n - i)));
    }
}

void qk_avx2_add(float *x, const float *y, int64_t n) {
    for (int64_t i = 0; i < n; i += 8) {
        qk_store_lanes(x + i, n - i, _mm256_add_ps(qk_load_lanes(x + i, n - i), qk_load_lanes(y + i, n - i)));
    }
}

/// The greatest value. A NaN may be passed over: it turns the whole softmax into NaN anyway.
static float greatest_of(const float *x, int32_t n) {
    float greatest = x[0];
    int32_t i = 0;
    if (n >= 8) {
        __m256 eight = _mm256_loadu_ps(x);
        for (i = 8; i + 8 <= n; i += 8) eight = _mm256_max_ps(_mm256_loadu_ps(x + i), eight);
        __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        four = _mm_max_ps(four, _mm_movehl_ps(four, four));
        greatest = _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
    }
    for (; i < n; i++) greatest = x[i] > greatest ? x[i] : greatest;
    return greatest;
}

/// exp(x − greatest) in place; zeros, not written, past the last value.
QK_INLINE __m256 exp_in_place(float *x, int32_t count, __m256 greatest) {
    __m256 e = qk_exp_lanes(_mm256_sub_ps(qk_load_lanes(x, count), greatest));
    qk_store_lanes(x, count, e);
    return count >= 8 ? e : _mm256_and_ps(e, _mm256_castsi256_ps(qk_lane_mask(count < 0 ? 0 : count)));
}

void qk_avx2_softmax(float *x, int32_t n) {
    __m256 greatest = _mm256_set1_ps(greatest_of(x, n));
    __m256 low = _mm256_setzero_ps(), high = low;
    for (int32_t i = 0; i < n; i += 16) {
        low = _mm256_add_ps(low, exp_in_place(x + i, n - i, greatest));
        high = _mm256_add_ps(high, exp_in_place(x + i + 8, n - i - 8, greatest));
    }
    __m256 inverse = _mm256_set1_ps(1.0f / qk_fold_lanes(low, high));
    for (int32_t i = 0; i < n; i += 8) {
        qk_store_lanes(x + i, n - i, _mm256_mul_ps(qk_load_lanes(x + i, n - i), inverse));
    }
}

#pragma clang attribute pop
#endif
