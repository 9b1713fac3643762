/* ref_f64.c - the reference kernels in double. */
#define REAL       double
#define LIBM(name) name
#define TABLE      reini_kernels_ref_f64
#include "ref.inc.h"
