// Arrays between float32, float16 (F16C) and bfloat16; the last few values one by one.
#include "../shared/half.h"
#include "avx2.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

void qk_avx2_f16_to_f32(const uint16_t *in, float *out, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + i))));
    }
    for (; i < n; i++) out[i] = qk_f16_to_f32_scalar(in[i]);
}

void qk_avx2_bf16_to_f32(const uint16_t *in, float *out, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(in + i)));
        _mm256_storeu_ps(out + i, _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16)));
    }
    for (; i < n; i++) out[i] = qk_bf16_to_f32_scalar(in[i]);
}

void qk_avx2_f32_to_f16(const float *in, uint16_t *out, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm_storeu_si128((__m128i *)(out + i), half);
    }
    for (; i < n; i++) out[i] = qk_f32_to_f16_scalar(in[i]);
}

void qk_avx2_f32_to_bf16(const float *in, uint16_t *out, int64_t n) {
    const __m256i magnitude = _mm256_set1_epi32(0x7FFFFFFF), infinity = _mm256_set1_epi32(0x7F800000);
    const __m256i bias = _mm256_set1_epi32(0x7FFF), one = _mm256_set1_epi32(1), quiet = _mm256_set1_epi32(0x40);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i bits = _mm256_castps_si256(_mm256_loadu_ps(in + i)), upper = _mm256_srli_epi32(bits, 16);
        __m256i rounding = _mm256_add_epi32(bias, _mm256_and_si256(upper, one));
        __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, rounding), 16);
        __m256i nan = _mm256_cmpgt_epi32(_mm256_and_si256(bits, magnitude), infinity);
        __m256i result = _mm256_blendv_epi8(rounded, _mm256_or_si256(upper, quiet), nan);
        __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(result, result), 0x08);
        _mm_storeu_si128((__m128i *)(out + i), _mm256_castsi256_si128(packed));
    }
    for (; i < n; i++) out[i] = qk_f32_to_bf16_scalar(in[i]);
}

#pragma clang attribute pop
#endif
