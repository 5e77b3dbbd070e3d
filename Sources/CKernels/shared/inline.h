// A function written once and compiled for each constant number of tokens, its loops unrolled into registers.
#pragma once

#define QK_INLINE static inline __attribute__((always_inline))
#define QK_UNROLL _Pragma("clang loop unroll(full)")
