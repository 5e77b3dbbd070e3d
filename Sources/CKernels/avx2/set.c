// The table of the AVX2 set (x86-64-v3: AVX2, FMA, F16C).
#include "avx2.h"

#if defined(__x86_64__)
#include "../shared/attention.h"
#include "../shared/blocks.h"

const qk_kernels qk_avx2 = {
    .name = "avx2",
    .row_block = QK_AVX2_ROWS,
    .weights_size = qk_blocks16_weights_size,
    .pack = qk_blocks_pack_signed,
    .quantize = qk_avx2_quantize,
    .linear = qk_avx2_linear,
    .rms_norm = qk_avx2_rms_norm,
    .rope = qk_avx2_rope,
    .silu_mul = qk_avx2_silu_mul,
    .add = qk_avx2_add,
    .softmax = qk_avx2_softmax,
    .store_kv = qk_avx2_store_kv,
    .attend = qk_avx2_attend,
    .attention_scratch = qk_strips_scratch,
    .f16_to_f32 = qk_avx2_f16_to_f32,
    .bf16_to_f32 = qk_avx2_bf16_to_f32,
    .f32_to_f16 = qk_avx2_f32_to_f16,
    .f32_to_bf16 = qk_avx2_f32_to_bf16,
};
#endif
