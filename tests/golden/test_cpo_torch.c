/*
 * test_cpo_torch.c - a step of constrained policy optimization against PyTorch (tests/reference/constrained_torch.py), at
 * every instruction-set level: the solutions of conjugate gradients, the dual (there by a numerical optimizer), the
 * step, the fraction of it that the line search takes, and parameters after it. A: a passed limit that can be regained;
 * B: limits on both sides; C: one that cannot be regained in the region; D: limits far away.
 */
#include "algo/on_policy/cpo.c"
#include "support/each_level.h"
#include "support/torch_rig.h"

static void no_costs(const void *config, const void *state, float *cost) {
    cost[0] = cost[1] = 0;
}

static cpo *make(const json_t *golden, const rein_env_type *env, rein_pool *pool) {
    const json_t *config = golden_at(golden, "config");
    cpo_config memory;
    char settings[512];
    double limits[2];
    memset(&memory, 0, sizeof memory);
    golden_doubles(config, "limits", limits, 2);
    snprintf(settings, sizeof settings,
             "n_envs=8 n_steps=%d batch_size=64 hidden=16,16 target_kl=%.17g cg_max_steps=%g "
             "cg_damping=%.17g line_search_shrinking_factor=%.17g line_search_max_iter=%g cost_limit=%g,%g",
             TORCH_ROWS / 8, golden_number(config, "target_kl"), golden_number(config, "cg_steps"),
             golden_number(config, "damping"), golden_number(config, "shrink"),
             golden_number(config, "tries"), limits[0], limits[1]);
    return torch_make(&reini_algo_cpo, &memory, settings, env, pool);
}

/* the batch takes the place of a rollout and of what was made of it */
static void write_all(cpo *p, const json_t *golden, const rein_env_type *env) {
    const json_t *batch = golden_at(golden, "batch"), *config = golden_at(golden, "config");
    reini_rollout *r = reini_on_policy_rollout(&p->trust.base);
    torch_write_store(p->trust.base.policy->store, golden_at(golden, "parameters"));
    torch_write_batch(r, batch, env);
    torch_floats(batch, "advantages", r->adv, TORCH_ROWS);
    torch_floats(batch, "cost_advantages", p->costs.adv, 2 * TORCH_ROWS);
    torch_floats(golden, "old_output", r->output, TORCH_ROWS * r->logits);
    torch_floats(golden, "old_log_prob", r->logp, TORCH_ROWS);
    golden_doubles(config, "episode", p->costs.episode, 2);
    p->costs.length = golden_number(config, "length");
}

static double compare_vector(cpo *p, const double *x, const json_t *wanted, double tolerance) {
    rein_store *store = NULL;
    assert_ok(rein_store_new(p->trust.base.policy->layout, REIN_F32, &store));
    for (int64_t i = 0; i < p->trust.n; i++)
        ((float *)rein_store_data(store))[i] = (float)x[i];
    double worst = torch_compare(store, wanted, true, tolerance);
    rein_store_free(store);
    return worst;
}

static void check_dual(const reini_trust_problem *problem, const json_t *golden) {
    double r[2], s[4], excess[2];
    golden_doubles(golden, "r", r, 2);
    golden_doubles(golden, "s", s, 4);
    golden_doubles(golden, "excess", excess, 2);
    torch_near("q", 0, problem->q, golden_number(golden, "q"), 3e-4);
    for (int i = 0; i < 2; i++) {
        torch_near("c", 0, problem->c[i], excess[i], 1e-8);
        torch_near("r", 0, problem->r[i], r[i], 3e-4);
        for (int j = 0; j < 2; j++)
            torch_near("S", 0, problem->s[i][j], s[2 * i + j], 3e-4);
    }
    reini_trust_step step = reini_trust_solve(problem);
    double nu[2];
    golden_doubles(golden, "nu", nu, 2);
    torch_near("lambda", 0, step.lambda, golden_number(golden, "lambda"), 1e-4);
    for (int i = 0; i < 2; i++)
        torch_near("nu", 0, step.nu[i], nu[i], 3e-4);
    assert_int_equal(step.kind, (int)golden_number(golden, "case"));
}

static void check_variant(int variant, int threads) {
    rein_env_type env = torch_envs[variant];
    static const char *const names[] = {"one", "two"};
    char name[32];
    env.n_costs = 2;
    env.cost_names = names;
    env.costs = no_costs;
    snprintf(name, sizeof name, "cpo_torch_%c.json", 'A' + variant);
    json_t *golden = golden_read(name);
    rein_pool *pool = rein_pool_new(threads);
    cpo *p = make(golden, &env, pool);
    reini_trust *t = &p->trust;
    reini_trust_problem problem;
    reini_trial now;
    double metric[REINI_METRICS_MAX], radius = golden_number(golden_at(golden, "config"), "target_kl");
    write_all(p, golden, &env);
    torch_worst = 0;
    reini_trust_prepare(t);
    assert_true(reini_trust_ascend(t, &now, metric));
    pose(p, radius, &problem);
    check_dual(&problem, golden);
    double solutions = compare_vector(p, p->gain, golden_at(golden, "cg_gain"), 1e-3);
    solutions = fmax(solutions, compare_vector(p, p->loss, golden_at(golden, "cg_loss_0"), 1e-3));
    solutions = fmax(solutions, compare_vector(p, p->loss + t->n, golden_at(golden, "cg_loss_1"), 1e-3));
    improve_policy(p, radius, metric);
    double step = compare_vector(p, t->x, golden_at(golden, "step"), 1e-3);
    torch_near("fraction", 0, metric[REINI_TRUST_STEP], golden_number(golden, "fraction"), 1e-9);
    torch_near("KL", 0, metric[REINI_TRUST_KL], golden_number(golden, "kl"), 3e-4);
    torch_near("gain", 0, metric[REINI_TRUST_SURROGATE], golden_number(golden, "surrogate_gain"), 3e-4);
    assert_int_equal((int)metric[METRIC_CASE], (int)golden_number(golden, "case"));
    double parameters =
        torch_compare(t->base.policy->store, golden_at(golden, "final_parameters"), false, 1e-3);
    print_message("# %s, %d threads: CG %.1e, scalars %.1e, step %.1e, parameters %.1e\n", name, threads,
                  solutions, torch_worst, step, parameters);
    cpo_destroy(p);
    rein_pool_free(pool);
    json_decref(golden);
}

static void test_variant(void **state) {
    for (int threads = 1; threads <= 3; threads += 2)
        check_variant(*(int *)*state, threads);
}

static int all(const char *level) {
    static int variants[] = {0, 1, 2, 3};
    const struct CMUnitTest tests[] = {
        {"A: discrete", test_variant, NULL, NULL, &variants[0]},
        {"B: box", test_variant, NULL, NULL, &variants[1]},
        {"C: masked", test_variant, NULL, NULL, &variants[2]},
        {"D: multi-discrete", test_variant, NULL, NULL, &variants[3]},
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return torch_register() != 0 ? 1 : each_level(all);
}
