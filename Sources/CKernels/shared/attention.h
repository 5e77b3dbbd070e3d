// Attention of the vector sets: one driver, to which each set brings its small matrix product.
#pragma once

#include "ckernels.h"

/// What a set brings.
typedef struct {
    int32_t queries; // most that one product takes
    /// c[q][n] = scale·(add·c[q][n] + Σ_k a[q][k]·b[k][n]), begin ≤ k < end in order by fma, rows of b `b_stride` values
    /// apart, n < columns. Up to `queries` rows; begin < end.
    void (*product)(const float *const *a, int32_t queries, const void *b, qk_cache_type type, int64_t b_stride,
                    int32_t begin, int32_t end, float *const *c, int32_t columns, float scale, bool add);
    void (*softmax)(float *x, int32_t n);
    void (*f16_to_f32)(const uint16_t *in, float *out, int64_t n);
} qk_attention_steps;

void qk_attend_strips(const qk_attention_steps *steps, const qk_attention *a, float *scratch, int32_t token_begin,
                      int32_t token_end, int32_t head_begin, int32_t head_end);
/// Enough for any set.
size_t qk_strips_scratch(int32_t positions, int32_t heads, int32_t kv_heads, int32_t head_dim);
