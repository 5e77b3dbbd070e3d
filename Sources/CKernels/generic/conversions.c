// Arrays between float32, float16 and bfloat16.
#include "../shared/half.h"
#include "generic.h"

void qk_generic_f16_to_f32(const uint16_t *in, float *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = qk_f16_to_f32_scalar(in[i]);
}

void qk_generic_bf16_to_f32(const uint16_t *in, float *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = qk_bf16_to_f32_scalar(in[i]);
}

void qk_generic_f32_to_f16(const float *in, uint16_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = qk_f32_to_f16_scalar(in[i]);
}

void qk_generic_f32_to_bf16(const float *in, uint16_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = qk_f32_to_bf16_scalar(in[i]);
}
