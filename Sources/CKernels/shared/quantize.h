// The scale of a group of activations, and one activation's quant.
#pragma once

#include <float.h>
#include <math.h>

#include "half.h"

#pragma STDC FP_CONTRACT OFF

/// x ≈ q·scale, q = round(x·inverse). inverse 0 means that all quants of the group are 0.
typedef struct {
    float scale, inverse;
} qk_group_scale;

/// Below this, 127/greatest would not be a float: such a group is all zeros.
#define QK_SMALLEST_GREATEST 0x1p-120f

/// From the greatest magnitude of a group. Infinity and NaN stay in the scale, so that they reach the product.
static inline qk_group_scale qk_group_scale_of(float greatest) {
    if (greatest < QK_SMALLEST_GREATEST) return (qk_group_scale){0.0f, 0.0f};
    if (!(greatest <= FLT_MAX)) return (qk_group_scale){greatest, 0.0f};
    return (qk_group_scale){greatest / 127.0f, 127.0f / greatest};
}

/// Half to even by adding 1.5·2^23, whose low bits then hold the integer.
static inline int8_t qk_quantize_scalar(float x, float inverse) {
    int32_t q = (int32_t)(qk_bits(x * inverse + 0x1.8p+23f) - 0x4B400000u);
    return (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
}
