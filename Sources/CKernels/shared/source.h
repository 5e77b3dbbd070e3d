// Reading quantized values as the file has them.
#pragma once

#include <string.h>

#include "ckernels.h"

/// W[row, column] + 2^(bits-1), or 0 past the last row or column.
static inline uint8_t qk_source_value(const qk_source *source, int32_t row, int32_t column) {
    if (row >= source->rows || column >= source->cols) return 0;
    const uint8_t *packed = source->packed + row * source->row_bytes;
    if (source->bits == 8) return packed[column];
    return packed[column >> 1] >> 4 * (column & 1) & 15;
}

/// Scale groups in one row of the source.
static inline int32_t qk_source_groups(const qk_source *source) {
    return (source->cols + source->scale_group - 1) / source->scale_group;
}

/// The upper half of a float whose lower half is zero.
static inline uint16_t qk_bfloat(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/// Scale `index` of a layer.
static inline float qk_scale(const qk_weights *w, int64_t index) {
    if (!w->bfloat_scales) return w->scales[index];
    uint32_t bits = (uint32_t)w->bfloat_scales[index] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/// Writes scales and zero points of one row block: both [groups, row_block]; 0 past the last row.
static inline void qk_pack_scales(const qk_source *source, qk_weights *weights, int32_t block) {
    int32_t source_groups = qk_source_groups(source);
    for (int32_t g = 0; g < weights->groups; g++) {
        int32_t source_group = (int32_t)((int64_t)g * weights->group / source->scale_group);
        for (int32_t r = 0; r < weights->row_block; r++) {
            int64_t row = (int64_t)block * weights->row_block + r;
            int64_t from = row * source_groups + source_group;
            int64_t to = ((int64_t)block * weights->groups + g) * weights->row_block + r;
            float scale = row < source->rows ? source->scales[from] : 0.0f;
            if (weights->bfloat_scales) {
                weights->bfloat_scales[to] = qk_bfloat(scale);
            } else {
                weights->scales[to] = scale;
            }
            if (weights->zero_points == NULL) continue;
            bool present = row < source->rows && source->zero_points != NULL;
            weights->zero_points[to] = present ? source->zero_points[from] : 0;
        }
    }
}
