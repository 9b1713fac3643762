/* vector_ops.inc.h - loops over whole parameter vectors for the optimizers; part of simd.inc.h. */

typedef struct adam_constants {
    wf beta1, rest1, beta2, rest2, rate, correct2, eps, kept, scale;
} adam_constants;

/* Averages of gradients that are 0 for good (a unit of a ReLU that never fires) would fall among the subnormal
 * numbers, where arithmetic is ten times slower. A mean this small moves no parameter, whatever the root beside it. */
#define NEGLIGIBLE_MEAN   1e-30f
#define NEGLIGIBLE_SQUARE 1e-37f
#define NEGLIGIBLE_SLOPE  4e-18f /* of which a share of the square would be subnormal */

WIDE_INLINE wf without_less(wf x, float negligible) {
    return wf_select(wf_lt(wf_abs(x), wf_set1(negligible)), wf_set1(0), x);
}

/* Numbers by which reading runs ahead of what is being computed: the processor looks ahead by itself no further than the
 * end of a page. */
enum { AHEAD = 256 };

WIDE_INLINE void adam_lanes(float *param, float *m, float *v, const float *grad, int64_t lanes,
                            adam_constants k) {
    __builtin_prefetch(grad + AHEAD);
    __builtin_prefetch(m + AHEAD, 1);
    __builtin_prefetch(v + AHEAD, 1);
    __builtin_prefetch(param + AHEAD, 1);
    wf g = wf_mul(load_some(grad, lanes), k.scale);
    wf mean = without_less(wf_fma(k.beta1, load_some(m, lanes), wf_mul(k.rest1, g)), NEGLIGIBLE_MEAN);
    wf slope = without_less(g, NEGLIGIBLE_SLOPE);
    wf square = without_less(wf_fma(k.beta2, load_some(v, lanes), wf_mul(k.rest2, wf_mul(slope, slope))),
                             NEGLIGIBLE_SQUARE);
    wf root = wf_add(wf_root(wf_mul(square, k.correct2)), k.eps);
    wf kept = wf_mul(load_some(param, lanes), k.kept);
    store_some(m, mean, lanes);
    store_some(v, square, lanes);
    store_some(param, wf_sub(kept, wf_ratio(wf_mul(k.rate, mean), root)), lanes);
}

static void vector_adam(float *param, float *m, float *v, const float *grad, int64_t n,
                        const reini_adam_args *args) {
    adam_constants k = {
        .beta1 = wf_set1(args->beta1),
        .rest1 = wf_set1(1 - args->beta1),
        .beta2 = wf_set1(args->beta2),
        .rest2 = wf_set1(1 - args->beta2),
        .rate = wf_set1(args->rate * args->correct1),
        .correct2 = wf_set1(args->correct2),
        .eps = wf_set1(args->eps),
        .kept = wf_set1(1 - args->decay),
        .scale = wf_set1(args->grad_scale),
    };
    EACH(n, adam_lanes(param + j, m + j, v + j, grad + j, lanes, k););
}

static void vector_sgd(float *param, float *buffer, const float *grad, int64_t n, float rate, float momentum,
                       float decay, float scale, bool nesterov) {
    wf step = wf_set1(rate), kept = wf_set1(momentum), pull = wf_set1(decay), clip = wf_set1(scale);
    EACH(n, wf p = LOAD(param), g = wf_fma(pull, p, wf_mul(LOAD(grad), clip));
         wf moving = without_less(wf_fma(kept, LOAD(buffer), g), NEGLIGIBLE_MEAN); STORE(buffer, moving);
         STORE(param, wf_fnma(step, nesterov ? wf_fma(kept, moving, g) : moving, p)););
}

static void vector_rmsprop(float *param, float *v, const float *grad, int64_t n, float rate, float alpha,
                           float eps, float scale) {
    wf step = wf_set1(rate), kept = wf_set1(alpha), rest = wf_set1(1 - alpha), clip = wf_set1(scale);
    wf floor = wf_set1(eps);
    EACH(n, wf g = wf_mul(LOAD(grad), clip), slope = without_less(g, NEGLIGIBLE_SLOPE);
         wf square =
             without_less(wf_fma(kept, LOAD(v), wf_mul(rest, wf_mul(slope, slope))), NEGLIGIBLE_SQUARE);
         wf root = wf_add(wf_root(square), floor); STORE(v, square);
         STORE(param, wf_sub(LOAD(param), wf_ratio(wf_mul(step, g), root))););
}

/* Sums in double: element i in strand i % STRANDS, the strands joined in halves. */
enum { STRANDS = 32 };

static double join_strands(double *strand) {
    for (int half = STRANDS / 2; half > 0; half /= 2)
        for (int s = 0; s < half; s++)
            strand[s] += strand[s + half];
    return strand[0];
}

static double vector_sum_squares(const float *x, int64_t n) {
    double strand[STRANDS] = {0};
    int64_t i = 0;
    for (; i + STRANDS <= n; i += STRANDS) {
        __builtin_prefetch(x + i + 4 * AHEAD);
        __builtin_prefetch(x + i + 4 * AHEAD + STRANDS / 2);
        for (int s = 0; s < STRANDS; s++)
            strand[s] += (double)x[i + s] * (double)x[i + s];
    }
    for (int s = 0; i < n; i++, s++)
        strand[s] += (double)x[i] * (double)x[i];
    return join_strands(strand);
}

static double vector_sum(const float *x, int64_t n) {
    double strand[STRANDS] = {0};
    int64_t i = 0;
    for (; i + STRANDS <= n; i += STRANDS)
        for (int s = 0; s < STRANDS; s++)
            strand[s] += (double)x[i + s];
    for (int s = 0; i < n; i++, s++)
        strand[s] += (double)x[i];
    return join_strands(strand);
}

static void vector_add(float *to, const float *from, int64_t n) {
    EACH(n, STORE(to, wf_add(LOAD(to), LOAD(from))););
}

static void vector_blend(float *to, const float *from, int64_t n, float rate) {
    wf share = wf_set1(rate);
    EACH(n, wf old = LOAD(to); STORE(to, wf_fma(share, wf_sub(LOAD(from), old), old)););
}

extern const reini_vector_ops PASTE(reini_vector_ops_, LEVEL);
const reini_vector_ops PASTE(reini_vector_ops_, LEVEL) = {
    TEXT(LEVEL),        vector_adam, vector_sgd,   vector_rmsprop,
    vector_sum_squares, vector_add,  vector_blend, vector_sum,
};
