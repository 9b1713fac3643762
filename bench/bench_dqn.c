/*
 * bench_dqn.c - one update of DQN on CartPole's spaces: drawing a batch, loss and gradients, clip, Adam; microseconds,
 * one thread. bench/peers/torch_dqn_update.py measures the same in PyTorch.
 *
 *     bench_dqn [updates, default 2000]
 */
#include <stdio.h>
#include <stdlib.h>
#include "algo/off_policy/dqn.c"

static void set(dqn_config *config, char *settings) {
    for (char *name, *rest = settings; (name = strtok_r(rest, " ", &rest)) != NULL;) {
        char *value = strchr(name, '=');
        *value++ = 0;
        if (rein_fields_set(dqn_fields, reini_algo_dqn.n_fields, config, name, value) != REIN_OK)
            fprintf(stderr, "%s\n", rein_error());
    }
}

/* the best of five rounds, in seconds */
static double measure(dqn *d, int64_t updates) {
    double best = INFINITY, sum[METRICS];
    d->config.gradient_steps = updates;
    for (int round = 0; round < 6; round++) { /* the first one warms up */
        double start = reini_seconds();
        learn(d, sum);
        double seconds = (reini_seconds() - start) / (double)updates;
        best = round > 0 && seconds < best ? seconds : best;
    }
    return best;
}

int main(int argc, char **argv) {
    static const char *const cases[] = {
        "hidden=64,64 batch_size=64",
        "hidden=256,256 batch_size=64",
        "hidden=256,256 batch_size=128",
        "hidden=256,256 batch_size=64 double_q=true dueling=true",
        "hidden=256,256 batch_size=64 prioritized=true n_step=3",
    };
    int64_t updates = argc > 1 ? atoll(argv[1]) : 2000;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        dqn_config config;
        void *self;
        rein_env_type env;
        reini_report report = {0};
        memset(&config, 0, sizeof config);
        rein_fields_default(dqn_fields, reini_algo_dqn.n_fields, &config);
        snprintf(text, sizeof text, "buffer_size=50000 %s", cases[i]);
        set(&config, text);
        reini_context context = {.env = &env, .seed = 1, .total_steps = 1000000};
        if (rein_env_open(rein_env_find("CartPole-v1"), NULL, &env) != REIN_OK ||
            dqn_create(&config, &context, &self) != REIN_OK) {
            fprintf(stderr, "%s\n", rein_error());
            return 1;
        }
        dqn *d = self;
        while (d->env_steps < 20000)
            experience(d, &report);
        printf("DQN update, %s: %.1f us\n", cases[i], 1e6 * measure(d, updates));
        dqn_destroy(d);
        rein_env_close(&env);
    }
    return 0;
}
