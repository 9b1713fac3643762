/*
 * test_recurrent.c - policies with a memory: what a rollout remembers, against the unit written out by hand; the forward
 * pass that learns, against the one that acted, bit for bit; sequences, and settings that are refused.
 */
#include <math.h>
#include "algo/on_policy/on_policy.h"
#include "env/env_types.h"
#include "support/each_level.h"
#include "support/on_policy_rig.h"
#include "support/walks_env.h"
#include "tensor/kernels.h"

/* ---- the network by hand, in double --------------------------------------------------------------------- */

enum { HIDDEN = 6, GRU = 5 };

static const float *weights(const reini_net *policy, const char *trunk, const char *part) {
    char name[96];
    snprintf(name, sizeof name, "%s.%s", trunk, part);
    int i = rein_layout_find(policy->layout, name);
    if (i < 0)
        fail_msg("no parameter %s", name);
    return (const float *)rein_store_view(policy->store) + rein_layout_at(policy->layout, i).offset;
}

static void layer(const reini_net *policy, const char *trunk, const char *part, const double *x, int in,
                  double *y, int out) {
    char name[64];
    snprintf(name, sizeof name, "%s.weight", part);
    const float *w = weights(policy, trunk, name);
    snprintf(name, sizeof name, "%s.bias", part);
    const float *b = weights(policy, trunk, name);
    for (int o = 0; o < out; o++) {
        y[o] = (double)b[o];
        for (int i = 0; i < in; i++)
            y[o] += x[i] * (double)w[i * out + o];
    }
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* a step of a trunk: state (GRU) before and after, out (numbers) of the head */
static void step_by_hand(const reini_net *policy, const char *trunk, const char *name, const float *obs,
                         double *state, double *out, int numbers) {
    double x[2], hidden[HIDDEN], gates[3 * GRU], c[3 * GRU];
    for (int i = 0; i < 2; i++) {
        double deviation = sqrt(reini_moments_variance(&policy->moments, i) + 1e-8);
        x[i] = policy->net.norm_obs ? ((double)obs[i] - policy->moments.mean[i]) / deviation : (double)obs[i];
    }
    layer(policy, trunk, "0", x, 2, hidden, HIDDEN);
    for (int i = 0; i < HIDDEN; i++)
        hidden[i] = tanh(hidden[i]);
    layer(policy, trunk, "gru.input", hidden, HIDDEN, gates, 3 * GRU);
    layer(policy, trunk, "gru.state", state, GRU, c, 3 * GRU);
    for (int j = 0; j < GRU; j++) {
        double r = sigmoid(gates[j] + c[j]), z = sigmoid(gates[GRU + j] + c[GRU + j]);
        state[j] = (1 - z) * tanh(gates[2 * GRU + j] + r * c[2 * GRU + j]) + z * state[j];
    }
    layer(policy, name, "head.0", state, GRU, out, numbers);
}

/* ---- collecting ----------------------------------------------------------------------------------------- */

typedef struct gathered {
    reini_on_policy base;
    rein_pool *pool;
    reini_rollout *r;
} gathered;

/* Weights that say something, statistics, and a second rollout: its first steps go on from states of the first. */
static void gather(gathered *g, bool shared, int threads, int64_t sequence, rein_dtype matmul) {
    reini_report report = {0};
    *g = (gathered){.pool = rein_pool_new(threads)};
    reini_context context = {
        .env = &walks, .seed = 3, .total_steps = 1000, .pool = g->pool, .matmul = matmul};
    reini_on_policy_opts opts = {
        .algo = "ppo",
        .n_envs = 6,
        .n_steps = 24,
        .gamma = 0.9,
        .critic = true,
        .output = true,
        .sequence = sequence,
        .net = {.activation = REIN_ACT_TANH, .shared = shared, .norm_obs = REINI_NORM_RUNNING, .gru = GRU}};
    opts.net.hidden.count = 1;
    opts.net.hidden.at[0] = HIDDEN;
    assert_ok(reini_on_policy_check(&opts, &context));
    assert_ok(reini_on_policy_init(&g->base, &opts, &context));
    rein_rng rng = rein_rng_make(5, 0);
    float *data = rein_store_data(g->base.policy->store);
    for (int k = 0; k < rein_layout_count(g->base.policy->layout); k++) {
        rein_param_info info = rein_layout_at(g->base.policy->layout, k);
        for (int64_t i = 0; i < info.count; i++)
            data[info.offset + i] += (float)(0.4 * rein_rng_normal(&rng));
    }
    for (int i = 0; i < 2; i++)
        assert_true(reini_on_policy_gather(&g->base, &report));
    g->r = reini_on_policy_rollout(&g->base);
}

static void release(gathered *g) {
    reini_on_policy_release(&g->base);
    rein_pool_free(g->pool);
}

/* States, logits and values of all steps as the unit by hand has them, and the values of cut episodes. */
static void check_by_hand(bool shared) {
    gathered g;
    gather(&g, shared, 1, 8, REIN_F32);
    const reini_net *policy = g.base.policy;
    reini_rollout *r = g.r;
    int size = shared ? GRU : 2 * GRU, cut = 0, inside = 0;
    float *reward = malloc((size_t)(r->T * r->N) * sizeof *reward);
    memcpy(reward, r->reward, (size_t)(r->T * r->N) * sizeof *reward);
    reini_collector_evaluate(g.base.collector, 0.9);
    assert_int_equal(r->state_size, size);
    for (int64_t n = 0; n < r->N; n++) {
        double state[2 * GRU];
        for (int i = 0; i < size; i++)
            state[i] = (double)r->state[n * size + i];
        for (int64_t t = 0; t <= r->T; t++) {
            int64_t at = t * r->N + n;
            double logits[3], value;
            for (int i = 0; i < size; i++)
                assert_true(fabs(state[i] - (double)r->state[at * size + i]) < 1e-5);
            if (t == r->T)
                break;
            const float *obs = r->obs + at * 2;
            const char *critic = shared ? "shared" : "critic";
            double unused[2 * GRU];
            memcpy(unused, state, sizeof unused);
            step_by_hand(policy, critic, "critic", obs, shared ? unused : state + GRU, &value, 1);
            step_by_hand(policy, shared ? "shared" : "actor", "actor", obs, state, logits, 3);
            assert_true(fabs(value - (double)r->value[at]) < 1e-4);
            for (int i = 0; i < 3; i++)
                assert_true(fabs(logits[i] - (double)r->output[at * 3 + i]) < 1e-4);
            if (r->truncated[at] && !r->terminated[at]) {
                int k = 0;
                while (r->final_step[n * r->final_capacity + k] != t)
                    k++;
                const float *last = r->final_obs + (n * r->final_capacity + k) * 2;
                memcpy(unused, state, sizeof unused);
                step_by_hand(policy, critic, "critic", last, unused + (shared ? 0 : GRU), &value, 1);
                assert_true(fabs((double)reward[at] + 0.9 * value - (double)r->reward[at]) < 1e-4);
                cut++;
            }
            if (r->done[at])
                memset(state, 0, sizeof state);
            if (t + 1 < r->T)
                assert_int_equal(r->start[at + r->N], r->done[at]);
            inside += r->done[at] && t % 8 != 7;
        }
    }
    assert_true(cut > 3 && inside > 20);
    free(reward);
    release(&g);
}

static void test_by_hand(void **state) {
    check_by_hand(false);
    check_by_hand(true);
}

/* ---- the forward pass that learns ----------------------------------------------------------------------- */

/* Log-probabilities and values of all steps in random order of sequences, against those of acting. */
static void check_forward(bool shared, int64_t length, rein_dtype matmul) {
    enum { STEPS = 6 * 24 };
    static int32_t order[STEPS];
    static uint32_t words[(STEPS + 63) / 64 * 64];
    static float logp[STEPS], value[STEPS];
    gathered g;
    reini_part part = {0};
    gather(&g, shared, 2, length, matmul);
    reini_collector_evaluate(g.base.collector, 0.9);
    assert_ok(reini_part_begin(&part, &g.base, STEPS, STEPS));
    rein_tensor *action = reini_batch_action(&part.batch, g.base.policy, g.r);
    reini_net_heads now = reini_batch_heads(&part.batch, g.base.policy, part.slot, g.r, true, true, &part.in);
    rein_tensor *out[2] = {rein_output(rein_dist_logp(&now.dist, action), "logp"),
                           rein_output(now.value, "value")};
    assert_ok(reini_part_end(&part, &g.base));
    rein_exec_rows(part.exec, part.batch.steps, STEPS);
    for (uint64_t draw = 0; draw < 3; draw++) {
        reini_sequence_shuffle(order, words, g.r->T, g.r->N, length, 1, 2, draw);
        int64_t rows = draw == 2 ? 2 * length : STEPS; /* a last minibatch may be smaller */
        reini_batch_select(&part.batch, part.exec, order, rows);
        rein_exec_bind(part.exec, out[0], logp, 0);
        rein_exec_bind(part.exec, out[1], value, 0);
        rein_exec_run(part.exec);
        for (int64_t i = 0; i < rows; i++) {
            assert_memory_equal(&logp[i], &g.r->logp[order[i]], sizeof(float));
            assert_memory_equal(&value[i], &g.r->value[order[i]], sizeof(float));
        }
    }
    reini_part_release(&part);
    release(&g);
}

static void test_forward(void **state) {
    for (int64_t length = 1; length <= 24; length = length < 3 ? length + 1 : length * 2) {
        check_forward(false, length, REIN_F32);
        check_forward(true, length, REIN_F32);
    }
    check_forward(false, 24, REIN_F32);
    if (reini_bf16_available())
        check_forward(false, 8, REIN_BF16);
}

/* one epoch of one minibatch: the policy that learns is the one that acted */
static void test_first_minibatch(void **state) {
    const reini_algo *algo = reini_algo_find("ppo");
    void *p = rig_make(algo, &walks,
                       "hidden=6 gru=5 n_envs=6 n_steps=24 batch_size=144 n_epochs=1 sequence=8", NULL);
    for (int i = 0; i < 3; i++) {
        reini_report report = rig_iterate(algo, p, 1);
        double kl = NAN, clipped = NAN;
        for (int m = 0; m < algo->n_metrics; m++) {
            kl = strcmp(algo->metrics[m], "train/approx_kl") == 0 ? report.metric[m] : kl;
            clipped = strcmp(algo->metrics[m], "train/clip_fraction") == 0 ? report.metric[m] : clipped;
        }
        assert_true(kl == 0 && clipped == 0);
    }
    algo->destroy(p);
}

static void test_masks(void **state) {
    gathered g;
    gather(&g, false, 1, 8, REIN_F32);
    for (int64_t i = 0; i < g.r->T * g.r->N; i++)
        assert_int_equal(g.r->mask[i * 3 + ((int32_t *)g.r->action)[i]], 1);
    release(&g);
}

/* ---- sequences ------------------------------------------------------------------------------------------ */

static void check_order(const int32_t *order, int T, int N, int length) {
    static char seen[4096];
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < T * N; i++) {
        assert_in_range(order[i], 0, T * N - 1);
        assert_int_equal(seen[order[i]]++, 0);
        if (i % length == 0)
            assert_int_equal(order[i] / N % length, 0);
        else
            assert_int_equal(order[i], order[i - 1] + N);
    }
}

static void test_sequences(void **state) {
    static int32_t order[4096], again[4096];
    static uint32_t words[4096];
    static const int shapes[][3] = {{8, 5, 4}, {24, 7, 8}, {6, 1, 3}, {12, 3, 12}, {9, 4, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int T = shapes[i][0], N = shapes[i][1], length = shapes[i][2];
        reini_sequence_shuffle(order, words, T, N, length, 1, 2, 3);
        check_order(order, T, N, length);
        reini_sequence_shuffle(again, words, T, N, length, 1, 2, 4);
        check_order(again, T, N, length);
        if (T * N / length >= 8) /* orders that could hardly be the same by chance */
            assert_true(memcmp(order, again, (size_t)(T * N) * 4) != 0);
        reini_sequence_order(order, T, N, length);
        check_order(order, T, N, length);
        assert_int_equal(order[0], 0);
    }
    assert_int_equal(reini_sequence_length(0, 0, 128), 1);
    assert_int_equal(reini_sequence_length(8, 0, 128), 32);
    assert_int_equal(reini_sequence_length(8, 0, 5), 5);
    assert_int_equal(reini_sequence_length(8, 0, 62), 31);
    assert_int_equal(reini_sequence_length(8, 16, 128), 16);
}

static void test_refused(void **state) {
    static const struct {
        const char *algo, *settings, *says;
    } cases[] = {
        {"ppo", "gru=8 n_steps=32 sequence=12", "n_steps"},
        {"ppo", "gru=8 n_steps=32 sequence=16 batch_size=40", "batch_size"},
        {"ppo", "sequence=16 n_steps=32", "gru"},
        {"a2c", "gru=8 n_steps=5 sequence=2", "n_steps"},
        {"a2c", "sequence=5", "gru"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const reini_algo *algo = reini_algo_find(cases[i].algo);
        assert_int_equal(rig_check(algo, &reini_env_cartpole, cases[i].settings), REIN_USAGE);
        assert_non_null(strstr(rein_error(), cases[i].says));
    }
    assert_ok(rig_check(reini_algo_find("a2c"), &reini_env_cartpole, "gru=8"));
    assert_ok(rig_check(reini_algo_find("ppo"), &reini_env_cartpole, "gru=8 objective=penalty critic=false"));
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),         cmocka_unit_test(test_forward),
        cmocka_unit_test(test_first_minibatch), cmocka_unit_test(test_masks),
        cmocka_unit_test(test_sequences),       cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return rein_env_register(&walks) != REIN_OK ? 1 : each_level(all);
}
