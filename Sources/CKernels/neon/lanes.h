// The contract's sixteen lanes as four vectors: partial loads and stores, folding, exp.
#pragma once

#include <string.h>

#include "../shared/exp.h"
#include "../shared/inline.h"
#include "neon.h"

#if defined(__aarch64__)
#pragma STDC FP_CONTRACT OFF

typedef struct {
    float32x4_t v[4];
} qk_lanes16;

#define QK_EACH_VECTOR QK_UNROLL for (int v = 0; v < 4; v++)

QK_INLINE qk_lanes16 qk_splat16(float x) {
    float32x4_t four = vdupq_n_f32(x);
    return (qk_lanes16){{four, four, four, four}};
}

/// The first `count` values, `rest` after them; no lane past the count is read.
QK_INLINE qk_lanes16 qk_load16(const float *x, int64_t count, float rest) {
    qk_lanes16 result = qk_splat16(rest);
    float values[16];
    if (count < 16) {
        QK_EACH_VECTOR vst1q_f32(values + 4 * v, result.v[v]);
        x = memcpy(values, x, (size_t)count * sizeof(float));
    }
    QK_EACH_VECTOR result.v[v] = vld1q_f32(x + 4 * v);
    return result;
}

QK_INLINE void qk_store16(float *x, int64_t count, qk_lanes16 values) {
    float partial[16], *to = count < 16 ? partial : x;
    QK_EACH_VECTOR vst1q_f32(to + 4 * v, values.v[v]);
    if (count < 16) memcpy(x, partial, (size_t)count * sizeof(float));
}

/// Folds sixteen lanes: 8+8, 4+4, 2+2, 1+1.
QK_INLINE float qk_fold16(qk_lanes16 x) {
    float32x4_t four = vaddq_f32(vaddq_f32(x.v[0], x.v[2]), vaddq_f32(x.v[1], x.v[3]));
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/// qk_exp_scalar in each lane.
QK_INLINE float32x4_t qk_exp4(float32x4_t x) {
    const float32x4_t round = vdupq_n_f32(QK_EXP_ROUND);
    float32x4_t shifted = vfmaq_f32(round, x, vdupq_n_f32(QK_EXP_LOG2E));
    float32x4_t n = vsubq_f32(shifted, round);
    float32x4_t r = vfmaq_f32(x, n, vdupq_n_f32(-QK_EXP_LN2_HIGH));
    r = vfmaq_f32(r, n, vdupq_n_f32(-QK_EXP_LN2_LOW));
    float32x4_t p = vfmaq_f32(vdupq_n_f32(QK_EXP_C6), r, vdupq_n_f32(QK_EXP_C7));
    p = vfmaq_f32(vdupq_n_f32(QK_EXP_C5), p, r);
    p = vfmaq_f32(vdupq_n_f32(QK_EXP_C4), p, r);
    p = vfmaq_f32(vdupq_n_f32(QK_EXP_C3), p, r);
    p = vfmaq_f32(vdupq_n_f32(QK_EXP_C2), p, r);
    float32x4_t y = vaddq_f32(vfmaq_f32(r, p, vmulq_f32(r, r)), vdupq_n_f32(1.0f));
    int32x4_t power = vsubq_s32(vreinterpretq_s32_f32(shifted), vreinterpretq_s32_f32(round));
    int32x4_t half = vshrq_n_s32(power, 1), bias = vdupq_n_s32(127);
    float32x4_t first = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
    float32x4_t second = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vsubq_s32(power, half), bias), 23));
    y = vmulq_f32(vmulq_f32(y, first), second);
    y = vbslq_f32(vcgtq_f32(x, vdupq_n_f32(QK_EXP_HIGHEST)), vdupq_n_f32(INFINITY), y);
    return vbslq_f32(vcltq_f32(x, vdupq_n_f32(QK_EXP_LOWEST)), vdupq_n_f32(0.0f), y);
}
#endif
