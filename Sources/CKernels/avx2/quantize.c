// Activations to int8, 32 columns at a time.
#include "../shared/quantize.h"

#include <string.h>

#include "lanes.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

/// The greatest magnitude, compared as integers: NaN above infinity above all numbers.
static float greatest_magnitude(const float *x, int32_t count) {
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
    __m256i eight = _mm256_setzero_si256();
    for (int32_t k = 0; k < count; k += 8) {
        __m256 values = _mm256_and_ps(qk_load_lanes(x + k, count - k), magnitude);
        eight = _mm256_max_epi32(eight, _mm256_castps_si256(values));
    }
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xB1));
    return qk_float((uint32_t)_mm_cvtsi128_si32(four));
}

/// Eight quants as 32-bit integers, by the processor's round-half-even. |x·inverse| rounds to 127 at most, since
/// 127/greatest is off by half a unit in the last place.
QK_INLINE __m256i quantize_lanes(const float *x, int32_t count, __m256 inverse) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(qk_load_lanes(x, count), inverse));
}

void qk_avx2_quantize(const float *x, int64_t stride, qk_activations *out, int32_t token_begin, int32_t token_end) {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); // undoes the lane-wise packing
    const __m256i unsigned_ones = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
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
            __m256 inverse = _mm256_set1_ps(s.inverse);
            __m256i sum = _mm256_setzero_si256();
            for (int32_t k = 0; k < out->group; k += 32) {
                const float *from = values + k;
                int32_t left = present - k;
                __m256i q01 = _mm256_packs_epi32(quantize_lanes(from, left, inverse),
                                                 quantize_lanes(from + 8, left - 8, inverse));
                __m256i q23 = _mm256_packs_epi32(quantize_lanes(from + 16, left - 16, inverse),
                                                 quantize_lanes(from + 24, left - 24, inverse));
                __m256i q = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(q01, q23), order);
                _mm256_storeu_si256((__m256i *)(quants + k), q);
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(unsigned_ones, q), ones));
            }
            __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
            four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
            four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xB1));
            out->sums[index] = _mm_cvtsi128_si32(four);
        }
    }
}

#pragma clang attribute pop
#endif
