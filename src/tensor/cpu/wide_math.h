/*
 * wide_math.h - elementary functions over wide floats (wide.h).
 *
 * Largest errors (tests/ops/test_wide.c checks the first four on every 509th float):
 *     wf_exp       1 ulp where the result is normal; 0 below -104, inf above 88.8
 *     wf_log       1 ulp; -inf at 0, not-a-number below
 *     wf_tanh      3.6e-7 of the value (level 2: 2.5e-7); never beyond +-1
 *     wf_sigmoid   3 ulp
 *     wf_turn      9e-8 in sine and cosine of 2 pi t, 0 <= t < 1
 * Not-a-number passes through all of them.
 */
#ifndef REINI_WIDE_MATH_H
#define REINI_WIDE_MATH_H

#include "wide.h"
#if WIDE_LEVEL == 2
#include "wide_tanh.h"
#endif

#define WF_FMA1(a, b, constant) wf_fma(a, b, wf_set1(constant))

/* sqrt x for x >= 0, 1 ulp where x and the root are normal; infinity counts as the largest float. At
 * level 2 by a step of Newton's method, since the hardware's root takes 19 cycles. */
WIDE_INLINE wf wf_root(wf x) {
#if WIDE_LEVEL == 2
    /* small ones are raised by 2^60: what they leave over would be a subnormal number, ten times slower */
    wm small = wf_lt(x, wf_set1(1e-28f));
    x = wf_select(small, wf_mul(x, wf_set1(0x1p60f)), wf_min(wf_set1(3.4028235e38f), x));
    /* 0, and -0 as it comes from -2 log 1, have no reciprocal */
    wf y = wf_select(wf_lt(wf_zero(), x), wide_root_reciprocal_near(x), wf_zero()), root = wf_mul(x, y);
    root = wf_fma(wf_mul(y, wf_set1(0.5f)), wf_fnma(root, root, x), root);
    return wf_select(small, wf_mul(root, wf_set1(0x1p-30f)), root);
#else
    return wf_sqrt(x);
#endif
}

/* x / y, 1 ulp where both and the quotient are normal and y is below 2^126; y is not 0. At level 2 by a step of Newton's
 * method, since the hardware's division takes 16 cycles. */
WIDE_INLINE wf wf_ratio(wf x, wf y) {
#if WIDE_LEVEL == 2
    wf near = wide_reciprocal_near(y), q = wf_mul(x, near);
    return wf_fma(wf_fnma(q, y, x), near, q);
#else
    return wf_div(x, y);
#endif
}

/* e^x = 2^n e^r, |r| <= log(2) / 2; e^r = 1 + r + r^2 P(r) */
WIDE_INLINE wf wf_exp(wf x) {
    x = wf_clamp(x, wf_set1(-104.0f), wf_set1(89.0f));
    wf n = wf_round(wf_mul(x, wf_set1(1.44269504f)));
    wf r = wf_fnma(n, wf_set1(0.693359375f), x);
    r = wf_fnma(n, wf_set1(-2.12194440e-4f), r);
    wf p = WF_FMA1(wf_set1(0.00138145404747f), r, 0.00836874507879f);
    p = WF_FMA1(p, r, 0.0416683907759f);
    p = WF_FMA1(p, r, 0.166665203993f);
    p = WF_FMA1(p, r, 0.499999934322f);
    wf e = wf_fma(wf_mul(r, r), p, r);
    return wf_scale2(wf_add(e, wf_set1(1.0f)), n);
}

/* log x = n log 2 + log(1 + f), 1 + f in [sqrt(1/2), sqrt 2); Cephes' polynomial. x normal or not
 * positive. */
WIDE_INLINE wf wide_log_normal(wf x) {
    wi shifted = wi_sub(wf_bits(x), wi_set1(0x3F3504F3));
    wf n = wf_from_int(wi_shift_right_sign(shifted, 23));
    wi fraction = wi_add(wi_and(shifted, wi_set1(0x007FFFFF)), wi_set1(0x3F3504F3));
    wf f = wf_sub(wf_from_bits(fraction), wf_set1(1.0f)), square = wf_mul(f, f);
    wf p = WF_FMA1(wf_set1(7.0376836292e-2f), f, -1.1514610310e-1f);
    p = WF_FMA1(p, f, 1.1676998740e-1f);
    p = WF_FMA1(p, f, -1.2420140846e-1f);
    p = WF_FMA1(p, f, 1.4249322787e-1f);
    p = WF_FMA1(p, f, -1.6668057665e-1f);
    p = WF_FMA1(p, f, 2.0000714765e-1f);
    p = WF_FMA1(p, f, -2.4999993993e-1f);
    p = WF_FMA1(p, f, 3.3333331174e-1f);
    wf tail = wf_fma(wf_mul(square, f), p, wf_mul(n, wf_set1(-2.12194440e-4f)));
    tail = wf_fnma(square, wf_set1(0.5f), tail);
    return wf_fma(n, wf_set1(0.693359375f), wf_add(f, tail));
}

WIDE_INLINE wf wf_log(wf x) {
    wf infinity = wf_set1(__builtin_inff());
    wm tiny = wf_lt(x, wf_set1(1.17549435e-38f));
    wf y = wide_log_normal(wf_select(tiny, wf_mul(x, wf_set1(8388608.0f)), x));
    y = wf_sub(y, wf_select(tiny, wf_set1(15.9423847f), wf_zero())); /* 23 log 2 */
    y = wf_select(wf_lt(x, infinity), y, x);                         /* infinity, not-a-number */
    y = wf_select(wf_eq(x, wf_zero()), wf_neg(infinity), y);
    return wf_select(wf_lt(x, wf_zero()), wf_set1(__builtin_nanf("")), y);
}

/* log(1 + z), 0 <= z <= 1 */
WIDE_INLINE wf wf_log1p(wf z) {
    wf one = wf_set1(1.0f), u = wf_add(one, z);
    wf lost = wf_sub(z, wf_sub(u, one));
    return wf_add(wide_log_normal(u), wf_div(lost, u));
}

#if WIDE_LEVEL == 2
/* one polynomial out of 32, looked up by |x| */
WIDE_INLINE wf wf_tanh(wf x) {
    wf a = wf_min(wf_set1(8.88f), wf_abs(x));
    wi segment = wi_shift_right(wf_bits(WF_FMA1(a, wf_set1(0.84375f), 0.5f)), 20);
    wf y = wf_lookup(wide_tanh_table[4], segment);
    y = wf_fma(y, a, wf_lookup(wide_tanh_table[3], segment));
    y = wf_fma(y, a, wf_lookup(wide_tanh_table[2], segment));
    y = wf_fma(y, a, wf_lookup(wide_tanh_table[1], segment));
    y = wf_fma(y, a, wf_lookup(wide_tanh_table[0], segment));
    return wf_copysign(y, x);
}
#else
/* x P(x^2) / Q(x^2) on [-8.8, 8.8], by Remez on the relative error; rounding may pass 1 by an ulp */
WIDE_INLINE wf wf_tanh(wf x) {
    x = wf_clamp(x, wf_set1(-8.8f), wf_set1(8.8f));
    wf z = wf_mul(x, x);
    wf p = WF_FMA1(wf_set1(1.371470529e-8f), z, 2.086541332e-5f);
    wf q = WF_FMA1(wf_set1(7.922801562e-7f), z, 3.31099934e-4f);
    p = WF_FMA1(p, z, 0.003511054789f);
    q = WF_FMA1(q, z, 0.02593573486f);
    p = WF_FMA1(p, z, 0.133940213f);
    q = WF_FMA1(q, z, 0.4672734011f);
    p = WF_FMA1(p, z, 1.0f);
    q = WF_FMA1(q, z, 1.0f);
    return wf_clamp(wf_div(wf_mul(x, p), q), wf_set1(-1.0f), wf_set1(1.0f));
}
#endif

WIDE_INLINE wf wf_sigmoid(wf x) {
    wf one = wf_set1(1.0f);
    return wf_div(one, wf_add(one, wf_exp(wf_neg(x))));
}

/* cosine and sine of 2 pi t, 0 <= t < 1: t = q / 4 + f, |f| <= 1/8 */
WIDE_INLINE void wf_turn(wf t, wf *cosine, wf *sine) {
    wf q = wf_round(wf_mul(t, wf_set1(4.0f)));
    wf f = wf_fnma(q, wf_set1(0.25f), t), z = wf_mul(f, f);
    wf s = WF_FMA1(wf_set1(41.472948169f), z, -76.6978688041f);
    wf c = WF_FMA1(wf_set1(59.2204063814f), z, -85.4428501052f);
    s = WF_FMA1(s, z, 81.6052047195f);
    c = WF_FMA1(c, z, 64.9393161616f);
    s = WF_FMA1(s, z, -41.3417021533f);
    c = WF_FMA1(c, z, -19.7392086501f);
    s = WF_FMA1(s, z, 6.28318530715f);
    c = WF_FMA1(c, z, 1.0f);
    s = wf_mul(s, f);
    wm second = wf_eq(q, wf_set1(1.0f)), third = wf_eq(q, wf_set1(2.0f)), fourth = wf_eq(q, wf_set1(3.0f));
    *cosine = wf_select(second, wf_neg(s), wf_select(third, wf_neg(c), wf_select(fourth, s, c)));
    *sine = wf_select(second, c, wf_select(third, wf_neg(s), wf_select(fourth, wf_neg(c), s)));
}

#endif
