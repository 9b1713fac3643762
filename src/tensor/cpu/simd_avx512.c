/* simd_avx512.c - kernels on AVX-512; compiled with -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma, empty
 * on other machines. */
#if defined(__x86_64__)
#define WIDE_LEVEL 2
#define LEVEL      avx512
#include "simd.inc.h"
#endif
