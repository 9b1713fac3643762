/*
 * test_a3c_torch.c - five updates of one of A3C's workers against PyTorch, at every instruction-set level. They are
 * A2C's (tests/reference/on_policy_torch.py): RMSprop on the same loss, with statistics that happen to be shared.
 */
#include "algo/on_policy/a3c.c"
#include "support/each_level.h"
#include "support/torch_rig.h"

static a3c *make(const json_t *golden, const rein_env_type *env) {
    const json_t *config = golden_at(golden, "config");
    a3c_config memory;
    char settings[512];
    memset(&memory, 0, sizeof memory);
    snprintf(settings, sizeof settings,
             "workers=2 n_envs=8 n_steps=%d hidden=16,16 learning_rate=%.17g adam_eps=%.17g vf_coef=%.17g "
             "ent_coef=%.17g max_grad_norm=%.17g",
             TORCH_ROWS / 8, golden_number(config, "lr"), golden_number(config, "eps"),
             golden_number(config, "value_coef"), golden_number(config, "entropy_coef"),
             golden_number(config, "max_grad_norm"));
    return torch_make(&reini_algo_a3c, &memory, settings, env, NULL);
}

/* the workers take turns: each computes its gradient at what the other left */
static void check_update(a3c *p, const json_t *wanted, int number) {
    worker *w = &p->workers[number % 2];
    memset(w->sum, 0, sizeof w->sum);
    int64_t read_at = reini_hogwild_read(&p->shared, w->base.policy->store);
    assert_int_equal(read_at, number);
    learn(p, w, read_at, 0);
    torch_near("loss", number, rein_exec_scalar(w->part.exec, w->loss), golden_number(wanted, "loss"), 1e-5);
    torch_near("policy loss", number, w->sum[METRIC_POLICY_LOSS], golden_number(wanted, "policy_loss"), 1e-5);
    torch_near("value loss", number, w->sum[METRIC_VALUE_LOSS], golden_number(wanted, "value_loss"), 1e-5);
    torch_near("entropy", number, w->sum[METRIC_ENTROPY], golden_number(wanted, "entropy"), 1e-5);
    torch_near("gradient norm", number, w->sum[METRIC_GRAD_NORM], golden_number(wanted, "grad_norm"), 1e-5);
    assert_int_equal(w->base.skipped, 0);
}

static void test_variant(void **state) {
    int variant = *(int *)*state;
    char name[32];
    snprintf(name, sizeof name, "a2c_torch_%c.json", 'A' + variant);
    json_t *golden = golden_read(name);
    const json_t *updates = golden_at(golden, "updates"), *batch = golden_at(golden, "batch");
    a3c *p = make(golden, &torch_envs[variant]);
    double gradients = 0;
    torch_write_store(p->policy->store, golden_at(golden, "parameters"));
    for (int i = 0; i < 2; i++) {
        reini_rollout *r = reini_on_policy_rollout(&p->workers[i].base);
        torch_write_batch(r, batch, &torch_envs[variant]);
        torch_floats(batch, "advantages", r->adv, TORCH_ROWS);
        torch_floats(batch, "returns", r->ret, TORCH_ROWS);
    }
    torch_worst = 0;
    for (int update = 0; update < (int)json_array_size(updates); update++) {
        check_update(p, json_array_get(updates, (size_t)update), update);
        if (update == 0)
            gradients = torch_compare(p->workers[0].grads, golden_at(golden, "first_gradients"), true, 1e-5);
    }
    double parameters = torch_compare(p->policy->store, golden_at(golden, "final_parameters"), false, 2e-6);
    print_message("# %s: scalars %.1e, gradients %.1e, parameters %.1e\n", name, torch_worst, gradients,
                  parameters);
    a3c_destroy(p);
    json_decref(golden);
}

static int all(const char *level) {
    static int variants[] = {0, 1, 2};
    const struct CMUnitTest tests[] = {
        {"A: discrete", test_variant, NULL, NULL, &variants[0]},
        {"B: box", test_variant, NULL, NULL, &variants[1]},
        {"C: masked", test_variant, NULL, NULL, &variants[2]},
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return torch_register() != 0 ? 1 : each_level(all);
}
