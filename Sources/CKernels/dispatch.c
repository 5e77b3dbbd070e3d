// Which kernel sets are compiled in, which of them this machine can run, and which one to take.
#include <string.h>

#include "sets.h"
#include "shared/exp.h"

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

// __builtin_cpu_supports also asks the OS (XGETBV): a feature whose registers are not kept across a task switch is
// reported as missing.
#if defined(__x86_64__)
static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

static bool has_avx512vnni(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
#elif defined(__aarch64__) && defined(__linux__)
static bool has_neon(void) { return getauxval(AT_HWCAP) & HWCAP_ASIMDDP; }
#elif defined(__aarch64__)
static bool has_neon(void) { return true; } // every Mac with an arm64 processor has dot products
#endif

static qk_set sets[] = {
#if defined(__x86_64__)
    {&qk_avx512vnni, false},
    {&qk_avx2, false},
#elif defined(__aarch64__)
    {&qk_neon, false},
#endif
    {&qk_generic, true},
};

// Before main, so that the table is constant for every thread.
__attribute__((constructor)) static void detect(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    sets[0].supported = has_avx512vnni();
    sets[1].supported = has_avx2();
#elif defined(__aarch64__)
    sets[0].supported = has_neon();
#endif
}

size_t qk_sets(const qk_set **out) {
    *out = sets;
    return sizeof sets / sizeof sets[0];
}

const qk_kernels *qk_select(const char *name) {
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (sets[i].supported && (name == NULL || strcmp(name, sets[i].kernels->name) == 0)) return sets[i].kernels;
    }
    return NULL;
}

float qk_exp(float x) { return qk_exp_scalar(x); }
