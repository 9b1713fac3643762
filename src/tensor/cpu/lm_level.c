/* lm_level.c - which loops of a transformer run on this machine. */
#include "base/levels.h"
#include "tensor/lm_kernels.h"

const reini_lm_kernels *reini_lm_kernels_best(void) {
#if defined(__x86_64__)
    if (reini_isa() >= REINI_ISA_AVX512)
        return &reini_lm_avx512;
    if (reini_isa() >= REINI_ISA_AVX2)
        return &reini_lm_avx2;
#endif
    return &reini_lm_portable;
}
