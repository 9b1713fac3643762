/* matmul_level.c - which kernels for large products run on this machine. */
#include "base/levels.h"
#include "tensor/kernels.h"
#include "tensor/matmul_kernels.h"

const reini_matmul_kernels *reini_matmul_best(bool bf16) {
    if (bf16 && reini_bf16_available() && reini_matmul_amx.multiply != NULL)
        return &reini_matmul_amx;
#if defined(__x86_64__)
    if (reini_isa() >= REINI_ISA_AVX512)
        return &reini_matmul_avx512;
    if (reini_isa() >= REINI_ISA_AVX2)
        return &reini_matmul_avx2;
#endif
    return &reini_matmul_portable;
}
