// Linear layers: sdot multiplies four columns of four rows with four activations and adds to 32 bits, exactly. Tiles of
// 16 rows × four tokens keep sixteen such sums in registers.
#include "neon.h"

#if defined(__aarch64__)
#include <string.h>

#include "../shared/blocks.h"
#include "../shared/inline.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(QK_NEON))), apply_to = function)

enum { TILE = 4, VECTORS = QK_NEON_ROWS / 4, LINE_BYTES = QK_NEON_ROWS * 4 }; // tokens of a tile; vectors of four rows

/// The scales of four rows.
QK_INLINE float32x4_t row_scales(const qk_weights *w, int64_t index) {
    if (!w->bfloat_scales) return vld1q_f32(w->scales + index);
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(w->bfloat_scales + index), 16));
}

/// Four activations of one token, for all rows.
QK_INLINE int8x16_t broadcast(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

/// sums[t] = Σ q·x over the columns of `bytes` bytes of lines; of 4-bit weights Σ (q + 8)·x.
QK_INLINE void group_sums(const uint8_t *lines, int64_t bytes, const int8_t *x, int64_t x_stride, int tokens, int bits,
                          int32x4_t sums[TILE][VECTORS]) {
    QK_UNROLL for (int t = 0; t < tokens; t++) {
        QK_UNROLL for (int v = 0; v < VECTORS; v++) sums[t][v] = vdupq_n_s32(0);
    }
    for (const uint8_t *line = lines; line < lines + bytes; line += LINE_BYTES, x += 32 / bits) {
        int8x16_t q[VECTORS], upper[VECTORS];
        QK_UNROLL for (int v = 0; v < VECTORS; v++) {
            uint8x16_t u = vld1q_u8(line + 16 * v);
            q[v] = vreinterpretq_s8_u8(bits == 8 ? u : vandq_u8(u, vdupq_n_u8(15)));
            upper[v] = vreinterpretq_s8_u8(vshrq_n_u8(u, 4));
        }
        QK_UNROLL for (int t = 0; t < tokens; t++) {
            int8x16_t four = broadcast(x + t * x_stride);
            QK_UNROLL for (int v = 0; v < VECTORS; v++) sums[t][v] = vdotq_s32(sums[t][v], q[v], four);
            if (bits == 8) continue;
            four = broadcast(x + t * x_stride + 4);
            QK_UNROLL for (int v = 0; v < VECTORS; v++) sums[t][v] = vdotq_s32(sums[t][v], upper[v], four);
        }
    }
}

/// One row block times `tokens` tokens.
QK_INLINE void block_product(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t block,
                             int32_t token, int tokens, int bits) {
    int32_t groups = w->groups;
    int64_t x_stride = (int64_t)groups * w->group, bytes = (int64_t)w->group * QK_NEON_ROWS * bits / 8;
    const int8_t *quants = x->quants + token * x_stride;
    const uint8_t *lines = qk_block_quants(w, block);
    float32x4_t accumulators[TILE][VECTORS];
    QK_UNROLL for (int t = 0; t < tokens; t++) {
        QK_UNROLL for (int v = 0; v < VECTORS; v++) accumulators[t][v] = vdupq_n_f32(0);
    }

    for (int32_t g = 0; g < groups; g++, lines += bytes, quants += w->group) {
        int64_t row_index = ((int64_t)block * groups + g) * QK_NEON_ROWS;
        int32x4_t sums[TILE][VECTORS];
        group_sums(lines, bytes, quants, x_stride, tokens, bits, sums);
        QK_UNROLL for (int v = 0; v < VECTORS; v++) {
            // What each activation was multiplied by too much: the zero point, and 8 where q was stored as q + 8.
            int32x4_t excess = vdupq_n_s32(bits == 4 ? 8 : 0);
            if (w->zero_points) excess = vaddq_s32(excess, vld1q_s32(w->zero_points + row_index + 4 * v));
            float32x4_t scale = row_scales(w, row_index + 4 * v);
            QK_UNROLL for (int t = 0; t < tokens; t++) {
                int64_t token_index = (int64_t)(token + t) * groups + g;
                int32x4_t exact = vmlsq_n_s32(sums[t][v], excess, x->sums[token_index]);
                float32x4_t step = vmulq_n_f32(scale, x->scales[token_index]);
                accumulators[t][v] = vfmaq_f32(accumulators[t][v], vcvtq_f32_s32(exact), step);
            }
        }
    }

    int32_t row = block * QK_NEON_ROWS, left = w->rows - row;
    QK_UNROLL for (int t = 0; t < tokens; t++) {
        float rows[QK_NEON_ROWS];
        QK_UNROLL for (int v = 0; v < VECTORS; v++) vst1q_f32(rows + 4 * v, accumulators[t][v]);
        memcpy(out + (token + t) * stride + row, rows, (left < QK_NEON_ROWS ? (size_t)left : QK_NEON_ROWS) * sizeof(float));
    }
}

QK_INLINE void block_tokens(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t block,
                            int32_t token, int32_t tokens, int bits) {
    switch (tokens) {
    case 1: block_product(w, x, out, stride, block, token, 1, bits); break;
    case 2: block_product(w, x, out, stride, block, token, 2, bits); break;
    case 3: block_product(w, x, out, stride, block, token, 3, bits); break;
    default: block_product(w, x, out, stride, block, token, TILE, bits); break;
    }
}

void qk_neon_linear(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
                    int32_t end) {
    int32_t chunk = qk_token_chunk(x, TILE);
    for (int32_t first = 0; first < x->tokens; first += chunk) {
        int32_t last = x->tokens - first < chunk ? x->tokens : first + chunk;
        for (int32_t block = begin; block < end; block++) {
            for (int32_t token = first; token < last; token += TILE) {
                if (w->bits == 8) {
                    block_tokens(w, x, out, stride, block, token, last - token, 8);
                } else {
                    block_tokens(w, x, out, stride, block, token, last - token, 4);
                }
            }
        }
    }
}

#pragma clang attribute pop
#endif
