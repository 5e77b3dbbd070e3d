// Every hot loop of the runtime, behind one table of function pointers per instruction set.
//
// generic/ is the specification: plain loops whose order of accumulation is the contract. Every other set has the same
// functions and returns the same bits, whatever the number of tokens in a call and however the rows are divided
// between threads. No function allocates, locks, or keeps state. Shapes are row-major, [slowest, …, fastest].
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmeasure.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Where quantized values of one linear layer lie in a compressed-tensors file: W [rows, cols], unsigned u = q + 2^(bits-1),
/// `cols` values a row, element 0 in the least significant bits, each row padded to whole 32-bit words.
typedef struct {
    int32_t bits;              // 4 or 8
    int32_t rows, cols;
    int32_t scale_group;       // columns that share a scale; == cols for one scale per channel
    const uint8_t *packed;     // [rows, row_bytes]
    int64_t row_bytes;         // bytes from one row to the next
    const float *scales;       // [rows, ceil(cols/scale_group)]
    const int8_t *zero_points; // [rows, ceil(cols/scale_group)], signed, or NULL when symmetric
} qk_source;

/// One linear layer in the order that a kernel set reads it. Rows stand in blocks of `row_block`; columns in `groups`
/// groups of `group`, the last one padded with zeros. `group` is a multiple of 32 and divides scale_group, or covers
/// all columns with padding, and is at most 65 536, so that a group's sum fits 32 bits. Layouts differ between kernel
/// sets and are never stored.
typedef struct {
    int32_t bits;
    int32_t rows, cols;
    int32_t group, groups;     // groups == ceil(cols/group)
    int32_t row_block, row_blocks;
    bool asymmetric;
    void *quants;              // qk_weights_size() bytes, 64-byte aligned, written by pack
    float *scales;             // [row_blocks, groups, row_block], or NULL where bfloat_scales has them
    uint16_t *bfloat_scales;   // the same in bfloat16, where every scale is one: less to read
    int32_t *zero_points;      // [row_blocks, groups, row_block], or NULL when symmetric
} qk_weights;

/// Activations quantized per token and group: x ≈ quants · scale, |quants| ≤ 127.
typedef struct {
    int32_t tokens, cols;
    int32_t group, groups;
    int8_t *quants;            // [tokens, groups·group], 64-byte aligned, padded with zeros
    float *scales;             // [tokens, groups]
    int32_t *sums;             // [tokens, groups]: the sum of a group's quants
} qk_activations;

typedef enum { QK_CACHE_F32 = 0, QK_CACHE_F16 = 1 } qk_cache_type;

/// Positions in one page of the KV cache.
#define QK_PAGE 64

/// Queries of one sequence against its KV cache in one layer. Query t stands at position `first_position + t` and sees
/// positions 0…first_position+t. A page holds QK_PAGE positions: keys transposed [kv_heads, head_dim, QK_PAGE], so that
/// scores run along positions, and values [kv_heads, QK_PAGE, head_dim].
typedef struct {
    int32_t tokens, first_position;
    int32_t heads, kv_heads, head_dim; // query head h reads KV head h / (heads/kv_heads)
    float scale;                       // 1/sqrt(head_dim)
    qk_cache_type type;
    const float *q;                    // [tokens, heads, head_dim], rows q_stride apart
    int64_t q_stride;
    const void *const *key_pages;      // [ceil((first_position+tokens)/QK_PAGE)]
    const void *const *value_pages;
    float *out;                        // [tokens, heads, head_dim], rows out_stride apart
    int64_t out_stride;
    float *pattern;                    // NULL, or [heads, tokens, pattern_stride]: the probabilities, for tracing;
                                       // 0 at the positions after the query's, up to first_position + tokens
    int64_t pattern_stride;            // ≥ first_position + tokens
} qk_attention;

/// The functions of one instruction set.
typedef struct {
    const char *name;
    int32_t row_block;

    // --- Linear layers -------------------------------------------------------------------------------------------
    /// Bytes of `quants` for all row blocks.
    size_t (*weights_size)(int32_t bits, int32_t rows, int32_t groups, int32_t group);
    /// Writes row blocks [begin, end) of `weights` (whose fields but the three arrays' contents are set) from `source`.
    /// Rows past the last are written as zeros with scale 0.
    void (*pack)(const qk_source *source, qk_weights *weights, int32_t begin, int32_t end);
    /// x [tokens, cols], rows `stride` apart → quants. Per group: a = max|x|; scale = a/127; inverse = a > 0 ? 127/a : 0;
    /// q = round-half-even(x·inverse), within ±127. A group with a < 2^-120 is zeros with scale 0; one that holds an
    /// infinity or NaN has quants 0 and scale a, so that its products become NaN.
    void (*quantize)(const float *x, int64_t stride, qk_activations *out, int32_t token_begin, int32_t token_end);
    /// out[t·stride + r] = Σ_g fma(float(Σ_k (w−zp)·x), w_scale·x_scale, acc), groups in order, for the rows of blocks
    /// [begin, end) and all tokens. Sums inside a group are exact integers; acc starts at 0.
    void (*linear)(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin, int32_t end);

    // --- Vectors -------------------------------------------------------------------------------------------------
    /// Reductions use 16 lanes: lane j takes elements j, j+16, … by fma, and lanes fold 8+8, 4+4, 2+2, 1+1 (lane j with
    /// lane j+8, then j+4, …). out = (x · (1/sqrt(sum/n + epsilon))) · weight.
    void (*rms_norm)(const float *x, const float *weight, float epsilon, float *out, int32_t n);
    /// Rotates each head's halves in place: with a = x[i], b = x[i + dim/2]:
    /// x[i] = fma(a, cos, −(b·sin)); x[i+dim/2] = fma(b, cos, a·sin).
    void (*rope)(float *x, const float *cos, const float *sin, int32_t heads, int32_t head_dim);
    /// out = silu(gate)·up, silu(g) = g / (1 + exp(−g)), with the exp of qk_exp. out may be gate.
    void (*silu_mul)(const float *gate, const float *up, float *out, int64_t n);
    /// x += y.
    void (*add)(float *x, const float *y, int64_t n);
    /// In place, over n ≥ 1 values: exp(x − max)/sum, sum in the 16-lane structure, then times 1/sum.
    void (*softmax)(float *x, int32_t n);

    // --- Attention -----------------------------------------------------------------------------------------------
    /// Writes `tokens` keys and values [tokens, kv_heads, head_dim] (rows `stride` apart) at positions first_position…
    void (*store_kv)(const float *keys, const float *values, int64_t stride, int32_t tokens, int32_t first_position,
                     int32_t kv_heads, int32_t head_dim, qk_cache_type type, void *const *key_pages,
                     void *const *value_pages);
    /// For query tokens [token_begin, token_end) and KV heads [head_begin, head_end), all their query heads. Per query:
    /// score[p] = scale · (Σ_d fma(q[d], k[d][p], acc), d in order); probabilities by softmax; out[d] = Σ_p fma(prob[p],
    /// v[p][d], acc), p in order. `scratch` has attention_scratch() floats, one per calling thread.
    void (*attend)(const qk_attention *a, float *scratch, int32_t token_begin, int32_t token_end, int32_t head_begin,
                   int32_t head_end);
    size_t (*attention_scratch)(int32_t positions, int32_t heads, int32_t kv_heads, int32_t head_dim);

    // --- Conversions (round to nearest, ties to even; NaN stays NaN) -----------------------------------------------
    void (*f16_to_f32)(const uint16_t *in, float *out, int64_t n);
    void (*bf16_to_f32)(const uint16_t *in, float *out, int64_t n);
    void (*f32_to_f16)(const float *in, uint16_t *out, int64_t n);
    void (*f32_to_bf16)(const float *in, uint16_t *out, int64_t n);
} qk_kernels;

/// One row of the dispatch table, best last-resort ("generic") at the end.
typedef struct {
    const qk_kernels *kernels;
    bool supported; // the CPU has the features, and the OS keeps their registers
} qk_set;

/// All sets compiled in, in order of preference.
size_t qk_sets(const qk_set **out);
/// The named set, or the first supported one where name is NULL. NULL where the name is unknown or unsupported here.
const qk_kernels *qk_select(const char *name);

/// exp as every set computes it (one scalar, for tests and for the specification).
float qk_exp(float x);

#ifdef __cplusplus
}
#endif
