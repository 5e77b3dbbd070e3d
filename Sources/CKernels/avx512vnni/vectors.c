// Norm, rotation, activation and softmax: the contract's sixteen lanes are one register.
#include "lanes.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(QK_AVX512VNNI))), apply_to = function)

void qk_avx512vnni_rms_norm(const float *x, const float *weight, float epsilon, float *out, int32_t n) {
    __m512 squares = _mm512_setzero_ps();
    for (int32_t i = 0; i < n; i += 16) {
        __m512 a = qk_load16(x + i, n - i);
        squares = _mm512_fmadd_ps(a, a, squares);
    }
    __m512 factor = _mm512_set1_ps(1.0f / sqrtf(qk_fold16(squares) / (float)n + epsilon));
    for (int32_t i = 0; i < n; i += 16) {
        __m512 scaled = _mm512_mul_ps(qk_load16(x + i, n - i), factor);
        qk_store16(out + i, n - i, _mm512_mul_ps(scaled, qk_load16(weight + i, n - i)));
    }
}

void qk_avx512vnni_rope(float *x, const float *cos, const float *sin, int32_t heads, int32_t head_dim) {
    int32_t half = head_dim / 2;
    for (int32_t h = 0; h < heads; h++) {
        float *first = x + (int64_t)h * head_dim, *second = first + half;
        for (int32_t i = 0; i < half; i += 16) {
            __m512 a = qk_load16(first + i, half - i), b = qk_load16(second + i, half - i);
            __m512 c = qk_load16(cos + i, half - i), s = qk_load16(sin + i, half - i);
            qk_store16(first + i, half - i, _mm512_fmsub_ps(a, c, _mm512_mul_ps(b, s)));
            qk_store16(second + i, half - i, _mm512_fmadd_ps(b, c, _mm512_mul_ps(a, s)));
        }
    }
}

void qk_avx512vnni_silu_mul(const float *gate, const float *up, float *out, int64_t n) {
    const __m512 minus_zero = _mm512_set1_ps(-0.0f), one = _mm512_set1_ps(1.0f);
    for (int64_t i = 0; i < n; i += 16) {
        __m512 g = qk_load16(gate + i, n - i);
        __m512 silu = _mm512_div_ps(g, _mm512_add_ps(one, qk_exp16(_mm512_sub_ps(minus_zero, g))));
        qk_store16(out + i, n - i, _mm512_mul_ps(silu, qk_load16(up + i, n - i)));
    }
}

void qk_avx512vnni_add(float *x, const float *y, int64_t n) {
    for (int64_t i = 0; i < n; i += 16) {
        qk_store16(x + i, n - i, _mm512_add_ps(qk_load16(x + i, n - i), qk_load16(y + i, n - i)));
    }
}

/// A NaN may be passed over in looking for the greatest value: it turns the whole softmax into NaN anyway.
void qk_avx512vnni_softmax(float *x, int32_t n) {
    const __m512 lowest = _mm512_set1_ps(-INFINITY);
    __m512 sixteen = lowest;
    for (int32_t i = 0; i < n; i += 16) {
        sixteen = _mm512_max_ps(_mm512_mask_loadu_ps(lowest, qk_lanes(n - i), x + i), sixteen);
    }
    __m512 greatest = _mm512_set1_ps(_mm512_reduce_max_ps(sixteen)), sum = _mm512_setzero_ps();
    for (int32_t i = 0; i < n; i += 16) {
        __m512 e = qk_exp16(_mm512_sub_ps(qk_load16(x + i, n - i), greatest));
        qk_store16(x + i, n - i, e);
        sum = _mm512_mask_add_ps(sum, qk_lanes(n - i), sum, e);
    }
    __m512 inverse = _mm512_set1_ps(1.0f / qk_fold16(sum));
    for (int32_t i = 0; i < n; i += 16) {
        qk_store16(x + i, n - i, _mm512_mul_ps(qk_load16(x + i, n - i), inverse));
    }
}

#pragma clang attribute pop
#endif
