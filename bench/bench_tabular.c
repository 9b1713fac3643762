/*
 * bench_tabular.c - updates a second of the tabular learners, one thread, everything included: choices, the
 * environment's step, the update, the accounts of episodes. Medians of five.
 *
 *     bench_tabular [steps, default 1e7] [learner]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "algo/algo.h"
#include "base/clock.h"

enum { REPETITIONS = 5 };

static const struct {
    const char *algo, *field, *value; /* one setting beside the defaults; NULL = none */
} learners[] = {
    {"q-learning", NULL, NULL},
    {"q-learning", "explore", "softmax"},
    {"sarsa", NULL, NULL},
    {"sarsa", "n_step", "8"},
    {"expected-sarsa", NULL, NULL},
    {"double-q-learning", NULL, NULL},
    {"sarsa-lambda", "lambda", "0.9"},
    {"monte-carlo", "control", "true"},
    {"td", NULL, NULL},
    {"td-lambda", "lambda", "0.9"},
    {"lstd", NULL, NULL},
    {"importance-sampling", "epsilon", "0.1"},
};
static const char *const envs[] = {"FrozenLake-v1", "CliffWalking-v1", "Taxi-v3"};

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* seconds of a run, -1 when it failed */
static double run(const reini_algo *algo, const void *config, const rein_env_type *env, int64_t steps) {
    reini_context context = {.env = env, .seed = 1, .total_steps = steps};
    reini_report report = {0};
    void *self;
    if (algo->create(config, &context, &self) != REIN_OK)
        return -1;
    double start = reini_seconds();
    while (report.env_steps < steps && report.failed == REIN_OK)
        algo->iterate(self, &report);
    double seconds = reini_seconds() - start;
    algo->destroy(self);
    return report.failed == REIN_OK ? seconds : -1;
}

static int measure(size_t which, const rein_env_type *env, int64_t steps) {
    const reini_algo *algo = reini_algo_find(learners[which].algo);
    const char *field = learners[which].field, *value = learners[which].value;
    void *config = calloc(1, algo->config_size);
    double seconds[REPETITIONS];
    if (config == NULL)
        return 1;
    rein_fields_default(algo->fields, algo->n_fields, config);
    int wrong =
        field != NULL && rein_fields_set(algo->fields, algo->n_fields, config, field, value) != REIN_OK;
    for (int r = 0; r < REPETITIONS && !wrong; r++) {
        seconds[r] = run(algo, config, env, steps);
        wrong = seconds[r] < 0;
    }
    free(config);
    if (wrong) {
        fprintf(stderr, "%s on %s: %s\n", algo->name, env->id, rein_error());
        return 1;
    }
    qsort(seconds, REPETITIONS, sizeof *seconds, ascending);
    double median = seconds[REPETITIONS / 2];
    printf("%-16s %-20s %s%s%-10s %7.1f M updates/s  %6.1f ns\n", env->id, algo->name, field ? field : "",
           field ? "=" : " ", field ? value : "", 1e-6 * (double)steps / median,
           1e9 * median / (double)steps);
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv) {
    int64_t steps = argc > 1 ? (int64_t)atof(argv[1]) : 10000000;
    int wrong = steps < 1;
    for (size_t e = 0; e < sizeof envs / sizeof *envs && !wrong; e++) {
        rein_env_type opened;
        const rein_env_type *type = rein_env_find(envs[e]);
        if (type == NULL || rein_env_open(type, NULL, &opened) != REIN_OK) {
            fprintf(stderr, "%s\n", rein_error());
            return 1;
        }
        for (size_t i = 0; i < sizeof learners / sizeof *learners && !wrong; i++)
            if (argc < 3 || strcmp(argv[2], learners[i].algo) == 0)
                wrong = measure(i, &opened, steps);
        rein_env_close(&opened);
    }
    return wrong;
}
