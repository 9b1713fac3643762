/* simd_avx2.c - kernels on AVX2 and FMA; compiled with -mavx2 -mfma, empty on other machines. */
#if defined(__x86_64__)
#define WIDE_LEVEL 1
#define LEVEL      avx2
#include "simd.inc.h"
#endif
