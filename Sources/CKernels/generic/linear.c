// Linear layers in integers: W [rows, cols] · x [tokens, cols] → [tokens, rows].
//
// Layout of quants: [rows, groups, group] signed bytes for 8 bits; for 4 bits [rows, groups, group/2], where byte k of a
// group holds column k in its lower nibble and column k + group/2 in its upper one, both as q + 8.
#include <math.h>

#include "../shared/half.h"
#include "../shared/quantize.h"
#include "../shared/source.h"
#include "generic.h"

#pragma STDC FP_CONTRACT OFF

size_t qk_generic_weights_size(int32_t bits, int32_t rows, int32_t groups, int32_t group) {
    return (size_t)rows * (size_t)groups * (size_t)group * (size_t)bits / 8;
}

void qk_generic_pack(const qk_source *source, qk_weights *weights, int32_t begin, int32_t end) {
    int32_t group = weights->group, half = group / 2;
    for (int32_t row = begin; row < end; row++) {
        for (int32_t g = 0; g < weights->groups; g++) {
            int32_t column = g * group;
            int64_t index = (int64_t)row * weights->groups + g;
            if (weights->bits == 8) {
                int8_t *quants = (int8_t *)weights->quants + index * group;
                for (int32_t k = 0; k < group; k++) {
                    quants[k] = (int8_t)(qk_source_value(source, row, column + k) - 128);
                }
            } else {
                uint8_t *quants = (uint8_t *)weights->quants + index * half;
                for (int32_t k = 0; k < half; k++) {
                    uint8_t low = qk_source_value(source, row, column + k);
                    uint8_t high = qk_source_value(source, row, column + k + half);
                    quants[k] = (uint8_t)(low | high << 4);
                }
            }
        }
        qk_pack_scales(source, weights, row);
    }
}

void qk_generic_quantize(const float *x, int64_t stride, qk_activations *out, int32_t token_begin, int32_t token_end) {
    for (int32_t t = token_begin; t < token_end; t++) {
        for (int32_t g = 0; g < out->groups; g++) {
            int32_t column = g * out->group;
            int32_t present = out->cols - column < out->group ? out->cols - column : out->group;
            const float *values = x + t * stride + column;
            int64_t index = (int64_t)t * out->groups + g;
            int8_t *quants = out->quants + index * out->group;

            // Compared as integers, so that NaN is the greatest and infinity comes next.
            uint32_t greatest = 0;
            for (int32_t k = 0; k < present; k++) {
                uint32_t magnitude = qk_bits(values[k]) & 0x7FFFFFFF;
                if (magnitude > greatest) greatest = magnitude;
            }
            qk_group_scale s = qk_group_scale_of(qk_float(greatest));
            int32_t sum = 0;
            for (int32_t k = 0; k < out->group; k++) {
                int8_t q = 0;
                if (k < present && s.inverse > 0) q = qk_quantize_scalar(values[k], s.inverse);
                quants[k] = q;
                sum += q;
            }
            out->scales[index] = s.scale;
            out->sums[index] = sum;
        }
    }
}

/// Σ_k (w − zp)·x over one group.
static int32_t group_product(const qk_weights *w, int64_t index, const int8_t *x) {
    int32_t zero_point = w->zero_points ? w->zero_points[index] : 0, sum = 0;
    if (w->bits == 8) {
        const int8_t *quants = (const int8_t *)w->quants + index * w->group;
        for (int32_t k = 0; k < w->group; k++) sum += (quants[k] - zero_point) * x[k];
    } else {
        int32_t half = w->group / 2;
        const uint8_t *quants = (const uint8_t *)w->quants + index * half;
        for (int32_t k = 0; k < half; k++) {
            sum += ((quants[k] & 15) - 8 - zero_point) * x[k];
            sum += ((quants[k] >> 4) - 8 - zero_point) * x[k + half];
        }
    }
    return sum;
}

void qk_generic_linear(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
                       int32_t end) {
    for (int32_t row = begin; row < end; row++) {
        for (int32_t t = 0; t < x->tokens; t++) {
            float accumulator = 0.0f;
            for (int32_t g = 0; g < w->groups; g++) {
                int64_t weight_index = (int64_t)row * w->groups + g, token_index = (int64_t)t * x->groups + g;
                int32_t product = group_product(w, weight_index, x->quants + token_index * x->group);
                accumulator = fmaf((float)product, qk_scale(w, weight_index) * x->scales[token_index], accumulator);
            }
            out[t * stride + row] = accumulator;
        }
    }
}
