// What generic/ exports to its table.
#pragma once

#include "../sets.h"

size_t qk_generic_weights_size(int32_t bits, int32_t rows, int32_t groups, int32_t group);
void qk_generic_pack(const qk_source *source, qk_weights *weights, int32_t begin, int32_t end);
void qk_generic_quantize(const float *x, int64_t stride, qk_activations *out, int32_t token_begin, int32_t token_end);
void qk_generic_linear(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
                       int32_t end);
void qk_generic_rms_norm(const float *x, const float *weight, float epsilon, float *out, int32_t n);
void qk_generic_rope(float *x, const float *cos, const float *sin, int32_t heads, int32_t head_dim);
void qk_generic_silu_mul(const float *gate, const float *up, float *out, int64_t n);
void qk_generic_add(float *x, const float *y, int64_t n);
void qk_generic_softmax(float *x, int32_t n);
void qk_generic_store_kv(const float *keys, const float *values, int64_t stride, int32_t tokens, int32_t first_position,
                         int32_t kv_heads, int32_t head_dim, qk_cache_type type, void *const *key_pages,
                         void *const *value_pages);
void qk_generic_attend(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end,
                       int32_t head_begin, int32_t head_end);
size_t qk_generic_attention_scratch(int32_t positions, int32_t heads, int32_t kv_heads, int32_t head_dim);
void qk_generic_f16_to_f32(const uint16_t *in, float *out, int64_t n);
void qk_generic_bf16_to_f32(const uint16_t *in, float *out, int64_t n);
void qk_generic_f32_to_f16(const float *in, uint16_t *out, int64_t n);
void qk_generic_f32_to_bf16(const float *in, uint16_t *out, int64_t n);
