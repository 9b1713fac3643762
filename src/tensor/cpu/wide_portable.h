/* wide_portable.h - wide floats on the compiler's vector extension: 4 lanes. See wide.h. */
#include <math.h>
#if defined(__SSE2__)
#include <emmintrin.h> /* three operations that the compiler does not find by itself */
#endif

#define WF_LANES 4

typedef float wf __attribute__((vector_size(16)));
typedef int32_t wi __attribute__((vector_size(16)));
typedef int32_t wm __attribute__((vector_size(16)));
typedef uint32_t wide_unsigned __attribute__((vector_size(16)));

WIDE_INLINE wf wf_set1(float x) {
    return (wf){x, x, x, x};
}
WIDE_INLINE wf wf_load(const float *p) {
    wf x;
    memcpy(&x, p, sizeof(x));
    return x;
}
WIDE_INLINE void wf_store(float *p, wf x) {
    memcpy(p, &x, sizeof(x));
}
WIDE_INLINE wf wf_load_n(const float *p, int64_t n) {
    return n == WF_LANES ? wf_load(p) : (wf){p[0], n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, 0};
}
WIDE_INLINE void wf_store_n(float *p, wf x, int64_t n) {
    for (int64_t l = 0; l < n; l++)
        p[l] = x[l];
}

/* the first n lanes of x, 0 in the others */
WIDE_INLINE wf wf_first(wf x, int64_t n) {
    wi lane = {0, 1, 2, 3};
    return (wf)((wi)x & (lane < (int32_t)n));
}

WIDE_INLINE wf wf_add(wf a, wf b) {
    return a + b;
}
WIDE_INLINE wf wf_sub(wf a, wf b) {
    return a - b;
}
WIDE_INLINE wf wf_mul(wf a, wf b) {
    return a * b;
}
WIDE_INLINE wf wf_div(wf a, wf b) {
    return a / b;
}
WIDE_INLINE wf wf_fma(wf a, wf b, wf c) {
    return a * b + c;
}
WIDE_INLINE wf wf_fnma(wf a, wf b, wf c) {
    return c - a * b;
}
WIDE_INLINE wm wf_lt(wf a, wf b) {
    return a < b;
}
WIDE_INLINE wm wf_le(wf a, wf b) {
    return a <= b;
}
WIDE_INLINE wm wf_eq(wf a, wf b) {
    return a == b;
}
WIDE_INLINE wm wm_and(wm a, wm b) {
    return a & b;
}
WIDE_INLINE wf wf_select(wm m, wf a, wf b) {
    return (wf)(((wi)a & m) | ((wi)b & ~m));
}
#if defined(__SSE2__)
WIDE_INLINE wf wf_min(wf a, wf b) {
    return _mm_min_ps(a, b);
}
WIDE_INLINE wf wf_max(wf a, wf b) {
    return _mm_max_ps(a, b);
}
WIDE_INLINE wf wf_sqrt(wf x) {
    return _mm_sqrt_ps(x);
}
#else
WIDE_INLINE wf wf_min(wf a, wf b) {
    return wf_select(a < b, a, b);
}
WIDE_INLINE wf wf_max(wf a, wf b) {
    return wf_select(a > b, a, b);
}
WIDE_INLINE wf wf_sqrt(wf x) {
    return (wf){sqrtf(x[0]), sqrtf(x[1]), sqrtf(x[2]), sqrtf(x[3])};
}
#endif
/* |x| < 2^22 or not-a-number */
WIDE_INLINE wf wf_round(wf x) {
    wf big = wf_set1(12582912.0f); /* 1.5 2^23 */
    return (x + big) - big;
}

WIDE_INLINE wi wi_set1(int32_t x) {
    return (wi){x, x, x, x};
}
WIDE_INLINE wi wi_load(const void *p) {
    wi x;
    memcpy(&x, p, sizeof(x));
    return x;
}
WIDE_INLINE void wi_store(void *p, wi x) {
    memcpy(p, &x, sizeof(x));
}
WIDE_INLINE wi wi_add(wi a, wi b) {
    return (wi)((wide_unsigned)a + (wide_unsigned)b);
}
WIDE_INLINE wi wi_sub(wi a, wi b) {
    return (wi)((wide_unsigned)a - (wide_unsigned)b);
}
WIDE_INLINE wi wi_and(wi a, wi b) {
    return a & b;
}
WIDE_INLINE wi wi_xor(wi a, wi b) {
    return a ^ b;
}
WIDE_INLINE wi wi_select(wm m, wi a, wi b) {
    return (a & m) | (b & ~m);
}
#define wi_shift_left(x, n)       ((wi)((wide_unsigned)(x) << (n)))
#define wi_shift_right(x, n)      ((wi)((wide_unsigned)(x) >> (n)))
#define wi_shift_right_sign(x, n) ((x) >> (n))
WIDE_INLINE wi wf_bits(wf x) {
    return (wi)x;
}
WIDE_INLINE wf wf_from_bits(wi x) {
    return (wf)x;
}
WIDE_INLINE wf wf_from_int(wi x) {
    return __builtin_convertvector(x, wf);
}

/* to nearest, |x| < 2^22 */
WIDE_INLINE wi wf_to_int(wf x) {
    return wi_sub(wf_bits(x + wf_set1(12582912.0f)), wi_set1(0x4B400000));
}

/* two factors, each a normal number; n not-a-number gives some factor, and x is not-a-number then */
WIDE_INLINE wf wf_scale2(wf x, wf n) {
    wi whole = wf_to_int(n), half = wi_shift_right_sign(whole, 1), one = wi_set1(127);
    wf first = wf_from_bits(wi_shift_left(wi_add(half, one), 23));
    wf second = wf_from_bits(wi_shift_left(wi_add(wi_sub(whole, half), one), 23));
    return x * first * second;
}

typedef uint64_t wide_pair __attribute__((vector_size(16)));

WIDE_INLINE wi wi_xor3(wi a, wi b, wi c) {
    return a ^ b ^ c;
}
WIDE_INLINE wi wi_mul_even(wi a, wi b) {
    return (wi)(wide_pair){(uint64_t)(uint32_t)a[0] * (uint32_t)b[0],
                           (uint64_t)(uint32_t)a[2] * (uint32_t)b[2]};
}
WIDE_INLINE wi wi_odd_to_even(wi x) {
    return (wi){x[1], x[1], x[3], x[3]};
}
WIDE_INLINE wi wi_join(wi even, wi odd) {
    return (wi){even[0], odd[0], even[2], odd[2]};
}

WIDE_INLINE float wf_sum(wf x) {
    return (x[0] + x[2]) + (x[1] + x[3]);
}
WIDE_INLINE float wf_largest(wf x) {
    float a = x[0] > x[2] ? x[0] : x[2], b = x[1] > x[3] ? x[1] : x[3];
    return a > b ? a : b;
}

WIDE_INLINE wf wide_low(wf a, wf b) {
    return (wf){a[0], a[1], b[0], b[1]};
}
WIDE_INLINE wf wide_high(wf a, wf b) {
    return (wf){a[2], a[3], b[2], b[3]};
}
WIDE_INLINE wf wide_even(wf a, wf b) {
    return (wf){a[0], a[2], b[0], b[2]};
}
WIDE_INLINE wf wide_odd(wf a, wf b) {
    return (wf){a[1], a[3], b[1], b[3]};
}
WIDE_INLINE wf wf_sum_each(const wf v[WF_LANES]) {
    wf a = wide_low(v[0], v[1]) + wide_high(v[0], v[1]), b = wide_low(v[2], v[3]) + wide_high(v[2], v[3]);
    return wide_even(a, b) + wide_odd(a, b);
}
WIDE_INLINE void wf_transpose(wf v[WF_LANES]) {
    wf a = wide_even(v[0], v[1]), b = wide_even(v[2], v[3]); /* columns 0 and 2 of two rows */
    wf c = wide_odd(v[0], v[1]), d = wide_odd(v[2], v[3]);   /* columns 1 and 3 */
    v[0] = wide_even(a, b);
    v[1] = wide_even(c, d);
    v[2] = wide_odd(a, b);
    v[3] = wide_odd(c, d);
}

WIDE_INLINE wf wf_column(const float *p, int64_t stride, int64_t n) {
    return (wf){p[0], n > 1 ? p[stride] : 0, n > 2 ? p[2 * stride] : 0, n > 3 ? p[3 * stride] : 0};
}
WIDE_INLINE void wf_column_store(float *p, int64_t stride, wf x, int64_t n) {
    for (int64_t l = 0; l < n; l++)
        p[l * stride] = x[l];
}
WIDE_INLINE void wf_store_blocks(float *to, wf a, wf b, wf c, wf d) {
    wf v[4] = {a, b, c, d};
    wf_transpose(v);
    for (int l = 0; l < 4; l++)
        wf_store(to + 4 * l, v[l]);
}
