// Norm, activation, softmax, quantization and half precision.
#include "../shared/half.h"
#include "../shared/quantize.h"
#include "lanes.h"

#if defined(__aarch64__)
#pragma STDC FP_CONTRACT OFF

void qk_neon_rms_norm(const float *x, const float *weight, float epsilon, float *out, int32_t n) {
    qk_lanes16 squares = qk_splat16(0);
    for (int32_t i = 0; i < n; i += 16) {
        qk_lanes16 a = qk_load16(x + i, n - i, 0);
        QK_EACH_VECTOR squares.v[v] = vfmaq_f32(squares.v[v], a.v[v], a.v[v]);
    }
    float factor = 1.0f / sqrtf(qk_fold16(squares) / (float)n + epsilon);
    for (int32_t i = 0; i < n; i += 16) {
        qk_lanes16 a = qk_load16(x + i, n - i, 0), b = qk_load16(weight + i, n - i, 0);
        QK_EACH_VECTOR a.v[v] = vmulq_f32(vmulq_n_f32(a.v[v], factor), b.v[v]);
        qk_store16(out + i, n - i, a);
    }
}

void qk_neon_silu_mul(const float *gate, const float *up, float *out, int64_t n) {
    const float32x4_t one = vdupq_n_f32(1.0f);
    for (int64_t i = 0; i < n; i += 16) {
        qk_lanes16 g = qk_load16(gate + i, n - i, 0), u = qk_load16(up + i, n - i, 0);
        QK_EACH_VECTOR g.v[v] = vmulq_f32(vdivq_f32(g.v[v], vaddq_f32(one, qk_exp4(vnegq_f32(g.v[v])))), u.v[v]);
        qk_store16(out + i, n - i, g);
    }
}

void qk_neon_softmax(float *x, int32_t n) {
    qk_lanes16 most = qk_splat16(-INFINITY), sum = qk_splat16(0);
    for (int32_t i = 0; i < n; i += 16) {
        qk_lanes16 a = qk_load16(x + i, n - i, -INFINITY);
        QK_EACH_VECTOR most.v[v] = vmaxq_f32(most.v[v], a.v[v]);
    }
    float32x4_t four = vmaxq_f32(vmaxq_f32(most.v[0], most.v[1]), vmaxq_f32(most.v[2], most.v[3]));
    float32x4_t greatest = vdupq_n_f32(vmaxvq_f32(four));
    for (int32_t i = 0; i < n; i += 16) {
        qk_lanes16 e = qk_load16(x + i, n - i, -INFINITY); // exp of which is 0: nothing for the sum
        QK_EACH_VECTOR e.v[v] = qk_exp4(vsubq_f32(e.v[v], greatest));
        qk_store16(x + i, n - i, e);
        QK_EACH_VECTOR sum.v[v] = vaddq_f32(sum.v[v], e.v[v]);
    }
    float inverse = 1.0f / qk_fold16(sum);
    for (int32_t i = 0; i < n; i++) x[i] *= inverse;
}

/// The greatest magnitude, compared as integers: NaN above infinity above all numbers.
static float greatest_magnitude(const float *x, int32_t count) {
    uint32x4_t greatest = vdupq_n_u32(0);
    for (int32_t k = 0; k < count; k += 16) {
        qk_lanes16 a = qk_load16(x + k, count - k, 0);
        QK_EACH_VECTOR greatest = vmaxq_u32(greatest, vreinterpretq_u32_f32(vabsq_f32(a.v[v])));
    }
    return qk_float(vmaxvq_u32(greatest));
}

void qk_neon_quantize(const float *x, int64_t stride, qk_activations *out, int32_t token_begin, int32_t token_end) {
    for (int32_t t = token_begin; t < token_end; t++) {
        for (int32_t g = 0; g < out->groups; g++) {
            int32_t column = g * out->group;
            int32_t present = out->cols - column < out->group ? out->cols - column : out->group;
            const float *values = x + t * stride + column;
            int64_t index = (int64_t)t * out->groups + g;
            int8_t *quants = out->quants + index * out->group;
            qk_group_scale s = qk_group_scale_of(greatest_magnitude(values, present));
            out->scales[index] = s.scale;
            out->sums[index] = 0;
            memset(quants, 0, (size_t)out->group);
            if (!(s.inverse > 0)) continue;
            for (int32_t k = 0; k < present; k += 16) {
                // |x·inverse| rounds to 127 at most, since 127/greatest is off by half a unit in the last place.
                qk_lanes16 a = qk_load16(values + k, present - k, 0);
                int16x4_t q[4];
                QK_EACH_VECTOR q[v] = vqmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(a.v[v], s.inverse)));
                int8x8_t lower = vqmovn_s16(vcombine_s16(q[0], q[1])), upper = vqmovn_s16(vcombine_s16(q[2], q[3]));
                vst1q_s8(quants + k, vcombine_s8(lower, upper));
                out->sums[index] += vaddlvq_s8(vcombine_s8(lower, upper));
            }
        }
    }
}

void qk_neon_f16_to_f32(const uint16_t *in, float *out, int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) vst1q_f32(out + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(in + i))));
    for (; i < n; i++) out[i] = qk_f16_to_f32_scalar(in[i]);
}

void qk_neon_f32_to_f16(const float *in, uint16_t *out, int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) vst1_u16(out + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(in + i))));
    for (; i < n; i++) out[i] = qk_f32_to_f16_scalar(in[i]);
}
#endif
