/*
 * test_ppo_torch.c - five minibatch updates of PPO against PyTorch (tests/reference/{ppo,sde}_torch.py), at every
 * instruction-set level: the terms of the loss, the gradients and the parameters.
 *
 * The algorithm's own functions run here: PPO is created for an environment of the golden file's spaces, the
 * file's weights and batch take the place of the initial weights and of a rollout, and the minibatch is the
 * whole rollout in its order.
 */
#include "algo/on_policy/ppo.c"
#include "support/each_level.h"
#include "support/golden.h"

enum { ROWS = 64, MOST = 512 };

/* ---- an environment with the right spaces, never stepped ----------------------------------------------- */

static void reset(const void *config, void *state, rein_rng *rng) {
}

static rein_step step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){0};
}

static void observe(const void *config, const void *state, void *obs) {
    memset(obs, 0, 3 * sizeof(float));
}

static void mask(const void *config, const void *state, uint8_t *allowed) {
    memset(allowed, 1, 3);
}

#define SPACE_ENV(name, obs_size, ...)                                                                       \
    .abi = REIN_ENV_ABI, .id = name, .doc = "spaces only",                                                   \
    .obs = {.kind = REIN_SPACE_BOX, .size = obs_size, .shape = {obs_size}}, .act = __VA_ARGS__,              \
    .horizon = 10, .reset = reset, .step = step, .observe = observe

static const rein_env_type discrete = {SPACE_ENV("Torch-v0", 4, {REIN_SPACE_DISCRETE, 1, {3}})};
static const rein_env_type box = {
    SPACE_ENV("TorchBox-v0", 3, {.kind = REIN_SPACE_BOX, .size = 2, .shape = {2}})};
static const rein_env_type masked = {SPACE_ENV("TorchMasked-v0", 4, {REIN_SPACE_DISCRETE, 1, {3}}),
                                     .mask = mask};
static const rein_env_type parts = {SPACE_ENV("TorchParts-v0", 4, {REIN_SPACE_MULTI_DISCRETE, 2, {3, 2}})};

typedef struct variant {
    const char *file;
    const rein_env_type *env;
} variant;

static variant variants[] = {
    {"ppo_torch_A.json", &discrete}, {"ppo_torch_B.json", &box},      {"ppo_torch_C.json", &masked},
    {"ppo_torch_D.json", &parts},    {"ppo_torch_E.json", &discrete}, {"sde_ppo_torch.json", &box},
};

/* ---- PPO as the golden file has it --------------------------------------------------------------------- */

static void set(ppo_config *config, const char *name, const char *format, double value) {
    char text[64];
    snprintf(text, sizeof text, format, value);
    assert_ok(rein_fields_set(ppo_fields, reini_algo_ppo.n_fields, config, name, text));
}

static ppo_config config_of(const json_t *golden, double epochs) {
    const json_t *from = golden_at(golden, "config");
    ppo_config config;
    memset(&config, 0, sizeof config);
    rein_fields_default(ppo_fields, reini_algo_ppo.n_fields, &config);
    set(&config, "n_envs", "%g", 8);
    set(&config, "n_steps", "%g", ROWS / 8);
    set(&config, "batch_size", "%g", golden_number(from, "rows_per_update"));
    set(&config, "n_epochs", "%g", epochs);
    set(&config, "hidden", "16,16", 0);
    set(&config, "activation", "tanh", 0);
    set(&config, "learning_rate", "%.17g", golden_number(from, "lr"));
    set(&config, "clip_range", "%.17g", golden_number(from, "clip"));
    set(&config, "vf_coef", "%.17g", golden_number(from, "value_coef"));
    set(&config, "ent_coef", "%.17g", golden_number(from, "entropy_coef"));
    set(&config, "max_grad_norm", "%.17g", golden_number(from, "max_grad_norm"));
    set(&config, "adam_eps", "%.17g", golden_number(from, "adam_eps"));
    if (!json_is_null(golden_at(from, "value_clip")))
        set(&config, "clip_range_vf", "%.17g", golden_number(from, "value_clip"));
    if (json_is_true(json_object_get(from, "sde")))
        set(&config, "use_sde", "true", 0);
    if (!json_is_null(golden_at(from, "beta"))) {
        set(&config, "objective", "penalty", 0);
        set(&config, "kl_coef", "%.17g", golden_number(from, "beta"));
    }
    return config;
}

static ppo *make(const json_t *golden, const rein_env_type *env, rein_pool *pool) {
    ppo_config config = config_of(golden, 1);
    reini_context context = {.env = env, .seed = 1, .total_steps = 1000000, .pool = pool};
    void *self = NULL;
    assert_ok(reini_algo_ppo.check(&config, &context));
    assert_ok(reini_algo_ppo.create(&config, &context, &self));
    return self;
}

static float *parameter(rein_store *store, int i) {
    return (float *)rein_store_data(store) + rein_layout_at(rein_store_layout(store), i).offset;
}

static void write_weights(ppo *p, const json_t *golden) {
    const json_t *from = golden_at(golden, "parameters");
    int n = rein_layout_count(p->base.policy->layout);
    assert_int_equal(json_object_size(from), n);
    for (int k = 0; k < n; k++) {
        rein_param_info info = rein_layout_at(p->base.policy->layout, k);
        double values[MOST];
        golden_doubles(from, info.name, values, info.count);
        for (int64_t i = 0; i < info.count; i++)
            parameter(p->base.policy->store, k)[i] = (float)values[i];
    }
}

static void write_floats(const json_t *batch, const char *name, float *out, int64_t n) {
    double values[MOST];
    assert_true(n <= MOST);
    golden_doubles(batch, name, values, n);
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)values[i];
}

static void write_actions(const json_t *batch, reini_rollout *r, bool real) {
    double values[MOST];
    golden_doubles(batch, "actions", values, ROWS * r->act_size);
    for (int i = 0; i < ROWS * r->act_size; i++)
        if (real)
            ((float *)r->action)[i] = (float)values[i];
        else
            ((int32_t *)r->action)[i] = (int32_t)values[i];
}

static void write_batch(ppo *p, const json_t *golden) {
    const json_t *batch = golden_at(golden, "batch");
    reini_rollout *r = reini_collector_rollout(p->base.collector);
    write_floats(batch, "obs", r->obs, ROWS * r->obs_size);
    write_floats(batch, "old_log_prob", r->logp, ROWS);
    write_floats(batch, "old_values", r->value, ROWS);
    write_floats(batch, "returns", r->ret, ROWS);
    write_floats(batch, "advantages", r->adv, ROWS);
    write_actions(batch, r, p->base.context.env->act.kind == REIN_SPACE_BOX);
    if (r->output != NULL)
        write_floats(batch, "old_logits", r->output, ROWS * r->logits);
    if (r->mask != NULL) {
        double values[MOST];
        golden_doubles(batch, "mask", values, ROWS * r->logits);
        for (int i = 0; i < ROWS * r->logits; i++)
            r->mask[i] = (uint8_t)values[i];
    }
    for (int i = 0; i < ROWS; i++)
        p->order[i] = i;
}

/* ---- comparing ----------------------------------------------------------------------------------------- */

static double worst_scalar, worst_gradient, worst_parameter;

static void near(const char *what, int update, double found, double wanted, double tolerance) {
    double error = fabs(found - wanted) / fmax(1, fabs(wanted));
    worst_scalar = fmax(worst_scalar, error);
    if (!(error <= tolerance))
        fail_msg("%s of update %d: found %.9g, PyTorch %.9g", what, update + 1, found, wanted);
}

/* largest difference over the members of an object, each relative to its largest number when `relative` */
static double compare_store(rein_store *store, const json_t *wanted, bool relative, double tolerance) {
    double worst = 0;
    for (int k = 0; k < rein_layout_count(rein_store_layout(store)); k++) {
        rein_param_info info = rein_layout_at(rein_store_layout(store), k);
        double values[MOST], most = 0, error = 0;
        golden_doubles(wanted, info.name, values, info.count);
        for (int64_t i = 0; i < info.count; i++) {
            most = fmax(most, fabs(values[i]));
            error = fmax(error, fabs(parameter(store, k)[i] - values[i]));
        }
        error /= relative ? most : 1;
        if (!(error <= tolerance))
            fail_msg("%s: differs by %.3g", info.name, error);
        worst = fmax(worst, error);
    }
    return worst;
}

static void check_first_values(ppo *p, const json_t *golden) {
    double values[MOST];
    reini_rollout *r = reini_collector_rollout(p->base.collector);
    reini_collector_evaluate(p->base.collector, p->config.gamma);
    golden_doubles(golden_at(golden, "first_rows"), "value", values, ROWS);
    for (int i = 0; i < ROWS; i++)
        near("value", 0, r->value[i], values[i], 1e-5);
}

static void check_update(ppo *p, const json_t *wanted, int update, double learning_rate) {
    double sum[REINI_METRICS_MAX] = {0};
    run_minibatch(p, 0, ROWS);
    add_metrics(p, sum);
    near("total loss", update, rein_exec_scalar(p->part.exec, p->loss), golden_number(wanted, "total_loss"),
         1e-5);
    near("policy loss", update, sum[METRIC_POLICY_LOSS], golden_number(wanted, "policy_loss"), 1e-5);
    near("value loss", update, sum[METRIC_VALUE_LOSS], golden_number(wanted, "value_loss"), 1e-5);
    near("entropy", update, sum[METRIC_ENTROPY], golden_number(wanted, "entropy"), 1e-5);
    near("approximate KL", update, sum[METRIC_APPROX_KL], golden_number(wanted, "approx_kl"), 1e-5);
    near("clip fraction", update, sum[METRIC_CLIP_FRACTION], golden_number(wanted, "clip_fraction"), 1e-7);
    if (p->kl != NULL) {
        near("KL", update, rein_exec_scalar(p->part.exec, p->kl), golden_number(wanted, "kl"), 1e-5);
        near("measured KL", update, measure_kl(p), golden_number(wanted, "kl"), 1e-5);
    }
    step_optimizer(p, sum, learning_rate);
    near("gradient norm", update, sum[METRIC_GRAD_NORM], golden_number(wanted, "grad_norm"), 1e-5);
    assert_int_equal(p->base.skipped, 0);
}

static void check_variant(const variant *v, int threads) {
    json_t *golden = golden_read(v->file);
    const json_t *updates = golden_at(golden, "updates");
    double metric[REINI_METRICS_MAX];
    rein_pool *pool = rein_pool_new(threads);
    ppo *p = make(golden, v->env, pool);
    write_weights(p, golden);
    write_batch(p, golden);
    check_first_values(p, golden);
    write_batch(p, golden);
    set_schedules(p, metric);
    worst_scalar = 0;
    for (int update = 0; update < (int)json_array_size(updates); update++) {
        check_update(p, json_array_get(updates, (size_t)update), update, metric[METRIC_LEARNING_RATE]);
        if (update == 0)
            worst_gradient = compare_store(p->grads, golden_at(golden, "first_gradients"), true, 1e-5);
    }
    worst_parameter =
        compare_store(p->base.policy->store, golden_at(golden, "final_parameters"), false, 1e-6);
    print_message("# %s, %d threads: scalars %.1e, gradients %.1e, parameters %.1e\n", v->file, threads,
                  worst_scalar, worst_gradient, worst_parameter);
    ppo_destroy(p);
    rein_pool_free(pool);
    json_decref(golden);
}

static void test_variant(void **state) {
    check_variant(*state, 1);
    check_variant(*state, 3);
}

/* the same five updates as one call of `learn`: five epochs, each shuffled */
static void test_whole_iteration(void **state) {
    json_t *golden = golden_read(variants[0].file);
    const json_t *updates = golden_at(golden, "updates");
    double metric[REINI_METRICS_MAX], loss = 0;
    ppo *p = make(golden, variants[0].env, NULL);
    p->config.n_epochs = (int64_t)json_array_size(updates);
    write_weights(p, golden);
    write_batch(p, golden);
    learn(p, metric);
    compare_store(p->base.policy->store, golden_at(golden, "final_parameters"), false, 1e-6);
    for (size_t i = 0; i < json_array_size(updates); i++)
        loss += golden_number(json_array_get(updates, i), "policy_loss") / (double)json_array_size(updates);
    near("mean policy loss", 0, metric[METRIC_POLICY_LOSS], loss, 1e-5);
    assert_true(metric[METRIC_UPDATES] == (double)json_array_size(updates));
    ppo_destroy(p);
    json_decref(golden);
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {
        {"A: discrete, value clip", test_variant, NULL, NULL, &variants[0]},
        {"B: box, value clip", test_variant, NULL, NULL, &variants[1]},
        {"C: masked", test_variant, NULL, NULL, &variants[2]},
        {"D: multi-discrete", test_variant, NULL, NULL, &variants[3]},
        {"E: KL penalty", test_variant, NULL, NULL, &variants[4]},
        {"state-dependent exploration", test_variant, NULL, NULL, &variants[5]},
        cmocka_unit_test(test_whole_iteration),
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    const rein_env_type *const types[] = {&discrete, &box, &masked, &parts};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (rein_env_register(types[i]) != REIN_OK) {
            fprintf(stderr, "%s\n", rein_error());
            return 1;
        }
    return each_level(all);
}
