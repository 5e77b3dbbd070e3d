// What avx512vnni/ exports to its table. Where 512 bits gain nothing, the table names a function of avx2/.
#pragma once

#include "../avx2/avx2.h"

#if defined(__x86_64__)
/// What the sources of this folder are compiled for, and what dispatch.c asks the processor for.
#define QK_AVX512VNNI "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni"

enum { QK_AVX512VNNI_ROWS = 32 }; // in a block of weights

void qk_avx512vnni_linear(const qk_weights *w, const qk_activations *x, float *out, int64_t stride, int32_t begin,
                          int32_t end);
#endif
