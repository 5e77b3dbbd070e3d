// The table of the arm64 set (NEON with dot products).
#include "neon.h"

#if defined(__aarch64__)
#include "../generic/generic.h"
#include "../shared/attention.h"
#include "../shared/blocks.h"

const qk_kernels qk_neon = {
    .name = "neon",
    .row_block = QK_NEON_ROWS,
    .weights_size = qk_blocks16_weights_size,
    .pack = qk_blocks_pack_signed,
    .quantize = qk_neon_quantize,
    .linear = qk_neon_linear,
    .rms_norm = qk_neon_rms_norm,
    .rope = qk_generic_rope,
    .silu_mul = qk_neon_silu_mul,
    .add = qk_generic_add,
    .softmax = qk_neon_softmax,
    .store_kv = qk_generic_store_kv,
    .attend = qk_neon_attend,
    .attention_scratch = qk_strips_scratch,
    .f16_to_f32 = qk_neon_f16_to_f32,
    .bf16_to_f32 = qk_generic_bf16_to_f32,
    .f32_to_f16 = qk_neon_f32_to_f16,
    .f32_to_bf16 = qk_generic_f32_to_bf16,
};
#endif
