/*
 * test_sac_draws_torch.c - the first three updates of SAC against PyTorch (tests/reference/{sac_draws,sde}_torch.py), at every
 * instruction-set level: drawn transitions, next actions and their log-densities, targets, losses, gradients, the price
 * of entropy, actor, critics and targets after each update.
 *
 * The algorithm's own functions run here: SAC is created for an environment of the golden file's spaces, the file's
 * steps go into its replay memory as the stepper would put them there, and update() does the rest.
 */
#include "algo/off_policy/sac.c"
#include "support/each_level.h"
#include "support/golden.h"

enum { STEPS = 24, BATCH = 6, OBS = 3, ACTIONS = 2, MOST = 256 };

/* ---- an environment with the right spaces, never stepped ----------------------------------------------- */

static void reset(const void *config, void *state, rein_rng *rng) {
}

static rein_step step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){0};
}

static void observe(const void *config, const void *state, void *obs) {
    memset(obs, 0, OBS * sizeof(float));
}

static const float low[] = {-2, 0}, high[] = {2, 1};
static const rein_env_type spaces = {
    .abi = REIN_ENV_ABI,
    .id = "TorchSac-v0",
    .doc = "spaces only",
    .obs = {.kind = REIN_SPACE_BOX, .size = OBS, .shape = {OBS}},
    .act = {.kind = REIN_SPACE_BOX, .size = ACTIONS, .shape = {ACTIONS}, .low = low, .high = high},
    .reset = reset,
    .step = step,
    .observe = observe,
};

/* ---- SAC as the golden file has it --------------------------------------------------------------------- */

static void set(sac_config *config, const char *name, const char *format, double value) {
    char text[64];
    snprintf(text, sizeof text, format, value);
    assert_ok(rein_fields_set(sac_fields, reini_algo_sac.n_fields, config, name, text));
}

static sac_config config_of(const json_t *golden) {
    const json_t *from = golden_at(golden, "config");
    sac_config config;
    memset(&config, 0, sizeof config);
    rein_fields_default(sac_fields, reini_algo_sac.n_fields, &config);
    set(&config, "buffer_size", "%g", STEPS + 16);
    set(&config, "batch_size", "%g", BATCH);
    set(&config, "hidden", "8,8", 0);
    set(&config, "learning_rate", "%.17g", golden_number(from, "lr"));
    set(&config, "critic_rate", "%.17g", golden_number(from, "critic_rate"));
    set(&config, "gamma", "%.17g", golden_number(from, "gamma"));
    set(&config, "n_step", "%g", golden_number(from, "n_step"));
    set(&config, "tau", "%.17g", golden_number(from, "tau"));
    set(&config, "ent_coef", "%.17g", golden_number(from, "ent_coef"));
    set(&config, "target_entropy", "%.17g", golden_number(from, "target_entropy"));
    set(&config, "max_grad_norm", "%.17g", golden_number(from, "max_grad_norm"));
    set(&config, "adam_eps", "%.17g", golden_number(from, "adam_eps"));
    set(&config, "activation", json_string_value(golden_at(from, "activation")), 0);
    config.use_sde = json_is_true(json_object_get(from, "sde"));
    config.auto_ent_coef = json_is_true(golden_at(from, "auto"));
    return config;
}

static sac *make(const json_t *golden, rein_pool *pool) {
    sac_config config = config_of(golden);
    uint64_t seed = (uint64_t)json_integer_value(golden_at(golden_at(golden, "config"), "seed"));
    reini_context context = {.env = &spaces, .seed = seed, .total_steps = 1000000, .pool = pool};
    void *self = NULL;
    assert_ok(reini_algo_sac.check(&config, &context));
    assert_ok(reini_algo_sac.create(&config, &context, &self));
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

static void to_floats(float *to, const double *from, int n) {
    for (int i = 0; i < n; i++)
        to[i] = (float)from[i];
}

/* the file's steps, as a vector of one environment reports them */
static void write_memory(sac *s, const json_t *golden) {
    const json_t *from = golden_at(golden, "memory");
    double all_obs[STEPS + 1][OBS], next[STEPS][OBS], actions[STEPS][ACTIONS], rewards[STEPS], ends[STEPS],
        cuts[STEPS];
    float obs[OBS], final[OBS], action[ACTIONS], reward;
    uint8_t terminated, truncated;
    golden_doubles(from, "obs", all_obs[0], STEPS * OBS);
    golden_doubles(from, "next_obs", next[0], STEPS * OBS);
    golden_doubles(from, "action", actions[0], STEPS * ACTIONS);
    golden_doubles(from, "reward", rewards, STEPS);
    golden_doubles(from, "terminated", ends, STEPS);
    golden_doubles(from, "truncated", cuts, STEPS);
    memcpy(all_obs[STEPS], next[STEPS - 1], sizeof next[0]);
    to_floats(obs, all_obs[0], OBS);
    reini_replay_begin(s->replay, obs, NULL);
    rein_slab slab = {.action = action,
                      .obs = obs,
                      .reward = &reward,
                      .terminated = &terminated,
                      .truncated = &truncated,
                      .final_obs = final};
    for (int t = 0; t < STEPS; t++) {
        reward = (float)rewards[t];
        terminated = (uint8_t)ends[t];
        truncated = (uint8_t)cuts[t];
        to_floats(action, actions[t], ACTIONS);
        to_floats(final, next[t], OBS);
        to_floats(obs, all_obs[t + 1], OBS);
        reini_replay_add(s->replay, action, &slab);
    }
}

/* ---- comparing ----------------------------------------------------------------------------------------- */

static double worst_scalar, worst_gradient, worst_parameter;

static void near(const char *what, int number, double found, double wanted) {
    double error = fabs(found - wanted) / fmax(1, fabs(wanted));
    worst_scalar = fmax(worst_scalar, error);
    if (!(error <= 1e-5))
        fail_msg("%s of update %d: found %.9g, PyTorch %.9g", what, number + 1, found, wanted);
}

static void near_all(const char *what, int number, const float *found, const json_t *wanted, int n) {
    double values[MOST];
    golden_doubles(wanted, what, values, n);
    for (int i = 0; i < n; i++)
        near(what, number, found[i], values[i]);
}

/* largest difference over the members of an object, each relative to its largest number when that is above `floor` */
static double compare_store(rein_store *store, const json_t *wanted, double floor) {
    double worst = 0;
    int n = rein_layout_count(rein_store_layout(store));
    assert_int_equal(json_object_size(wanted), n);
    for (int k = 0; k < n; k++) {
        rein_param_info info = rein_layout_at(rein_store_layout(store), k);
        double values[MOST], most = floor, error = 0;
        golden_doubles(wanted, info.name, values, info.count);
        for (int64_t i = 0; i < info.count; i++) {
            most = fmax(most, fabs(values[i]));
            error = fmax(error, fabs(parameter(store, k)[i] - values[i]));
        }
        if (!(error <= 1e-5 * most))
            fail_msg("%s: differs by %.3g of %.3g", info.name, error, most);
        worst = fmax(worst, error / most);
    }
    return worst;
}

/* ---- what goes into the loss of the critics ------------------------------------------------------------ */

/* a graph of its own, from the same parts as the loss: a', log pi(a'|s'), y */
static void check_targets(sac *s, const json_t *wanted, int number) {
    reini_memory_loss l;
    rein_tensor *logp;
    assert_ok(reini_memory_loss_begin(&l, s->context.env, s->replay, BATCH));
    l.actor = rein_slot(l.g, s->policy->layout);
    l.target = rein_slot(l.g, s->twin.layout);
    rein_tensor *alpha = rein_uniform(l.g, "alpha", 1), *next = reini_loss_next(&l);
    reini_net_inputs in = {.obs = next};
    reini_net_heads heads = reini_net_build(s->policy, l.actor, &in, true, false);
    rein_tensor *drawn = rein_output(rein_dist_draw(&heads.dist, l.key, &logp), "drawn");
    rein_output(logp, "logp");
    rein_tensor *least = reini_twin_least(&s->twin, l.target, next, drawn);
    rein_tensor *y = rein_output(reini_loss_target(&l, rein_sub(least, rein_mul(alpha, logp))), "y");
    assert_ok(reini_memory_loss_finish(&l, &s->context));
    reini_memory_loss_bind(&l, s->replay, s->batch);
    rein_exec_bind_store(l.exec, l.actor, s->policy->store);
    rein_exec_bind_store(l.exec, l.target, s->twin.target);
    reini_replay_sample(s->replay, BATCH, s->context.seed, (uint64_t)s->updates, s->batch->index);
    reini_batch_fill(s->batch, s->replay, BATCH, (int)s->config.n_step, s->config.gamma);
    run(s, &l, alpha, TARGET_STREAM);
    for (int i = 0; i < BATCH; i++)
        assert_int_equal(s->batch->index[i],
                         json_integer_value(json_array_get(golden_at(wanted, "index"), (size_t)i)));
    near_all("discount", number, s->batch->discount, wanted, BATCH);
    near_all("next_action", number, rein_exec_data(l.exec, drawn), wanted, BATCH * ACTIONS);
    near_all("next_logp", number, rein_exec_data(l.exec, logp), wanted, BATCH);
    near_all("y", number, rein_exec_data(l.exec, y), wanted, BATCH);
    reini_memory_loss_release(&l);
}

static void check_update(sac *s, const json_t *wanted, int number) {
    double sum[METRICS] = {0};
    check_targets(s, wanted, number);
    update(s, sum);
    near("critic loss", number, sum[METRIC_CRITIC_LOSS], golden_number(wanted, "critic_loss"));
    near("actor loss", number, sum[METRIC_ACTOR_LOSS], golden_number(wanted, "actor_loss"));
    near("mean Q", number, sum[METRIC_Q_MEAN], golden_number(wanted, "q_mean"));
    near("entropy", number, sum[METRIC_ENTROPY], golden_number(wanted, "entropy"));
    near("critic norm", number, sum[METRIC_CRITIC_NORM], golden_number(wanted, "critic_norm"));
    near("actor norm", number, sum[METRIC_ACTOR_NORM], golden_number(wanted, "actor_norm"));
    near("log alpha", number, s->price.log_alpha, golden_number(wanted, "log_alpha"));
    assert_int_equal(s->skipped, 0);
    double actor = compare_store(s->policy->store, golden_at(wanted, "actor"), 1);
    double online = compare_store(s->twin.online, golden_at(wanted, "online"), 1);
    double target = compare_store(s->twin.target, golden_at(wanted, "target"), 1);
    worst_parameter = fmax(worst_parameter, fmax(actor, fmax(online, target)));
}

static void check_variant(const char *file, int threads) {
    json_t *golden = golden_read(file);
    const json_t *updates = golden_at(golden, "updates");
    rein_pool *pool = rein_pool_new(threads);
    sac *s = make(golden, pool);
    write_weights(s->policy->store, golden_at(golden, "actor"));
    write_weights(s->twin.online, golden_at(golden, "online"));
    write_weights(s->twin.target, golden_at(golden, "target"));
    write_memory(s, golden);
    worst_scalar = worst_gradient = worst_parameter = 0;
    assert_int_equal(json_array_size(updates), 3);
    for (int number = 0; number < 3; number++) {
        check_update(s, json_array_get(updates, (size_t)number), number);
        if (number > 0)
            continue;
        double critic = compare_store(s->twin.grads, golden_at(golden, "first_critic_gradients"), 0);
        double actor = compare_store(s->grads, golden_at(golden, "first_actor_gradients"), 0);
        worst_gradient = fmax(critic, actor);
    }
    print_message("# %s, %d threads: scalars %.1e, gradients %.1e, parameters %.1e\n", file, threads,
                  worst_scalar, worst_gradient, worst_parameter);
    sac_destroy(s);
    rein_pool_free(pool);
    json_decref(golden);
}

static void test_variant(void **state) {
    check_variant(*state, 1);
    check_variant(*state, 3);
}

static int all(const char *level) {
    static char files[][32] = {"sac_draws_torch_A.json", "sac_draws_torch_B.json", "sac_draws_torch_C.json",
                               "sac_draws_torch_D.json", "sde_sac_torch.json"};
    const struct CMUnitTest tests[] = {
        {"A: price learned", test_variant, NULL, NULL, files[0]},
        {"B: three steps, clipped, wide", test_variant, NULL, NULL, files[1]},
        {"C: price fixed, faster critics", test_variant, NULL, NULL, files[2]},
        {"D: price fixed, three steps, tanh", test_variant, NULL, NULL, files[3]},
        {"state-dependent exploration", test_variant, NULL, NULL, files[4]},
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return each_level(all);
}
