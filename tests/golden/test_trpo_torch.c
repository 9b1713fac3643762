/*
 * test_trpo_torch.c - TRPO against PyTorch (tests/reference/on_policy_torch.py), at every instruction-set level: the
 * gradient, a product with the Fisher matrix (there by differentiating the KL twice), the solution of conjugate
 * gradients, the step, the fraction of it that the line search takes, parameters after three steps, and the value
 * function after ten.
 */
#include "algo/on_policy/trpo.c"
#include "support/each_level.h"
#include "support/torch_rig.h"

static trpo *make(const json_t *golden, const rein_env_type *env, rein_pool *pool) {
    const json_t *config = golden_at(golden, "config");
    trpo_config memory;
    char settings[512];
    memset(&memory, 0, sizeof memory);
    snprintf(
        settings, sizeof settings,
        "n_envs=8 n_steps=%d batch_size=64 hidden=16,16 target_kl=%.17g cg_max_steps=%g cg_damping=%.17g "
        "line_search_shrinking_factor=%.17g line_search_max_iter=%g learning_rate=%.17g adam_eps=%.17g",
        TORCH_ROWS / 8, golden_number(config, "target_kl"), golden_number(config, "cg_steps"),
        golden_number(config, "damping"), golden_number(config, "shrink"), golden_number(config, "tries"),
        golden_number(config, "lr"), golden_number(config, "eps"));
    return torch_make(&reini_algo_trpo, &memory, settings, env, pool);
}

/* a vector of doubles as a store, to compare */
static rein_store *as_store(trpo *p, const double *x) {
    rein_store *store = NULL;
    assert_ok(rein_store_new(p->base.policy->layout, REIN_F32, &store));
    for (int64_t i = 0; i < p->n; i++)
        ((float *)rein_store_data(store))[i] = (float)x[i];
    return store;
}

static double compare_vector(trpo *p, const double *x, const json_t *wanted, double tolerance) {
    rein_store *store = as_store(p, x);
    double worst = torch_compare(store, wanted, true, tolerance);
    rein_store_free(store);
    return worst;
}

static double check_fisher(trpo *p, const json_t *golden) {
    double *x = calloc((size_t)p->n, sizeof *x), *out = calloc((size_t)p->n, sizeof *x);
    torch_write_store(p->direction, golden_at(golden, "direction"));
    reini_trust_doubles(x, p->direction, p->n);
    reini_trust_product(p, x, out);
    for (int64_t i = 0; i < p->n; i++)
        out[i] -= p->config.cg_damping * x[i];
    double worst = compare_vector(p, out, golden_at(golden, "fisher_product"), 1e-4);
    free(x);
    free(out);
    return worst;
}

/* x = (F + damping)^-1 g and the scaled step, before anything moves */
static void check_step(trpo *p, const json_t *golden, double *solution, double *step) {
    double metric[REINI_METRICS_MAX];
    reini_trust_evaluate(&p->ascent);
    reini_trust_doubles(p->g, p->gradient, p->n);
    reini_trust_invert(p, p->g, p->x);
    *solution = compare_vector(p, p->x, golden_at(golden, "cg_solution"), 3e-4);
    assert_true(find_step(p, golden_number(golden_at(golden, "config"), "target_kl"), metric));
    *step = compare_vector(p, p->x, golden_at(golden, "step"), 3e-4);
}

/* what acted is what now learns */
static void write_old(trpo *p, const json_t *update) {
    reini_rollout *r = reini_on_policy_rollout(&p->base);
    torch_floats(update, "old_output", r->output, TORCH_ROWS * r->logits);
    torch_floats(update, "old_log_prob", r->logp, TORCH_ROWS);
    reini_trust_prepare(p);
}

static void check_update(trpo *p, const json_t *wanted, int update) {
    double metric[REINI_METRICS_MAX];
    improve_policy(p, rein_schedule_at(&p->config.target_kl, 0), metric);
    torch_near("entropy", update, metric[REINI_TRUST_ENTROPY], golden_number(wanted, "entropy"), 1e-4);
    torch_near("gradient norm", update, metric[REINI_TRUST_GRAD_NORM], golden_number(wanted, "grad_norm"),
               1e-4);
    torch_near("fraction", update, metric[REINI_TRUST_STEP], golden_number(wanted, "fraction"), 1e-9);
    torch_near("KL", update, metric[REINI_TRUST_KL], golden_number(wanted, "kl"), 3e-4);
    torch_near("gain", update, metric[REINI_TRUST_SURROGATE], golden_number(wanted, "gain"), 1e-4);
    assert_int_equal(p->base.skipped, 0);
}

static void check_variant(int variant, int threads) {
    char name[32];
    double solution, step;
    snprintf(name, sizeof name, "trpo_torch_%c.json", 'A' + variant);
    json_t *golden = golden_read(name);
    const json_t *updates = golden_at(golden, "updates"), *batch = golden_at(golden, "batch");
    rein_pool *pool = rein_pool_new(threads);
    trpo *p = make(golden, &torch_envs[variant], pool);
    reini_rollout *r = reini_on_policy_rollout(&p->base);
    torch_write_store(p->base.policy->store, golden_at(golden, "parameters"));
    torch_write_batch(r, batch, &torch_envs[variant]);
    torch_floats(batch, "advantages", r->adv, TORCH_ROWS);
    torch_floats(batch, "returns", r->ret, TORCH_ROWS);
    write_old(p, json_array_get(updates, 0));
    torch_worst = 0;
    double fisher = check_fisher(p, golden);
    check_step(p, golden, &solution, &step);
    double gradient = torch_compare(p->gradient, golden_at(golden, "gradient"), true, 1e-5);
    for (int update = 0; update < (int)json_array_size(updates); update++) {
        write_old(p, json_array_get(updates, (size_t)update));
        check_update(p, json_array_get(updates, (size_t)update), update);
    }
    torch_near("value loss", 0, reini_critic_fit(&p->critic, TORCH_ROWS, 10, 1e-3),
               golden_number(golden, "value_loss"), 1e-5);
    double parameters =
        torch_compare(p->base.policy->store, golden_at(golden, "final_parameters"), false, 3e-4);
    print_message("# %s, %d threads: gradient %.1e, Fisher %.1e, CG %.1e, step %.1e, scalars %.1e, "
                  "parameters %.1e\n",
                  name, threads, gradient, fisher, solution, step, torch_worst, parameters);
    trpo_destroy(p);
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
