// What avx512vnni/ exports to its table. What is not here, the AVX2 set does as well.
#pragma once

#include "../avx2/avx2.h"

#if defined(__x86_64__)
void qk_avx512vnni_linear(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
                          int32_t end);
void qk_avx512vnni_silu_mul(const float *gate, const float *up, float *out, int64_t n);
void qk_avx512vnni_softmax(float *x, int32_t n);
void qk_avx512vnni_attend(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end,
                          int32_t head_begin, int32_t head_end);
size_t qk_avx512vnni_attention_scratch(int32_t positions, int32_t heads, int32_t kv_heads, int32_t head_dim);
#endif
