/* lm_avx2.c - the loops of a transformer on AVX2 and FMA; empty on other machines. */
#if defined(__x86_64__)
#define WIDE_LEVEL 1
#define LEVEL      avx2
#include "simd_lm.inc.h"
#endif
