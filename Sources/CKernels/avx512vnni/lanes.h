// Sixteen lanes: partial loads and stores, the contract's folding, exp.
#pragma once

#include "../shared/exp.h"
#include "../shared/inline.h"
#include "avx512vnni.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(QK_AVX512VNNI))), apply_to = function)

/// The first `count` lanes (all from 16 on, none below 1).
QK_INLINE __mmask16 qk_lanes(int64_t count) {
    return count >= 16 ? 0xFFFF : count <= 0 ? 0 : (__mmask16)((1u << count) - 1);
}

/// The first `count` values, zeros after them; no lane past the count is read.
QK_INLINE __m512 qk_load16(const float *x, int64_t count) { return _mm512_maskz_loadu_ps(qk_lanes(count), x); }

QK_INLINE void qk_store16(float *x, int64_t count, __m512 values) {
    if (count >= 16) {
        _mm512_storeu_ps(x, values);
    } else {
        _mm512_mask_storeu_ps(x, qk_lanes(count), values);
    }
}

/// Folds sixteen lanes: 8+8, 4+4, 2+2, 1+1.
QK_INLINE float qk_fold16(__m512 x) {
    __m256 upper = _mm256_castsi256_ps(_mm512_extracti64x4_epi64(_mm512_castps_si512(x), 1));
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), upper);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/// qk_exp_scalar in each lane. 2^n by vscalefps: one rounding, as in two exact steps, since no result is subnormal.
QK_INLINE __m512 qk_exp16(__m512 x) {
    const __m512 round = _mm512_set1_ps(QK_EXP_ROUND);
    __m512 n = _mm512_sub_ps(_mm512_fmadd_ps(x, _mm512_set1_ps(QK_EXP_LOG2E), round), round);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-QK_EXP_LN2_HIGH), x);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(-QK_EXP_LN2_LOW), r);
    __m512 p = _mm512_fmadd_ps(r, _mm512_set1_ps(QK_EXP_C7), _mm512_set1_ps(QK_EXP_C6));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(QK_EXP_C5));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(QK_EXP_C4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(QK_EXP_C3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(QK_EXP_C2));
    __m512 y = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
    __mmask16 over = _mm512_cmp_ps_mask(x, _mm512_set1_ps(QK_EXP_HIGHEST), _CMP_GT_OQ);
    __mmask16 represented = _mm512_cmp_ps_mask(x, _mm512_set1_ps(QK_EXP_LOWEST), _CMP_NLT_UQ);
    return _mm512_mask_mov_ps(_mm512_maskz_scalef_ps(represented, y, n), over, _mm512_set1_ps(INFINITY));
}

#pragma clang attribute pop
#endif
