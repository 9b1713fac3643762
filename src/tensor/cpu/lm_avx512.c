/* lm_avx512.c - the loops of a transformer on AVX-512; empty on other machines. */
#if defined(__x86_64__)
#define WIDE_LEVEL 2
#define LEVEL      avx512
#include "simd_lm.inc.h"
#endif
