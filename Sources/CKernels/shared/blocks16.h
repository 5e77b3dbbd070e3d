// The weight layout of the x86 sets: blocks of 16 rows whose columns are interleaved, so that one 64-byte line holds the
// next columns of all 16 rows and a product never adds across lanes.
//
// 8 bits: [block, group, step, row, 4]: four columns of each row a line, as u = q + 128 or as signed q (see pack).
// 4 bits: [block, group, step, row, 4]: eight columns a line; byte b of a row has column b of the step in its lower
// nibble and column b + 4 in its upper one, both as q + 8.
#pragma once

#include "ckernels.h"

enum { QK_BLOCK_ROWS = 16, QK_LINE_BYTES = 64 };

/// Columns in one line.
static inline int32_t qk_line_columns(int32_t bits) { return bits == 8 ? 4 : 8; }

/// The first line of a block; its groups follow each other.
static inline const uint8_t *qk_block_quants(const qk_weights *w, int32_t block) {
    int64_t lines = (int64_t)w->groups * (w->group / qk_line_columns(w->bits));
    return (const uint8_t *)w->quants + block * lines * QK_LINE_BYTES;
}

/// Tokens whose activations stay in the second-level cache while all row blocks pass over them.
static inline int32_t qk_token_chunk(const qk_activations *x, int32_t tile) {
    int32_t chunk = (int32_t)((256 << 10) / ((int64_t)x->groups * x->group));
    return chunk < tile ? tile : chunk - chunk % tile;
}

size_t qk_blocks16_weights_size(int32_t bits, int32_t rows, int32_t groups, int32_t group);
void qk_blocks16_pack_signed(const qk_source *source, qk_weights *weights, int32_t begin, int32_t end);
void qk_blocks16_pack_unsigned(const qk_source *source, qk_weights *weights, int32_t begin, int32_t end);
