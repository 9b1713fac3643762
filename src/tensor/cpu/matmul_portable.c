/* matmul_portable.c - large products in float, on the compiler's vector extension, for any machine. */
#define WIDE_LEVEL 0
#define LEVEL      portable
#include "matmul_float.inc.h"
