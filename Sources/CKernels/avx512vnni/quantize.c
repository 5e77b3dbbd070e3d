// Activations to int8, 32 columns at a time.
#include "../shared/quantize.h"

#include <string.h>

#include "lanes.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(QK_AVX512VNNI))), apply_to = function)

/// The greatest magnitude, compared as integers: NaN above infinity above all numbers.
QK_INLINE float greatest_magnitude(const float *x, int32_t count) {
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    __m512i sixteen = _mm512_setzero_si512();
    for (int32_t k = 0; k < count; k += 16) {
        __m512i bits = _mm512_castps_si512(qk_load16(x + k, count - k));
        sixteen = _mm512_max_epi32(sixteen, _mm512_and_si512(bits, magnitude));
    }
    return qk_float((uint32_t)_mm512_reduce_max_epi32(sixteen));
}

/// Sixteen quants, by the processor's round-half-even. |x·inverse| rounds to 127 at most, since 127/greatest is off by
/// half a unit in the last place.
QK_INLINE __m128i quantize_lanes(const float *x, int32_t count, __m512 inverse) {
    return _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(qk_load16(x, count), inverse)));
}

void qk_avx512vnni_quantize(const float *x, int64_t stride, qk_activations *out, int32_t token_begin,
                            int32_t token_end) {
    const __m256i unsigned_ones = _mm256_set1_epi8(1);
    for (int32_t t = token_begin; t < token_end; t++) {
        for (int32_t g = 0; g < out->groups; g++) {
            int32_t column = g * out->group;
            int32_t present = out->cols - column < out->group ? out->cols - column : out->group;
            const float *values = x + t * stride + column;
            int64_t index = (int64_t)t * out->groups + g;
            int8_t *quants = out->quants + index * out->group;
            qk_group_scale s = qk_group_scale_of(greatest_magnitude(values, present));
            out->scales[index] = s.scale;
            if (!(s.inverse > 0)) {
                memset(quants, 0, (size_t)out->group);
                out->sums[index] = 0;
                continue;
            }
            __m512 inverse = _mm512_set1_ps(s.inverse);
            __m256i sum = _mm256_setzero_si256();
            for (int32_t k = 0; k < out->group; k += 32) {
                __m128i lower = quantize_lanes(values + k, present - k, inverse);
                __m256i q = _mm256_set_m128i(quantize_lanes(values + k + 16, present - k - 16, inverse), lower);
                _mm256_storeu_si256((__m256i *)(quants + k), q);
                sum = _mm256_dpbusd_epi32(sum, unsigned_ones, q);
            }
            out->sums[index] = _mm512_reduce_add_epi32(_mm512_zextsi256_si512(sum));
        }
    }
}

#pragma clang attribute pop
#endif
