// Attention's product: up to three queries × 32 columns in registers, then eight columns at a time.
#include "../shared/attention.h"

#include <string.h>

#include "lanes.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum { QUERIES = 3, VECTORS = 4 };

QK_INLINE __m256 load_row(const void *b, int64_t index, int32_t count, qk_cache_type type) {
    if (type == QK_CACHE_F32) return qk_load_lanes((const float *)b + index, count);
    const uint16_t *from = (const uint16_t *)b + index;
    __m128i halves = _mm_setzero_si128();
    if (count >= 8) {
        halves = _mm_loadu_si128((const __m128i *)from);
    } else {
        memcpy(&halves, from, (size_t)count * sizeof *from);
    }
    return _mm256_cvtph_ps(halves);
}

/// `vectors` times eight columns, of which the last vector has `count`.
QK_INLINE void columns_product(const float *const *a, int queries, const void *b, qk_cache_type type, int64_t b_stride,
                               int32_t begin, int32_t end, float *const *c, int32_t n, int vectors, int32_t count,
                               float scale, bool add) {
    __m256 sums[QUERIES][VECTORS];
    QK_UNROLL for (int q = 0; q < queries; q++) {
        QK_UNROLL for (int v = 0; v < vectors; v++) {
            sums[q][v] = add ? qk_load_lanes(c[q] + n + 8 * v, count) : _mm256_setzero_ps();
        }
    }
    for (int32_t k = begin; k < end; k++) {
        __m256 factors[QUERIES];
        QK_UNROLL for (int q = 0; q < queries; q++) factors[q] = _mm256_broadcast_ss(a[q] + k);
        QK_UNROLL for (int v = 0; v < vectors; v++) {
            __m256 row = load_row(b, k * b_stride + n + 8 * v, count, type);
            QK_UNROLL for (int q = 0; q < queries; q++) sums[q][v] = _mm256_fmadd_ps(factors[q], row, sums[q][v]);
        }
    }
    __m256 scales = _mm256_set1_ps(scale);
    QK_UNROLL for (int q = 0; q < queries; q++) {
        QK_UNROLL for (int v = 0; v < vectors; v++) {
            qk_store_lanes(c[q] + n + 8 * v, count, _mm256_mul_ps(scales, sums[q][v]));
        }
    }
}

/// A constant number of queries, a constant type.
QK_INLINE void queries_product(const float *const *a, int queries, const void *b, qk_cache_type type, int64_t b_stride,
                               int32_t begin, int32_t end, float *const *c, int32_t columns, float scale, bool add) {
    int32_t n = 0;
    for (; n + 8 * VECTORS <= columns; n += 8 * VECTORS) {
        columns_product(a, queries, b, type, b_stride, begin, end, c, n, VECTORS, 8, scale, add);
    }
    for (; n + 8 <= columns; n += 8) {
        columns_product(a, queries, b, type, b_stride, begin, end, c, n, 1, 8, scale, add);
    }
    if (n < columns) columns_product(a, queries, b, type, b_stride, begin, end, c, n, 1, columns - n, scale, add);
}

QK_INLINE void typed_product(const float *const *a, int32_t queries, const void *b, qk_cache_type type,
                             int64_t b_stride, int32_t begin, int32_t end, float *const *c, int32_t columns,
                             float scale, bool add) {
    switch (queries) {
    case 1: queries_product(a, 1, b, type, b_stride, begin, end, c, columns, scale, add); break;
    case 2: queries_product(a, 2, b, type, b_stride, begin, end, c, columns, scale, add); break;
    default: queries_product(a, QUERIES, b, type, b_stride, begin, end, c, columns, scale, add); break;
    }
}

static void product(const float *const *a, int32_t queries, const void *b, qk_cache_type type, int64_t b_stride,
                    int32_t begin, int32_t end, float *const *c, int32_t columns, float scale, bool add) {
    if (type == QK_CACHE_F16) {
        typed_product(a, queries, b, QK_CACHE_F16, b_stride, begin, end, c, columns, scale, add);
    } else {
        typed_product(a, queries, b, QK_CACHE_F32, b_stride, begin, end, c, columns, scale, add);
    }
}

void qk_avx2_attend(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end, int32_t head_begin,
                    int32_t head_end) {
    static const qk_attention_steps steps = {
        .queries = QUERIES,
        .product = product,
        .softmax = qk_avx2_softmax,
        .f16_to_f32 = qk_avx2_f16_to_f32,
    };
    qk_attend_strips(&steps, a, scratch, token_begin, token_end, head_begin, head_end);
}

/// Keys are scattered, one position in each dimension's row; values are copied.
void qk_avx2_store_kv(const float *keys, const float *values, int64_t stride, int32_t tokens, int32_t first_position,
                      int32_t kv_heads, int32_t head_dim, qk_cache_type type, void *const *key_pages,
                      void *const *value_pages) {
    int64_t head_values = (int64_t)head_dim * QK_PAGE;
    for (int32_t t = 0; t < tokens; t++) {
        int32_t page = (first_position + t) / QK_PAGE, position = (first_position + t) % QK_PAGE;
        for (int32_t h = 0; h < kv_heads; h++) {
            const float *key = keys + t * stride + (int64_t)h * head_dim;
            const float *value = values + t * stride + (int64_t)h * head_dim;
            int64_t key_at = h * head_values + position, value_at = h * head_values + (int64_t)position * head_dim;
            if (type == QK_CACHE_F16) {
                uint16_t *to = (uint16_t *)key_pages[page] + key_at;
                for (int32_t d = 0; d < head_dim; d++) to[d * QK_PAGE] = _cvtss_sh(key[d], 0);
                qk_avx2_f32_to_f16(value, (uint16_t *)value_pages[page] + value_at, head_dim);
            } else {
                float *to = (float *)key_pages[page] + key_at;
                for (int32_t d = 0; d < head_dim; d++) to[d * QK_PAGE] = key[d];
                memcpy((float *)value_pages[page] + value_at, value, (size_t)head_dim * sizeof(float));
            }
        }
    }
}

#pragma clang attribute pop
#endif
