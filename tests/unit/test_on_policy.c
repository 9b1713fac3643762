/*
 * test_on_policy.c - what holds for every method that learns on policy: the same bits for any number of threads, after
 * a checkpoint and after kills; no memory taken while iterating, all of it given back, and a sentence when there is
 * none; masked actions are never taken.
 */
#include "algo/on_policy/on_policy.h"
#include "base/base.h"
#include "env/env_types.h"
#include "support/on_policy_rig.h"
#include "support/run_check.h"

typedef struct recipe {
    const char *algo;
    const rein_env_type *env;
    const char *settings;
} recipe;

/* environments that do not divide among the workers, rows that are no multiples of a tile */
static const recipe recipes[] = {
    {"a2c", &reini_env_cartpole, "n_envs=7 n_steps=13 norm_obs=running norm_reward=true shared=true"},
    {"a2c", &reini_env_pendulum, "n_envs=5 n_steps=16 gae_lambda=0.9 normalize_advantage=true hidden=33,17"},
    {"a2c", &reini_env_identity_masked, "n_envs=6 optimizer=adam learning_rate=lin_1e-2 ent_coef=0.01"},
    {"a2c", &reini_env_time_limit, "n_envs=40 n_steps=7 norm_obs=warmup"},
    {"trpo", &reini_env_cartpole, "n_envs=7 n_steps=50 batch_size=111 norm_obs=running norm_reward=true"},
    {"trpo", &reini_env_pendulum,
     "n_envs=9 n_steps=40 batch_size=123 hidden=33,17 sub_sampling_factor=3 scale_actions=true"},
    {"trpo", &reini_env_identity_masked, "n_envs=6 n_steps=31 batch_size=100 hidden=8,8 activation=silu"},
    {"trpo", &reini_env_identity_multi_discrete, "n_envs=3 n_steps=60 batch_size=64 n_critic_updates=2"},
    {"reinforce", &reini_env_cartpole, "n_envs=5 episodes_per_env=3 norm_obs=running variance_every=2"},
    {"reinforce", &reini_env_pendulum, "n_envs=3 hidden=33,17 variance_every=1 baseline=mean"},
    {"reinforce", &reini_env_identity_masked,
     "n_envs=4 returns=total baseline=none normalize_advantage=true"},
    {"cpo", &reini_env_cost_grid, "n_envs=7 n_steps=41 batch_size=111 cost_limit=1,0.5 hidden=17"},
    {"cpo", &reini_env_cost_grid,
     "n_envs=5 n_steps=64 batch_size=64 cost_limit=inf,0.1 sub_sampling_factor=2 norm_reward=true"},
    {"ppo", &reini_env_cost_grid, "n_envs=7 n_steps=41 batch_size=77 cost_limit=1,inf pid_kd=0.2 hidden=17"},
    {"ppo", &reini_env_cost_grid,
     "n_envs=6 n_steps=32 batch_size=64 cost_limit=2,0.5 multiplier=gradient gru=9 sequence=8"},
    {"ppo", &reini_env_pendulum,
     "n_envs=5 n_steps=40 batch_size=50 reference=initial reference_kl=0.01 norm_obs=running"},
    {"reinforce", &reini_env_time_limit, "n_envs=9 episodes_per_env=5 ent_coef=lin_0.1 batch_size=33"},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

typedef struct trainee {
    const reini_algo *algo;
    void *self;
    rein_pool *pool;
} trainee;

static trainee make(const recipe *from, int threads) {
    trainee t = {.algo = reini_algo_find(from->algo), .pool = rein_pool_new(threads)};
    t.self = rig_make(t.algo, from->env, from->settings, t.pool);
    return t;
}

static void release(trainee *t) {
    t->algo->destroy(t->self);
    rein_pool_free(t->pool);
}

/* ---- the same bits ------------------------------------------------------------------------------------- */

static void same_state(const char *how, const trainee *a, const trainee *b, const reini_report *x,
                       const reini_report *y) {
    char sha[2][65];
    rein_policy_sha256(a->algo->policy(a->self), sha[0]);
    rein_policy_sha256(b->algo->policy(b->self), sha[1]);
    const char *env = a->algo->policy(a->self)->env;
    if (strcmp(sha[0], sha[1]) != 0)
        fail_msg("%s on %s: %s changes what is learned", a->algo->name, env, how);
    for (int i = 0; i < a->algo->n_metrics; i++)
        if (memcmp(&x->metric[i], &y->metric[i], sizeof x->metric[i]) != 0)
            fail_msg("%s on %s, %s: %s is %.17g, and %.17g without", a->algo->name, env, how,
                     a->algo->metrics[i], y->metric[i], x->metric[i]);
    assert_int_equal(x->episodes, y->episodes);
    assert_int_equal(x->env_steps, y->env_steps);
    assert_memory_equal(&x->return_mean, &y->return_mean, sizeof x->return_mean);
    assert_memory_equal(&x->length_mean, &y->length_mean, sizeof x->length_mean);
}

static void test_threads_do_not_change_bits(void **state) {
    static const int threads[] = {2, 3, 8};
    for (int k = 0; k < RECIPES; k++)
        for (int i = 0; i < 3; i++) {
            trainee one = make(&recipes[k], 1), many = make(&recipes[k], threads[i]);
            for (int round = 0; round < 4; round++) {
                reini_report x = rig_iterate(one.algo, one.self, 1), y = rig_iterate(many.algo, many.self, 1);
                same_state("a number of threads", &one, &many, &x, &y);
            }
            release(&one);
            release(&many);
        }
}

static void test_checkpoints_hold_everything(void **state) {
    for (int k = 0; k < RECIPES; k++) {
        trainee whole = make(&recipes[k], 1), resumed = make(&recipes[k], 2);
        const char *path = run_path("state");
        reini_archive *archive;
        rig_iterate(whole.algo, whole.self, 3);
        json_t *header = json_pack("{s:s}", "kind", "test");
        assert_ok(reini_archive_create(path, header, &archive));
        assert_ok(whole.algo->visit(whole.self, archive));
        assert_ok(reini_archive_finish(archive));
        json_decref(header);
        rig_iterate(resumed.algo, resumed.self, 1); /* what is there is overwritten */
        assert_ok(reini_archive_open(path, &archive, NULL));
        assert_ok(resumed.algo->visit(resumed.self, archive));
        assert_ok(reini_archive_finish(archive));
        for (int round = 0; round < 3; round++) {
            reini_report x = rig_iterate(whole.algo, whole.self, 1),
                         y = rig_iterate(resumed.algo, resumed.self, 1);
            same_state("a checkpoint", &whole, &resumed, &x, &y);
        }
        release(&whole);
        release(&resumed);
    }
}

#define N_RUN 5
static void check_kills(const char *algo, const char *env, const rein_setting settings[N_RUN],
                        uint64_t seed) {
    rein_train_opts opts = {.algo = algo,
                            .env = env,
                            .preset = "none",
                            .settings = settings,
                            .n_settings = N_RUN,
                            .out = run_path(algo)};
    run_check_kills(reini_algo_find(algo), opts, 0.25, 4000, seed);
}

static void test_killed_runs_end_the_same(void **state) {
    static const rein_setting settings[N_RUN] = {{"steps", "20000"},
                                                 {"eval_every", "5000"},
                                                 {"checkpoint_every", "600"},
                                                 {"seed", "8"},
                                                 {"norm_obs", "running"}};
    check_kills("a2c", "CartPole-v1", settings, 1);
    check_kills("trpo", "Pendulum-v1", settings, 2);
    check_kills("reinforce", "CartPole-v1", settings, 3);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static void test_iterations_take_no_memory(void **state) {
    for (int k = 0; k < RECIPES; k++) {
        trainee t = make(&recipes[k], 2);
        rig_iterate(t.algo, t.self, 1);
        reini_memory before = reini_memory_now();
        rig_iterate(t.algo, t.self, 5);
        reini_memory after = reini_memory_now();
        assert_true(after.allocations == before.allocations);
        assert_true(after.peak_bytes == before.peak_bytes);
        release(&t);
    }
}

/* every allocation of the making fails in turn */
static void test_no_memory_is_told(void **state) {
    for (int k = 0; k < RECIPES; k += 2) {
        const reini_algo *algo = reini_algo_find(recipes[k].algo);
        void *config = calloc(1, algo->config_size), *self = NULL;
        reini_context context = {.env = recipes[k].env, .seed = 3, .total_steps = 1000};
        rig_configure(algo, config, recipes[k].settings);
        uint64_t live = reini_memory_now().live_bytes;
        rein_status status = REIN_NOMEM;
        for (uint64_t n = 1; status != REIN_OK; n++) {
            reini_memory_fail(n, false);
            status = algo->create(config, &context, &self);
            reini_memory_fail(0, false);
            if (status != REIN_OK)
                assert_int_equal(status, REIN_NOMEM);
            else
                algo->destroy(self);
            assert_true(reini_memory_now().live_bytes == live);
        }
        free(config);
    }
}

/* ---- masks --------------------------------------------------------------------------------------------- */

static void test_masked_actions_are_never_taken(void **state) {
    static const recipe masked[] = {
        {"a2c", &reini_env_identity_masked, "n_envs=16 n_steps=25 learning_rate=1e-2"},
        {"trpo", &reini_env_identity_masked, "n_envs=16 n_steps=25 batch_size=100"},
        {"reinforce", &reini_env_identity_masked, "n_envs=16 learning_rate=1e-2"},
    };
    for (int k = 0; k < 3; k++) {
        trainee t = make(&masked[k], 1);
        const reini_rollout *r = reini_on_policy_rollout(t.self); /* its first member */
        for (int round = 0; round < 30; round++) {
            rig_iterate(t.algo, t.self, 1);
            for (int64_t i = 0; i < r->T * r->N; i++) {
                int32_t action = ((const int32_t *)r->action)[i];
                assert_in_range(action, 0, r->logits - 1);
                assert_int_equal(r->mask[i * r->logits + action], 1);
            }
        }
        release(&t);
    }
}

static const rein_env_type pictures = {
    .id = "test/Pictures-v0",
    .obs = {.kind = REIN_SPACE_IMAGE, .size = 48, .shape = {3, 4, 4}},
    .act = {REIN_SPACE_DISCRETE, 1, {2}},
    .horizon = 10,
};

static void test_what_does_not_fit_is_refused(void **state) {
    static const char *const names[] = {"a2c", "trpo", "reinforce"};
    for (int k = 0; k < 3; k++) {
        const reini_algo *algo = reini_algo_find(names[k]);
        assert_ok(rig_check(algo, &reini_env_cartpole, ""));
        assert_ok(rig_check(algo, &pictures, ""));
        assert_fails(rig_check(algo, &pictures, "encoder=nature"), REIN_USAGE,
                     "too small for encoder nature");
    }
    assert_fails(rig_check(reini_algo_find("a2c"), &reini_env_cartpole, "n_envs=65536 n_steps=1048576"),
                 REIN_USAGE, "more than 2^31");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_do_not_change_bits),
        cmocka_unit_test(test_checkpoints_hold_everything),
        cmocka_unit_test(test_killed_runs_end_the_same),
        cmocka_unit_test(test_iterations_take_no_memory),
        cmocka_unit_test(test_no_memory_is_told),
        cmocka_unit_test(test_masked_actions_are_never_taken),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("on policy", tests, temp_dir_make, temp_dir_remove);
}
