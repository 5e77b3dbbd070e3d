// The KV cache in pages, and attention over it.
#include <math.h>

#include "../shared/half.h"
#include "generic.h"

#pragma STDC FP_CONTRACT OFF

static float load(const void *page, qk_cache_type type, int64_t index) {
    return type == QK_CACHE_F16 ? qk_f16_to_f32_scalar(((const uint16_t *)page)[index]) : ((const float *)page)[index];
}

static void store(void *page, qk_cache_type type, int64_t index, float value) {
    if (type == QK_CACHE_F16) {
        ((uint16_t *)page)[index] = qk_f32_to_f16_scalar(value);
    } else {
        ((float *)page)[index] = value;
    }
}

/// Where a page has dimension d of a position: keys [kv_heads, head_dim, QK_PAGE], values [kv_heads, QK_PAGE, head_dim].
static int64_t key_index(int32_t head, int32_t d, int32_t position, int32_t head_dim) {
    return ((int64_t)head * head_dim + d) * QK_PAGE + position % QK_PAGE;
}

static int64_t value_index(int32_t head, int32_t d, int32_t position, int32_t head_dim) {
    return ((int64_t)head * QK_PAGE + position % QK_PAGE) * head_dim + d;
}

void qk_generic_store_kv(const float *keys, const float *values, int64_t stride, int32_t tokens, int32_t first_position,
                         int32_t kv_heads, int32_t head_dim, qk_cache_type type, void *const *key_pages,
                         void *const *value_pages) {
    for (int32_t t = 0; t < tokens; t++) {
        int32_t position = first_position + t, page = position / QK_PAGE;
        for (int32_t h = 0; h < kv_heads; h++) {
            for (int32_t d = 0; d < head_dim; d++) {
                int64_t from = t * stride + (int64_t)h * head_dim + d;
                store(key_pages[page], type, key_index(h, d, position, head_dim), keys[from]);
                store(value_pages[page], type, value_index(h, d, position, head_dim), values[from]);
            }
        }
    }
}

size_t qk_generic_attention_scratch(int32_t positions, int32_t heads, int32_t kv_heads, int32_t head_dim) {
    (void)heads, (void)kv_heads, (void)head_dim;
    return (size_t)positions;
}

/// One query head at one position. probabilities [positions] is working space, and holds them afterwards.
static void attend_one(const qk_attention *a, int32_t token, int32_t head, float *probabilities) {
    int32_t kv_head = head / (a->heads / a->kv_heads), head_dim = a->head_dim;
    int32_t positions = a->first_position + token + 1;
    const float *q = a->q + token * a->q_stride + (int64_t)head * head_dim;
    float *out = a->out + token * a->out_stride + (int64_t)head * head_dim;

    for (int32_t p = 0; p < positions; p++) {
        float sum = 0.0f;
        for (int32_t d = 0; d < head_dim; d++) {
            sum = fmaf(q[d], load(a->key_pages[p / QK_PAGE], a->type, key_index(kv_head, d, p, head_dim)), sum);
        }
        probabilities[p] = a->scale * sum;
    }
    qk_generic_softmax(probabilities, positions);
    for (int32_t d = 0; d < head_dim; d++) {
        float sum = 0.0f;
        for (int32_t p = 0; p < positions; p++) {
            float value = load(a->value_pages[p / QK_PAGE], a->type, value_index(kv_head, d, p, head_dim));
            sum = fmaf(probabilities[p], value, sum);
        }
        out[d] = sum;
    }
}

void qk_generic_attend(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end,
                       int32_t head_begin, int32_t head_end) {
    int32_t ratio = a->heads / a->kv_heads;
    for (int32_t t = token_begin; t < token_end; t++) {
        for (int32_t h = head_begin * ratio; h < head_end * ratio; h++) {
            attend_one(a, t, h, scratch);
            if (a->pattern == NULL) continue;
            float *row = a->pattern + ((int64_t)h * a->tokens + t) * a->pattern_stride;
            int32_t seen = a->first_position + t + 1;
            for (int32_t p = 0; p < a->first_position + a->tokens; p++) row[p] = p < seen ? scratch[p] : 0.0f;
        }
    }
}
