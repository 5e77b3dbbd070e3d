// Linear layers: vpdpbusd multiplies a line's unsigned weights, four columns of 32 rows, with four signed activations
// that all rows share, and adds to 32 bits, exactly. Tiles of one row block × six tokens keep twelve such sums and
// their twelve float accumulators in the 32 registers.
#include "avx512vnni.h"

#if defined(__x86_64__)
#include <string.h>

#include "../shared/blocks.h"
#include "../shared/inline.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(QK_AVX512VNNI))), apply_to = function)

enum { TILE = 6, LANES = 16, HALVES = QK_AVX512VNNI_ROWS / LANES }; // tokens of a tile; a block's rows in two halves
enum { LINE_BYTES = QK_AVX512VNNI_ROWS * 4, HALF_BYTES = LINE_BYTES / HALVES };
enum { AHEAD = 3072 }; // bytes to prefetch for a single token, which waits for nothing but memory

/// The scales of LANES rows.
QK_INLINE __m512 row_scales(const qk_weights *w, int64_t index) {
    if (!w->bfloat_scales) return _mm512_loadu_ps(w->scales + index);
    __m256i halves = _mm256_loadu_si256((const __m256i *)(w->bfloat_scales + index));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

/// Four activations of one token, for all rows.
QK_INLINE __m512i broadcast(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

/// sums[t] += Σ u·x over the columns of `bytes` bytes of lines.
QK_INLINE void add_products(const uint8_t *lines, int64_t bytes, const int8_t *x, int64_t x_stride, int tokens,
                            int bits, __m512i sums[TILE][HALVES]) {
    const __m512i nibble = _mm512_set1_epi8(15);
    for (const uint8_t *line = lines; line < lines + bytes; line += LINE_BYTES, x += 32 / bits) {
        __m512i u[HALVES], upper[HALVES];
        QK_UNROLL for (int h = 0; h < HALVES; h++) {
            if (tokens == 1) _mm_prefetch((const char *)line + h * HALF_BYTES + AHEAD, _MM_HINT_T1);
            u[h] = _mm512_load_si512(line + h * HALF_BYTES);
            if (bits == 8) continue;
            upper[h] = _mm512_and_si512(_mm512_srli_epi16(u[h], 4), nibble);
            u[h] = _mm512_and_si512(u[h], nibble);
        }
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            __m512i four = broadcast(x + t * x_stride);
            QK_UNROLL for (int h = 0; h < HALVES; h++) sums[t][h] = _mm512_dpbusd_epi32(sums[t][h], u[h], four);
            if (bits == 8) continue;
            four = broadcast(x + t * x_stride + 4);
            QK_UNROLL for (int h = 0; h < HALVES; h++) sums[t][h] = _mm512_dpbusd_epi32(sums[t][h], upper[h], four);
        }
    }
}

/// One row block times `tokens` tokens. With each group `share` bytes from `next` on are brought nearer.
QK_INLINE void block_product(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t block,
                             int32_t token, int tokens, int bits, const uint8_t *next, int64_t share) {
    int32_t groups = w->groups;
    int64_t x_stride = (int64_t)groups * w->group, bytes = (int64_t)w->group * QK_AVX512VNNI_ROWS * bits / 8;
    const int8_t *quants = x->quants + token * x_stride;
    const uint8_t *lines = qk_block_quants(w, block);
    __m512 accumulators[TILE][HALVES];
    QK_UNROLL for (int t = 0; t < tokens; t++) {
        QK_UNROLL for (int h = 0; h < HALVES; h++) accumulators[t][h] = _mm512_setzero_ps();
    }

    for (int32_t g = 0; g < groups; g++, lines += bytes, quants += w->group, next += share) {
        for (int64_t at = 0; at < share; at += 64) _mm_prefetch((const char *)next + at, _MM_HINT_T1);
        int64_t row_index = ((int64_t)block * groups + g) * QK_AVX512VNNI_ROWS;
        int64_t token_index = (int64_t)token * groups + g;
        // The sums begin with what will be too much in them: (bias + zero point)·Σx.
        __m512i sums[TILE][HALVES];
        // Without zero points that is a shift, the same for all rows; vpmulld is slow.
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            __m512i sum = _mm512_set1_epi32(x->sums[token_index + t * groups]);
            __m512i biased = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(sum, bits - 1));
            QK_UNROLL for (int h = 0; h < HALVES; h++) {
                sums[t][h] = biased;
                if (!w->zero_points) continue;
                __m512i zero_points = _mm512_loadu_si512(w->zero_points + row_index + h * LANES);
                sums[t][h] = _mm512_sub_epi32(biased, _mm512_mullo_epi32(zero_points, sum));
            }
        }
        add_products(lines, bytes, quants, x_stride, tokens, bits, sums);
        QK_UNROLL for (int h = 0; h < HALVES; h++) {
            __m512 scale = row_scales(w, row_index + h * LANES);
            QK_UNROLL for (int t = 0; t < tokens; t++) {
                __m512 step = _mm512_mul_ps(scale, _mm512_set1_ps(x->scales[token_index + t * groups]));
                accumulators[t][h] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[t][h]), step, accumulators[t][h]);
            }
        }
    }

    QK_UNROLL for (int h = 0; h < HALVES; h++) {
        int32_t row = block * QK_AVX512VNNI_ROWS + h * LANES, left = w->rows - row;
        __mmask16 rows = left >= LANES ? 0xFFFF : left <= 0 ? 0 : (__mmask16)((1u << left) - 1);
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            _mm512_mask_storeu_ps(out + (token + t) * stride + row, rows, accumulators[t][h]);
        }
    }
}

/// One row block times the tokens [first, last), in tiles as even as can be. Each tile but a lone one fetches its share
/// of the next block, so that memory works while the sums are made.
QK_INLINE void block_tiles(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t block,
                           int32_t first, int32_t last, int bits) {
    int32_t tiles = (last - first + TILE - 1) / TILE;
    int64_t share = tiles > 1 ? (int64_t)w->group * QK_AVX512VNNI_ROWS * bits / 8 / tiles : 0;
    for (int32_t tile = 0; tile < tiles; tile++) {
        int32_t token = first + (last - first) * tile / tiles;
        const uint8_t *next = qk_block_quants(w, block + 1) + tile * share * w->groups;
        switch (first + (last - first) * (tile + 1) / tiles - token) {
        case 1: block_product(w, x, out, stride, block, token, 1, bits, next, share); break;
        case 2: block_product(w, x, out, stride, block, token, 2, bits, next, share); break;
        case 3: block_product(w, x, out, stride, block, token, 3, bits, next, share); break;
        case 4: block_product(w, x, out, stride, block, token, 4, bits, next, share); break;
        case 5: block_product(w, x, out, stride, block, token, 5, bits, next, share); break;
        default: block_product(w, x, out, stride, block, token, TILE, bits, next, share); break;
        }
    }
}

/// Row blocks [begin, end), the tokens in chunks.
QK_INLINE void product(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
                       int32_t end, int bits) {
    int32_t chunk = qk_token_chunk(x, TILE);
    for (int32_t first = 0; first < x->tokens; first += chunk) {
        int32_t last = x->tokens - first < chunk ? x->tokens : first + chunk;
        for (int32_t block = begin; block < end; block++) {
            block_tiles(w, x, out, stride, block, first, last, bits);
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
