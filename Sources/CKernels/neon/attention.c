// Attention's product: up to four queries × 16 columns in registers, then one column at a time.
#include "../shared/attention.h"

#include "../shared/half.h"
#include "lanes.h"

#if defined(__aarch64__)
#pragma STDC FP_CONTRACT OFF

enum { QUERIES = 4, COLUMNS = 16 };

QK_INLINE float32x4_t load_row(const void *b, int64_t index, qk_cache_type type) {
    if (type == QK_CACHE_F32) return vld1q_f32((const float *)b + index);
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const uint16_t *)b + index)));
}

static float load_value(const void *b, int64_t index, qk_cache_type type) {
    return type == QK_CACHE_F32 ? ((const float *)b)[index] : qk_f16_to_f32_scalar(((const uint16_t *)b)[index]);
}

/// A constant number of queries.
QK_INLINE void queries_product(const float *const *a, int queries, const void *b, qk_cache_type type, int64_t b_stride,
                               int32_t begin, int32_t end, float *const *c, int32_t columns, float scale, bool add) {
    int32_t n = 0;
    for (; n + COLUMNS <= columns; n += COLUMNS) {
        qk_lanes16 sums[QUERIES];
        QK_UNROLL for (int q = 0; q < queries; q++) sums[q] = add ? qk_load16(c[q] + n, 16, 0) : qk_splat16(0);
        for (int32_t k = begin; k < end; k++) {
            float32x4_t row[4];
            QK_EACH_VECTOR row[v] = load_row(b, k * b_stride + n + 4 * v, type);
            QK_UNROLL for (int q = 0; q < queries; q++) {
                QK_EACH_VECTOR sums[q].v[v] = vfmaq_n_f32(sums[q].v[v], row[v], a[q][k]);
            }
        }
        QK_UNROLL for (int q = 0; q < queries; q++) {
            QK_EACH_VECTOR sums[q].v[v] = vmulq_n_f32(sums[q].v[v], scale);
            qk_store16(c[q] + n, 16, sums[q]);
        }
    }
    for (; n < columns; n++) {
        for (int q = 0; q < queries; q++) {
            float sum = add ? c[q][n] : 0.0f;
            for (int32_t k = begin; k < end; k++) sum = fmaf(a[q][k], load_value(b, k * b_stride + n, type), sum);
            c[q][n] = scale * sum;
        }
    }
}

static void product(const float *const *a, int32_t queries, const void *b, qk_cache_type type, int64_t b_stride,
                    int32_t begin, int32_t end, float *const *c, int32_t columns, float scale, bool add) {
    switch (queries) {
    case 1: queries_product(a, 1, b, type, b_stride, begin, end, c, columns, scale, add); break;
    case 2: queries_product(a, 2, b, type, b_stride, begin, end, c, columns, scale, add); break;
    case 3: queries_product(a, 3, b, type, b_stride, begin, end, c, columns, scale, add); break;
    default: queries_product(a, QUERIES, b, type, b_stride, begin, end, c, columns, scale, add); break;
    }
}

void qk_neon_attend(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end, int32_t head_begin,
                    int32_t head_end) {
    static const qk_attention_steps steps = {
        .queries = QUERIES,
        .product = product,
        .softmax = qk_neon_softmax,
        .f16_to_f32 = qk_neon_f16_to_f32,
    };
    qk_attend_strips(&steps, a, scratch, token_begin, token_end, head_begin, head_end);
}
#endif
