// The table of the AVX-512 set (F, BW, VL and VNNI).
#include "avx512vnni.h"

#if defined(__x86_64__)
#include "../shared/attention.h"
#include "../shared/blocks.h"

const qk_kernels qk_avx512vnni = {
    .name = "avx512vnni",
    .row_block = QK_AVX512VNNI_ROWS,
    .weights_size = qk_blocks32_weights_size,
    .pack = qk_blocks_pack_unsigned,
    .quantize = qk_avx512vnni_quantize,
    .linear = qk_avx512vnni_linear,
    .rms_norm = qk_avx512vnni_rms_norm,
    .rope = qk_avx512vnni_rope,
    .silu_mul = qk_avx512vnni_silu_mul,
    .add = qk_avx512vnni_add,
    .softmax = qk_avx512vnni_softmax,
    .store_kv = qk_avx2_store_kv,
    .attend = qk_avx512vnni_attend,
    .attention_scratch = qk_strips_scratch,
    .f16_to_f32 = qk_avx2_f16_to_f32,
    .bf16_to_f32 = qk_avx2_bf16_to_f32,
    .f32_to_f16 = qk_avx2_f32_to_f16,
    .f32_to_bf16 = qk_avx2_f32_to_bf16,
};
#endif
