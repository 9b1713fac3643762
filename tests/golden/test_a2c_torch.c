/*
 * test_a2c_torch.c - five updates of A2C against PyTorch (tests/reference/{on_policy,sde}_torch.py), at every
 * instruction-set level: the terms of the loss, the gradients and the parameters.
 */
#include "algo/on_policy/a2c.c"
#include "support/each_level.h"
#include "support/torch_rig.h"

static a2c *make(const json_t *golden, const rein_env_type *env, rein_pool *pool) {
    const json_t *config = golden_at(golden, "config");
    a2c_config memory;
    char settings[512];
    memset(&memory, 0, sizeof memory);
    snprintf(settings, sizeof settings,
             "n_envs=8 n_steps=%d hidden=16,16 learning_rate=%.17g adam_eps=%.17g vf_coef=%.17g "
             "ent_coef=%.17g max_grad_norm=%.17g normalize_advantage=%s use_sde=%s sde_expln=true",
             TORCH_ROWS / 8, golden_number(config, "lr"), golden_number(config, "eps"),
             golden_number(config, "value_coef"), golden_number(config, "entropy_coef"),
             golden_number(config, "max_grad_norm"),
             json_is_true(golden_at(config, "normalize")) ? "true" : "false",
             json_is_true(json_object_get(config, "sde")) ? "true" : "false");
    return torch_make(&reini_algo_a2c, &memory, settings, env, pool);
}

static void check_update(a2c *p, const json_t *wanted, int update) {
    double metric[REINI_METRICS_MAX];
    learn(p, metric);
    torch_near("loss", update, rein_exec_scalar(p->part.exec, p->loss), golden_number(wanted, "loss"), 1e-5);
    torch_near("policy loss", update, metric[METRIC_POLICY_LOSS], golden_number(wanted, "policy_loss"), 1e-5);
    torch_near("value loss", update, metric[METRIC_VALUE_LOSS], golden_number(wanted, "value_loss"), 1e-5);
    torch_near("entropy", update, metric[METRIC_ENTROPY], golden_number(wanted, "entropy"), 1e-5);
    torch_near("gradient norm", update, metric[METRIC_GRAD_NORM], golden_number(wanted, "grad_norm"), 1e-5);
    assert_int_equal(p->base.skipped, 0);
}

typedef struct variant {
    const char *file;
    const rein_env_type *env;
} variant;

static void check_variant(const variant *v, int threads) {
    json_t *golden = golden_read(v->file);
    const json_t *updates = golden_at(golden, "updates"), *batch = golden_at(golden, "batch");
    rein_pool *pool = rein_pool_new(threads);
    a2c *p = make(golden, v->env, pool);
    reini_rollout *r = reini_on_policy_rollout(&p->base);
    double gradients = 0;
    torch_write_store(p->base.policy->store, golden_at(golden, "parameters"));
    torch_write_batch(r, batch, v->env);
    torch_floats(batch, "advantages", r->adv, TORCH_ROWS);
    torch_floats(batch, "returns", r->ret, TORCH_ROWS);
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
    a2c_destroy(p);
    rein_pool_free(pool);
    json_decref(golden);
}

static void test_variant(void **state) {
    for (int threads = 1; threads <= 3; threads += 2)
        check_variant(*state, threads);
}

static int all(const char *level) {
    static variant variants[] = {
        {"a2c_torch_A.json", &torch_envs[0]},   {"a2c_torch_B.json", &torch_envs[1]},
        {"a2c_torch_C.json", &torch_envs[2]},   {"a2c_torch_D.json", &torch_envs[3]},
        {"sde_a2c_torch.json", &torch_envs[1]},
    };
    const struct CMUnitTest tests[] = {
        {"A: discrete", test_variant, NULL, NULL, &variants[0]},
        {"B: box", test_variant, NULL, NULL, &variants[1]},
        {"C: masked", test_variant, NULL, NULL, &variants[2]},
        {"D: multi-discrete, normalised advantages", test_variant, NULL, NULL, &variants[3]},
        {"state-dependent exploration", test_variant, NULL, NULL, &variants[4]},
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return torch_register() != 0 ? 1 : each_level(all);
}
