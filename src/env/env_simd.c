/*
 * env_simd.c - the instruction-set level of the environments' vector loops.
 */
#include "env/env_simd.h"

#include <stdatomic.h>
#include <string.h>
#include <rein/status.h>

/* The machine's level, -1 until first asked for. Two threads that race here write the same value. */
static atomic_int machine_level = -1;
static atomic_int level_cap = REINI_ISA_AVX512;

static int machine_isa(void) {
    const char *name = rein_cpu_level();
    if (strcmp(name, "avx512") == 0)
        return REINI_ISA_AVX512;
    return strcmp(name, "avx2") == 0 ? REINI_ISA_AVX2 : REINI_ISA_PORTABLE;
}

int reini_env_isa(void) {
    int level = atomic_load_explicit(&machine_level, memory_order_relaxed);
    if (level < 0) {
        level = machine_isa();
        atomic_store_explicit(&machine_level, level, memory_order_relaxed);
    }
    int cap = atomic_load_explicit(&level_cap, memory_order_relaxed);
    return level < cap ? level : cap;
}

void reini_env_isa_cap(int level) {
    atomic_store_explicit(&level_cap, level < 0 ? REINI_ISA_AVX512 : level, memory_order_relaxed);
}
