/*
 * test_recurrent_a2c_torch.c - updates of recurrent A2C against PyTorch's nn.GRU (tests/reference/recurrent_torch.py), at
 * every instruction-set level: the terms of the loss, the gradients and the parameters.
 */
#include "algo/on_policy/a2c.c"
#include "support/each_level.h"
#include "support/recurrent_torch.h"

static void check_update(a2c *p, const json_t *wanted, int update) {
    double metric[REINI_METRICS_MAX];
    learn(p, metric);
    torch_near("policy loss", update, metric[METRIC_POLICY_LOSS], golden_number(wanted, "policy_loss"), 1e-5);
    torch_near("value loss", update, metric[METRIC_VALUE_LOSS], golden_number(wanted, "value_loss"), 1e-5);
    torch_near("entropy", update, metric[METRIC_ENTROPY], golden_number(wanted, "entropy"), 1e-5);
    torch_near("loss", update, rein_exec_scalar(p->part.exec, p->loss), golden_number(wanted, "loss"), 1e-5);
    torch_near("gradient norm", update, metric[METRIC_GRAD_NORM], golden_number(wanted, "grad_norm"), 1e-5);
    assert_int_equal(p->base.skipped, 0);
}

static void check(int threads) {
    json_t *golden = golden_read("recurrent_torch_C.json");
    const json_t *updates = golden_at(golden, "updates");
    const rein_env_type *env = &torch_envs[0];
    rein_pool *pool = rein_pool_new(threads);
    a2c_config memory;
    char settings[768];
    double gradients = 0;
    memset(&memory, 0, sizeof memory);
    recurrent_settings(settings, sizeof settings, golden);
    a2c *p = torch_make(&reini_algo_a2c, &memory, settings, env, pool);
    recurrent_write(&p->base, golden, env);
    torch_worst = 0;
    for (int update = 0; update < (int)json_array_size(updates); update++) {
        check_update(p, json_array_get(updates, (size_t)update), update);
        if (update == 0)
            gradients = torch_compare(p->grads, golden_at(golden, "first_gradients"), true, 1e-5);
    }
    double parameters =
        torch_compare(p->base.policy->store, golden_at(golden, "final_parameters"), false, 2e-6);
    print_message("# %d threads: scalars %.1e, gradients %.1e, parameters %.1e\n", threads, torch_worst,
                  gradients, parameters);
    a2c_destroy(p);
    rein_pool_free(pool);
    json_decref(golden);
}

static void test_updates(void **state) {
    check(1);
    check(3);
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_updates)};
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return torch_register() != 0 ? 1 : each_level(all);
}
