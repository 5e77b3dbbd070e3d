// Attention above a set's own matrix product. The file that includes this has defined QUERIES, the most queries of one
// product, and
//   product(rows, queries, b, b_stride, begin, end, c, columns, type):
//       c[q][0..<columns] += Σ rows[q][k]·b[k][0..<columns], k in begin..<end, by fma in order
//   softmax(x, n) and multiply(x, factor, n), n a multiple of QK_PAGE, in place.
#pragma once

#include "pages.h"

/// `count` queries of one KV head, from query `first` on. scratch: [QUERIES, pages, QK_PAGE].
static void attend_queries(const qk_attention *a, float *scratch, int32_t kv_head, int32_t first, int32_t count) {
    qk_query queries[QUERIES];
    const float *rows[QUERIES];
    float *scores[QUERIES], *outputs[QUERIES];
    int32_t pages = qk_page_count(qk_query_at(a, kv_head, first + count - 1).positions), head_dim = a->head_dim;
    for (int32_t i = 0; i < count; i++) {
        queries[i] = qk_query_at(a, kv_head, first + i);
        rows[i] = queries[i].q;
        scores[i] = scratch + (int64_t)i * pages * QK_PAGE;
        outputs[i] = queries[i].out;
        memset(scores[i], 0, (size_t)pages * QK_PAGE * sizeof(float));
        memset(outputs[i], 0, (size_t)head_dim * sizeof(float));
    }

    for (int32_t page = 0; page < pages; page++) {
        const void *keys = qk_page_head(a, a->key_pages[page], kv_head);
        float *to[QUERIES];
        for (int32_t i = 0; i < count; i++) to[i] = scores[i] + page * QK_PAGE;
        product(rows, count, keys, QK_PAGE, 0, head_dim, to, QK_PAGE, a->type);
    }
    for (int32_t i = 0; i < count; i++) {
        multiply(scores[i], a->scale, pages * QK_PAGE);
        softmax(scores[i], queries[i].positions);
        qk_keep_pattern(a, &queries[i], scores[i]);
    }

    // The first query sees least: up to there all go together, then each to its own end.
    for (int32_t page = 0; page < pages; page++) {
        const void *values = qk_page_head(a, a->value_pages[page], kv_head);
        const float *probabilities[QUERIES];
        for (int32_t i = 0; i < count; i++) probabilities[i] = scores[i] + page * QK_PAGE;
        int32_t shared = qk_page_positions(queries[0].positions, page);
        product(probabilities, count, values, head_dim, 0, shared, outputs, head_dim, a->type);
        for (int32_t i = 0; i < count; i++) {
            int32_t seen = qk_page_positions(queries[i].positions, page);
            product(probabilities + i, 1, values, head_dim, shared, seen, outputs + i, head_dim, a->type);
        }
    }
}

static void attend(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end, int32_t head_begin,
                   int32_t head_end) {
    int32_t ratio = a->heads / a->kv_heads, last = token_end * ratio;
    for (int32_t kv_head = head_begin; kv_head < head_end; kv_head++) {
        for (int32_t i = token_begin * ratio; i < last; i += QUERIES) {
            attend_queries(a, scratch, kv_head, i, last - i < QUERIES ? last - i : QUERIES);
        }
    }
}

/// Floats of scratch for one thread.
static size_t attend_scratch(int32_t positions) {
    return (size_t)QUERIES * (size_t)qk_page_count(positions) * QK_PAGE;
}
