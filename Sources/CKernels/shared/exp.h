// exp, the same bits everywhere: a fixed sequence of single-precision operations, which the vector sets repeat lane by
// lane. Range reduction by Cody and Waite, polynomial from Cephes' expf; 1.01 ulp at most from the true value.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

#define QK_EXP_LOG2E 0x1.715476p+0f
#define QK_EXP_LN2_HIGH 0x1.62ep-1f // few bits, so that n·high is exact
#define QK_EXP_LN2_LOW 0x1.0bfbe8p-15f
#define QK_EXP_ROUND 0x1.8p+23f // adding it rounds to an integer, in the low bits
#define QK_EXP_LOWEST -0x1.5d589ep+6f // below: 0 (results under 2^-126 are not represented)
#define QK_EXP_HIGHEST 0x1.62e42ep+6f // above: infinity
#define QK_EXP_C2 5.0000001201e-1f
#define QK_EXP_C3 1.6666665459e-1f
#define QK_EXP_C4 4.1665795894e-2f
#define QK_EXP_C5 8.3334519073e-3f
#define QK_EXP_C6 1.3981999507e-3f
#define QK_EXP_C7 1.9875691500e-4f

static inline float qk_exp_scalar(float x) {
    if (x < QK_EXP_LOWEST) return 0.0f;
    if (x > QK_EXP_HIGHEST) return INFINITY;
    float shifted = fmaf(x, QK_EXP_LOG2E, QK_EXP_ROUND);
    float n = shifted - QK_EXP_ROUND;
    float r = fmaf(n, -QK_EXP_LN2_LOW, fmaf(n, -QK_EXP_LN2_HIGH, x));
    float p = fmaf(r, QK_EXP_C7, QK_EXP_C6);
    p = fmaf(p, r, QK_EXP_C5);
    p = fmaf(p, r, QK_EXP_C4);
    p = fmaf(p, r, QK_EXP_C3);
    p = fmaf(p, r, QK_EXP_C2);
    float y = fmaf(p, r * r, r) + 1.0f;
    // y·2^n, with n up to 128: in two steps, since 2^128 is no float. Both factors are exact.
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    int32_t power = (int32_t)(bits - 0x4B400000u);
    int32_t half = power >> 1;
    uint32_t first_bits = (uint32_t)(half + 127) << 23, second_bits = (uint32_t)(power - half + 127) << 23;
    float first, second;
    memcpy(&first, &first_bits, sizeof first);
    memcpy(&second, &second_bits, sizeof second);
    return (y * first) * second;
}
