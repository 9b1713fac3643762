/*
 * levels.c - which instruction-set level this machine runs at.
 */
#include "base/levels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"portable", "avx2", "avx512"};

static int machine_level(void) {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return REINI_ISA_PORTABLE;
    int wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return wide ? REINI_ISA_AVX512 : REINI_ISA_AVX2;
#else
    return REINI_ISA_PORTABLE;
#endif
}

static int wanted_level(void) {
    const char *cap = getenv("REIN_CPU");
    for (int level = 0; cap != NULL && level <= REINI_ISA_AVX512; level++)
        if (strcmp(cap, names[level]) == 0)
            return level;
    return REINI_ISA_AVX512;
}

static atomic_int test_cap = REINI_ISA_AVX512;

int reini_isa(void) {
    static atomic_int known = -1; /* every thread that finds it unset computes the same value */
    int level = atomic_load_explicit(&known, memory_order_relaxed);
    if (level < 0) {
        int most = machine_level(), wanted = wanted_level();
        level = wanted < most ? wanted : most;
        atomic_store_explicit(&known, level, memory_order_relaxed);
    }
    int cap = atomic_load_explicit(&test_cap, memory_order_relaxed);
    return level < cap ? level : cap;
}

void reini_isa_cap(int level) {
    atomic_store_explicit(&test_cap, level < 0 ? REINI_ISA_AVX512 : level, memory_order_relaxed);
}
