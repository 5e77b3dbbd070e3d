// What avx2/ exports to its table, and how its sources are compiled.
#pragma once

#include "../sets.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { QK_AVX2_ROWS = 16 }; // in a block of weights

void qk_avx2_quantize(const float *x, int64_t stride, qk_activations *out, int32_t token_begin, int32_t token_end);
void qk_avx2_linear(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
                    int32_t end);
void qk_avx2_rms_norm(const float *x, const float *weight, float epsilon, float *out, int32_t n);
void qk_avx2_rope(float *x, const float *cos, const float *sin, int32_t heads, int32_t head_dim);
void qk_avx2_silu_mul(const float *gate, const float *up, float *out, int64_t n);
void qk_avx2_add(float *x, const float *y, int64_t n);
void qk_avx2_softmax(float *x, int32_t n);
void qk_avx2_store_kv(const float *keys, const float *values, int64_t stride, int32_t tokens, int32_t first_position,
                      int32_t kv_heads, int32_t head_dim, qk_cache_type type, void *const *key_pages,
                      void *const *value_pages);
void qk_avx2_attend(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end, int32_t head_begin,
                    int32_t head_end);
void qk_avx2_f16_to_f32(const uint16_t *in, float *out, int64_t n);
void qk_avx2_bf16_to_f32(const uint16_t *in, float *out, int64_t n);
void qk_avx2_f32_to_f16(const float *in, uint16_t *out, int64_t n);
void qk_avx2_f32_to_bf16(const float *in, uint16_t *out, int64_t n);
#endif
