// Attention's product: up to six queries × 64 columns in registers, then sixteen columns at a time.
#include "../shared/attention.h"

#include "lanes.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(QK_AVX512VNNI))), apply_to = function)

enum { QUERIES = 6, VECTORS = 4 };

QK_INLINE __m512 load_row(const void *b, int64_t index, __mmask16 lanes, qk_cache_type type) {
    if (type == QK_CACHE_F16) return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, (const uint16_t *)b + index));
    return _mm512_maskz_loadu_ps(lanes, (const float *)b + index);
}

/// `vectors` times sixteen columns, of which the last vector has `lanes`.
QK_INLINE void columns_product(const float *const *a, int queries, const void *b, qk_cache_type type, int64_t b_stride,
                               int32_t begin, int32_t end, float *const *c, int32_t n, int vectors, __mmask16 lanes,
                               float scale, bool add) {
    __m512 sums[QUERIES][VECTORS];
    QK_UNROLL for (int q = 0; q < queries; q++) {
        QK_UNROLL for (int v = 0; v < vectors; v++) {
            sums[q][v] = add ? _mm512_maskz_loadu_ps(lanes, c[q] + n + 16 * v) : _mm512_setzero_ps();
        }
    }
    for (int32_t k = begin; k < end; k++) {
        __m512 row[VECTORS];
        QK_UNROLL for (int v = 0; v < vectors; v++) row[v] = load_row(b, k * b_stride + n + 16 * v, lanes, type);
        QK_UNROLL for (int q = 0; q < queries; q++) {
            __m512 factor = _mm512_set1_ps(a[q][k]);
            QK_UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = _mm512_fmadd_ps(factor, row[v], sums[q][v]);
        }
    }
    __m512 scales = _mm512_set1_ps(scale);
    QK_UNROLL for (int q = 0; q < queries; q++) {
        QK_UNROLL for (int v = 0; v < vectors; v++) {
            _mm512_mask_storeu_ps(c[q] + n + 16 * v, lanes, _mm512_mul_ps(scales, sums[q][v]));
        }
    }
}

/// A constant number of queries, a constant type.
QK_INLINE void queries_product(const float *const *a, int queries, const void *b, qk_cache_type type, int64_t b_stride,
                               int32_t begin, int32_t end, float *const *c, int32_t columns, float scale, bool add) {
    int32_t n = 0;
    for (; n + 16 * VECTORS <= columns; n += 16 * VECTORS) {
        columns_product(a, queries, b, type, b_stride, begin, end, c, n, VECTORS, 0xFFFF, scale, add);
    }
    for (; n < columns; n += 16) {
        columns_product(a, queries, b, type, b_stride, begin, end, c, n, 1, qk_lanes(columns - n), scale, add);
    }
}

QK_INLINE void typed_product(const float *const *a, int32_t queries, const void *b, qk_cache_type type,
                             int64_t b_stride, int32_t begin, int32_t end, float *const *c, int32_t columns,
                             float scale, bool add) {
    switch (queries) {
    case 1: queries_product(a, 1, b, type, b_stride, begin, end, c, columns, scale, add); break;
    case 2: queries_product(a, 2, b, type, b_stride, begin, end, c, columns, scale, add); break;
    case 3: queries_product(a, 3, b, type, b_stride, begin, end, c, columns, scale, add); break;
    case 4: queries_product(a, 4, b, type, b_stride, begin, end, c, columns, scale, add); break;
    case 5: queries_product(a, 5, b, type, b_stride, begin, end, c, columns, scale, add); break;
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

void qk_avx512vnni_attend(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end,
                          int32_t head_begin, int32_t head_end) {
    static const qk_attention_steps steps = {
        .queries = QUERIES,
        .product = product,
        .softmax = qk_avx512vnni_softmax,
        .f16_to_f32 = qk_avx2_f16_to_f32,
    };
    qk_attend_strips(&steps, a, scratch, token_begin, token_end, head_begin, head_end);
}

#pragma clang attribute pop
#endif
