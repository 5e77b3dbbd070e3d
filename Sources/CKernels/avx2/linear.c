// Linear layers: 16 rows × up to 4 tokens at a time, integer sums in registers.
#include "avx2.h"

#if defined(__x86_64__)
#include <string.h>

#include "../shared/blocks.h"
#include "../shared/inline.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum { LINE_BYTES = QK_AVX2_ROWS * 4 };
enum { TILE = 4 }; // tokens of a tile

/// The scales of eight rows.
QK_INLINE __m256 row_scales(const qk_weights *w, int64_t index) {
    if (!w->bfloat_scales) return _mm256_loadu_ps(w->scales + index);
    __m128i halves = _mm_loadu_si128((const __m128i *)(w->bfloat_scales + index));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

/// Four activations of one token, for all rows.
QK_INLINE __m256i broadcast(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm256_set1_epi32(four);
}

/// sums[t] = Σ q·x over one group of 8-bit weights. Unsigned |q| times x with q's sign: a pair of products is at most
/// 2·128·127, which 16 bits hold.
QK_INLINE void group_sums_8(const uint8_t *lines, int32_t group, const int8_t *x, int64_t x_stride, int tokens,
                            __m256i sums[][2]) {
    const __m256i ones = _mm256_set1_epi16(1);
    QK_UNROLL for (int t = 0; t < tokens; t++) sums[t][0] = sums[t][1] = _mm256_setzero_si256();
    for (int32_t k = 0; k < group; k += 4, lines += LINE_BYTES) {
        __m256i q0 = _mm256_load_si256((const __m256i *)lines), q1 = _mm256_load_si256((const __m256i *)lines + 1);
        __m256i a0 = _mm256_abs_epi8(q0), a1 = _mm256_abs_epi8(q1);
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            __m256i four = broadcast(x + t * x_stride + k);
            __m256i p0 = _mm256_maddubs_epi16(a0, _mm256_sign_epi8(four, q0));
            __m256i p1 = _mm256_maddubs_epi16(a1, _mm256_sign_epi8(four, q1));
            sums[t][0] = _mm256_add_epi32(sums[t][0], _mm256_madd_epi16(p0, ones));
            sums[t][1] = _mm256_add_epi32(sums[t][1], _mm256_madd_epi16(p1, ones));
        }
    }
}

/// sums[t] = Σ u·x over one group of 4-bit weights, u = q + 8. 32 columns add up in 16 bits: 16·15·127 < 2^15.
QK_INLINE void group_sums_4(const uint8_t *lines, int32_t group, const int8_t *x, int64_t x_stride, int tokens,
                            __m256i sums[][2]) {
    const __m256i ones = _mm256_set1_epi16(1), nibble = _mm256_set1_epi8(15);
    QK_UNROLL for (int t = 0; t < tokens; t++) sums[t][0] = sums[t][1] = _mm256_setzero_si256();
    for (int32_t part = 0; part < group; part += 32) {
        __m256i short_sums[TILE][2];
        QK_UNROLL for (int t = 0; t < tokens; t++) short_sums[t][0] = short_sums[t][1] = _mm256_setzero_si256();
        QK_UNROLL for (int32_t k = part; k < part + 32; k += 8, lines += LINE_BYTES) {
            __m256i u0 = _mm256_load_si256((const __m256i *)lines);
            __m256i u1 = _mm256_load_si256((const __m256i *)lines + 1);
            __m256i low0 = _mm256_and_si256(u0, nibble), high0 = _mm256_and_si256(_mm256_srli_epi16(u0, 4), nibble);
            __m256i low1 = _mm256_and_si256(u1, nibble), high1 = _mm256_and_si256(_mm256_srli_epi16(u1, 4), nibble);
            QK_UNROLL for (int t = 0; t < tokens; t++) {
                __m256i first = broadcast(x + t * x_stride + k), second = broadcast(x + t * x_stride + k + 4);
                short_sums[t][0] = _mm256_add_epi16(short_sums[t][0], _mm256_maddubs_epi16(low0, first));
                short_sums[t][1] = _mm256_add_epi16(short_sums[t][1], _mm256_maddubs_epi16(low1, first));
                short_sums[t][0] = _mm256_add_epi16(short_sums[t][0], _mm256_maddubs_epi16(high0, second));
                short_sums[t][1] = _mm256_add_epi16(short_sums[t][1], _mm256_maddubs_epi16(high1, second));
            }
        }
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            sums[t][0] = _mm256_add_epi32(sums[t][0], _mm256_madd_epi16(short_sums[t][0], ones));
            sums[t][1] = _mm256_add_epi32(sums[t][1], _mm256_madd_epi16(short_sums[t][1], ones));
        }
    }
}

/// Eight rows' results; only `count` of them exist.
QK_INLINE void store_rows(float *out, int32_t count, __m256 values) {
    if (count >= 8) {
        _mm256_storeu_ps(out, values);
    } else {
        float rows[8];
        _mm256_storeu_ps(rows, values);
        for (int32_t r = 0; r < count; r++) out[r] = rows[r];
    }
}

/// One row block times the tokens from `token` on.
QK_INLINE void block_product(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t block,
                             int32_t token, int tokens, int bits) {
    int32_t group = w->group, groups = w->groups;
    int64_t x_stride = (int64_t)groups * group, group_bytes = (int64_t)group * QK_AVX2_ROWS * bits / 8;
    const uint8_t *lines = qk_block_quants(w, block);
    const int8_t *quants = x->quants + token * x_stride;
    __m256 accumulators[TILE][2];
    QK_UNROLL for (int t = 0; t < tokens; t++) accumulators[t][0] = accumulators[t][1] = _mm256_setzero_ps();

    for (int32_t g = 0; g < groups; g++, lines += group_bytes, quants += group) {
        __m256i sums[TILE][2];
        if (bits == 8) {
            group_sums_8(lines, group, quants, x_stride, tokens, sums);
        } else {
            group_sums_4(lines, group, quants, x_stride, tokens, sums);
        }
        int64_t index = ((int64_t)block * groups + g) * QK_AVX2_ROWS;
        __m256 scale0 = row_scales(w, index), scale1 = row_scales(w, index + 8);
        // What each activation was multiplied by too much: the zero point, and 8 where q was stored as q + 8.
        __m256i excess0 = _mm256_set1_epi32(bits == 4 ? 8 : 0), excess1 = excess0;
        if (w->zero_points) {
            const __m256i *zero_points = (const __m256i *)(w->zero_points + index);
            excess0 = _mm256_add_epi32(excess0, _mm256_loadu_si256(zero_points));
            excess1 = _mm256_add_epi32(excess1, _mm256_loadu_si256(zero_points + 1));
        }
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            int64_t token_index = (int64_t)(token + t) * groups + g;
            if (bits == 4 || w->zero_points) {
                __m256i x_sum = _mm256_set1_epi32(x->sums[token_index]);
                sums[t][0] = _mm256_sub_epi32(sums[t][0], _mm256_mullo_epi32(excess0, x_sum));
                sums[t][1] = _mm256_sub_epi32(sums[t][1], _mm256_mullo_epi32(excess1, x_sum));
            }
            __m256 x_scale = _mm256_set1_ps(x->scales[token_index]);
            accumulators[t][0] =
                _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[t][0]), _mm256_mul_ps(scale0, x_scale), accumulators[t][0]);
            accumulators[t][1] =
                _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[t][1]), _mm256_mul_ps(scale1, x_scale), accumulators[t][1]);
        }
    }

    int32_t row = block * QK_AVX2_ROWS;
    QK_UNROLL for (int t = 0; t < tokens; t++) {
        float *to = out + (token + t) * stride + row;
        store_rows(to, w->rows - row, accumulators[t][0]);
        store_rows(to + 8, w->rows - row - 8, accumulators[t][1]);
    }
}

/// Any number of tokens as a constant one.
QK_INLINE void block_tokens(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t block,
                            int32_t token, int32_t tokens, int bits) {
    switch (tokens) {
    case 1: block_product(w, x, out, stride, block, token, 1, bits); break;
    case 2: block_product(w, x, out, stride, block, token, 2, bits); break;
    case 3: block_product(w, x, out, stride, block, token, 3, bits); break;
    default: block_product(w, x, out, stride, block, token, TILE, bits); break;
    }
}

void qk_avx2_linear(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
                    int32_t end) {
    int32_t chunk = qk_token_chunk(x, TILE);
    for (int32_t first = 0; first < x->tokens; first += chunk) {
        int32_t last = x->tokens - first < chunk ? x->tokens : first + chunk;
        for (int32_t block = begin; block < end; block++) {
            for (int32_t token = first; token < last; token += TILE) {
                int32_t tokens = last - token < TILE ? last - token : TILE;
                if (w->bits == 8) {
                    block_tokens(w, x, out, stride, block, token, tokens, 8);
                } else {
                    block_tokens(w, x, out, stride, block, token, tokens, 4);
                }
            }
        }
    }
}

#pragma clang attribute pop
#endif
