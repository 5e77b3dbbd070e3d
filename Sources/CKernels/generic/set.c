// The table of the specification.
#include "generic.h"

const qk_kernels qk_generic = {
    .name = "generic",
    .row_block = 1,
    .weights_size = qk_generic_weights_size,
    .pack = qk_generic_pack,
    .quantize = qk_generic_quantize,
    .linear = qk_generic_linear,
    .rms_norm = qk_generic_rms_norm,
    .rope = qk_generic_rope,
    .silu_mul = qk_generic_silu_mul,
    .add = qk_generic_add,
    .softmax = qk_generic_softmax,
    .store_kv = qk_generic_store_kv,
    .attend = qk_generic_attend,
    .attention_scratch = qk_generic_attention_scratch,
    .f16_to_f32 = qk_generic_f16_to_f32,
    .bf16_to_f32 = qk_generic_bf16_to_f32,
    .f32_to_f16 = qk_generic_f32_to_f16,
    .f32_to_bf16 = qk_generic_f32_to_bf16,
};
