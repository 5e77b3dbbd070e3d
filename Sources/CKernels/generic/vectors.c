// Norm, rotation, activation and softmax over one vector.
#include <math.h>

#include "../shared/exp.h"
#include "generic.h"

#pragma STDC FP_CONTRACT OFF

enum { LANES = 16 };

/// Folds 8+8, 4+4, 2+2, 1+1.
static float fold(float *lanes) {
    for (int32_t half = LANES / 2; half > 0; half /= 2) {
        for (int32_t j = 0; j < half; j++) lanes[j] += lanes[j + half];
    }
    return lanes[0];
}

void qk_generic_rms_norm(const float *x, const float *weight, float epsilon, float *out, int32_t n) {
    float lanes[LANES] = {0};
    for (int32_t i = 0; i < n; i++) lanes[i % LANES] = fmaf(x[i], x[i], lanes[i % LANES]);
    float factor = 1.0f / sqrtf(fold(lanes) / (float)n + epsilon);
    for (int32_t i = 0; i < n; i++) out[i] = (x[i] * factor) * weight[i];
}

void qk_generic_rope(float *x, const float *cos, const float *sin, int32_t heads, int32_t head_dim) {
    int32_t half = head_dim / 2;
    for (int32_t h = 0; h < heads; h++) {
        float *first = x + (int64_t)h * head_dim, *second = first + half;
        for (int32_t i = 0; i < half; i++) {
            float a = first[i], b = second[i];
            first[i] = fmaf(a, cos[i], -(b * sin[i]));
            second[i] = fmaf(b, cos[i], a * sin[i]);
        }
    }
}

void qk_generic_silu_mul(const float *gate, const float *up, float *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float g = gate[i];
        out[i] = g / (1.0f + qk_exp_scalar(-g)) * up[i];
    }
}

void qk_generic_add(float *x, const float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] += y[i];
}

void qk_generic_softmax(float *x, int32_t n) {
    float greatest = x[0];
    for (int32_t i = 1; i < n; i++) greatest = x[i] > greatest ? x[i] : greatest;
    float lanes[LANES] = {0};
    for (int32_t i = 0; i < n; i++) {
        x[i] = qk_exp_scalar(x[i] - greatest);
        lanes[i % LANES] += x[i];
    }
    float inverse = 1.0f / fold(lanes);
    for (int32_t i = 0; i < n; i++) x[i] *= inverse;
}
