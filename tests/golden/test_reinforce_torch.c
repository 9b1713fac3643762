/*
 * test_reinforce_torch.c - REINFORCE against PyTorch (tests/reference/on_policy_torch.py), at every instruction-set
 * level: weights, gradient and measured gradient variance with every kind of return and baseline; loss, gradient and
 * parameters over five updates.
 */
#include "algo/on_policy/reinforce.c"
#include "support/each_level.h"
#include "support/torch_rig.h"

enum { EPISODES = 4 };

static reinforce *make(const json_t *golden, rein_pool *pool) {
    const json_t *config = golden_at(golden, "config");
    reinforce_config memory;
    char settings[512];
    memset(&memory, 0, sizeof memory);
    snprintf(settings, sizeof settings,
             "n_envs=%d hidden=16,16 gamma=%.17g learning_rate=%.17g adam_eps=%.17g ent_coef=%.17g", EPISODES,
             golden_number(config, "gamma"), golden_number(config, "lr"), golden_number(config, "eps"),
             golden_number(config, "entropy_coef"));
    return torch_make(&reini_algo_reinforce, &memory, settings, &torch_envs[0], pool);
}

/* as if the episodes had just been gathered */
static void write_episodes(reinforce *p, const json_t *golden) {
    const json_t *batch = golden_at(golden, "batch");
    double lengths[EPISODES];
    int64_t at = 0;
    torch_write_store(p->base.policy->store, golden_at(golden, "parameters"));
    torch_write_batch(&p->whole.steps, batch, &torch_envs[0]);
    torch_floats(batch, "rewards", p->whole.steps.reward, TORCH_ROWS);
    torch_floats(batch, "old_values", p->whole.steps.value, TORCH_ROWS);
    golden_doubles(golden_at(golden, "config"), "lengths", lengths, EPISODES);
    for (int k = 0; k < EPISODES; k++) {
        p->whole.episodes[k] = (reini_episode){at, (int64_t)lengths[k], 0};
        at += (int64_t)lengths[k];
    }
    p->whole.n_steps = at;
    assert_int_equal(at, TORCH_ROWS);
}

static void check_floats(const char *what, const float *found, const json_t *from, const char *name) {
    double wanted[TORCH_ROWS];
    golden_doubles(from, name, wanted, TORCH_ROWS);
    for (int i = 0; i < TORCH_ROWS; i++)
        torch_near(what, i, found[i], wanted[i], 1e-5);
}

static void check_mode(reinforce *p, const json_t *golden, int returns, int baseline) {
    static const char *const names[2][3] = {{"total none", "total mean", "total learned"},
                                            {"to_go none", "to_go mean", "to_go learned"}};
    const json_t *mode = golden_at(golden_at(golden, "modes"), names[returns][baseline]);
    p->config.returns = returns;
    p->config.baseline = baseline;
    weigh(p);
    check_floats("returns to go", p->whole.steps.ret, golden, "returns_to_go");
    check_floats(names[returns][baseline], p->whole.steps.adv, mode, "weights");
    double variance = golden_number(mode, "variance"), found = gradient_variance(p);
    torch_near(names[returns][baseline], 0, found / variance, 1, 1e-5);
    run_steps(p, 0, TORCH_ROWS, EPISODES); /* without the price on entropy, which the measurement took off */
    double norm = 0;
    for (int64_t i = 0; i < p->n; i++)
        norm += pow(((const float *)rein_store_view(p->grads))[i], 2);
    torch_near("gradient norm", 0, sqrt(norm), golden_number(mode, "grad_norm"), 1e-5);
}

static void check_all(int threads) {
    json_t *golden = golden_read("reinforce_torch.json");
    const json_t *updates = golden_at(golden, "updates");
    rein_pool *pool = rein_pool_new(threads);
    reinforce *p = make(golden, pool);
    double metric[REINI_METRICS_MAX], gradients = 0;
    torch_worst = 0;
    write_episodes(p, golden);
    for (int returns = 0; returns < 2; returns++)
        for (int baseline = 0; baseline < 3; baseline++)
            check_mode(p, golden, returns, baseline);
    for (int update = 0; update < (int)json_array_size(updates);
         update++) { /* the last mode is that of the file */
        const json_t *wanted = json_array_get(updates, (size_t)update);
        improve_policy(p, metric);
        torch_near("loss", update, rein_exec_scalar(p->part.exec, p->loss), golden_number(wanted, "loss"),
                   1e-5);
        torch_near("gradient norm", update, metric[METRIC_GRAD_NORM], golden_number(wanted, "grad_norm"),
                   1e-5);
        if (update == 0)
            gradients = torch_compare(p->grads, golden_at(golden, "first_gradients"), true, 1e-5);
    }
    double parameters =
        torch_compare(p->base.policy->store, golden_at(golden, "final_parameters"), false, 5e-6);
    print_message("# %d threads: scalars %.1e, gradients %.1e, parameters %.1e\n", threads, torch_worst,
                  gradients, parameters);
    reinforce_destroy(p);
    rein_pool_free(pool);
    json_decref(golden);
}

static void test_updates(void **state) {
    check_all(1);
    check_all(3);
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_updates),
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return torch_register() != 0 ? 1 : each_level(all);
}
