// Attention: keys and values are rows of 16-lane vectors, so scores and outputs are the same small matrix product,
// C[query, n] += Σ_k A[query, k]·B[k, n], k in order, up to six queries × 64 columns in registers.
#include "../shared/pages.h"
#include "avx512vnni.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,fma,f16c"))), apply_to = function)

enum { QUERIES = 6, VECTORS = 4, LANES = 16 };

/// `count` values from `index` on; zeros after them.
QK_INLINE __m512 load_row(const void *b, int64_t index, __mmask16 count, qk_cache_type type) {
    if (type == QK_CACHE_F16) return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(count, (const uint16_t *)b + index));
    return _mm512_maskz_loadu_ps(count, (const float *)b + index);
}

/// `vectors` vectors of columns, from column n on; the last one has the columns of `mask`.
QK_INLINE void product_columns(const float *const *rows, int queries, const void *b, int64_t b_stride, int32_t begin,
                               int32_t end, float *const *c, int32_t n, int vectors, __mmask16 mask,
                               qk_cache_type type) {
    __m512 sums[QUERIES][VECTORS];
    QK_UNROLL for (int q = 0; q < queries; q++) {
        QK_UNROLL for (int v = 0; v < vectors; v++) {
            sums[q][v] = _mm512_maskz_loadu_ps(v == vectors - 1 ? mask : 0xFFFF, c[q] + n + LANES * v);
        }
    }
    for (int32_t k = begin; k < end; k++) {
        __m512 row[VECTORS];
        QK_UNROLL for (int v = 0; v < vectors; v++) {
            row[v] = load_row(b, k * b_stride + n + LANES * v, v == vectors - 1 ? mask : 0xFFFF, type);
        }
        QK_UNROLL for (int q = 0; q < queries; q++) {
            __m512 a = _mm512_set1_ps(rows[q][k]);
            QK_UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = _mm512_fmadd_ps(a, row[v], sums[q][v]);
        }
    }
    QK_UNROLL for (int q = 0; q < queries; q++) {
        QK_UNROLL for (int v = 0; v < vectors; v++) {
            _mm512_mask_storeu_ps(c[q] + n + LANES * v, v == vectors - 1 ? mask : 0xFFFF, sums[q][v]);
        }
    }
}

/// c[q][0..<columns] += Σ rows[q][k]·b[k][0..<columns], k in begin..<end.
QK_INLINE void product_queries(const float *const *rows, int queries, const void *b, int64_t b_stride, int32_t begin,
                               int32_t end, float *const *c, int32_t columns, qk_cache_type type) {
    int32_t n = 0;
    for (; n + LANES * VECTORS <= columns; n += LANES * VECTORS) {
        product_columns(rows, queries, b, b_stride, begin, end, c, n, VECTORS, 0xFFFF, type);
    }
    for (; n < columns; n += LANES) {
        __mmask16 mask = columns - n >= LANES ? 0xFFFF : (__mmask16)((1u << (columns - n)) - 1);
        product_columns(rows, queries, b, b_stride, begin, end, c, n, 1, mask, type);
    }
}

/// The same for any number of queries.
QK_INLINE void product_typed(const float *const *rows, int32_t queries, const void *b, int64_t b_stride, int32_t begin,
                             int32_t end, float *const *c, int32_t columns, qk_cache_type type) {
    switch (queries) {
    case 1: product_queries(rows, 1, b, b_stride, begin, end, c, columns, type); break;
    case 2: product_queries(rows, 2, b, b_stride, begin, end, c, columns, type); break;
    case 3: product_queries(rows, 3, b, b_stride, begin, end, c, columns, type); break;
    case 4: product_queries(rows, 4, b, b_stride, begin, end, c, columns, type); break;
    case 5: product_queries(rows, 5, b, b_stride, begin, end, c, columns, type); break;
    default: product_queries(rows, QUERIES, b, b_stride, begin, end, c, columns, type); break;
    }
}

/// The same for either type.
static void product(const float *const *rows, int32_t queries, const void *b, int64_t b_stride, int32_t begin,
                    int32_t end, float *const *c, int32_t columns, qk_cache_type type) {
    if (begin >= end) return;
    if (type == QK_CACHE_F16) {
        product_typed(rows, queries, b, b_stride, begin, end, c, columns, QK_CACHE_F16);
    } else {
        product_typed(rows, queries, b, b_stride, begin, end, c, columns, QK_CACHE_F32);
    }
}

static void multiply(float *x, float factor, int32_t n) {
    __m512 factors = _mm512_set1_ps(factor);
    for (int32_t i = 0; i < n; i += LANES) _mm512_storeu_ps(x + i, _mm512_mul_ps(factors, _mm512_loadu_ps(x + i)));
}

#define softmax qk_avx512vnni_softmax
#include "../shared/attend.h"

void qk_avx512vnni_attend(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end,
                          int32_t head_begin, int32_t head_end) {
    attend(a, scratch, token_begin, token_end, head_begin, head_end);
}

size_t qk_avx512vnni_attention_scratch(int32_t positions, int32_t heads, int32_t kv_heads, int32_t head_dim) {
    (void)heads, (void)kv_heads, (void)head_dim;
    return attend_scratch(positions);
}

#pragma clang attribute pop
#endif
