// Holds every supported kernel set to generic's bits, without Swift: for machines that only an emulator stands in for.
// scripts/test-arm64.sh runs it; what it covers, and more, Tests/CKernelsTests covers on the machine itself.
//
// kernel-check SET   fails if SET is not supported, or if anything differs.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckernels.h"

static const qk_kernels *set, *generic;
static long compared;

// SplitMix64 (Steele, Lea, Flood 2014).
static uint64_t state = 1;
static uint64_t next(void) {
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}
static float uniform(float range) { return ((float)(next() >> 40) * 0x1p-23f - 1.0f) * range; }

/// Memory that nobody has written holds NaN.
static void *memory(size_t bytes) {
    size_t size = (bytes + 127) & ~(size_t)63;
    return memset(aligned_alloc(64, size), 0xFF, size);
}
static float *floats(size_t count, float range) {
    float *x = memory(count * sizeof(float));
    for (size_t i = 0; i < count; i++) x[i] = uniform(range);
    return x;
}

/// Equal bits, where any NaN equals any NaN.
static void expect_floats(const float *got, const float *expected, size_t count, const char *what, const int *shape) {
    for (size_t i = 0; i < count; i++, compared++) {
        if (memcmp(got + i, expected + i, sizeof(float)) == 0 || (isnan(got[i]) && isnan(expected[i]))) continue;
        printf("%s %s [%zu] got %a expected %a, shape %d %d %d %d %d %d\n", set->name, what, i, (double)got[i],
               (double)expected[i], shape[0], shape[1], shape[2], shape[3], shape[4], shape[5]);
        exit(1);
    }
}

// --- Linear: shape {bits, rows, cols, scale group, tokens, 2·extreme + asymmetric} ------------------------------------
static float *multiply(const qk_kernels *k, const int *shape, const qk_source *source, const float *x, bool bfloat) {
    int rows = shape[1], cols = shape[2], group = source->scale_group == cols ? (cols + 31) / 32 * 32 : shape[3];
    int groups = (cols + group - 1) / group, block = k->row_block, blocks = (rows + block - 1) / block;
    size_t scales = sizeof(float) * (size_t)(blocks * groups * block), tokens = (size_t)shape[4];
    qk_weights w = {.bits = shape[0], .rows = rows, .cols = cols, .group = group, .groups = groups, .row_block = block,
                    .row_blocks = blocks, .asymmetric = source->zero_points != NULL,
                    .quants = memory(k->weights_size(shape[0], rows, groups, group)),
                    .scales = bfloat ? NULL : memory(scales), .bfloat_scales = bfloat ? memory(scales / 2) : NULL,
                    .zero_points = source->zero_points ? memory(scales) : NULL};
    qk_activations a = {.tokens = shape[4], .cols = cols, .group = group, .groups = groups,
                        .quants = memory(tokens * (size_t)(groups * group)),
                        .scales = memory(tokens * (size_t)groups * sizeof(float)),
                        .sums = memory(tokens * (size_t)groups * sizeof(int32_t))};
    float *out = memory(tokens * (size_t)rows * sizeof(float));
    k->quantize(x, cols, &a, 0, shape[4]);
    for (int part = 0; part < 2; part++) {
        k->pack(source, &w, blocks * part / 2, blocks * (part + 1) / 2);
        k->linear(&w, &a, out, rows, blocks * part / 2, blocks * (part + 1) / 2);
    }
    free(w.quants), free(w.scales), free(w.bfloat_scales), free(w.zero_points), free(a.quants), free(a.scales), free(a.sums);
    return out;
}

static void check_linear(const int *shape) {
    int bits = shape[0], rows = shape[1], cols = shape[2], scale_group = shape[3] ? shape[3] : cols;
    int groups = (cols + scale_group - 1) / scale_group, extreme = shape[5] / 2;
    size_t row_bytes = (size_t)((cols * bits + 31) / 32 * 4);
    uint8_t *packed = memory((size_t)rows * row_bytes);
    for (size_t i = 0; i < (size_t)rows * row_bytes; i++) packed[i] = extreme ? (extreme == 1 ? 0 : 0xFF) : (uint8_t)next();
    int8_t *zero_points = memory((size_t)(rows * groups));
    for (int i = 0; i < rows * groups; i++) zero_points[i] = (int8_t)((int)(next() % (1u << bits)) - (1 << (bits - 1)));
    float *scales = floats((size_t)(rows * groups), 0.02f), *x = floats((size_t)(shape[4] * cols), 3);
    if (extreme) for (int i = 0; i < shape[4] * cols; i++) x[i] = next() % 4 ? 127 : -127;
    qk_source source = {bits, rows, cols, scale_group, packed, (int64_t)row_bytes, scales, shape[5] % 2 ? zero_points : NULL};
    // Of every second shape the scales are bfloat16s, and stand so in the set's layout, but not in the specification's.
    bool bfloat = (rows + shape[4]) % 2;
    for (int i = 0; bfloat && i < rows * groups; i++) {
        uint32_t word;
        memcpy(&word, &scales[i], sizeof word);
        word &= 0xFFFF0000;
        memcpy(&scales[i], &word, sizeof word);
    }
    float *got = multiply(set, shape, &source, x, bfloat), *expected = multiply(generic, shape, &source, x, false);
    expect_floats(got, expected, (size_t)(shape[4] * rows), "linear", shape);
    free(got), free(expected), free(packed), free(zero_points), free(scales), free(x);
}

static void linear(void) {
    static const int rows[] = {1, 7, 15, 16, 17, 33}, cols[] = {1, 33, 128, 200, 257}, groups[] = {32, 64, 128, 0};
    int tokens = 0;
    for (int bits = 4; bits <= 8; bits += 4)
        for (int r = 0; r < 6; r++)
            for (int c = 0; c < 5; c++)
                for (int g = 0; g < 4; g++)
                    for (int kind = 0; kind < 6; kind++)
                        check_linear((int[]){bits, rows[r], cols[c], groups[g], 1 + tokens++ % 9, kind});
    for (int bits = 4; bits <= 8; bits += 4) check_linear((int[]){bits, 19, 9003, 128, 33, 1});
}

// --- Vectors: shape {n, …} ---------------------------------------------------------------------------------------------
static void vectors(void) {
    for (int n = 1; n < 140; n++) {
        for (float range = 1; range < 1e6f; range *= 50) {
            int shape[6] = {n, (int)range};
            size_t count = (size_t)n;
            float *x = floats(count, range), *y = floats(count, range), *out[2];
            for (int what = 0; what < 4; what++) {
                for (int i = 0; i < 2; i++) {
                    const qk_kernels *k = i ? generic : set;
                    out[i] = memcpy(memory((count + 1) * sizeof(float)), x, count * sizeof(float));
                    if (what == 0) k->rms_norm(x, y, 1e-5f, out[i], n);
                    if (what == 1) k->silu_mul(x, y, out[i], n);
                    if (what == 2) k->softmax(out[i], n);
                    if (what == 3) k->add(out[i], y, n), n > 1 ? k->rope(out[i], x, y, 1, n / 2 * 2) : (void)0;
                }
                static const char *names[] = {"rms_norm", "silu_mul", "softmax", "add and rope"};
                expect_floats(out[0], out[1], count + 1, names[what], shape);
                free(out[0]), free(out[1]);
            }
            free(x), free(y);
        }
    }
}

static void conversions(void) {
    enum { COUNT = 65536 };
    int shape[6] = {0};
    uint16_t *halves = memory(COUNT * 2), *a = memory(COUNT * 2), *b = memory(COUNT * 2);
    float *x = memory(COUNT * 4), *y = memory(COUNT * 4), *bits = memory(COUNT * 4);
    for (int i = 0; i < COUNT; i++) halves[i] = (uint16_t)i;
    set->f16_to_f32(halves, x, COUNT), generic->f16_to_f32(halves, y, COUNT);
    expect_floats(x, y, COUNT, "f16_to_f32", shape);
    set->bf16_to_f32(halves, x, COUNT), generic->bf16_to_f32(halves, y, COUNT);
    expect_floats(x, y, COUNT, "bf16_to_f32", shape);
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < COUNT; i++) ((uint32_t *)bits)[i] = (uint32_t)next();
        set->silu_mul(bits, bits, x, COUNT), generic->silu_mul(bits, bits, y, COUNT); // exp of anything
        expect_floats(x, y, COUNT, "exp", shape);
        for (int i = 0; i < COUNT; i++) bits[i] = ldexpf(bits[i], round % 8 ? -110 : 0); // more of them in half's range
        set->f32_to_f16(bits, a, COUNT), generic->f32_to_f16(bits, b, COUNT);
        if (memcmp(a, b, COUNT * 2)) printf("%s f32_to_f16 differs\n", set->name), exit(1);
        set->f32_to_bf16(bits, a, COUNT), generic->f32_to_bf16(bits, b, COUNT);
        if (memcmp(a, b, COUNT * 2)) printf("%s f32_to_bf16 differs\n", set->name), exit(1);
    }
    free(halves), free(a), free(b), free(x), free(y), free(bits);
}

// --- Attention: shape {tokens, first position, heads, kv heads, head_dim, type} ----------------------------------------
static void attend(const qk_kernels *k, const int *shape, const float *kv, const float *q, float *out, float *pattern) {
    int positions = shape[0] + shape[1], pages = (positions + QK_PAGE - 1) / QK_PAGE, width = shape[2] * shape[4];
    size_t page_bytes = (size_t)(shape[3] * shape[4] * QK_PAGE * 4);
    void *keys[64], *values[64];
    for (int i = 0; i < pages; i++) keys[i] = memory(page_bytes), values[i] = memory(page_bytes);
    float *scratch = memory(k->attention_scratch(positions, shape[2], shape[3], shape[4]) * sizeof(float));
    k->store_kv(kv, kv + 7, shape[3] * shape[4], positions, 0, shape[3], shape[4], (qk_cache_type)shape[5], keys, values);
    qk_attention a = {shape[0], shape[1], shape[2], shape[3], shape[4], 1 / sqrtf((float)shape[4]), (qk_cache_type)shape[5],
                      q, width, (const void *const *)keys, (const void *const *)values, out, width, pattern, positions};
    k->attend(&a, scratch, 0, shape[0] / 2, 0, shape[3]);
    k->attend(&a, scratch, shape[0] / 2, shape[0], 0, shape[3]);
    for (int i = 0; i < pages; i++) free(keys[i]), free(values[i]);
    free(scratch);
}

static void attention(void) {
    static const int tokens[] = {1, 2, 5, 9, 33}, first[] = {0, 1, 62, 63, 130}, heads[][2] = {{3, 1}, {4, 4}, {12, 2}};
    static const int dims[] = {64, 20, 8, 128};
    int turn = 0;
    for (int t = 0; t < 5; t++)
        for (int f = 0; f < 5; f++)
            for (int h = 0; h < 3; h++)
                for (int type = 0; type < 2; type++) {
                    int shape[6] = {tokens[t], first[f], heads[h][0], heads[h][1], dims[turn++ % 4], type};
                    size_t positions = (size_t)(shape[0] + shape[1]), n = (size_t)(shape[0] * shape[2] * shape[4]);
                    size_t m = (size_t)(shape[0] * shape[2]) * positions;
                    float *kv = floats(positions * (size_t)(shape[3] * shape[4]) + 7, 2), *q = floats(n, 2);
                    float *out[2] = {memory(n * 4), memory(n * 4)}, *pattern[2] = {memory(m * 4), memory(m * 4)};
                    attend(set, shape, kv, q, out[0], pattern[0]);
                    attend(generic, shape, kv, q, out[1], pattern[1]);
                    expect_floats(out[0], out[1], n, "attention", shape);
                    expect_floats(pattern[0], pattern[1], m, "pattern", shape);
                    for (int i = 0; i < 2; i++) free(out[i]), free(pattern[i]);
                    free(kv), free(q);
                }
}

int main(int argc, char **argv) {
    set = argc > 1 ? qk_select(argv[1]) : NULL;
    generic = qk_select("generic");
    if (set == NULL) {
        printf("kernel-check: %s: no such set, or not supported here\n", argc > 1 ? argv[1] : "(none)");
        return 1;
    }
    linear();
    vectors();
    conversions();
    attention();
    printf("%s: %ld values equal generic's, bit for bit\n", set->name, compared);
    return 0;
}
