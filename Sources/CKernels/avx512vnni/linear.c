// Linear layers: 16 rows × up to 8 tokens at a time. A line of weights, four unsigned columns of 16 rows, is one operand
// of VPDPBUSD, and four activations of a token, broadcast from memory, are the other; sums are exact in 32 bits.
#include "avx512vnni.h"

#if defined(__x86_64__)
#include <string.h>

#include "../shared/blocks16.h"
#include "../shared/inline.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))), apply_to = function)

enum { TILE = 8, AHEAD = 2048 }; // tokens of a tile; bytes to prefetch ahead when weights are read but once

/// Four activations of one token, for all rows.
QK_INLINE __m512i broadcast(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

/// sums[t] += Σ u·x over one group of 8-bit weights, u = q + 128.
QK_INLINE void group_sums_8(const uint8_t *lines, int32_t group, const int8_t *x, int64_t x_stride, int tokens,
                            __m512i sums[]) {
    for (int32_t k = 0; k < group; k += 4, lines += QK_LINE_BYTES) {
        if (tokens == 1) _mm_prefetch((const char *)lines + AHEAD, _MM_HINT_T0);
        __m512i u = _mm512_load_si512(lines);
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            sums[t] = _mm512_dpbusd_epi32(sums[t], u, broadcast(x + t * x_stride + k));
        }
    }
}

/// sums[t] += Σ u·x over one group of 4-bit weights, u = q + 8.
QK_INLINE void group_sums_4(const uint8_t *lines, int32_t group, const int8_t *x, int64_t x_stride, int tokens,
                            __m512i sums[]) {
    const __m512i nibble = _mm512_set1_epi8(15);
    for (int32_t k = 0; k < group; k += 8, lines += QK_LINE_BYTES) {
        if (tokens == 1) _mm_prefetch((const char *)lines + AHEAD, _MM_HINT_T0);
        __m512i u = _mm512_load_si512(lines);
        __m512i low = _mm512_and_si512(u, nibble), high = _mm512_and_si512(_mm512_srli_epi16(u, 4), nibble);
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            sums[t] = _mm512_dpbusd_epi32(sums[t], low, broadcast(x + t * x_stride + k));
            sums[t] = _mm512_dpbusd_epi32(sums[t], high, broadcast(x + t * x_stride + k + 4));
        }
    }
}

/// One row block times the tokens from `token` on.
QK_INLINE void block_product(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t block,
                             int32_t token, int tokens, int bits) {
    int32_t group = w->group, groups = w->groups;
    int64_t x_stride = (int64_t)groups * group, group_bytes = (int64_t)group * QK_BLOCK_ROWS * bits / 8;
    const uint8_t *lines = qk_block_quants(w, block);
    const int8_t *quants = x->quants + token * x_stride;
    const float *x_scales = x->scales + (int64_t)token * groups;
    const int32_t *x_sums = x->sums + (int64_t)token * groups;
    __m512 accumulators[TILE];
    QK_UNROLL for (int t = 0; t < tokens; t++) accumulators[t] = _mm512_setzero_ps();

    for (int32_t g = 0; g < groups; g++, lines += group_bytes, quants += group) {
        int64_t index = ((int64_t)block * groups + g) * QK_BLOCK_ROWS;
        // What each activation is multiplied by too much: 2^(bits-1), and the zero point.
        __m512i excess = _mm512_set1_epi32(-(1 << (bits - 1)));
        if (w->zero_points) excess = _mm512_sub_epi32(excess, _mm512_loadu_si512(w->zero_points + index));
        __m512i sums[TILE];
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            int32_t x_sum = x_sums[t * groups + g];
            sums[t] = w->zero_points ? _mm512_mullo_epi32(excess, _mm512_set1_epi32(x_sum))
                                     : _mm512_set1_epi32(x_sum * -(1 << (bits - 1)));
        }
        if (bits == 8) {
            group_sums_8(lines, group, quants, x_stride, tokens, sums);
        } else {
            group_sums_4(lines, group, quants, x_stride, tokens, sums);
        }
        __m512 scale = _mm512_loadu_ps(w->scales + index);
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            __m512 product_scale = _mm512_mul_ps(scale, _mm512_set1_ps(x_scales[t * groups + g]));
            accumulators[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[t]), product_scale, accumulators[t]);
        }
    }

    int32_t row = block * QK_BLOCK_ROWS, present = w->rows - row;
    __mmask16 rows = present >= QK_BLOCK_ROWS ? 0xFFFF : (__mmask16)((1u << present) - 1);
    QK_UNROLL for (int t = 0; t < tokens; t++) {
        _mm512_mask_storeu_ps(out + (token + t) * stride + row, rows, accumulators[t]);
    }
}

/// Any number of tokens as a constant one.
QK_INLINE void block_tokens(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t block,
                            int32_t token, int32_t tokens, int bits) {
    switch (tokens) {
    case 1: block_product(w, x, out, stride, block, token, 1, bits); break;
    case 2: block_product(w, x, out, stride, block, token, 2, bits); break;
    case 3: block_product(w, x, out, stride, block, token, 3, bits); break;
    case 4: block_product(w, x, out, stride, block, token, 4, bits); break;
    case 5: block_product(w, x, out, stride, block, token, 5, bits); break;
    case 6: block_product(w, x, out, stride, block, token, 6, bits); break;
    case 7: block_product(w, x, out, stride, block, token, 7, bits); break;
    default: block_product(w, x, out, stride, block, token, TILE, bits); break;
    }
}

void qk_avx512vnni_linear(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
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
