// The weight layout of the vector sets: blocks of `row_block` rows whose columns are interleaved, so that one line of
// row_block·4 bytes holds the next columns of all the block's rows, and a product never adds across lanes.
//
// 8 bits: [block, group, step, row, 4]: four columns of each row a line, as u = q + 128 or as signed q (see pack).
// 4 bits: [block, group, step, row, 4]: eight columns a line; byte b of a row has column b of the step in its lower
// nibble and column b + 4 in its upper one, both as q + 8.
#pragma once

#include "ckernels.h"

/// Columns in one line.
static inline int32_t qk_line_columns(int32_t bits) { return bits == 8 ? 4 : 8; }

/// The first line of a block; its groups follow each other.
static inline const uint8_t *qk_block_quants(const qk_weights *w, int32_t block) {
    return (const uint8_t *)w->quants + (int64_t)block * w->row_block * w->groups * w->group * w->bits / 8;
}

/// Tokens whose activations stay in the second-level cache while all row blocks pass over them.
static inline int32_t qk_token_chunk(const qk_activations *x, int32_t tile) {
    int32_t chunk = (int32_t)((256 << 10) / ((int64_t)x->groups * x->group));
    return chunk < tile ? tile : chunk - chunk % tile;
}

/// weights_size of a set whose blocks have 16 or 32 rows.
size_t qk_blocks16_weights_size(int32_t bits, int32_t rows, int32_t groups, int32_t group);
size_t qk_blocks32_weights_size(int32_t bits, int32_t rows, int32_t groups, int32_t group);
void qk_blocks_pack_signed(const qk_source *source, qk_weights *weights, int32_t begin, int32_t end);
void qk_blocks_pack_unsigned(const qk_source *source, qk_weights *weights, int32_t begin, int32_t end);
