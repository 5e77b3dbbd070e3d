// The kernel sets, each defined in its folder's set.c. What a set cannot be compiled for, is not declared.
#pragma once

#include "ckernels.h"

extern const qk_kernels qk_generic;
#if defined(__x86_64__)
extern const qk_kernels qk_avx512vnni;
extern const qk_kernels qk_avx2;
#endif
#if defined(__aarch64__)
extern const qk_kernels qk_neon;
#endif
