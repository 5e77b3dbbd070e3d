// What neon/ exports to its table. Where plain loops are vectorized as well by the compiler, the table names generic/.
#pragma once

#include "../sets.h"

#if defined(__aarch64__)
#include <arm_neon.h>

/// What the sources of this folder are compiled for, and what dispatch.c asks the processor for.
#define QK_NEON "neon,dotprod"

enum { QK_NEON_ROWS = 16 }; // in a block of weights

void qk_neon_quantize(const float *x, int64_t stride, qk_activations *out, int32_t token_begin, int32_t token_end);
void qk_neon_linear(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
                    int32_t end);
void qk_neon_rms_norm(const float *x, const float *weight, float epsilon, float *out, int32_t n);
void qk_neon_silu_mul(const float *gate, const float *up, float *out, int64_t n);
void qk_neon_softmax(float *x, int32_t n);
void qk_neon_attend(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end, int32_t head_begin,
                    int32_t head_end);
void qk_neon_f16_to_f32(const uint16_t *in, float *out, int64_t n);
void qk_neon_f32_to_f16(const float *in, uint16_t *out, int64_t n);
#endif
