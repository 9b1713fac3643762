/*
 * test_dist.c - distributions over actions: what they sum and integrate to, entropies and divergences by
 * enumeration and by quadrature, what is drawn, and PyTorch's numbers (tests/reference/act_torch.py).
 *
 * Every distribution is built twice: in float with the kernels of the machine, in double with the reference.
 */
#include <math.h>
#include <rein/nn.h>
#include "support/each_level.h"
#include "support/golden.h"

enum { MOST_ROWS = 100000, INPUTS = 8 };

/* ---- a graph whose inputs and outputs are doubles ------------------------------------------------------ */

typedef struct bench {
    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    int rows, n;
    bool wide;
    rein_tensor *input[INPUTS];
    const void *data[INPUTS];
    void *owned[INPUTS];
    int n_inputs;
} bench;

static bench begin(rein_dtype real, int n) {
    bench b = {.g = rein_graph_new(real), .n = n, .wide = real == REIN_F64};
    b.rows = rein_extent(b.g, "rows", n);
    return b;
}

static rein_tensor *bind(bench *b, rein_dtype dtype, int extent, int width, const void *data, void *owned) {
    rein_tensor *x = rein_input(b->g, "x", dtype, extent, 1, &width);
    b->input[b->n_inputs] = x;
    b->data[b->n_inputs] = data;
    b->owned[b->n_inputs++] = owned;
    return x;
}

/* real numbers: (rows x width), or static (width) */
static rein_tensor *reals(bench *b, int extent, int width, const double *values) {
    int n = width * (extent == REIN_STATIC ? 1 : b->n);
    float *narrow = malloc((size_t)n * sizeof *narrow);
    assert_non_null(narrow);
    for (int i = 0; i < n; i++)
        narrow[i] = (float)values[i];
    return bind(b, REIN_F32, extent, width, b->wide ? (const void *)values : narrow, narrow);
}

static rein_tensor *rows_of(bench *b, int width, const double *values) {
    return reals(b, b->rows, width, values);
}

static rein_tensor *out(rein_tensor *x) {
    return rein_output(x, "out");
}

static void run(bench *b) {
    assert_ok(rein_compile(b->g, NULL, &b->program));
    assert_ok(rein_exec_new(b->program, NULL, &b->exec));
    for (int i = 0; i < b->n_inputs; i++)
        rein_exec_bind(b->exec, b->input[i], b->data[i], 0);
    rein_exec_run(b->exec);
}

static double at(const bench *b, const rein_tensor *x, int64_t i) {
    const void *data = rein_exec_data(b->exec, x);
    return b->wide ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

static int32_t index_at(const bench *b, const rein_tensor *x, int64_t i) {
    return ((const int32_t *)rein_exec_data(b->exec, x))[i];
}

static void end(bench *b) {
    for (int i = 0; i < b->n_inputs; i++)
        free(b->owned[i]);
    rein_exec_free(b->exec);
    rein_program_free(b->program);
    rein_graph_free(b->g);
}

static void near(const bench *b, const char *what, double found, double wanted) {
    double tolerance = (b->wide ? 1e-11 : 4e-6) * fmax(1, fabs(wanted));
    if (!(fabs(found - wanted) <= tolerance) && found != wanted)
        fail_msg("%s: found %.12g, expected %.12g", what, found, wanted);
}

/* in float and in double */
#define BOTH(call)                                                                                           \
    do {                                                                                                     \
        call(REIN_F32);                                                                                      \
        call(REIN_F64);                                                                                      \
    } while (0)

/* ---- categorical --------------------------------------------------------------------------------------- */

enum { ROWS = 64, LOGITS = 10, PARTS = 3 };
static const int32_t parts[PARTS] = {3, 1, 6};

typedef struct choices {
    double logits[ROWS * LOGITS], other[ROWS * LOGITS];
    uint8_t mask[ROWS * LOGITS];
} choices;

/* at least one choice of every part is allowed; the first rows allow exactly one */
static void fill_choices(choices *c) {
    rein_rng rng = rein_rng_make(6, 0);
    for (int i = 0; i < ROWS * LOGITS; i++) {
        c->logits[i] = (float)(3 * rein_rng_normal(&rng));
        c->other[i] = (float)(c->logits[i] + rein_rng_normal(&rng));
        c->mask[i] = (uint8_t)(i / LOGITS >= 8 && rein_rng_below(&rng, 2));
    }
    for (int r = 0; r < ROWS; r++)
        for (int k = 0, start = 0; k < PARTS; start += parts[k++])
            c->mask[r * LOGITS + start + r % parts[k]] = 1;
}

/* log-probabilities of a part by hand, -infinity where masked */
static void log_probs(const double *logits, const uint8_t *mask, int n, double *result) {
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++)
        most = !mask || mask[i] ? fmax(most, logits[i]) : most;
    for (int i = 0; i < n; i++)
        sum += !mask || mask[i] ? exp(logits[i] - most) : 0;
    for (int i = 0; i < n; i++)
        result[i] = !mask || mask[i] ? logits[i] - most - log(sum) : -INFINITY;
}

typedef struct sums {
    double entropy, kl;
    int32_t mode[PARTS];
} sums;

static void enumerate_row(const choices *c, bool masked, int r, sums *s, double p[LOGITS]) {
    double q[LOGITS];
    *s = (sums){0};
    for (int k = 0, start = 0; k < PARTS; start += parts[k++]) {
        const uint8_t *mask = masked ? c->mask + r * LOGITS + start : NULL;
        log_probs(c->logits + r * LOGITS + start, mask, parts[k], p + start);
        log_probs(c->other + r * LOGITS + start, mask, parts[k], q + start);
        for (int i = 0; i < parts[k]; i++) {
            s->mode[k] = p[start + i] > p[start + s->mode[k]] ? i : s->mode[k];
            if (isinf(p[start + i]))
                continue;
            s->entropy -= exp(p[start + i]) * p[start + i];
            s->kl += exp(p[start + i]) * (p[start + i] - q[start + i]);
        }
    }
}

static void check_categorical(rein_dtype real, bool masked) {
    static choices c;
    static int32_t action[ROWS * PARTS];
    fill_choices(&c);
    for (int i = 0; i < ROWS * PARTS; i++)
        action[i] = (i / PARTS) % parts[i % PARTS]; /* allowed in every row */
    bench b = begin(real, ROWS);
    rein_tensor *mask = masked ? bind(&b, REIN_U8, b.rows, LOGITS, c.mask, NULL) : NULL;
    rein_dist p = rein_dist_categorical(rows_of(&b, LOGITS, c.logits), mask, PARTS, parts);
    rein_dist q = rein_dist_categorical(rows_of(&b, LOGITS, c.other), mask, PARTS, parts);
    rein_tensor *chosen = bind(&b, REIN_I32, b.rows, PARTS, action, NULL);
    rein_tensor *entropy = out(rein_dist_entropy(&p)), *kl = out(rein_dist_kl(&p, &q));
    rein_tensor *none = out(rein_dist_kl(&p, &p)), *logp = out(rein_dist_logp(&p, chosen));
    rein_tensor *mode = out(rein_dist_mode(&p)), *part[PARTS];
    for (int k = 0; k < PARTS; k++)
        part[k] = out(p.log_probs[k]);
    run(&b);
    for (int r = 0; r < ROWS; r++) {
        sums s;
        double expected[LOGITS], sum_logp = 0;
        enumerate_row(&c, masked, r, &s, expected);
        for (int k = 0, start = 0; k < PARTS; start += parts[k++]) {
            double sum = 0;
            for (int i = 0; i < parts[k]; i++) {
                double found = at(&b, part[k], r * parts[k] + i);
                near(&b, "log-probability", found, expected[start + i]);
                sum += exp(found);
            }
            near(&b, "sum of probabilities", sum, 1);
            sum_logp += expected[start + action[r * PARTS + k]];
            assert_int_equal(index_at(&b, mode, r * PARTS + k), s.mode[k]);
        }
        near(&b, "log-probability of an action", at(&b, logp, r), sum_logp);
        near(&b, "entropy", at(&b, entropy, r), s.entropy);
        near(&b, "divergence", at(&b, kl, r), s.kl);
        assert_true(at(&b, none, r) == 0);
        assert_true(!masked || r >= 8 || (at(&b, entropy, r) == 0 && at(&b, logp, r) == 0));
    }
    end(&b);
}

static void test_categorical(void **state) {
    for (int masked = 0; masked < 2; masked++) {
        check_categorical(REIN_F32, masked);
        check_categorical(REIN_F64, masked);
    }
}

/* ---- drawing choices ----------------------------------------------------------------------------------- */

/* draws MOST_ROWS times from one row of logits */
static void check_draws(rein_dtype real, const choices *c, int r, bool masked) {
    static int64_t count[PARTS][LOGITS], pairs[3][6];
    static const int32_t zeros[MOST_ROWS];
    uint8_t mask[LOGITS];
    double expected[LOGITS];
    sums s;
    enumerate_row(c, masked, r, &s, expected);
    bench b = begin(real, MOST_ROWS);
    /* one row of numbers for all: repeated by adding zeros that have rows */
    rein_tensor *zero = rein_to_real(bind(&b, REIN_I32, b.rows, 1, zeros, NULL), 0),
                *key = rein_key(b.g, "key");
    rein_tensor *logits = rein_add(zero, reals(&b, REIN_STATIC, LOGITS, c->logits + r * LOGITS));
    memcpy(mask, c->mask + r * LOGITS, sizeof mask);
    rein_tensor *allowed = masked ? bind(&b, REIN_U8, REIN_STATIC, LOGITS, mask, NULL) : NULL;
    rein_dist p = rein_dist_categorical(logits, allowed, PARTS, parts);
    rein_tensor *action = out(rein_dist_sample(&p, key));
    assert_ok(rein_compile(b.g, NULL, &b.program));
    assert_ok(rein_exec_new(b.program, NULL, &b.exec));
    for (int i = 0; i < b.n_inputs; i++)
        rein_exec_bind(b.exec, b.input[i], b.data[i], 0);
    rein_exec_key(b.exec, key, 17, 1, (uint64_t)r, 0);
    rein_exec_run(b.exec);
    memset(count, 0, sizeof count);
    memset(pairs, 0, sizeof pairs);
    for (int i = 0; i < MOST_ROWS; i++) {
        for (int k = 0; k < PARTS; k++)
            count[k][index_at(&b, action, i * PARTS + k)]++;
        pairs[index_at(&b, action, i * PARTS)][index_at(&b, action, i * PARTS + 2)]++;
    }
    double chi = 0;
    int freedom = 0;
    for (int k = 0, start = 0; k < PARTS; start += parts[k++])
        for (int i = 0; i < parts[k]; i++) {
            double mean = MOST_ROWS * exp(expected[start + i]);
            if (isinf(expected[start + i]))
                assert_int_equal(count[k][i], 0);
            else if (mean >= 5) {
                chi += pow((double)count[k][i] - mean, 2) / mean;
                freedom++;
            }
        }
    /* parts are independent */
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 6; j++) {
            double mean = MOST_ROWS * exp(expected[i] + expected[4 + j]);
            assert_true(fabs((double)pairs[i][j] - mean) <= 5 * sqrt(mean) + 5);
        }
    assert_true(chi < freedom + 4 * sqrt(2.0 * freedom) + 4);
    end(&b);
}

static void test_draws_have_their_probabilities(void **state) {
    static choices c;
    fill_choices(&c);
    for (int r = 5; r < 17; r += 3)
        for (int masked = 0; masked < 2; masked++)
            check_draws(r % 2 ? REIN_F32 : REIN_F64, &c, r, masked);
}

/* ---- Gaussian ------------------------------------------------------------------------------------------ */

enum { GRID = 20001, K = 3 };
static const double mean[K] = {0.25, -0.75, 3}, log_std[K] = {-0.5, 0.25, -2}, mean2[K] = {0.5, -1, 2.875},
                    log_std2[K] = {-0.25, 0.375, -1.5};

static double log_normal(double x, double m, double log_s) {
    double z = (x - m) * exp(-log_s);
    return -0.5 * z * z - log_s - 0.91893853320467274178;
}

/* a density over a grid of one dimension integrates to 1; entropy and divergence are integrals too */
static void integrate_gaussian(rein_dtype real, int k, bool squashed) {
    static double x[GRID], base[GRID];
    double reach = 9 * exp(log_std[k]), step = 2 * reach / (GRID - 1);
    for (int i = 0; i < GRID; i++) {
        base[i] = (float)(mean[k] - reach + step * i);
        x[i] = squashed ? tanh(base[i]) : base[i];
    }
    bench b = begin(real, GRID);
    rein_tensor *action = rows_of(&b, 1, x);
    rein_tensor *zero = rein_scale(action, 0); /* repeats the parameters for every row */
    rein_tensor *m = rein_add(zero, reals(&b, REIN_STATIC, 1, &mean[k]));
    rein_tensor *m2 = rein_add(zero, reals(&b, REIN_STATIC, 1, &mean2[k]));
    rein_tensor *s = reals(&b, REIN_STATIC, 1, &log_std[k]), *s2 = reals(&b, REIN_STATIC, 1, &log_std2[k]);
    rein_dist p = squashed ? rein_dist_squashed(m, s) : rein_dist_gaussian(m, s);
    rein_dist q = squashed ? rein_dist_squashed(m2, s2) : rein_dist_gaussian(m2, s2);
    rein_tensor *logp = out(rein_dist_logp(&p, action)), *logq = out(rein_dist_logp(&q, action));
    rein_tensor *kl = out(rein_dist_kl(&p, &q)), *entropy = rein_dist_entropy(&p);
    assert_true((entropy == NULL) == squashed);
    if (entropy)
        entropy = out(entropy);
    run(&b);
    double sum = 0, sum_entropy = 0, sum_kl = 0;
    for (int i = 0; i < GRID; i++) {
        /* da = (1 - a^2) du; where a is 1 to rounding there is nothing to speak of */
        double width = step * (squashed ? (1 - x[i]) * (1 + x[i]) : 1);
        double lp = at(&b, logp, i), lq = at(&b, logq, i);
        sum += exp(lp) * width;
        sum_entropy -= exp(lp) * lp * width;
        sum_kl += exp(lp) * (lp - lq) * width;
    }
    double tolerance = b.wide && !squashed ? 1e-7 : 3e-4;
    assert_true(fabs(sum - 1) < tolerance);
    assert_true(fabs(sum_kl - at(&b, kl, 0)) < tolerance * 3);
    assert_true(squashed || fabs(sum_entropy - at(&b, entropy, 0)) < tolerance * 3);
    end(&b);
}

static void test_densities_integrate_to_one(void **state) {
    for (int k = 0; k < K; k++) {
        integrate_gaussian(REIN_F32, k, false);
        integrate_gaussian(REIN_F64, k, false);
    }
}

/* dimension 2 lies so far out that its actions are 1 in float; the others have no mass to speak of within
 * 1e-6 of the ends, where the number before tanh cannot be found again */
static void test_squashed_densities_integrate_to_one(void **state) {
    for (int k = 0; k < 2; k++) {
        integrate_gaussian(REIN_F32, k, true);
        integrate_gaussian(REIN_F64, k, true);
    }
}

static void check_gaussian_sums(rein_dtype real) {
    enum { N = 50 };
    static double x[N * K], m[N * K], m2[N * K], s[N * K];
    rein_rng rng = rein_rng_make(12, 0);
    for (int i = 0; i < N * K; i++) {
        x[i] = (float)(3 * rein_rng_normal(&rng));
        m[i] = (float)(2 * rein_rng_normal(&rng));
        m2[i] = (float)(2 * rein_rng_normal(&rng));
        s[i] = (float)(0.5 * rein_rng_normal(&rng));
    }
    bench b = begin(real, N);
    /* the deviation is one for all rows, or one for each */
    rein_tensor *fixed = reals(&b, REIN_STATIC, K, log_std2), *action = rows_of(&b, K, x);
    rein_dist p = rein_dist_gaussian(rows_of(&b, K, m), fixed);
    rein_dist q = rein_dist_gaussian(rows_of(&b, K, m2), rows_of(&b, K, s));
    rein_tensor *lp = out(rein_dist_logp(&p, action)), *lq = out(rein_dist_logp(&q, action));
    rein_tensor *hp = out(rein_dist_entropy(&p)), *hq = out(rein_dist_entropy(&q)),
                *mode = out(rein_dist_mode(&p));
    rein_tensor *kl = out(rein_dist_kl(&p, &q)), *back = out(rein_dist_kl(&q, &p)),
                *none = out(rein_dist_kl(&q, &q));
    run(&b);
    for (int r = 0; r < N; r++) {
        double sum[6] = {0}, half = 0.5 * (1 + 1.83787706640934548356);
        for (int k = 0; k < K; k++) {
            int i = r * K + k;
            double sp = exp(2 * log_std2[k]), sq = exp(2 * s[i]), d = (m[i] - m2[i]) * (m[i] - m2[i]);
            sum[0] += log_normal(x[i], m[i], log_std2[k]);
            sum[1] += log_normal(x[i], m2[i], s[i]);
            sum[2] += log_std2[k] + half;
            sum[3] += s[i] + half;
            sum[4] += s[i] - log_std2[k] + (sp + d) / (2 * sq) - 0.5;
            sum[5] += log_std2[k] - s[i] + (sq + d) / (2 * sp) - 0.5;
            assert_true(at(&b, mode, i) == m[i]);
        }
        near(&b, "density", at(&b, lp, r), sum[0]);
        near(&b, "density", at(&b, lq, r), sum[1]);
        near(&b, "entropy", at(&b, hp, 0), sum[2]);
        near(&b, "entropy", at(&b, hq, r), sum[3]);
        near(&b, "divergence", at(&b, kl, r), sum[4]);
        near(&b, "divergence", at(&b, back, r), sum[5]);
        near(&b, "divergence from itself", at(&b, none, r), 0);
    }
    end(&b);
}

static void test_gaussian_sums(void **state) {
    BOTH(check_gaussian_sums);
}

/* ---- drawing numbers ----------------------------------------------------------------------------------- */

/* mean of tanh u and of its square, u normal */
static void squashed_moments(int k, double moment[2]) {
    double step = 1e-3;
    moment[0] = moment[1] = 0;
    for (double z = -9; z < 9; z += step) {
        double weight = exp(-0.5 * z * z) * step / 2.50662827463100050242,
               a = tanh(mean[k] + exp(log_std[k]) * z);
        moment[0] += weight * a;
        moment[1] += weight * a * a;
    }
}

static void check_numbers(rein_dtype real, bool squashed) {
    static double zeros[MOST_ROWS];
    bench b = begin(real, MOST_ROWS);
    rein_tensor *m = rein_add(rows_of(&b, 1, zeros), reals(&b, REIN_STATIC, K, mean));
    rein_tensor *s = reals(&b, REIN_STATIC, K, log_std), *key = rein_key(b.g, "key"),
                *other = rein_key(b.g, "key");
    rein_dist p = squashed ? rein_dist_squashed(m, s) : rein_dist_gaussian(m, s);
    rein_tensor *density, *x = out(rein_dist_sample(&p, key)), *y = out(rein_dist_draw(&p, other, &density));
    density = out(density);
    rein_tensor *again = out(rein_dist_logp(&p, y));
    run(&b); /* both keys are 0: sample and draw are the same */
    double sum[K] = {0}, squares[K] = {0}, cubes[K] = {0}, cross = 0;
    for (int i = 0; i < MOST_ROWS; i++) {
        double z[K];
        for (int k = 0; k < K; k++) {
            double v = at(&b, x, i * K + k);
            assert_true(v == at(&b, y, i * K + k) && isfinite(v) && (!squashed || fabs(v) <= 1));
            z[k] = squashed ? v : (v - mean[k]) / exp(log_std[k]);
            sum[k] += z[k] / MOST_ROWS;
            squares[k] += z[k] * z[k] / MOST_ROWS;
            cubes[k] += z[k] * z[k] * z[k] / MOST_ROWS;
        }
        cross += squashed ? 0 : (z[0] * z[1] + z[1] * z[2] + z[0] * z[2]) / MOST_ROWS;
        if (squashed ? fabs(z[0]) < 0.99 && fabs(z[1]) < 0.99 && fabs(z[2]) < 0.99 : i < 1000)
            assert_true(fabs(at(&b, density, i) - at(&b, again, i)) <
                        (b.wide ? 1e-9 : 2e-4) * (squashed ? 10 : 1));
    }
    double noise = 5 / sqrt(MOST_ROWS);
    for (int k = 0; k < K; k++) {
        double expected[2] = {0, 1};
        if (squashed)
            squashed_moments(k, expected);
        assert_true(fabs(sum[k] - expected[0]) < noise);
        assert_true(fabs(squares[k] - expected[1]) < noise * sqrt(2));
        assert_true(squashed || fabs(cubes[k]) < noise * sqrt(15));
    }
    assert_true(fabs(cross) < noise * sqrt(3));
    end(&b);
}

static void test_drawn_numbers(void **state) {
    check_numbers(REIN_F32, false);
    check_numbers(REIN_F64, false);
    check_numbers(REIN_F32, true);
    check_numbers(REIN_F64, true);
}

static void check_squashed_mode(rein_dtype real) {
    static const double m[4] = {0, 0.5, -3, 40};
    bench b = begin(real, 4);
    rein_dist p = rein_dist_squashed(rows_of(&b, 1, m), rein_constant(b.g, -1));
    rein_tensor *mode = out(rein_dist_mode(&p));
    run(&b);
    for (int i = 0; i < 4; i++)
        near(&b, "mode", at(&b, mode, i), tanh(m[i]));
    end(&b);
}

static void test_squashed_mode(void **state) {
    BOTH(check_squashed_mode);
}

/* ---- PyTorch ------------------------------------------------------------------------------------------- */

static const json_t *entry(const json_t *golden, const char *group, size_t i) {
    return json_array_get(golden_at(golden, group), i);
}

static void check_torch_softmax(rein_dtype real) {
    json_t *golden = golden_read("act_torch.json");
    for (size_t i = 0; i < json_array_size(golden_at(golden, "log_softmax")); i++) {
        double x[4], expected[4];
        golden_doubles(entry(golden, "log_softmax", i), "x", x, 4);
        golden_doubles(entry(golden, "log_softmax", i), "log_softmax", expected, 4);
        bench b = begin(real, 1);
        rein_tensor *y = out(rein_log_softmax(rows_of(&b, 4, x)));
        run(&b);
        for (int k = 0; k < 4; k++)
            near(&b, "log_softmax", at(&b, y, k), expected[k]);
        end(&b);
    }
    json_decref(golden);
}

static void check_torch_categorical(rein_dtype real) {
    json_t *golden = golden_read("act_torch.json");
    for (size_t i = 0; i < json_array_size(golden_at(golden, "categorical")); i++) {
        const json_t *from = entry(golden, "categorical", i);
        double logits[9], other[9], expected[3];
        static const int32_t actions[3] = {0, 1, 2}, n = 3;
        golden_doubles(from, "logits", logits, 3);
        golden_doubles(from, "other_logits", other, 3);
        golden_doubles(from, "log_prob", expected, 3);
        for (int k = 3; k < 9; k++) {
            logits[k] = logits[k - 3];
            other[k] = other[k - 3];
        }
        bench b = begin(real, 3);
        rein_dist p = rein_dist_categorical(rows_of(&b, 3, logits), NULL, 1, &n);
        rein_dist q = rein_dist_categorical(rows_of(&b, 3, other), NULL, 1, &n);
        rein_tensor *logp = out(rein_dist_logp(&p, bind(&b, REIN_I32, b.rows, 1, actions, NULL)));
        rein_tensor *entropy = out(rein_dist_entropy(&p)), *kl = out(rein_dist_kl(&p, &q));
        run(&b);
        for (int k = 0; k < 3; k++) {
            near(&b, "log_prob", at(&b, logp, k), expected[k]);
            near(&b, "entropy", at(&b, entropy, k), golden_number(from, "entropy"));
            near(&b, "kl", at(&b, kl, k), golden_number(from, "kl_to_other"));
        }
        end(&b);
    }
    json_decref(golden);
}

static void check_torch_normal(rein_dtype real) {
    json_t *golden = golden_read("act_torch.json");
    for (size_t i = 0; i < json_array_size(golden_at(golden, "normal")); i++) {
        const json_t *from = entry(golden, "normal", i);
        double m[K], s[K], x[K], m2[K], s2[K];
        golden_doubles(from, "mean", m, K);
        golden_doubles(from, "log_std", s, K);
        golden_doubles(from, "x", x, K);
        golden_doubles(from, "other_mean", m2, K);
        golden_doubles(from, "other_log_std", s2, K);
        bench b = begin(real, 1);
        rein_dist p = rein_dist_gaussian(rows_of(&b, K, m), reals(&b, REIN_STATIC, K, s));
        rein_dist q = rein_dist_gaussian(rows_of(&b, K, m2), reals(&b, REIN_STATIC, K, s2));
        rein_tensor *logp = out(rein_dist_logp(&p, rows_of(&b, K, x)));
        rein_tensor *entropy = out(rein_dist_entropy(&p)), *kl = out(rein_dist_kl(&p, &q));
        run(&b);
        near(&b, "log_prob", at(&b, logp, 0), golden_number(from, "log_prob"));
        near(&b, "entropy", at(&b, entropy, 0), golden_number(from, "entropy"));
        near(&b, "kl", at(&b, kl, 0), golden_number(from, "kl_to_other"));
        end(&b);
    }
    json_decref(golden);
}

/* From the action alone the number before tanh comes back only as far as the action's last digits tell: those
 * within 1e-6 of an end are clamped, and near the ends a float has lost digits. */
static void check_torch_squashed(rein_dtype real) {
    json_t *golden = golden_read("act_torch.json");
    for (size_t i = 0; i < json_array_size(golden_at(golden, "tanh_normal")); i++) {
        const json_t *from = entry(golden, "tanh_normal", i);
        double m[2], s[2], action[2];
        golden_doubles(from, "mean", m, 2);
        golden_doubles(from, "log_std", s, 2);
        golden_doubles(from, "action", action, 2);
        double edge = 1 - fmax(fabs(action[0]), fabs(action[1]));
        if (edge < (real == REIN_F64 ? 1e-6 : 1e-2))
            continue;
        bench b = begin(real, 1);
        rein_dist p = rein_dist_squashed(rows_of(&b, 2, m), reals(&b, REIN_STATIC, 2, s));
        rein_tensor *logp = out(rein_dist_logp(&p, rows_of(&b, 2, action)));
        run(&b);
        double expected = golden_number(from, "log_prob");
        assert_true(fabs(at(&b, logp, 0) - expected) < (b.wide ? 1e-9 : 3e-4) * fmax(1, fabs(expected)));
        end(&b);
    }
    json_decref(golden);
}

static void test_torch(void **state) {
    BOTH(check_torch_softmax);
    BOTH(check_torch_categorical);
    BOTH(check_torch_normal);
    BOTH(check_torch_squashed);
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_categorical),
        cmocka_unit_test(test_draws_have_their_probabilities),
        cmocka_unit_test(test_densities_integrate_to_one),
        cmocka_unit_test(test_squashed_densities_integrate_to_one),
        cmocka_unit_test(test_gaussian_sums),
        cmocka_unit_test(test_drawn_numbers),
        cmocka_unit_test(test_squashed_mode),
        cmocka_unit_test(test_torch),
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return each_level(all);
}
