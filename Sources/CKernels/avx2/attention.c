// Attention: keys and values are rows of 8-lane vectors, so scores and outputs are the same small matrix product,
// C[query, n] += Σ_k A[query, k]·B[k, n], k in order, up to three queries × 32 columns in registers.
#include "../shared/pages.h"
#include "lanes.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum { QUERIES = 3, VECTORS = 4 };

QK_INLINE __m256 load_row(const void *b, int64_t index, qk_cache_type type) {
    if (type == QK_CACHE_F16) return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)((const uint16_t *)b + index)));
    return _mm256_loadu_ps((const float *)b + index);
}

/// `vectors` columns of eight, from column n on.
QK_INLINE void product_columns(const float *const *rows, int queries, const void *b, int64_t b_stride, int32_t begin,
                               int32_t end, float *const *c, int32_t n, int vectors, qk_cache_type type) {
    __m256 sums[QUERIES][VECTORS];
    QK_UNROLL for (int q = 0; q < queries; q++) {
        QK_UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = _mm256_loadu_ps(c[q] + n + 8 * v);
    }
    for (int32_t k = begin; k < end; k++) {
        __m256 a[QUERIES];
        QK_UNROLL for (int q = 0; q < queries; q++) a[q] = _mm256_broadcast_ss(rows[q] + k);
        QK_UNROLL for (int v = 0; v < vectors; v++) {
            __m256 row = load_row(b, k * b_stride + n + 8 * v, type);
            QK_UNROLL for (int q = 0; q < queries; q++) sums[q][v] = _mm256_fmadd_ps(a[q], row, sums[q][v]);
        }
    }
    QK_UNROLL for (int q = 0; q < queries; q++) {
        QK_UNROLL for (int v = 0; v < vectors; v++) _mm256_storeu_ps(c[q] + n + 8 * v, sums[q][v]);
    }
}

/// c[q][0..<columns] += Σ rows[q][k]·b[k][0..<columns], k in begin..<end.
QK_INLINE void product_queries(const float *const *rows, int queries, const void *b, int64_t b_stride, int32_t begin,
                               int32_t end, float *const *c, int32_t columns, qk_cache_type type) {
    int32_t n = 0;
    for (; n + 8 * VECTORS <= columns; n += 8 * VECTORS) {
        product_columns(rows, queries, b, b_stride, begin, end, c, n, VECTORS, type);
    }
    for (; n + 8 <= columns; n += 8) product_columns(rows, queries, b, b_stride, begin, end, c, n, 1, type);
    for (; n < columns; n++) {
        for (int q = 0; q < queries; q++) {
            float sum = c[q][n];
            for (int32_t k = begin; k < end; k++) {
                int64_t index = k * b_stride + n;
                float value = type == QK_CACHE_F16 ? _cvtsh_ss(((const uint16_t *)b)[index]) : ((const float *)b)[index];
                sum = fmaf(rows[q][k], value, sum);
            }
            c[q][n] = sum;
        }
    }
}

/// The same for any number of queries and either type.
static void product(const float *const *rows, int32_t queries, const void *b, int64_t b_stride, int32_t begin,
                    int32_t end, float *const *c, int32_t columns, qk_cache_type type) {
    if (begin >= end) return;
    if (type == QK_CACHE_F16) {
        switch (queries) {
        case 1: product_queries(rows, 1, b, b_stride, begin, end, c, columns, QK_CACHE_F16); break;
        case 2: product_queries(rows, 2, b, b_stride, begin, end, c, columns, QK_CACHE_F16); break;
        default: product_queries(rows, QUERIES, b, b_stride, begin, end, c, columns, QK_CACHE_F16); break;
        }
    } else {
        switch (queries) {
        case 1: product_queries(rows, 1, b, b_stride, begin, end, c, columns, QK_CACHE_F32); break;
        case 2: product_queries(rows, 2, b, b_stride, begin, end, c, columns, QK_CACHE_F32); break;
        default: product_queries(rows, QUERIES, b, b_stride, begin, end, c, columns, QK_CACHE_F32); break;
        }
    }
}

static void multiply(float *x, float factor, int32_t n) {
    __m256 factors = _mm256_set1_ps(factor);
    for (int32_t i = 0; i < n; i += 8) _mm256_storeu_ps(x + i, _mm256_mul_ps(factors, _mm256_loadu_ps(x + i)));
}

#define softmax qk_avx2_softmax
#include "../shared/attend.h"

void qk_avx2_attend(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end, int32_t head_begin,
                    int32_t head_end) {
    attend(a, scratch, token_begin, token_end, head_begin, head_end);
}

size_t qk_avx2_attention_scratch(int32_t positions, int32_t heads, int32_t kv_heads, int32_t head_dim) {
    (void)heads, (void)kv_heads, (void)head_dim;
    return attend_scratch(positions);
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
