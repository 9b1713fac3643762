/*
 * test_recurrent_ppo_torch.c - updates of recurrent PPO against PyTorch's nn.GRU (tests/reference/recurrent_torch.py), at
 * every instruction-set level: the terms of the loss, the gradients and the parameters. Episodes end inside the
 * sequences; variant A has masks, standardised observations and a memory for actor and critic each, B shares one.
 */
#include "algo/on_policy/ppo.c"
#include "support/each_level.h"
#include "support/recurrent_torch.h"

typedef struct variant {
    const char *file;
    const rein_env_type *env;
} variant;

static ppo *make(const json_t *golden, const rein_env_type *env, rein_pool *pool) {
    const json_t *config = golden_at(golden, "config");
    ppo_config memory;
    char settings[768], clip[64] = "";
    recurrent_settings(settings, sizeof settings, golden);
    if (!json_is_null(golden_at(config, "value_clip")))
        snprintf(clip, sizeof clip, " clip_range_vf=%.17g", golden_number(config, "value_clip"));
    snprintf(settings + strlen(settings), sizeof settings - strlen(settings),
             " batch_size=%d n_epochs=1 clip_range=%.17g%s", TORCH_ROWS, golden_number(config, "clip"), clip);
    memset(&memory, 0, sizeof memory);
    return torch_make(&reini_algo_ppo, &memory, settings, env, pool);
}

static void check_update(ppo *p, const json_t *wanted, int update) {
    double metric[REINI_METRICS_MAX];
    learn(p, metric);
    torch_near("policy loss", update, metric[METRIC_POLICY_LOSS], golden_number(wanted, "policy_loss"), 1e-5);
    torch_near("value loss", update, metric[METRIC_VALUE_LOSS], golden_number(wanted, "value_loss"), 1e-5);
    torch_near("entropy", update, metric[METRIC_ENTROPY], golden_number(wanted, "entropy"), 1e-5);
    torch_near("approximate KL", update, metric[METRIC_APPROX_KL], golden_number(wanted, "approx_kl"), 1e-5);
    torch_near("loss", update, rein_exec_scalar(p->part.exec, p->loss), golden_number(wanted, "loss"), 1e-5);
    torch_near("gradient norm", update, metric[METRIC_GRAD_NORM], golden_number(wanted, "grad_norm"), 1e-5);
    assert_int_equal(p->base.skipped, 0);
}

static void check_variant(const variant *v, int threads) {
    json_t *golden = golden_read(v->file);
    const json_t *updates = golden_at(golden, "updates");
    rein_pool *pool = rein_pool_new(threads);
    ppo *p = make(golden, v->env, pool);
    double gradients = 0;
    recurrent_write(&p->base, golden, v->env);
    torch_worst = 0;
    for (int update = 0; update < (int)json_array_size(updates); update++) {
        check_update(p, json_array_get(updates, (size_t)update), update);
        if (update == 0)
            gradients = torch_compare(p->grads, golden_at(golden, "first_gradients"), true, 1e-5);
    }
    double parameters =
        torch_compare(p->base.policy->store, golden_at(golden, "final_parameters"), false, 2e-6);
    print_message("# %s, %d threads: scalars %.1e, gradients %.1e, parameters %.1e\n", v->file, threads,
                  torch_worst, gradients, parameters);
    ppo_destroy(p);
    rein_pool_free(pool);
    json_decref(golden);
}

static void test_variant(void **state) {
    check_variant(*state, 1);
    check_variant(*state, 3);
}

static int all(const char *level) {
    static variant variants[] = {{"recurrent_torch_A.json", &torch_envs[2]},
                                 {"recurrent_torch_B.json", &torch_envs[1]}};
    const struct CMUnitTest tests[] = {
        {"A: masked, standardised", test_variant, NULL, NULL, &variants[0]},
        {"B: box, one memory for both", test_variant, NULL, NULL, &variants[1]},
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return torch_register() != 0 ? 1 : each_level(all);
}
