// One value between float32, float16 and bfloat16: round to nearest, ties to even, NaN quiet with its upper payload, as
// F16C and NEON do it.
#pragma once

#include <stdint.h>
#include <string.h>

static inline uint32_t qk_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float qk_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float qk_f16_to_f32_scalar(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 0x1F, fraction = half & 0x3FF;
    if (exponent == 0x1F) return qk_float(sign | 0x7F800000 | (fraction ? 0x400000 | fraction << 13 : 0));
    if (exponent == 0) return qk_float(sign | qk_bits((float)fraction * 0x1p-24f)); // zero or subnormal: exact
    return qk_float(sign | (exponent + 112) << 23 | fraction << 13);
}

static inline uint16_t qk_f32_to_f16_scalar(float x) {
    uint32_t bits = qk_bits(x), sign = bits >> 16 & 0x8000;
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000) return (uint16_t)(sign | 0x7E00 | (bits >> 13 & 0x3FF));
    if (bits >= 0x47800000) return (uint16_t)(sign | 0x7C00); // 2^16 and above; 65520…65535 overflow by rounding, below
    if (bits < 0x38800000) {
        // Under 2^-14 the result is subnormal. Adding 1/2 leaves |x|/2^-24, rounded as the addition rounds, in the
        // low bits.
        return (uint16_t)(sign | (qk_bits(qk_float(bits) + 0.5f) - 0x3F000000));
    }
    uint32_t odd = bits >> 13 & 1;
    return (uint16_t)(sign | (bits - 0x38000000 + 0xFFF + odd) >> 13);
}

static inline float qk_bf16_to_f32_scalar(uint16_t x) { return qk_float((uint32_t)x << 16); }

static inline uint16_t qk_f32_to_bf16_scalar(float x) {
    uint32_t bits = qk_bits(x);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
