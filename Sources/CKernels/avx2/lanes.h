// Eight lanes: partial loads and stores, the contract's folding, exp.
#pragma once

#include <float.h>

#include "../shared/exp.h"
#include "../shared/inline.h"
#include "avx2.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

/// All ones in the first `count` lanes (all lanes from 8 on).
QK_INLINE __m256i qk_lane_mask(int64_t count) {
    static const int32_t ramp[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    return _mm256_loadu_si256((const __m256i *)(ramp + 8 - (count < 8 ? count : 8)));
}

/// The first `count` values, zeros after them; no lane past the count is read.
QK_INLINE __m256 qk_load_lanes(const float *x, int64_t count) {
    return count >= 8 ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, qk_lane_mask(count < 0 ? 0 : count));
}

QK_INLINE void qk_store_lanes(float *x, int64_t count, __m256 values) {
    if (count >= 8) {
        _mm256_storeu_ps(x, values);
    } else {
        _mm256_maskstore_ps(x, qk_lane_mask(count < 0 ? 0 : count), values);
    }
}

/// Folds sixteen lanes: 8+8, 4+4, 2+2, 1+1.
QK_INLINE float qk_fold_lanes(__m256 low, __m256 high) {
    __m256 eight = _mm256_add_ps(low, high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/// qk_exp_scalar in each lane.
QK_INLINE __m256 qk_exp_lanes(__m256 x) {
    const __m256 round = _mm256_set1_ps(QK_EXP_ROUND);
    __m256 shifted = _mm256_fmadd_ps(x, _mm256_set1_ps(QK_EXP_LOG2E), round);
    __m256 n = _mm256_sub_ps(shifted, round);
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-QK_EXP_LN2_HIGH), x);
    r = _mm256_fmadd_ps(n, _mm256_set1_ps(-QK_EXP_LN2_LOW), r);
    __m256 p = _mm256_fmadd_ps(r, _mm256_set1_ps(QK_EXP_C7), _mm256_set1_ps(QK_EXP_C6));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(QK_EXP_C5));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(QK_EXP_C4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(QK_EXP_C3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(QK_EXP_C2));
    __m256 y = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0f));
    __m256i power = _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_castps_si256(round));
    __m256i half = _mm256_srai_epi32(power, 1), bias = _mm256_set1_epi32(127);
    __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i second = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(power, half), bias), 23);
    y = _mm256_mul_ps(_mm256_mul_ps(y, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(second));
    __m256 over = _mm256_cmp_ps(x, _mm256_set1_ps(QK_EXP_HIGHEST), _CMP_GT_OQ);
    __m256 under = _mm256_cmp_ps(x, _mm256_set1_ps(QK_EXP_LOWEST), _CMP_LT_OQ);
    return _mm256_andnot_ps(under, _mm256_blendv_ps(y, _mm256_set1_ps(INFINITY), over));
}

#pragma clang attribute pop
#endif
