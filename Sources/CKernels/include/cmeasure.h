// What the machine can do at most, for the percentages in reports: loops that do nothing but multiply, or read.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Runs `rounds` rounds of the named kernel set's own 8-bit multiply-add instructions on registers, and returns how many
/// products that was; 0 where the set is unknown or the CPU lacks it.
int64_t qk_peak_products(const char *set, int64_t rounds);

/// Reads `bytes` bytes (a multiple of 256), 64-byte aligned, and returns their sum as 64-bit words.
uint64_t qk_read_all(const void *memory, size_t bytes);

#ifdef __cplusplus
}
#endif
