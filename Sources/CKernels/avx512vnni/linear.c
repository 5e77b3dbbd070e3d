// Linear layers: vpdpbusd multiplies a line's unsigned weights, four columns of 16 rows, with four signed activations
// that all rows share, and adds to 32 bits, exactly. Tiles of two row blocks × six tokens keep twelve such sums and
// their twelve float accumulators in the 32 registers.
#include "avx512vnni.h"

#if defined(__x86_64__)
#include <string.h>

#include "../shared/blocks16.h"
#include "../shared/inline.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(QK_AVX512VNNI))), apply_to = function)

enum { TILE = 6, BLOCKS = 2 }; // tokens and row blocks of a tile
enum { AHEAD = 2048 };         // bytes to prefetch ahead when weights are read but once

/// Four activations of one token, for all rows.
QK_INLINE __m512i broadcast(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

/// sums[t][b] += Σ u·x over one group, which begins at lines[b] and x.
QK_INLINE void group_sums(const uint8_t *const *lines, int64_t bytes, const int8_t *x, int64_t x_stride, int tokens,
                          int blocks, int bits, __m512i sums[TILE][BLOCKS]) {
    const __m512i nibble = _mm512_set1_epi8(15);
    for (int64_t at = 0; at < bytes; at += QK_LINE_BYTES) {
        __m512i u[BLOCKS], high[BLOCKS];
        QK_UNROLL for (int b = 0; b < blocks; b++) {
            if (tokens == 1) _mm_prefetch((const char *)lines[b] + at + AHEAD, _MM_HINT_T0);
            u[b] = _mm512_load_si512(lines[b] + at);
            if (bits == 4) {
                high[b] = _mm512_and_si512(_mm512_srli_epi16(u[b], 4), nibble);
                u[b] = _mm512_and_si512(u[b], nibble);
            }
        }
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            __m512i four = broadcast(x + t * x_stride);
            QK_UNROLL for (int b = 0; b < blocks; b++) sums[t][b] = _mm512_dpbusd_epi32(sums[t][b], u[b], four);
            if (bits == 8) continue;
            four = broadcast(x + t * x_stride + 4);
            QK_UNROLL for (int b = 0; b < blocks; b++) sums[t][b] = _mm512_dpbusd_epi32(sums[t][b], high[b], four);
        }
        x += 32 / bits;
    }
}

/// `blocks` row blocks times `tokens` tokens.
QK_INLINE void tile_product(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t block,
                            int32_t token, int tokens, int blocks, int bits) {
    int32_t groups = w->groups;
    int64_t x_stride = (int64_t)groups * w->group, bytes = (int64_t)w->group * QK_BLOCK_ROWS * bits / 8;
    const __m512i bias = _mm512_set1_epi32(-(1 << (bits - 1)));
    const int8_t *quants = x->quants + token * x_stride;
    const uint8_t *lines[BLOCKS];
    QK_UNROLL for (int b = 0; b < blocks; b++) lines[b] = qk_block_quants(w, block + b);
    __m512 accumulators[TILE][BLOCKS];
    QK_UNROLL for (int t = 0; t < tokens; t++) {
        QK_UNROLL for (int b = 0; b < blocks; b++) accumulators[t][b] = _mm512_setzero_ps();
    }

    for (int32_t g = 0; g < groups; g++, quants += w->group) {
        int64_t token_index = (int64_t)token * groups + g, row_index[BLOCKS];
        QK_UNROLL for (int b = 0; b < blocks; b++) row_index[b] = ((int64_t)(block + b) * groups + g) * QK_BLOCK_ROWS;
        // The sums begin with what will be too much in them: (bias + zero point)·Σx.
        __m512i sums[TILE][BLOCKS];
        QK_UNROLL for (int b = 0; b < blocks; b++) {
            __m512i excess = bias;
            if (w->zero_points) excess = _mm512_sub_epi32(bias, _mm512_loadu_si512(w->zero_points + row_index[b]));
            QK_UNROLL for (int t = 0; t < tokens; t++) {
                sums[t][b] = _mm512_mullo_epi32(excess, _mm512_set1_epi32(x->sums[token_index + t * groups]));
            }
        }
        group_sums(lines, bytes, quants, x_stride, tokens, blocks, bits, sums);
        QK_UNROLL for (int b = 0; b < blocks; b++) {
            __m512 scale = _mm512_loadu_ps(w->scales + row_index[b]);
            lines[b] += bytes;
            QK_UNROLL for (int t = 0; t < tokens; t++) {
                __m512 step = _mm512_mul_ps(scale, _mm512_set1_ps(x->scales[token_index + t * groups]));
                accumulators[t][b] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[t][b]), step, accumulators[t][b]);
            }
        }
    }

    QK_UNROLL for (int b = 0; b < blocks; b++) {
        int32_t row = (block + b) * QK_BLOCK_ROWS, left = w->rows - row;
        __mmask16 rows = left >= QK_BLOCK_ROWS ? 0xFFFF : (__mmask16)((1u << left) - 1);
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            _mm512_mask_storeu_ps(out + (token + t) * stride + row, rows, accumulators[t][b]);
        }
    }
}

/// Any number of tokens up to TILE as a constant one.
QK_INLINE void tile_of(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t block,
                       int32_t token, int32_t tokens, int blocks, int bits) {
    switch (tokens) {
    case 1: tile_product(w, x, out, stride, block, token, 1, blocks, bits); break;
    case 2: tile_product(w, x, out, stride, block, token, 2, blocks, bits); break;
    case 3: tile_product(w, x, out, stride, block, token, 3, blocks, bits); break;
    case 4: tile_product(w, x, out, stride, block, token, 4, blocks, bits); break;
    case 5: tile_product(w, x, out, stride, block, token, 5, blocks, bits); break;
    default: tile_product(w, x, out, stride, block, token, TILE, blocks, bits); break;
    }
}

/// Row blocks [begin, end) by pairs; the tokens in chunks.
QK_INLINE void product(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
                       int32_t end, int bits) {
    int32_t chunk = qk_token_chunk(x, TILE);
    for (int32_t first = 0; first < x->tokens; first += chunk) {
        int32_t last = x->tokens - first < chunk ? x->tokens : first + chunk, block = begin;
        for (; block + BLOCKS <= end; block += BLOCKS) {
            for (int32_t token = first; token < last; token += TILE) {
                tile_of(w, x, out, stride, block, token, last - token, BLOCKS, bits);
            }
        }
        for (; block < end; block++) {
            for (int32_t token = first; token < last; token += TILE) {
                tile_of(w, x, out, stride, block, token, last - token, 1, bits);
            }
        }
    }
}

void qk_avx512vnni_linear(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
                          int32_t end) {
    if (w->bits == 8) {
        product(w, x, out, stride, begin, end, 8);
    } else {
        product(w, x, out, stride, begin, end, 4);
    }
}

#pragma clang attribute pop
#endif
