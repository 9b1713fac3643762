/*
 * dispatch.c - which kernels run on this machine.
 *
 * The environment variable REIN_CPU caps the instruction-set level: "portable", "avx2" or "avx512". A level
 * the machine lacks, or an unknown value, gives the best level there is. It is read once, at the first use.
 */
#include "base/levels.h"
#include "tensor/kernels.h"

extern const reini_vector_ops reini_vector_ops_portable, reini_vector_ops_avx2, reini_vector_ops_avx512;

static const struct {
    const reini_kernels *kernels;
    const reini_vector_ops *vector_ops;
} levels[] = {
    [REINI_ISA_PORTABLE] = {&reini_kernels_portable, &reini_vector_ops_portable},
#if defined(__x86_64__)
    [REINI_ISA_AVX2] = {&reini_kernels_avx2, &reini_vector_ops_avx2},
    [REINI_ISA_AVX512] = {&reini_kernels_avx512, &reini_vector_ops_avx512},
#endif
};

const reini_kernels *reini_kernels_best(void) {
    return levels[reini_isa()].kernels;
}

const reini_vector_ops *reini_vector_ops_best(void) {
    return levels[reini_isa()].vector_ops;
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
