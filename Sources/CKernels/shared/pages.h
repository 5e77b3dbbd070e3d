// Where attention finds things: a page's rows, the queries that share a KV head, how much each of them sees.
#pragma once

#include <string.h>

#include "ckernels.h"
#include "inline.h"

/// The queries of one KV head are numbered token by token, and the heads of one token after each other, so that
/// neighbours see the same keys: i → (token i / ratio, head kv_head·ratio + i % ratio).
typedef struct {
    const float *q;
    float *out;
    int32_t token, head;
    int32_t positions; // seen: 0 ..< positions
} qk_query;

static inline qk_query qk_query_at(const qk_attention *a, int32_t kv_head, int32_t i) {
    int32_t ratio = a->heads / a->kv_heads, token = i / ratio, head = kv_head * ratio + i % ratio;
    return (qk_query){
        .q = a->q + token * a->q_stride + (int64_t)head * a->head_dim,
        .out = a->out + token * a->out_stride + (int64_t)head * a->head_dim,
        .token = token,
        .head = head,
        .positions = a->first_position + token + 1,
    };
}

static inline size_t qk_value_bytes(qk_cache_type type) { return type == QK_CACHE_F16 ? 2 : 4; }

/// One KV head in a page; keys and values take the same room.
static inline const void *qk_page_head(const qk_attention *a, const void *page, int32_t kv_head) {
    return (const char *)page + (size_t)kv_head * (size_t)a->head_dim * QK_PAGE * qk_value_bytes(a->type);
}

/// Positions of a page among the first `positions`.
static inline int32_t qk_page_positions(int32_t positions, int32_t page) {
    int32_t left = positions - page * QK_PAGE;
    return left < 0 ? 0 : left < QK_PAGE ? left : QK_PAGE;
}

static inline int32_t qk_page_count(int32_t positions) { return (positions + QK_PAGE - 1) / QK_PAGE; }

/// Copies a query's probabilities to the trace.
static inline void qk_keep_pattern(const qk_attention *a, const qk_query *query, const float *probabilities) {
    if (a->pattern == NULL) return;
    float *row = a->pattern + ((int64_t)query->head * a->tokens + query->token) * a->pattern_stride;
    int32_t unseen = a->first_position + a->tokens - query->positions;
    memcpy(row, probabilities, (size_t)query->positions * sizeof(float));
    memset(row + query->positions, 0, (size_t)unseen * sizeof(float));
}
