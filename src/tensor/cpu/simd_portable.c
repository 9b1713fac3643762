/* simd_portable.c - kernels on the compiler's vector extension, for any machine. */
#define WIDE_LEVEL 0
#define LEVEL      portable
#include "simd.inc.h"
