/* lm_portable.c - the loops of a transformer in vectors that any compiler can make. */
#define WIDE_LEVEL 0
#define LEVEL      portable
#include "simd_lm.inc.h"
