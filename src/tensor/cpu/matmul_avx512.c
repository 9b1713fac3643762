/* matmul_avx512.c - large products in float, on AVX-512; empty on other machines. */
#if defined(__x86_64__)
#define WIDE_LEVEL 2
#define LEVEL      avx512
#include "matmul_float.inc.h"
#endif
