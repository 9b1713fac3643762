/*
 * dispatch.c - which kernels run on this machine.
 *
 * The environment variable REIN_CPU caps the instruction-set level: "portable", "avx2" or "avx512". A level the
 * machine lacks, or an unknown value, gives the best level there is. It is read once, at the first use.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "tensor/kernels.h"

extern const reini_vector_ops reini_vector_ops_portable, reini_vector_ops_avx2, reini_vector_ops_avx512;

typedef enum cpu_level { CPU_PORTABLE, CPU_AVX2, CPU_AVX512, CPU_LEVELS } cpu_level;

static const struct {
    const reini_kernels *kernels;
    const reini_vector_ops *vector_ops;
} levels[] = {
    [CPU_PORTABLE] = {&reini_kernels_portable, &reini_vector_ops_portable},
#if defined(__x86_64__)
    [CPU_AVX2] = {&reini_kernels_avx2, &reini_vector_ops_avx2},
    [CPU_AVX512] = {&reini_kernels_avx512, &reini_vector_ops_avx512},
#endif
};

static cpu_level machine_level(void) {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return CPU_PORTABLE;
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return wide ? CPU_AVX512 : CPU_AVX2;
#else
    return CPU_PORTABLE;
#endif
}

static cpu_level wanted_level(void) {
    static const char *const names[] = {"portable", "avx2", "avx512"};
    const char *cap = getenv("REIN_CPU");
    for (int level = 0; cap && level < CPU_LEVELS; level++)
        if (strcmp(cap, names[level]) == 0)
            return (cpu_level)level;
    return CPU_AVX512;
}

static cpu_level level(void) {
    static atomic_int known = -1; /* every thread that finds it unset computes the same value */
    int now = atomic_load_explicit(&known, memory_order_relaxed);
    if (now < 0) {
        cpu_level most = machine_level(), wanted = wanted_level();
        now = wanted < most ? wanted : most;
        atomic_store_explicit(&known, now, memory_order_relaxed);
    }
    return (cpu_level)now;
}

const reini_kernels *reini_kernels_best(void) {
    return levels[level()].kernels;
}

const reini_vector_ops *reini_vector_ops_best(void) {
    return levels[level()].vector_ops;
}

const char *rein_cpu_level(void) {
    return reini_kernels_best()->level;
}

/* ---- the op list ------------------------------------------------------------------------------------- */

enum { KIND_MAP = 'M', KIND_ROW = 'R', KIND_ROWS = 'S', KIND_STAT = 'T', KIND_RAND = 'D' };

static const struct {
    const char *name;
    int operands;
    char kind;
} ops[REINI_OP_COUNT] = {
#define X(name, operands, kind, doc) {#name, operands, KIND_##kind},
    REINI_OPS(X)
#undef X
};

int reini_op_operands(reini_op op) {
    return ops[op].operands;
}

char reini_op_kind(reini_op op) {
    return ops[op].kind;
}

const char *reini_op_name(reini_op op) {
    return ops[op].name;
}
