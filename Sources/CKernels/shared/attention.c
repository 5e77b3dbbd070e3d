// A strip is as many queries of one KV head as have room for their scores in a cache. Page by page, all of them use the
// page's keys, then its values, so that these are loaded, and converted to fp32, once for the strip.
#include "attention.h"

#include "pages.h"

enum { STRIP = 48, STRIP_SCORES = 64 << 10, LEAST = 8 }; // queries at most; scores of a strip; queries at least

static int32_t strip_of(int32_t positions) {
    int32_t fit = STRIP_SCORES / (qk_page_count(positions) * QK_PAGE);
    return fit < LEAST ? LEAST : fit > STRIP ? STRIP : fit;
}

/// The scratch: scores [strip, pages, QK_PAGE], then one page of one KV head in fp32.
size_t qk_strips_scratch(int32_t positions, int32_t heads, int32_t kv_heads, int32_t head_dim) {
    (void)heads, (void)kv_heads;
    size_t most = (size_t)LEAST * (size_t)qk_page_count(positions) * QK_PAGE; // shorter strips may have more scores
    return (most < STRIP_SCORES ? STRIP_SCORES : most) + (size_t)head_dim * QK_PAGE;
}

typedef struct {
    const qk_attention_steps *steps;
    const qk_attention *a;
    float *page_values;
    int32_t count, pages;
    qk_query queries[STRIP];
    const float *rows[STRIP];
    float *scores[STRIP], *outputs[STRIP];
} strip;

/// One KV head's page, in fp32 if more than one product will read it.
static const void *page_head(const strip *s, const void *page, int32_t kv_head, qk_cache_type *type) {
    const void *values = qk_page_head(s->a, page, kv_head);
    *type = s->a->type;
    if (*type == QK_CACHE_F32 || s->count <= s->steps->queries) return values;
    *type = QK_CACHE_F32;
    s->steps->f16_to_f32(values, s->page_values, (int64_t)s->a->head_dim * QK_PAGE);
    return s->page_values;
}

/// Scores of queries [begin, end) with one page's keys [head_dim, QK_PAGE].
static void score(const strip *s, int32_t begin, int32_t end, int32_t page, const void *keys, qk_cache_type type) {
    int32_t positions = qk_page_positions(s->queries[end - 1].positions, page);
    if (positions == 0) return;
    float *to[STRIP];
    for (int32_t i = begin; i < end; i++) to[i] = s->scores[i] + page * QK_PAGE;
    s->steps->product(s->rows + begin, end - begin, keys, type, QK_PAGE, 0, s->a->head_dim, to + begin,
                      (positions + 15) / 16 * 16, s->a->scale, false);
}

/// Adds one page's values [QK_PAGE, head_dim] by probability. The first query sees least: up to there all go together,
/// then each to its own end.
static void gather(const strip *s, int32_t begin, int32_t end, int32_t page, const void *values, qk_cache_type type) {
    int32_t head_dim = s->a->head_dim, shared = qk_page_positions(s->queries[begin].positions, page);
    const float *probabilities[STRIP];
    for (int32_t i = begin; i < end; i++) probabilities[i] = s->scores[i] + page * QK_PAGE;
    if (shared > 0) {
        s->steps->product(probabilities + begin, end - begin, values, type, head_dim, 0, shared, s->outputs + begin,
                          head_dim, 1.0f, page > 0);
    }
    for (int32_t i = begin; i < end; i++) {
        int32_t seen = qk_page_positions(s->queries[i].positions, page);
        if (seen == shared) continue;
        s->steps->product(probabilities + i, 1, values, type, head_dim, shared, seen, s->outputs + i, head_dim, 1.0f,
                          true);
    }
}

/// Calls `step` for the strip's queries in tiles as even as can be.
static void each_tile(const strip *s, int32_t page, const void *values, qk_cache_type type,
                      void (*step)(const strip *, int32_t, int32_t, int32_t, const void *, qk_cache_type)) {
    int32_t most = s->steps->queries, tiles = (s->count + most - 1) / most;
    for (int32_t i = 0; i < tiles; i++) {
        step(s, s->count * i / tiles, s->count * (i + 1) / tiles, page, values, type);
    }
}

/// `count` queries of one KV head, from query `first` on.
static void attend_strip(const qk_attention_steps *steps, const qk_attention *a, float *scratch, int32_t kv_head,
                         int32_t first, int32_t count) {
    strip s = {.steps = steps, .a = a, .count = count};
    s.pages = qk_page_count(qk_query_at(a, kv_head, first + count - 1).positions);
    s.page_values = scratch + (int64_t)count * s.pages * QK_PAGE;
    for (int32_t i = 0; i < count; i++) {
        s.queries[i] = qk_query_at(a, kv_head, first + i);
        s.rows[i] = s.queries[i].q;
        s.outputs[i] = s.queries[i].out;
        s.scores[i] = scratch + (int64_t)i * s.pages * QK_PAGE;
    }
    qk_cache_type type;
    for (int32_t page = 0; page < s.pages; page++) {
        const void *keys = page_head(&s, a->key_pages[page], kv_head, &type);
        each_tile(&s, page, keys, type, score);
    }
    for (int32_t i = 0; i < count; i++) {
        steps->softmax(s.scores[i], s.queries[i].positions);
        qk_keep_pattern(a, &s.queries[i], s.scores[i]);
    }
    for (int32_t page = 0; page < s.pages; page++) {
        const void *values = page_head(&s, a->value_pages[page], kv_head, &type);
        each_tile(&s, page, values, type, gather);
    }
}

void qk_attend_strips(const qk_attention_steps *steps, const qk_attention *a, float *scratch, int32_t token_begin,
                      int32_t token_end, int32_t head_begin, int32_t head_end) {
    if (token_begin >= token_end) return;
    int32_t ratio = a->heads / a->kv_heads, length = strip_of(a->first_position + token_end);
    for (int32_t kv_head = head_begin; kv_head < head_end; kv_head++) {
        int32_t last = token_end * ratio;
        for (int32_t i = token_begin * ratio; i < last; i += length) {
            attend_strip(steps, a, scratch, kv_head, i, last - i < length ? last - i : length);
        }
    }
}
