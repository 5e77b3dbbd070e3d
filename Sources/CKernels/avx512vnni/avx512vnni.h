// What avx512vnni/ exports to its table. Where 512 bits gain nothing, the table names a function of avx2/.
#pragma once

#include "../avx2/avx2.h"

#if defined(__x86_64__)
/// What the sources of this folder are compiled for, and what dispatch.c asks the processor for.
#define QK_AVX512VNNI "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni"

enum { QK_AVX512VNNI_ROWS = 32 }; // in a block of weights

void qk_avx512vnni_quantize(const float *x, int64_t stride, qk_activations *out, int32_t token_begin,
                            int32_t token_end);
void qk_avx512vnni_linear(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
                          int32_t end);
void qk_avx512vnni_rms_norm(const float *x, const float *weight, float epsilon, float *out, int32_t n);
void qk_avx512vnni_rope(float *x, const float *cos, const float *sin, int32_t heads, int32_t head_dim);
void qk_avx512vnni_silu_mul(const float *gate, const float *up, float *out, int64_t n);
void qk_avx512vnni_add(float *x, const float *y, int64_t n);
void qk_avx512vnni_softmax(float *x, int32_t n);
void qk_avx512vnni_attend(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end,
                          int32_t head_begin, int32_t head_end);
#endif
