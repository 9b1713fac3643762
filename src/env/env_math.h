/*
 * env_math.h - arithmetic of the built-in environments.
 *
 * Physics is written on `real`: float in the library, double in the test build that free-runs Gymnasium's
 * episodes. The float functions below are branch-free, so a loop over environments vectorises, and use only
 * operations with one correctly rounded result, so scalar code and every vector width give the same bits
 * (the library is built with -ffp-contract=off and without fast-math).
 */
#ifndef REINI_ENV_MATH_H
#define REINI_ENV_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#include "env/env_simd.h"

#ifndef REIN_ENV_REAL
#define REIN_ENV_REAL float
#endif
typedef REIN_ENV_REAL real;

/* A literal in the precision of `real`; a bare 0.1 would drag float arithmetic into double. */
#define R(literal) ((real)(literal))

#define REINI_PI 3.14159265358979323846

/* As comparisons rather than fmin and fmax: one instruction each; a NaN in x passes through. */
REINI_INLINE real real_clip(real x, real low, real high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}

/*
 * Sine and cosine of x, |x| < 1e4, absolute error below 1e-7. Cody-Waite: x = q pi/2 + r with pi/2 in three
 * parts, the first two short enough for exact products with q < 2^13; then the minimax polynomials of Cephes
 * on |r| <= pi/4. Adding 1.5 x 2^23 rounds to an integer and leaves q mod 4 in the lowest mantissa bits.
 */
REINI_INLINE void reini_sincosf(float x, float *sin_x, float *cos_x) {
    const float magic = 12582912.0f;
    float shifted = x * 0.636619772367581343f + magic;
    float q = shifted - magic;
    float r = ((x - q * 1.5703125f) - q * 4.837512969970703125e-4f) - q * 7.54978995489188216e-8f;
    float z = r * r;
    float s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
    float c = ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * (z * z) -
              0.5f * z + 1.0f;
    uint32_t quadrant;
    memcpy(&quadrant, &shifted, sizeof quadrant);
    float sine = (quadrant & 1) ? c : s;
    float cosine = (quadrant & 1) ? s : c;
    *sin_x = (quadrant & 2) ? -sine : sine;
    *cos_x = ((quadrant + 1) & 2) ? -cosine : cosine;
}

REINI_INLINE void real_sincos(real x, real *sin_x, real *cos_x) {
    if (sizeof(real) == sizeof(float)) {
        float s, c;
        reini_sincosf((float)x, &s, &c);
        *sin_x = (real)s;
        *cos_x = (real)c;
    } else {
        *sin_x = (real)sin((double)x);
        *cos_x = (real)cos((double)x);
    }
}

/* x less the nearest multiple of 2 pi: an angle in [-pi, pi], up to rounding. */
REINI_INLINE real real_wrap_angle(real x) {
    if (sizeof(real) == sizeof(float)) {
        const float magic = 12582912.0f;
        float f = (float)x;
        float turns = (f * 0.159154943091895336f + magic) - magic;
        return (real)(((f - turns * 6.28125f) - turns * 1.93500518798828125e-3f) -
                      turns * 3.01991598195675286e-7f);
    }
    return x - R(2 * REINI_PI) * R(rint((double)x / (2 * REINI_PI)));
}

#endif
