/*
 * test_sde_torch.c - densities of state-dependent exploration against Stable-Baselines3's distribution
 * (tests/reference/sde_torch.py): deviations, log-densities, entropies and their gradients, in float at every
 * instruction-set level and in double.
 *
 * The first updates of PPO, A2C and SAC with it are in those methods' own golden tests.
 */
#include <math.h>
#include "rl/sde.h"
#include "support/each_level.h"
#include "support/golden.h"

enum { ROWS = 16, LATENT = 5, ACT = 3, MOST = ROWS * LATENT, ARRAYS = 5 };

/* a case's arrays in both precisions */
typedef struct given {
    double wide[ARRAYS][MOST];
    float narrow[ARRAYS][MOST];
} given;

static const struct {
    const char *name;
    int width, rows;
} array[ARRAYS] = {{"mean", ACT, ROWS},
                   {"latent", LATENT, ROWS},
                   {"log_std", ACT, LATENT},
                   {"action", ACT, ROWS},
                   {"weight", 1, ROWS}};
enum { MEAN, LATENT_ROWS, LOG_STD, ACTION, WEIGHT };

static given read_case(const json_t *from) {
    given data;
    for (int i = 0; i < ARRAYS; i++) {
        int n = array[i].width * array[i].rows;
        golden_doubles(from, array[i].name, data.wide[i], n);
        for (int j = 0; j < n; j++) /* nine digits name a float, which is what the script computed with */
            data.wide[i][j] = data.narrow[i][j] = (float)data.wide[i][j];
    }
    return data;
}

static double worst;

static void near(const rein_exec *exec, const rein_tensor *x, const char *what, const json_t *from, int n,
                 bool wide) {
    const void *data = rein_exec_data(exec, x);
    double values[MOST], most = 1, tolerance = wide ? 1e-8 : 1e-5; /* the file has nine digits */
    golden_doubles(from, what, values, n);
    for (int i = 0; i < n; i++)
        most = fmax(most, fabs(values[i]));
    for (int i = 0; i < n; i++) {
        double found = wide ? ((const double *)data)[i] : (double)((const float *)data)[i];
        double error = fabs(found - values[i]) / most;
        if (!(error <= tolerance))
            fail_msg("%s %d: found %.10g, Stable-Baselines3 %.10g", what, i, found, values[i]);
        worst = wide ? worst : fmax(worst, error);
    }
}

typedef struct graph {
    rein_graph *g;
    rein_tensor *in[ARRAYS], *deviation, *logp, *entropy, *gradient[3];
} graph;

static graph declare(const json_t *from, rein_dtype real) {
    graph x = {.g = rein_graph_new(real)};
    int rows = rein_extent(x.g, "rows", ROWS);
    for (int i = 0; i < ARRAYS; i++) {
        int dims[2] = {LATENT, ACT};
        if (i == LOG_STD)
            x.in[i] = rein_input(x.g, array[i].name, REIN_F32, REIN_STATIC, 2, dims);
        else
            x.in[i] = rein_input(x.g, array[i].name, REIN_F32, rows, 1, &array[i].width);
    }
    bool learns = json_is_true(golden_at(from, "learn_features"));
    rein_tensor *z = learns ? x.in[LATENT_ROWS] : rein_stop_gradient(x.in[LATENT_ROWS]);
    rein_tensor *log_std = reini_sde_log_std(z, x.in[LOG_STD], json_is_true(golden_at(from, "expln")));
    rein_dist dist = rein_dist_gaussian(x.in[MEAN], log_std);
    x.deviation = rein_output(rein_exp(log_std), "deviation");
    x.logp = rein_output(rein_dist_logp(&dist, x.in[ACTION]), "logp");
    x.entropy = rein_output(rein_dist_entropy(&dist), "entropy");
    rein_tensor *sum = rein_add(x.logp, rein_scale(x.entropy, 0.3));
    rein_tensor *loss = rein_output(rein_total(rein_mul(x.in[WEIGHT], sum)), "loss");
    for (int i = MEAN; i <= LOG_STD; i++)
        if (i != LATENT_ROWS || learns)
            x.gradient[i] = rein_output(rein_gradient_of(loss, x.in[i]), "gradient");
    return x;
}

static void check_case(const json_t *from, rein_dtype real) {
    given data = read_case(from);
    graph x = declare(from, real);
    rein_program *program;
    rein_exec *exec;
    bool wide = real == REIN_F64;
    assert_ok(rein_compile(x.g, NULL, &program));
    assert_ok(rein_exec_new(program, NULL, &exec));
    for (int i = 0; i < ARRAYS; i++)
        rein_exec_bind(exec, x.in[i], wide ? (const void *)data.wide[i] : data.narrow[i], 0);
    rein_exec_run(exec);
    near(exec, x.deviation, "deviation", from, ROWS * ACT, wide);
    near(exec, x.logp, "log_prob", from, ROWS, wide);
    near(exec, x.entropy, "entropy", from, ROWS, wide);
    for (int i = MEAN; i <= LOG_STD; i++)
        if (x.gradient[i] != NULL)
            near(exec, x.gradient[i], array[i].name, golden_at(from, "gradients"),
                 array[i].width * array[i].rows, wide);
    rein_exec_free(exec);
    rein_program_free(program);
    rein_graph_free(x.g);
}

static void test_cases(void **state) {
    json_t *golden = golden_read("sde_dist_torch.json");
    const json_t *cases = golden_at(golden, "cases");
    assert_int_equal(json_array_size(cases), 4);
    worst = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        check_case(json_array_get(cases, i), REIN_F32);
        check_case(json_array_get(cases, i), REIN_F64);
    }
    print_message("# largest difference in float %.1e\n", worst);
    json_decref(golden);
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return each_level(all);
}
