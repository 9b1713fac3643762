/*
 * test_advantage.c - advantages against their definitions, written as the papers' sums in double precision
 * rather than as the recursions that compute them.
 *
 * An experience is random: rewards, values, ends of both kinds, several episodes one after the other, cut by
 * the end of the rollout. What the estimators are given is what the rollout gives them: the value of a
 * truncated episode's last observation is folded into its last reward.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <rein/rng.h>
#include "base/levels.h"
#include "rl/advantage.h"
#include "support/check.h"

typedef struct experience {
    int64_t T, N;
    float *reward, *folded; /* (T x N)       as paid, and with final values of truncated episodes */
    float *value;           /* ((T + 1) x N) */
    float *final;           /* (T x N)       value of the last observation, where truncated */
    float *ratio;           /* (T x N)       pi / mu */
    uint8_t *terminated, *truncated, *done;
    float *adv, *ret; /* results */
} experience;

static float *floats(int64_t n) {
    float *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

static uint8_t *flags(int64_t n) {
    uint8_t *x = calloc((size_t)n, 1);
    assert_non_null(x);
    return x;
}

/* ends: share of steps that end an episode, half of them truncated, a few both */
static experience make(int64_t T, int64_t N, double ends, double discount, uint64_t seed) {
    int64_t n = T * N;
    experience e = {T,         N,        floats(n), floats(n), floats(n + N), floats(n),
                    floats(n), flags(n), flags(n),  flags(n),  floats(n),     floats(n)};
    rein_rng rng = rein_rng_make(seed, 0);
    for (int64_t i = 0; i < n + N; i++)
        e.value[i] = (float)(3 * rein_rng_normal(&rng));
    for (int64_t i = 0; i < n; i++) {
        e.reward[i] = (float)rein_rng_normal(&rng);
        e.final[i] = (float)(3 * rein_rng_normal(&rng));
        e.ratio[i] = (float)exp(0.7 * rein_rng_normal(&rng));
        double u = rein_rng_uniform64(&rng) / (ends > 0 ? ends : 1e-9);
        e.terminated[i] = u < 0.55;
        e.truncated[i] = u >= 0.45 && u < 1;
        e.done[i] = e.terminated[i] | e.truncated[i];
        bool folds = e.truncated[i] && !e.terminated[i];
        e.folded[i] = e.reward[i] + (folds ? (float)discount * e.final[i] : 0);
    }
    return e;
}

static void release(experience *e) {
    void *owned[] = {e->reward,     e->folded,    e->value, e->final, e->ratio,
                     e->terminated, e->truncated, e->done,  e->adv,   e->ret};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
}

/* value of what follows step t: of the next observation, of the episode's last one, or 0 after the end */
static double value_after(const experience *e, int64_t t, int64_t n) {
    int64_t i = t * e->N + n;
    if (e->terminated[i])
        return 0;
    return e->truncated[i] ? e->final[i] : e->value[i + e->N];
}

/* steps from t on that belong to its episode and to the rollout */
static int64_t steps_left(const experience *e, int64_t t, int64_t n) {
    int64_t k = 1;
    while (t + k < e->T && !e->done[(t + k - 1) * e->N + n])
        k++;
    return k;
}

/* r_t + g r_{t+1} + ... + g^{k-1} r_{t+k-1} + g^k V(s_{t+k}) - V(s_t) */
static double k_step_advantage(const experience *e, int64_t t, int64_t n, int64_t k, double discount) {
    double sum = -(double)e->value[t * e->N + n];
    for (int64_t l = 0; l < k; l++)
        sum += pow(discount, (double)l) * e->reward[(t + l) * e->N + n];
    return sum + pow(discount, (double)k) * value_after(e, t + k - 1, n);
}

/* Schulman et al. 2016, eq. 16: the average of k-step advantages with weights (1 - lambda) lambda^{k-1};
 * beyond the last step all of them are the same, so the last takes the rest of the weight */
static double gae_of(const experience *e, int64_t t, int64_t n, double discount, double lambda) {
    int64_t steps = steps_left(e, t, n);
    double sum = pow(lambda, (double)(steps - 1)) * k_step_advantage(e, t, n, steps, discount);
    for (int64_t k = 1; k < steps; k++)
        sum += (1 - lambda) * pow(lambda, (double)(k - 1)) * k_step_advantage(e, t, n, k, discount);
    return sum;
}

/* Espeholt et al. 2018, eq. 1: V_s + sum_t g^{t-s} (c_s ... c_{t-1}) rho_t (r_t + g V_{t+1} - V_t) */
static double vtrace_of(const experience *e, int64_t s, int64_t n, double discount, double rho_max,
                        double c_max) {
    double sum = e->value[s * e->N + n], product = 1;
    for (int64_t t = s; t < s + steps_left(e, s, n); t++) {
        int64_t i = t * e->N + n;
        double delta = e->reward[i] + discount * value_after(e, t, n) - e->value[i];
        sum += pow(discount, (double)(t - s)) * product * fmin(rho_max, e->ratio[i]) * delta;
        product *= fmin(c_max, e->ratio[i]);
    }
    return sum;
}

static void near(const char *what, int64_t t, int64_t n, double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance * fmax(1, fabs(wanted))))
        fail_msg("%s of step %d, environment %d: found %.9g, expected %.9g", what, (int)t, (int)n, found,
                 wanted);
}

/* rollouts of 1 and 61 steps, few and many environments, from endless episodes to episodes of one step */
enum { CASES = 16 };
static experience make_case(int c, double discount) {
    static const int64_t counts[] = {1, 3, 17, 64};
    static const double ends[] = {0, 0.08, 0.5, 1};
    return make(c % 3 == 0 ? 1 : 61, counts[c % 4], ends[c / 4], discount, (uint64_t)c);
}

/* ---- generalised advantage estimation ------------------------------------------------------------------ */

static void check_gae(experience *e, double discount, double lambda) {
    reini_gae(e->adv, e->ret, e->folded, e->done, e->value, e->T, e->N, (float)discount, (float)lambda);
    for (int64_t t = 0; t < e->T; t++)
        for (int64_t n = 0; n < e->N; n++) {
            int64_t i = t * e->N + n;
            near("advantage", t, n, e->adv[i], gae_of(e, t, n, (float)discount, (float)lambda), 5e-6);
            assert_true(e->ret[i] == e->adv[i] + e->value[i]);
        }
}

static void test_gae(void **state) {
    static const double settings[][2] = {{0.99, 0.95}, {0.9, 0.5}, {1, 0.8}, {0.5, 1}};
    for (int k = 0; k < 4 * CASES; k++) {
        const double *setting = settings[k / CASES];
        experience e = make_case(k % CASES, setting[0]);
        check_gae(&e, setting[0], setting[1]);
        release(&e);
    }
}

/* lambda 0: r + g V(next) - V, whatever comes later */
static void test_one_step(void **state) {
    for (int c = 0; c < CASES; c++) {
        experience e = make_case(c, 0.97);
        check_gae(&e, 0.97, 0);
        for (int64_t i = 0; i < e.T * e.N; i++)
            near("error", i / e.N, i % e.N, e.adv[i],
                 e.reward[i] + 0.97f * value_after(&e, i / e.N, i % e.N) - e.value[i], 2e-6);
        release(&e);
    }
}

/* lambda 1: the discounted sum of all that follows, minus V */
static void test_monte_carlo(void **state) {
    for (int c = 0; c < CASES; c++) {
        experience e = make_case(c, 0.97);
        check_gae(&e, 0.97, 1);
        for (int64_t t = 0; t < e.T; t++)
            for (int64_t n = 0; n < e.N; n++)
                near("return", t, n, e.adv[t * e.N + n],
                     k_step_advantage(&e, t, n, steps_left(&e, t, n), 0.97f), 5e-6);
        release(&e);
    }
}

/* without values: sums of rewards, weighted with (g lambda)^k, ending with the episode or the rollout */
static void test_without_values(void **state) {
    for (int c = 0; c < CASES; c++) {
        experience e = make_case(c, 0.9);
        reini_gae(e.adv, e.ret, e.reward, e.done, NULL, e.T, e.N, 0.9f, 0.8f);
        for (int64_t t = 0; t < e.T; t++)
            for (int64_t n = 0; n < e.N; n++) {
                double sum = 0;
                for (int64_t k = 0; k < steps_left(&e, t, n); k++)
                    sum += pow(0.9f * 0.8f, (double)k) * e.reward[(t + k) * e.N + n];
                near("sum", t, n, e.adv[t * e.N + n], sum, 5e-6);
                assert_true(e.ret[t * e.N + n] == e.adv[t * e.N + n]);
            }
        release(&e);
    }
}

/* what happens in one episode, numbers that are none included, changes nothing in the episode before it */
static void test_nothing_crosses_a_border(void **state) {
    enum { T = 6, N = 5, FIRST = 3 * N };
    float reward[T * N], value[(T + 1) * N], ratio[T * N], adv[4][T * N], ret[4][T * N];
    uint8_t done[T * N] = {0};
    memset(done + 2 * N, 1, N);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < (T + 1) * N; i++)
            value[i] = i >= FIRST && pass ? NAN : 0.5f * (float)i;
        for (int i = 0; i < T * N; i++) {
            reward[i] = i >= FIRST && pass ? INFINITY : 1 - 0.25f * (float)i;
            ratio[i] = i >= FIRST && pass ? NAN : 0.8f + 0.02f * (float)i;
        }
        reini_gae(adv[pass], ret[pass], reward, done, value, T, N, 0.9f, 0.8f);
        reini_vtrace(adv[2 + pass], ret[2 + pass], ratio, reward, done, value, T, N, 0.9f, 1, 1);
    }
    for (int k = 0; k < 4; k += 2) {
        assert_memory_equal(adv[k], adv[k + 1], FIRST * sizeof(float));
        assert_memory_equal(ret[k], ret[k + 1], FIRST * sizeof(float));
    }
}

static void test_levels_give_the_same_bits(void **state) {
    for (int c = 0; c < CASES; c++) {
        experience e = make_case(c, 0.98);
        size_t bytes = (size_t)(e.T * e.N) * sizeof(float);
        float *adv = floats(e.T * e.N), *ret = floats(e.T * e.N);
        for (int level = REINI_ISA_AVX512; level >= REINI_ISA_PORTABLE; level--) {
            reini_isa_cap(level);
            reini_gae(e.adv, e.ret, e.folded, e.done, e.value, e.T, e.N, 0.98f, 0.9f);
            if (level == REINI_ISA_AVX512) {
                memcpy(adv, e.adv, bytes);
                memcpy(ret, e.ret, bytes);
            }
            assert_memory_equal(adv, e.adv, bytes);
            assert_memory_equal(ret, e.ret, bytes);
        }
        reini_isa_cap(-1);
        free(adv);
        free(ret);
        release(&e);
    }
}

/* ---- V-trace ------------------------------------------------------------------------------------------- */

static void check_vtrace(experience *e, double discount, double rho_max, double c_max) {
    reini_vtrace(e->adv, e->ret, e->ratio, e->folded, e->done, e->value, e->T, e->N, (float)discount,
                 (float)rho_max, (float)c_max);
    for (int64_t t = 0; t < e->T; t++)
        for (int64_t n = 0; n < e->N; n++) {
            int64_t i = t * e->N + n;
            bool inside = t + 1 < e->T && !e->done[i];
            double next = inside ? vtrace_of(e, t + 1, n, discount, rho_max, c_max) : value_after(e, t, n);
            double adv = fmin(rho_max, e->ratio[i]) * (e->reward[i] + discount * next - e->value[i]);
            near("target", t, n, e->ret[i], vtrace_of(e, t, n, discount, rho_max, c_max), 1e-5);
            near("advantage", t, n, e->adv[i], adv, 1e-5);
        }
}

static void test_vtrace(void **state) {
    static const double limits[][2] = {{1, 1}, {INFINITY, 1}, {2, 0.5}, {0.75, 0}};
    for (int k = 0; k < 4 * CASES; k++) {
        experience e = make_case(k % CASES, 0.95);
        check_vtrace(&e, 0.95f, limits[k / CASES][0], limits[k / CASES][1]);
        release(&e);
    }
}

/* the data are the policy's own: targets and advantages of lambda 1 */
static void test_vtrace_on_policy(void **state) {
    for (int c = 0; c < CASES; c++) {
        experience e = make_case(c, 0.95);
        float *adv = floats(e.T * e.N), *ret = floats(e.T * e.N);
        for (int64_t i = 0; i < e.T * e.N; i++)
            e.ratio[i] = 1;
        reini_gae(adv, ret, e.folded, e.done, e.value, e.T, e.N, 0.95f, 1);
        reini_vtrace(e.adv, e.ret, e.ratio, e.folded, e.done, e.value, e.T, e.N, 0.95f, 1, 1);
        for (int64_t i = 0; i < e.T * e.N; i++) {
            near("target", i / e.N, i % e.N, e.ret[i], ret[i], 5e-6);
            near("advantage", i / e.N, i % e.N, e.adv[i], adv[i], 5e-6);
        }
        free(adv);
        free(ret);
        release(&e);
    }
}

/* ---- statistics ---------------------------------------------------------------------------------------- */

static double mean_of(const float *x, const int32_t *index, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[index[i]];
    return sum / (double)n;
}

static double squares_of(const float *x, const int32_t *index, int64_t n) {
    double mean = mean_of(x, index, n), sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (x[index[i]] - mean) * (x[index[i]] - mean);
    return sum;
}

static void test_explained_variance(void **state) {
    enum { COUNT = 333 };
    float value[COUNT], ret[COUNT], error[COUNT];
    int32_t index[COUNT];
    rein_rng rng = rein_rng_make(8, 0);
    for (int i = 0; i < COUNT; i++) {
        index[i] = i;
        ret[i] = (float)(40 + 2 * rein_rng_normal(&rng));
        error[i] = (float)(0.5 * rein_rng_normal(&rng));
        value[i] = ret[i] - error[i];
        error[i] = ret[i] - value[i];
    }
    double expected = 1 - squares_of(error, index, COUNT) / squares_of(ret, index, COUNT);
    assert_true(fabs(reini_explained_variance(value, ret, COUNT) - expected) < 1e-9);
    assert_true(expected > 0.9 && expected < 0.97);
    assert_true(reini_explained_variance(ret, ret, COUNT) == 1);
    for (int i = 0; i < COUNT; i++)
        value[i] = 7; /* a constant explains nothing */
    assert_true(fabs(reini_explained_variance(value, ret, COUNT)) < 1e-12);
    assert_true(isnan(reini_explained_variance(ret, value, COUNT)));
    assert_true(isnan(reini_explained_variance(ret, ret, 1)));
}

static void test_mean_and_deviation(void **state) {
    enum { COUNT = 517 };
    float x[COUNT];
    int32_t index[COUNT];
    static const double offsets[] = {0, 1000, -2e4};
    rein_rng rng = rein_rng_make(9, 0);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < COUNT; i++) {
            x[i] = (float)(offsets[k] + 2.5 * rein_rng_normal(&rng));
            index[i] = (int32_t)rein_rng_below(&rng, COUNT); /* some twice, some not at all */
        }
        for (int64_t n = 1; n <= COUNT; n += 43) {
            double mean, std, expected = n > 1 ? sqrt(squares_of(x, index, n) / (double)(n - 1)) : 0;
            reini_mean_std_at(x, index, n, &mean, &std);
            assert_true(fabs(mean - mean_of(x, index, n)) <= 1e-12 * fmax(1, fabs(mean)));
            assert_true(fabs(std - expected) <= 1e-6 * fmax(1, expected));
        }
    }
    for (int i = 0; i < COUNT; i++)
        x[i] = 0.1f;
    double mean, std;
    reini_mean_std_at(x, index, COUNT, &mean, &std);
    assert_true(std < 1e-8 && fabs(mean - 0.1f) < 1e-15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gae),
        cmocka_unit_test(test_one_step),
        cmocka_unit_test(test_monte_carlo),
        cmocka_unit_test(test_without_values),
        cmocka_unit_test(test_nothing_crosses_a_border),
        cmocka_unit_test(test_levels_give_the_same_bits),
        cmocka_unit_test(test_vtrace),
        cmocka_unit_test(test_vtrace_on_policy),
        cmocka_unit_test(test_explained_variance),
        cmocka_unit_test(test_mean_and_deviation),
    };
    return cmocka_run_group_tests_name("advantage", tests, NULL, NULL);
}
