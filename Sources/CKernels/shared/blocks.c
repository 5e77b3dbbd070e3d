// From rows of 32-bit words to lines: one word of each row makes a line, for 8 bits as for 4.
#include "blocks.h"

#include <string.h>

#include "source.h"

enum { TILE = 16 };

static size_t size_in_blocks(int32_t block, int32_t bits, int32_t rows, int32_t groups, int32_t group) {
    size_t blocks = ((size_t)rows + (size_t)block - 1) / (size_t)block;
    return blocks * (size_t)block * (size_t)groups * (size_t)group * (size_t)bits / 8;
}

size_t qk_blocks16_weights_size(int32_t bits, int32_t rows, int32_t groups, int32_t group) {
    return size_in_blocks(16, bits, rows, groups, group);
}

size_t qk_blocks32_weights_size(int32_t bits, int32_t rows, int32_t groups, int32_t group) {
    return size_in_blocks(32, bits, rows, groups, group);
}

/// Nibbles 0 1 2 3 4 5 6 7 → 0 4 1 5 2 6 3 7 (Warren, Hacker's Delight: the outer perfect shuffle).
static uint32_t shuffle_nibbles(uint32_t x) {
    uint32_t t = (x ^ x >> 8) & 0x0000FF00;
    x ^= t ^ t << 8;
    t = (x ^ x >> 4) & 0x00F000F0;
    return x ^ t ^ t << 4;
}

/// `flip` is xored into each word of an 8-bit layer.
static void pack(const qk_source *source, qk_weights *weights, int32_t begin, int32_t end, uint32_t flip) {
    int32_t rows = weights->row_block, line_columns = qk_line_columns(weights->bits);
    int64_t lines = (int64_t)weights->groups * (weights->group / line_columns);
    int64_t words = ((int64_t)source->cols + line_columns - 1) / line_columns; // lines past these are padding
    for (int32_t block = begin; block < end; block++) {
        uint32_t *to = (uint32_t *)weights->quants + block * lines * rows;
        // In tiles of a cache line's words by all rows, so that what is written stays near until it is whole.
        for (int64_t first = 0; first < lines; first += TILE) {
            int64_t last = first + TILE < lines ? first + TILE : lines;
            for (int32_t r = 0; r < rows; r++) {
                int64_t row = (int64_t)block * rows + r;
                const uint8_t *from = source->packed + row * source->row_bytes;
                for (int64_t line = first; line < last; line++) {
                    uint32_t word = 0;
                    if (row < source->rows && line < words) {
                        memcpy(&word, from + line * 4, sizeof word);
                        word = weights->bits == 8 ? word ^ flip : shuffle_nibbles(word);
                    }
                    to[line * rows + r] = word;
                }
            }
        }
        qk_pack_scales(source, weights, block);
    }
}

void qk_blocks_pack_signed(const qk_source *source, qk_weights *weights, int32_t begin, int32_t end) {
    pack(source, weights, begin, end, 0x80808080);
}

void qk_blocks_pack_unsigned(const qk_source *source, qk_weights *weights, int32_t begin, int32_t end) {
    pack(source, weights, begin, end, 0);
}
