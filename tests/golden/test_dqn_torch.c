/*
 * test_dqn_torch.c - the first three updates of DQN against PyTorch (tests/reference/dqn_torch.py), at every
 * instruction-set level: losses, errors, gradients, importance weights and priorities, both networks.
 *
 * The algorithm's own functions run here: DQN is created for an environment of the golden file's spaces, the file's
 * steps go into its replay memory as the stepper would put them there, and the batches are those of the file.
 */
#include "algo/off_policy/dqn.c"
#include "support/each_level.h"
#include "support/golden.h"

enum { STEPS = 48, BATCH = 32, OBS = 4, ACTIONS = 3, MOST = 512 };

/* ---- an environment with the right spaces, never stepped ----------------------------------------------- */

static void reset(const void *config, void *state, rein_rng *rng) {
}

static rein_step step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){0};
}

static void observe(const void *config, const void *state, void *obs) {
    memset(obs, 0, OBS * sizeof(float));
}

static void mask(const void *config, const void *state, uint8_t *allowed) {
    memset(allowed, 1, ACTIONS);
}

#define SPACE_ENV(name)                                                                                      \
    .abi = REIN_ENV_ABI, .id = name, .doc = "spaces only",                                                   \
    .obs = {.kind = REIN_SPACE_BOX, .size = OBS, .shape = {OBS}},                                            \
    .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {ACTIONS}}, .reset = reset, .step = step,           \
    .observe = observe

static const rein_env_type plain = {SPACE_ENV("TorchDqn-v0")};
static const rein_env_type masked = {SPACE_ENV("TorchDqnMasked-v0"), .mask = mask};

typedef struct variant {
    const char *file;
    const rein_env_type *env;
} variant;

static variant variants[] = {
    {"dqn_torch_A.json", &plain},
    {"dqn_torch_B.json", &plain},
    {"dqn_torch_C.json", &plain},
    {"dqn_torch_D.json", &masked},
};

/* ---- DQN as the golden file has it --------------------------------------------------------------------- */

static void set(dqn_config *config, const char *name, const char *format, double value) {
    char text[64];
    snprintf(text, sizeof text, format, value);
    assert_ok(rein_fields_set(dqn_fields, reini_algo_dqn.n_fields, config, name, text));
}

static dqn_config config_of(const json_t *golden) {
    const json_t *from = golden_at(golden, "config");
    dqn_config config;
    memset(&config, 0, sizeof config);
    rein_fields_default(dqn_fields, reini_algo_dqn.n_fields, &config);
    set(&config, "buffer_size", "%g", STEPS + 16);
    set(&config, "batch_size", "%g", golden_number(from, "batch"));
    set(&config, "hidden", "16,16", 0);
    set(&config, "learning_rate", "%.17g", golden_number(from, "lr"));
    set(&config, "gamma", "%.17g", golden_number(from, "gamma"));
    set(&config, "n_step", "%g", golden_number(from, "n_step"));
    set(&config, "tau", "%.17g", golden_number(from, "tau"));
    set(&config, "max_grad_norm", "%.17g", golden_number(from, "max_grad_norm"));
    set(&config, "adam_eps", "%.17g", golden_number(from, "adam_eps"));
    set(&config, "per_alpha", "%.17g", golden_number(from, "alpha"));
    set(&config, "loss", json_string_value(golden_at(from, "loss")), 0);
    config.double_q = json_is_true(golden_at(from, "double"));
    config.dueling = json_is_true(golden_at(from, "dueling"));
    config.prioritized = json_is_true(golden_at(from, "prioritized"));
    return config;
}

static dqn *make(const json_t *golden, const rein_env_type *env, rein_pool *pool) {
    dqn_config config = config_of(golden);
    reini_context context = {.env = env, .seed = 1, .total_steps = 1000000, .pool = pool};
    void *self = NULL;
    assert_ok(reini_algo_dqn.check(&config, &context));
    assert_ok(reini_algo_dqn.create(&config, &context, &self));
    return self;
}

static float *parameter(rein_store *store, int i) {
    return (float *)rein_store_data(store) + rein_layout_at(rein_store_layout(store), i).offset;
}

static void write_weights(rein_store *store, const json_t *from) {
    int n = rein_layout_count(rein_store_layout(store));
    assert_int_equal(json_object_size(from), n);
    for (int k = 0; k < n; k++) {
        rein_param_info info = rein_layout_at(rein_store_layout(store), k);
        double values[MOST];
        golden_doubles(from, info.name, values, info.count);
        for (int64_t i = 0; i < info.count; i++)
            parameter(store, k)[i] = (float)values[i];
    }
}

typedef struct memory {
    double obs[STEPS][OBS], next[STEPS][OBS], action[STEPS], reward[STEPS], terminated[STEPS],
        truncated[STEPS], first_mask[ACTIONS], mask[STEPS][ACTIONS], next_mask[STEPS][ACTIONS];
} memory;

static memory read_memory(const json_t *from) {
    memory m;
    golden_doubles(from, "obs", m.obs[0], STEPS * OBS);
    golden_doubles(from, "next_obs", m.next[0], STEPS * OBS);
    golden_doubles(from, "action", m.action, STEPS);
    golden_doubles(from, "reward", m.reward, STEPS);
    golden_doubles(from, "terminated", m.terminated, STEPS);
    golden_doubles(from, "truncated", m.truncated, STEPS);
    golden_doubles(from, "first_mask", m.first_mask, ACTIONS);
    golden_doubles(from, "mask_after", m.mask[0], STEPS * ACTIONS);
    golden_doubles(from, "next_mask", m.next_mask[0], STEPS * ACTIONS);
    return m;
}

static void to_floats(float *to, const double *from) {
    for (int i = 0; i < OBS; i++)
        to[i] = (float)from[i];
}

static void to_bytes(uint8_t *to, const double *from) {
    for (int i = 0; i < ACTIONS; i++)
        to[i] = (uint8_t)from[i];
}

/* the file's steps, as a vector of one environment reports them */
static void write_memory(dqn *d, const json_t *golden) {
    memory m = read_memory(golden_at(golden, "memory"));
    float obs[OBS], final[OBS], reward;
    uint8_t allowed[ACTIONS], final_mask[ACTIONS], terminated, truncated;
    bool has_mask = d->context.env->mask != NULL;
    to_floats(obs, m.obs[0]);
    to_bytes(allowed, m.first_mask);
    reini_replay_begin(d->replay, obs, has_mask ? allowed : NULL);
    for (int t = 0; t < STEPS; t++) {
        int32_t action = (int32_t)m.action[t];
        rein_slab slab = {.action = &action,
                          .obs = obs,
                          .reward = &reward,
                          .terminated = &terminated,
                          .truncated = &truncated,
                          .final_obs = final,
                          .mask = has_mask ? allowed : NULL,
                          .final_mask = has_mask ? final_mask : NULL};
        reward = (float)m.reward[t];
        terminated = (uint8_t)m.terminated[t];
        truncated = (uint8_t)m.truncated[t];
        to_floats(final, m.next[t]);
        to_floats(obs, t + 1 < STEPS ? m.obs[t + 1] : m.next[t]);
        to_bytes(allowed, m.mask[t]);
        to_bytes(final_mask, m.next_mask[t]);
        reini_replay_add(d->replay, &action, &slab);
    }
    if (d->config.prioritized)
        reini_per_follow(&d->priorities, d->replay);
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

/* the file's batch in place of a drawn one; weights as the paper has them, from the priorities of now */
static void write_batch(dqn *d, const json_t *index, const json_t *wanted, double beta, int update) {
    double values[BATCH], weights[BATCH], least = INFINITY;
    assert_int_equal(golden_flatten(index, values, BATCH), BATCH);
    golden_doubles(wanted, "weight", weights, BATCH);
    for (int i = 0; i < BATCH; i++) {
        d->batch->index[i] = (int32_t)values[i];
        if (d->config.prioritized)
            least = fmin(least, reini_sum_tree_weight(&d->priorities.tree, d->batch->index[i]));
    }
    for (int i = 0; i < BATCH && d->config.prioritized; i++) {
        double mine = reini_sum_tree_weight(&d->priorities.tree, d->batch->index[i]);
        d->weight[i] = (float)pow(least / mine, beta);
        near("weight", update, d->weight[i], weights[i], 1e-5);
    }
    reini_batch_fill(d->batch, d->replay, BATCH, (int)d->config.n_step, d->config.gamma);
}

static void check_update(dqn *d, const json_t *wanted, int update) {
    double sum[METRICS] = {0}, errors[BATCH];
    descend(d, sum, d->config.learning_rate.start);
    near("loss", update, sum[METRIC_LOSS], golden_number(wanted, "loss"), 1e-5);
    near("mean Q", update, sum[METRIC_Q_MEAN], golden_number(wanted, "q_mean"), 1e-5);
    near("mean error", update, sum[METRIC_TD_ERROR], golden_number(wanted, "td_error"), 1e-5);
    near("gradient norm", update, sum[METRIC_GRAD_NORM], golden_number(wanted, "grad_norm"), 1e-5);
    golden_doubles(wanted, "error", errors, BATCH);
    for (int i = 0; i < BATCH; i++)
        near("error", update, ((const float *)rein_exec_data(d->exec, d->error))[i], errors[i], 1e-5);
    assert_int_equal(d->skipped, 0);
}

static void check_priorities(const dqn *d, const json_t *golden) {
    double priority[STEPS];
    golden_doubles(golden, "priority", priority, STEPS);
    for (int i = 0; i < STEPS && d->config.prioritized; i++)
        near("priority", 2, reini_sum_tree_weight(&d->priorities.tree, i), priority[i], 1e-5);
}

static void check_variant(const variant *v, int threads) {
    json_t *golden = golden_read(v->file);
    const json_t *updates = golden_at(golden, "updates"), *batches = golden_at(golden, "batches");
    const json_t *config = golden_at(golden, "config");
    double measured = NAN;
    rein_pool *pool = rein_pool_new(threads);
    dqn *d = make(golden, v->env, pool);
    write_weights(d->policy->store, golden_at(golden, "parameters"));
    write_weights(d->target, golden_at(golden, "target"));
    write_memory(d, golden);
    worst_scalar = 0;
    for (int update = 0; update < (int)json_array_size(updates); update++) {
        const json_t *wanted = json_array_get(updates, (size_t)update);
        write_batch(d, json_array_get(batches, (size_t)update), wanted, golden_number(config, "beta"),
                    update);
        check_update(d, wanted, update);
        if (update == 0)
            worst_gradient = compare_store(d->grads, golden_at(golden, "first_gradients"), true, 1e-5);
        if (update + 1 == (int)golden_number(config, "follow_after"))
            follow(d, &measured);
    }
    worst_parameter = compare_store(d->policy->store, golden_at(golden, "final_parameters"), false, 1e-5);
    compare_store(d->target, golden_at(golden, "final_target"), false, 1e-5);
    check_priorities(d, golden);
    assert_true(measured > 0.1);
    print_message("# %s, %d threads: scalars %.1e, gradients %.1e, parameters %.1e\n", v->file, threads,
                  worst_scalar, worst_gradient, worst_parameter);
    dqn_destroy(d);
    rein_pool_free(pool);
    json_decref(golden);
}

static void test_variant(void **state) {
    check_variant(*state, 1);
    check_variant(*state, 3);
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {
        {"A: plain", test_variant, NULL, NULL, &variants[0]},
        {"B: double, duelling, soft target", test_variant, NULL, NULL, &variants[1]},
        {"C: three steps, prioritised", test_variant, NULL, NULL, &variants[2]},
        {"D: masked", test_variant, NULL, NULL, &variants[3]},
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    const rein_env_type *const types[] = {&plain, &masked};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (rein_env_register(types[i]) != REIN_OK) {
            fprintf(stderr, "%s\n", rein_error());
            return 1;
        }
    return each_level(all);
}
