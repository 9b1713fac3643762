/* ref_f32.c - the reference kernels in float. */
#define REAL       float
#define LIBM(name) name##f
#define TABLE      reini_kernels_ref_f32
#include "ref.inc.h"
