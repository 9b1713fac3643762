/*
 * test_ppo_costs_torch.c - PPO whose advantages pay for two costs (PID prices), with a price on the distance from a
 * reference policy, against PyTorch (tests/reference/constrained_torch.py), at every instruction-set level: prices,
 * losses, the first gradients, parameters after three updates; and ten updates of the costs' value functions.
 */
#include "algo/on_policy/ppo.c"
#include "support/each_level.h"
#include "support/torch_rig.h"

static void no_costs(const void *config, const void *state, float *cost) {
    cost[0] = cost[1] = 0;
}

static ppo *make(const json_t *golden, const rein_env_type *env, rein_pool *pool) {
    const json_t *c = golden_at(golden, "config");
    ppo_config memory;
    char settings[1024];
    double limits[2];
    memset(&memory, 0, sizeof memory);
    golden_doubles(c, "limits", limits, 2);
    snprintf(settings, sizeof settings,
             "n_envs=8 n_steps=%d batch_size=64 n_epochs=1 hidden=16,16 learning_rate=%.17g adam_eps=%.17g "
             "clip_range=%.17g vf_coef=%.17g ent_coef=%.17g max_grad_norm=%.17g "
             "cost_limit=%g,%g multiplier=pid multiplier_init=%g pid_kp=%g pid_ki=%g pid_kd=%g "
             "pid_smoothing=%g reference=initial reference_coef=%g",
             TORCH_ROWS / 8, golden_number(c, "lr"), golden_number(c, "eps"), golden_number(c, "clip"),
             golden_number(c, "value_coef"), golden_number(c, "entropy_coef"),
             golden_number(c, "max_grad_norm"), limits[0], limits[1], golden_number(c, "init"),
             golden_number(c, "kp"), golden_number(c, "ki"), golden_number(c, "kd"),
             golden_number(c, "smoothing"), golden_number(c, "beta"));
    return torch_make(&reini_algo_ppo, &memory, settings, env, pool);
}

static void write_all(ppo *p, const json_t *golden, const rein_env_type *env) {
    const json_t *batch = golden_at(golden, "batch");
    reini_rollout *r = reini_on_policy_rollout(&p->base);
    reini_constraint *c = &p->constraint;
    torch_write_store(p->base.policy->store, golden_at(golden, "parameters"));
    torch_write_store(c->reference.store, golden_at(golden, "reference"));
    torch_write_store(c->costs.store, golden_at(golden, "critics"));
    c->reference.taken = true;
    torch_write_batch(r, batch, env);
    torch_floats(batch, "old_log_prob", r->logp, TORCH_ROWS);
    torch_floats(batch, "old_values", r->value, TORCH_ROWS);
    torch_floats(batch, "returns", r->ret, TORCH_ROWS);
    torch_floats(batch, "cost_advantages", c->costs.adv, 2 * TORCH_ROWS);
    torch_floats(batch, "cost_returns", c->costs.ret, 2 * TORCH_ROWS);
    for (int i = 0; i < TORCH_ROWS; i++)
        p->order[i] = i;
}

/* the prices that reini_constraint_estimate would set, on advantages that are given */
static void price(ppo *p, const json_t *golden, const json_t *update, int k) {
    reini_constraint *c = &p->constraint;
    double costs[2], wanted[2], prices[2];
    golden_doubles(update, "costs", costs, 2);
    golden_doubles(update, "prices", wanted, 2);
    for (int i = 0; i < 2; i++) {
        prices[i] = reini_multiplier_update(&c->price[i], &c->rule, costs[i], c->limits.at[i]);
        torch_near("price", k, prices[i], wanted[i], 1e-8);
    }
    torch_floats(golden_at(golden, "batch"), "advantages", reini_on_policy_rollout(&p->base)->adv,
                 TORCH_ROWS);
    reini_costs_price(&c->costs, prices);
}

static double check_cost_values(ppo *p, const json_t *golden) {
    reini_critic *critic = &p->constraint.critic;
    double losses[10], worst;
    golden_doubles(golden, "cost_losses", losses, 10);
    for (int i = 0; i < 10; i++) {
        double loss =
            reini_critic_fit(critic, TORCH_ROWS, 1, golden_number(golden_at(golden, "config"), "lr"));
        torch_near("loss of costs", i, loss, losses[i], 1e-5);
        if (i == 0)
            torch_compare(critic->gradient, golden_at(golden, "cost_gradients"), true, 1e-5);
    }
    worst = torch_compare(p->constraint.costs.store, golden_at(golden, "final_critics"), false, 1e-5);
    return worst;
}

static void check(int threads) {
    rein_env_type env = torch_envs[0];
    static const char *const names[] = {"one", "two"};
    double metric[REINI_METRICS_MAX] = {0}, sum[REINI_METRICS_MAX], gradient = 0;
    env.n_costs = 2;
    env.cost_names = names;
    env.costs = no_costs;
    json_t *golden = golden_read("ppo_costs_torch.json");
    const json_t *updates = golden_at(golden, "updates");
    rein_pool *pool = rein_pool_new(threads);
    ppo *p = make(golden, &env, pool);
    write_all(p, golden, &env);
    torch_worst = 0;
    set_schedules(p, metric);
    for (int k = 0; k < (int)json_array_size(updates); k++) {
        const json_t *update = json_array_get(updates, (size_t)k);
        memset(sum, 0, sizeof sum);
        price(p, golden, update, k);
        run_minibatch(p, 0, TORCH_ROWS);
        torch_near("loss", k, rein_exec_scalar(p->part.exec, p->loss), golden_number(update, "loss"), 1e-5);
        torch_near("KL to the reference", k, rein_exec_scalar(p->part.exec, p->constraint.kl),
                   golden_number(update, "reference_kl"), 1e-5);
        if (k == 0)
            gradient = torch_compare(p->grads, golden_at(golden, "first_gradients"), true, 1e-5);
        step_optimizer(p, sum, metric[METRIC_LEARNING_RATE]);
        torch_near("gradient norm", k, sum[METRIC_GRAD_NORM], golden_number(update, "grad_norm"), 1e-5);
    }
    double parameters =
        torch_compare(p->base.policy->store, golden_at(golden, "final_parameters"), false, 1e-5);
    double values = check_cost_values(p, golden);
    print_message("# %d threads: gradient %.1e, scalars %.1e, parameters %.1e, cost values %.1e\n", threads,
                  gradient, torch_worst, parameters, values);
    ppo_destroy(p);
    rein_pool_free(pool);
    json_decref(golden);
}

static void test_updates(void **state) {
    for (int threads = 1; threads <= 3; threads += 2)
        check(threads);
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_updates)};
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return torch_register() != 0 ? 1 : each_level(all);
}
