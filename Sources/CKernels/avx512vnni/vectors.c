// Activation and softmax, sixteen lanes at a time: the contract's lanes, one vector.
#include "../shared/exp.h"
#include "../shared/inline.h"
#include "avx512vnni.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))), apply_to = function)

enum { LANES = 16 };

/// The first `count` lanes, all from 16 on.
QK_INLINE __mmask16 lanes(int64_t count) { return count >= LANES ? 0xFFFF : (__mmask16)((1u << count) - 1); }

/// qk_exp_scalar in each lane.
QK_INLINE __m512 exp_lanes(__m512 x) {
    const __m512 round = _mm512_set1_ps(QK_EXP_ROUND);
    __m512 shifted = _mm512_fmadd_ps(x, _mm512_set1_ps(QK_EXP_LOG2E), round);
    __m512 n = _mm512_sub_ps(shifted, round);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-QK_EXP_LN2_HIGH), x);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(-QK_EXP_LN2_LOW), r);
    __m512 p = _mm512_fmadd_ps(r, _mm512_set1_ps(QK_EXP_C7), _mm512_set1_ps(QK_EXP_C6));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(QK_EXP_C5));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(QK_EXP_C4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(QK_EXP_C3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(QK_EXP_C2));
    __m512 y = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
    __m512i power = _mm512_sub_epi32(_mm512_castps_si512(shifted), _mm512_castps_si512(round));
    __m512i half = _mm512_srai_epi32(power, 1), bias = _mm512_set1_epi32(127);
    __m512i first = _mm512_slli_epi32(_mm512_add_epi32(half, bias), 23);
    __m512i second = _mm512_slli_epi32(_mm512_add_epi32(_mm512_sub_epi32(power, half), bias), 23);
    y = _mm512_mul_ps(_mm512_mul_ps(y, _mm512_castsi512_ps(first)), _mm512_castsi512_ps(second));
    __mmask16 over = _mm512_cmp_ps_mask(x, _mm512_set1_ps(QK_EXP_HIGHEST), _CMP_GT_OQ);
    __mmask16 under = _mm512_cmp_ps_mask(x, _mm512_set1_ps(QK_EXP_LOWEST), _CMP_LT_OQ);
    return _mm512_mask_mov_ps(_mm512_mask_mov_ps(y, over, _mm512_set1_ps(INFINITY)), under, _mm512_setzero_ps());
}

void qk_avx512vnni_silu_mul(const float *gate, const float *up, float *out, int64_t n) {
    const __m512 sign = _mm512_set1_ps(-0.0f), one = _mm512_set1_ps(1.0f);
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 mask = lanes(n - i);
        __m512 g = _mm512_maskz_loadu_ps(mask, gate + i);
        __m512 silu = _mm512_div_ps(g, _mm512_add_ps(one, exp_lanes(_mm512_xor_ps(g, sign))));
        _mm512_mask_storeu_ps(out + i, mask, _mm512_mul_ps(silu, _mm512_maskz_loadu_ps(mask, up + i)));
    }
}

/// The greatest value. A NaN may be passed over: it turns the whole softmax into NaN anyway.
static float greatest_of(const float *x, int32_t n) {
    __m512 greatest = _mm512_set1_ps(x[0]);
    for (int32_t i = 0; i < n; i += LANES) {
        __mmask16 mask = lanes(n - i);
        greatest = _mm512_mask_max_ps(greatest, mask, _mm512_maskz_loadu_ps(mask, x + i), greatest);
    }
    return _mm512_reduce_max_ps(greatest);
}

/// Folds sixteen lanes: 8+8, 4+4, 2+2, 1+1.
QK_INLINE float fold_lanes(__m512 sixteen) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(sixteen), _mm512_extractf32x8_ps(sixteen, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

void qk_avx512vnni_softmax(float *x, int32_t n) {
    __m512 greatest = _mm512_set1_ps(greatest_of(x, n)), sums = _mm512_setzero_ps();
    for (int32_t i = 0; i < n; i += LANES) {
        __mmask16 mask = lanes(n - i);
        __m512 e = exp_lanes(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), greatest));
        _mm512_mask_storeu_ps(x + i, mask, e);
        // Lanes past the end add a zero, as in every set: −0 never comes up, since exp gives no −0.
        sums = _mm512_add_ps(sums, _mm512_maskz_mov_ps(mask, e));
    }
    __m512 inverse = _mm512_set1_ps(1.0f / fold_lanes(sums));
    for (int32_t i = 0; i < n; i += LANES) {
        __mmask16 mask = lanes(n - i);
        _mm512_mask_storeu_ps(x + i, mask, _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), inverse));
    }
}

#pragma clang attribute pop
#endif
