#include "cmeasure.h"

#include <string.h>

#include "ckernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { CHAINS = 12 }; // independent sums: enough to hide each instruction's latency

__attribute__((target("avx2"))) static int64_t peak_avx2(int64_t rounds) {
    __m256i sums[CHAINS], a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5), ones = _mm256_set1_epi16(1);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_set1_epi32(i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) {
            __asm__ volatile("" : "+x"(a), "+x"(b)); // new factors, for all that the compiler knows
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
        }
    }
    for (int i = 1; i < CHAINS; i++) sums[0] = _mm256_add_epi32(sums[0], sums[i]);
    __asm__ volatile("" : "+x"(sums[0]));
    return rounds * CHAINS * 32;
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) static int64_t peak_vnni(int64_t rounds) {
    __m512i sums[CHAINS], a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_set1_epi32(i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) {
            __asm__ volatile("" : "+v"(a), "+v"(b));
            sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
        }
    }
    for (int i = 1; i < CHAINS; i++) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
    __asm__ volatile("" : "+v"(sums[0]));
    return rounds * CHAINS * 64;
}
#endif

static int64_t peak_generic(int64_t rounds) {
    int32_t sums[8] = {0, 1, 2, 3, 4, 5, 6, 7}, a = 3;
    for (int64_t r = 0; r < rounds; r++) {
        __asm__ volatile("" : "+r"(a));
        for (int i = 0; i < 8; i++) sums[i] += a * (sums[i] & 127);
    }
    __asm__ volatile("" : : "r"(sums) : "memory");
    return rounds * 8;
}

int64_t qk_peak_products(const char *set, int64_t rounds) {
    if (qk_select(set) == NULL) return 0;
#if defined(__x86_64__)
    if (strcmp(set, "avx512vnni") == 0) return peak_vnni(rounds);
    if (strcmp(set, "avx2") == 0) return peak_avx2(rounds);
#endif
    return strcmp(set, "generic") == 0 ? peak_generic(rounds) : 0;
}

uint64_t qk_read_all(const void *memory, size_t bytes) {
    typedef uint64_t vector __attribute__((vector_size(64)));
    const vector *from = memory;
    vector a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t i = 0; i + 4 <= bytes / sizeof *from; i += 4) {
        __builtin_prefetch((const char *)(from + i) + 2048);
        __builtin_prefetch((const char *)(from + i) + 2112);
        __builtin_prefetch((const char *)(from + i) + 2176);
        __builtin_prefetch((const char *)(from + i) + 2240);
        a += from[i], b += from[i + 1], c += from[i + 2], d += from[i + 3];
    }
    a += b + c + d;
    return a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
}
