/* vector_ops.inc.h - loops over whole parameter vectors for the optimizers; part of simd.inc.h. */

static void vector_adam(float *param, float *m, float *v, const float *grad, int64_t n, const reini_adam_args *args) {
    wf beta1 = wf_set1(args->beta1), rest1 = wf_set1(1 - args->beta1);
    wf beta2 = wf_set1(args->beta2), rest2 = wf_set1(1 - args->beta2);
    wf rate = wf_set1(args->rate * args->correct1), correct2 = wf_set1(args->correct2);
    wf eps = wf_set1(args->eps), kept = wf_set1(1 - args->decay), scale = wf_set1(args->grad_scale);
    EACH(n, wf g = wf_mul(LOAD(grad), scale);
         wf mean = wf_fma(beta1, LOAD(m), wf_mul(rest1, g));
         wf square = wf_fma(beta2, LOAD(v), wf_mul(rest2, wf_mul(g, g)));
         wf root = wf_add(wf_sqrt(wf_mul(square, correct2)), eps);
         STORE(m, mean);
         STORE(v, square);
         STORE(param, wf_sub(wf_mul(LOAD(param), kept), wf_div(wf_mul(rate, mean), root))););
}

static void vector_sgd(float *param, float *buffer, const float *grad, int64_t n, float rate, float momentum,
                       float decay, float scale, bool nesterov) {
    wf step = wf_set1(rate), kept = wf_set1(momentum), pull = wf_set1(decay), clip = wf_set1(scale);
    EACH(n, wf p = LOAD(param);
         wf g = wf_fma(pull, p, wf_mul(LOAD(grad), clip));
         wf moving = wf_fma(kept, LOAD(buffer), g);
         STORE(buffer, moving);
         STORE(param, wf_fnma(step, nesterov ? wf_fma(kept, moving, g) : moving, p)););
}

static void vector_rmsprop(float *param, float *v, const float *grad, int64_t n, float rate, float alpha, float eps,
                           float scale) {
    wf step = wf_set1(rate), kept = wf_set1(alpha), rest = wf_set1(1 - alpha), clip = wf_set1(scale);
    wf floor = wf_set1(eps);
    EACH(n, wf g = wf_mul(LOAD(grad), clip);
         wf square = wf_fma(kept, LOAD(v), wf_mul(rest, wf_mul(g, g)));
         STORE(v, square);
         STORE(param, wf_sub(LOAD(param), wf_div(wf_mul(step, g), wf_add(wf_sqrt(square), floor)))););
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
    for (; i + STRANDS <= n; i += STRANDS)
        for (int s = 0; s < STRANDS; s++)
            strand[s] += (double)x[i + s] * (double)x[i + s];
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
    TEXT(LEVEL), vector_adam, vector_sgd, vector_rmsprop, vector_sum_squares, vector_add, vector_blend, vector_sum,
};
