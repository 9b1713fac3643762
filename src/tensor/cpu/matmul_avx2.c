/* matmul_avx2.c - large products in float, on AVX2 and FMA; empty on other machines. */
#if defined(__x86_64__)
#define WIDE_LEVEL 1
#define LEVEL      avx2
#include "matmul_float.inc.h"
#endif
