/*
 * test_cnn_torch.c - policies on images against PyTorch (tests/reference/cnn_torch.py), at every instruction-set level:
 * two updates of DQN with the encoders minatar and nature, and PPO's loss and gradients with the encoder impala shared
 * by actor and critic.
 *
 * Weights, images and numbers are a hash of their name and place, as in the script.
 */
#include "algo/off_policy/dqn.c"
#include "rl/pg_loss.h"
#include "support/each_level.h"
#include "support/golden.h"

enum { BATCH = 32, PROBES = 16, MOST_IMAGE = 4 * 44 * 44 };

/* ---- numbers ------------------------------------------------------------------------------------------- */

static uint32_t word_of(const char *prefix, const char *name, int64_t i) {
    uint32_t salt = 2166136261u;
    for (const char *part = prefix; *part != 0; part++)
        salt = (salt ^ (uint8_t)*part) * 16777619u;
    for (const char *part = name; *part != 0; part++)
        salt = (salt ^ (uint8_t)*part) * 16777619u;
    uint32_t x = (uint32_t)i * 2654435769u + salt;
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x *= 0x846CA68Bu;
    return x ^ x >> 16;
}

static float number_of(const char *prefix, const char *name, int64_t i) {
    return (float)(word_of(prefix, name, i) >> 8) / 8388608.0f - 1;
}

static void make_weights(rein_store *store, const char *prefix) {
    for (int k = 0; k < rein_layout_count(rein_store_layout(store)); k++) {
        rein_param_info info = rein_layout_at(rein_store_layout(store), k);
        float scale = 0.125f, *to = (float *)rein_store_data(store) + info.offset;
        if (info.ndim > 1)
            for (scale = 2; 4 * (float)info.dims[0] > 16 / (scale * scale);)
                scale /= 2;
        for (int64_t i = 0; i < info.count; i++)
            to[i] = scale * number_of(prefix, info.name, i);
    }
}

static void make_images(uint8_t *to, int64_t count, bool binary) {
    for (int64_t i = 0; i < count; i++)
        to[i] = (uint8_t)(word_of("", "obs", i) >> 24) & (binary ? 1 : 255);
}

/* ---- comparing ----------------------------------------------------------------------------------------- */

static void close_to(const char *what, double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance * fmax(fabs(wanted), 1)))
        fail_msg("%s: found %.9g, PyTorch has %.9g", what, found, wanted);
}

static int64_t probe(int j, int64_t count) {
    return (int64_t)((uint64_t)j * 2654435761u % (uint64_t)count);
}

static void compare_gradients(const rein_store *grads, const json_t *tensors, double tolerance) {
    rein_layout *layout = rein_store_layout(grads);
    assert_int_equal(json_object_size(tensors), rein_layout_count(layout));
    for (int k = 0; k < rein_layout_count(layout); k++) {
        rein_param_info info = rein_layout_at(layout, k);
        const json_t *wanted = golden_at(tensors, info.name);
        const float *g = (const float *)rein_store_view(grads) + info.offset;
        double sum = 0, size = 0, at[PROBES];
        for (int64_t i = 0; i < info.count; i++) {
            sum += (double)g[i];
            size += fabs((double)g[i]);
        }
        close_to(info.name, sum, golden_number(wanted, "sum"), tolerance * fmax(size, 1));
        close_to(info.name, size, golden_number(wanted, "size"), tolerance);
        golden_doubles(wanted, "probe", at, PROBES);
        for (int j = 0; j < PROBES; j++)
            close_to(info.name, (double)g[probe(j, info.count)], at[j], tolerance);
    }
}

static void compare_parameters(const rein_store *store, const json_t *tensors, double tolerance) {
    rein_layout *layout = rein_store_layout(store);
    for (int k = 0; k < rein_layout_count(layout); k++) {
        rein_param_info info = rein_layout_at(layout, k);
        const float *p = (const float *)rein_store_view(store) + info.offset;
        double at[PROBES];
        golden_doubles(golden_at(tensors, info.name), "after", at, PROBES);
        for (int j = 0; j < PROBES; j++)
            close_to(info.name, (double)p[probe(j, info.count)], at[j], tolerance);
    }
}

/* ---- spaces -------------------------------------------------------------------------------------------- */

static void reset(const void *config, void *state, rein_rng *rng) {
}

static rein_step step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){0};
}

static void observe_small(const void *config, const void *state, void *obs) {
    memset(obs, 0, 400);
}

static void observe_large(const void *config, const void *state, void *obs) {
    memset(obs, 0, MOST_IMAGE);
}

#define SPACE_ENV(title, side, observer)                                                                     \
    {                                                                                                        \
        .abi = REIN_ENV_ABI, .id = title, .doc = "spaces only",                                              \
        .obs = {.kind = REIN_SPACE_IMAGE, .size = 4 * (side) * (side), .shape = {4, side, side}},            \
        .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {6}}, .reset = reset, .step = step,             \
        .observe = observer, .reward_threshold = NAN                                                         \
    }
static const rein_env_type small = SPACE_ENV("TorchSmall-v0", 10, observe_small);
static const rein_env_type large = SPACE_ENV("TorchLarge-v0", 44, observe_large);

/* ---- DQN ----------------------------------------------------------------------------------------------- */

static dqn *make(const rein_env_type *env, rein_pool *pool) {
    dqn_config config;
    reini_context context = {.env = env, .seed = 1, .total_steps = 1000000, .pool = pool};
    void *self = NULL;
    memset(&config, 0, sizeof config);
    rein_fields_default(dqn_fields, reini_algo_dqn.n_fields, &config);
    config.buffer_size = 2 * BATCH;
    config.batch_size = BATCH;
    config.adam_eps = 1e-4;
    config.max_grad_norm = 0.5;
    assert_ok(reini_algo_dqn.check(&config, &context));
    assert_ok(reini_algo_dqn.create(&config, &context, &self));
    dqn *d = self;
    make_weights(d->policy->store, "online.");
    make_weights(d->target, "target.");
    make_images(d->replay->obs, (int64_t)2 * BATCH * env->obs.size, env == &small);
    for (int i = 0; i < BATCH; i++) {
        ((int32_t *)d->replay->action)[i] = (int32_t)(word_of("", "action", i) % 6);
        d->batch->index[i] = i;
        d->batch->reward[i] = 2 * number_of("", "reward", i);
        d->batch->discount[i] = i % 5 == 0 ? 0 : 0.96875f;
    }
    return d;
}

static void update(dqn *d, int k, double *sum) {
    for (int i = 0; i < BATCH; i++) {
        d->batch->row[i] = k == 0 ? i : BATCH + i;
        d->batch->next_row[i] = k == 0 ? BATCH + i : i;
    }
    memset(sum, 0, METRICS * sizeof *sum);
    descend(d, sum, 1e-3);
}

static void check_dqn(const json_t *golden, const char *name, const rein_env_type *env, int threads) {
    rein_pool *pool = rein_pool_new(threads);
    const json_t *wanted = golden_at(golden, name), *tensors = golden_at(wanted, "tensors");
    double losses[2], q[BATCH], sum[METRICS], mean = 0;
    dqn *d = make(env, pool);
    golden_doubles(wanted, "losses", losses, 2);
    golden_doubles(wanted, "q", q, BATCH);
    for (int i = 0; i < BATCH; i++)
        mean += q[i] / BATCH;
    update(d, 0, sum);
    close_to("loss", sum[METRIC_LOSS], losses[0], 1e-5);
    close_to("mean value", sum[METRIC_Q_MEAN], mean, 1e-5);
    compare_gradients(d->grads, tensors, 1e-5);
    update(d, 1, sum);
    close_to("second loss", sum[METRIC_LOSS], losses[1], 1e-5);
    compare_parameters(d->policy->store, tensors, 1e-5);
    dqn_destroy(d);
    rein_pool_free(pool);
}

static void test_dqn(void **state) {
    json_t *golden = golden_read("cnn_torch.json");
    for (int threads = 1; threads <= 2; threads++) {
        check_dqn(golden, "minatar", &small, threads);
        check_dqn(golden, "nature", &large, threads);
    }
    json_decref(golden);
}

/* ---- PPO's loss with shared residual layers ------------------------------------------------------------ */

typedef struct loss_inputs {
    rein_tensor *obs, *action, *old, *advantage, *wanted;
} loss_inputs;

static rein_tensor *ppo_loss(const reini_net *policy, rein_graph *g, int slot, int rows, loss_inputs *u,
                             rein_tensor **value) {
    u->obs = rein_input(g, "obs", REIN_U8, rows, 1, &policy->base.obs.size);
    u->action = rein_input(g, "action", REIN_I32, rows, 1, (int[]){1});
    u->old = rein_input(g, "old", REIN_F32, rows, 1, (int[]){1});
    u->advantage = rein_input(g, "advantage", REIN_F32, rows, 1, (int[]){1});
    u->wanted = rein_input(g, "wanted", REIN_F32, rows, 1, (int[]){1});
    reini_net_inputs in = {.obs = u->obs};
    reini_net_heads heads = reini_net_build(policy, slot, &in, true, true);
    reini_pg pg = reini_pg_clip(rein_dist_logp(&heads.dist, u->action), u->old, u->advantage,
                                rein_constant(g, 0.75), rein_constant(g, 1.25));
    rein_tensor *error = rein_square(rein_sub(heads.value, u->wanted));
    rein_tensor *loss = rein_add(rein_neg(pg.gain), rein_scale(error, 0.5));
    *value = rein_output(heads.value, "value");
    return rein_mean(rein_sub(loss, rein_scale(rein_dist_entropy(&heads.dist), 0.015625)));
}

static void bind_made(rein_exec *exec, const loss_inputs *u, uint8_t *obs, int64_t size) {
    static int32_t action[BATCH];
    static float old[BATCH], advantage[BATCH], wanted[BATCH];
    make_images(obs, BATCH * size, false);
    for (int i = 0; i < BATCH; i++) {
        action[i] = (int32_t)(word_of("", "action", i) % 5);
        old[i] = number_of("", "old", i) - 2;
        advantage[i] = number_of("", "advantage", i);
        wanted[i] = number_of("", "wanted", i);
    }
    rein_exec_bind(exec, u->obs, obs, 0);
    rein_exec_bind(exec, u->action, action, 0);
    rein_exec_bind(exec, u->old, old, 0);
    rein_exec_bind(exec, u->advantage, advantage, 0);
    rein_exec_bind(exec, u->wanted, wanted, 0);
}

static void test_ppo(void **state) {
    static uint8_t obs[BATCH * 3 * 20 * 20];
    const rein_space images = {.kind = REIN_SPACE_IMAGE, .size = 1200, .shape = {3, 20, 20}};
    const rein_space actions = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {5}};
    reini_net_config net = {.shared = true};
    json_t *golden = golden_read("cnn_torch.json");
    const json_t *wanted = golden_at(golden, "impala");
    reini_net *policy;
    rein_program *program;
    rein_exec *exec;
    rein_store *grads;
    loss_inputs u;
    rein_tensor *value;
    double loss_wanted, values[BATCH];
    assert_ok(reini_net_new("ppo", "images", &images, &actions, &net, true, REIN_F32, 1, &policy));
    make_weights(policy->store, "online.");
    rein_graph *g = rein_graph_new(REIN_F32);
    int rows = rein_extent(g, "rows", BATCH), slot = rein_slot(g, policy->layout);
    rein_tensor *loss = rein_output(ppo_loss(policy, g, slot, rows, &u, &value), "loss");
    int gradient = rein_gradient(loss, slot, NULL);
    assert_ok(rein_compile(g, NULL, &program));
    assert_ok(rein_exec_new(program, NULL, &exec));
    assert_ok(rein_store_new(policy->layout, REIN_F32, &grads));
    rein_exec_bind_store(exec, slot, policy->store);
    rein_exec_bind_gradient(exec, gradient, grads);
    bind_made(exec, &u, obs, images.size);
    rein_exec_run(exec);
    golden_doubles(wanted, "losses", &loss_wanted, 1);
    golden_doubles(wanted, "q", values, BATCH);
    close_to("loss", rein_exec_scalar(exec, loss), loss_wanted, 1e-5);
    for (int i = 0; i < BATCH; i++)
        close_to("value", (double)((const float *)rein_exec_data(exec, value))[i], values[i], 1e-5);
    compare_gradients(grads, golden_at(wanted, "tensors"), 1e-5);
    rein_exec_free(exec);
    rein_program_free(program);
    rein_graph_free(g);
    rein_store_free(grads);
    reini_net_free(policy);
    json_decref(golden);
}

static int group(const char *level) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dqn),
        cmocka_unit_test(test_ppo),
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return each_level(group);
}
