/*
 * test_run_evaluate.c - evaluations: which episodes are played, that nothing else decides the scores,
 * rein_eval.
 */
#include <math.h>
#include "run/evaluate.h"
#include "run/statistics.h"
#include "run/streams.h"
#include "support/mock_policy.h"
#include "support/run_check.h"

static const rein_env_type *walk;
static rein_policy *policy; /* goes along with fast movements, against slow ones: episodes of many lengths */

static int make_policy(void **state) {
    size_t n;
    if (temp_dir_make(state) != 0 || !(walk = rein_env_find(MOCK_ENV)) ||
        !(policy = mock_policy_new(&walk->obs, &walk->act, "mock", MOCK_ENV)))
        return -1;
    static const float weights[] = {0.5f, -0.5f, -1.4f, 1.4f};
    memcpy(mock_policy_weights(policy, &n), weights, sizeof weights);
    return n == 4 ? 0 : -1;
}

static int drop_policy(void **state) {
    rein_policy_free(policy);
    return temp_dir_remove(state);
}

static reini_scores play(const reini_eval_job *job) {
    reini_scores scores;
    assert_ok(reini_play(job, &scores));
    return scores;
}

static void same_scores(const reini_scores *a, const reini_scores *b, int n) {
    assert_memory_equal(a->returns, b->returns, (size_t)n * sizeof *a->returns);
    assert_memory_equal(a->lengths, b->lengths, (size_t)n * sizeof *a->lengths);
}

/* one episode at a time with the environment's own functions */
static void play_alone(const reini_eval_job *job, int k, double *ret, int *length) {
    uint64_t seed = reini_seed_for(job->seed, "episodes", (uint64_t)(k / REINI_EVAL_ROWS));
    rein_rng rng = rein_rng_make(seed, (uint64_t)(k % REINI_EVAL_ROWS));
    double config[8], state[8];
    float obs[2];
    int32_t action;
    rein_fields_default(walk->fields, walk->n_fields, config);
    walk->reset(config, state, &rng);
    *ret = 0;
    for (*length = 0; *length < walk->horizon;) {
        walk->observe(config, state, obs);
        rein_policy_act(job->policy, 1, obs, NULL, NULL, &action);
        rein_step step = walk->step(config, state, &action, &rng);
        *ret += step.reward;
        ++*length;
        if (step.terminated)
            return;
    }
}

static void episodes_are_those_of_the_seed(void **state) {
    reini_eval_job job = {.env = walk, .policy = policy, .episodes = 300, .seed = 17};
    reini_scores scores = play(&job);
    int short_ones = 0;
    for (int k = 0; k < 300; k++) {
        double ret;
        int length;
        play_alone(&job, k, &ret, &length);
        assert_int_equal((int)scores.lengths[k], length);
        assert_true(fabs(scores.returns[k] - ret) < 1e-5);
        short_ones += length < walk->horizon;
    }
    assert_in_range(short_ones, 20, 280);
    assert_true(scores.act_rows > 0 && scores.act_seconds > 0);
    reini_scores_release(&scores);
}

static void nothing_else_decides(void **state) {
    static const int rows[] = {1, 2, 7, 64, 127, 128, 1000};
    for (int kind = 0; kind < 3; kind++) {
        reini_eval_job job = {.env = walk,
                              .policy = policy,
                              .episodes = 300,
                              .seed = 17,
                              .sample = kind == 1,
                              .obs_noise = kind == 2 ? 0.3 : 0};
        reini_scores all = play(&job);
        for (int i = 0; i < 7; i++) {
            job.rows = rows[i];
            reini_scores some = play(&job);
            same_scores(&all, &some, 300);
            reini_scores_release(&some);
        }
        job.rows = 0;
        for (int threads = 1; threads <= 5; threads += 2) {
            job.pool = rein_pool_new(threads);
            reini_scores some = play(&job);
            same_scores(&all, &some, 300);
            reini_scores_release(&some);
            rein_pool_free(job.pool);
        }
        /* fewer episodes are the first of more; other seeds are other episodes */
        job.pool = NULL;
        job.episodes = 150;
        reini_scores fewer = play(&job);
        same_scores(&all, &fewer, 150);
        reini_scores_release(&fewer);
        job.seed = 18;
        reini_scores other = play(&job);
        assert_true(memcmp(all.returns, other.returns, 150 * sizeof(double)) != 0);
        reini_scores_release(&other);
        reini_scores_release(&all);
    }
}

static void noise_and_sampling_change_scores(void **state) {
    reini_eval_job job = {.env = walk, .policy = policy, .episodes = 200, .seed = 1};
    reini_scores plain = play(&job);
    job.obs_noise = 0.5;
    reini_scores noisy = play(&job);
    job.obs_noise = 0;
    job.sample = true;
    reini_scores sampled = play(&job);
    assert_true(memcmp(plain.returns, noisy.returns, 200 * sizeof(double)) != 0);
    assert_true(memcmp(plain.returns, sampled.returns, 200 * sizeof(double)) != 0);
    reini_scores_release(&plain);
    reini_scores_release(&noisy);
    reini_scores_release(&sampled);
}

/* ---- rein_eval --------------------------------------------------------------------------------------- */

static const char *saved(void) {
    assert_ok(rein_policy_save(policy, run_path("alone.safetensors")));
    return run_path("alone.safetensors");
}

static void a_policy_file_is_scored(void **state) {
    rein_eval_opts opts = {.path = saved(), .episodes = 200, .seed = 5, .threads = 1};
    rein_eval_result r, again;
    assert_ok(rein_eval(&opts, &r));
    assert_string_equal(r.algo, "mock");
    assert_string_equal(r.env, MOCK_ENV);
    assert_int_equal(r.episodes, 200);
    assert_true(r.return_min < r.return_low && r.return_low < r.return_mean);
    assert_true(r.return_mean < r.return_high && r.return_high < r.return_max);
    assert_true(r.return_std > 0 && r.return_iqm > r.return_min && r.return_iqm < r.return_max);
    assert_true(r.success_rate > 0 && r.success_rate < 1);
    assert_true(r.latency_us > 0 && r.wall_s > 0 && r.length_mean > 1);
    opts.threads = 3;
    assert_ok(rein_eval(&opts, &again));
    assert_true(again.return_mean == r.return_mean && again.return_std == r.return_std &&
                again.return_low == r.return_low && again.success_rate == r.success_rate);
    opts.seed = 6;
    assert_ok(rein_eval(&opts, &again));
    assert_true(again.return_mean != r.return_mean);
    opts = (rein_eval_opts){.path = saved()};
    assert_ok(rein_eval(&opts, &again));
    assert_int_equal(again.episodes, 100);
}

/* a grid whose hazards and mud cost, crossed by a network that knows nothing, step by step and by rein_eval */
static void costs_of_episodes_are_told(void **state) {
    static const rein_setting settings[] = {
        {"steps", "128"}, {"n_envs", "2"}, {"n_steps", "64"}, {"batch_size", "64"}};
    enum { N = 40 };
    rein_train_opts train = {.algo = "ppo",
                             .env = "CostGrid-v1",
                             .preset = "none",
                             .settings = settings,
                             .n_settings = sizeof settings / sizeof *settings,
                             .out = run_path("costs")};
    rein_summary summary;
    rein_policy *walker;
    rein_env_type grid;
    assert_ok(rein_train(&train, &summary));
    rein_eval_opts opts = {.path = run_path("costs"), .episodes = N, .seed = 4, .sample = 1, .threads = 1};
    rein_eval_result r;
    assert_ok(rein_eval(&opts, &r));

    assert_ok(rein_policy_load(run_path("costs/policy.safetensors"), &walker));
    assert_ok(rein_env_open(rein_env_find("CostGrid-v1"), NULL, &grid));
    uint64_t seed = reini_seed_for(opts.seed, "evaluation", 0);
    rein_vec *vec;
    assert_ok(
        rein_vec_new(&grid, &(rein_vec_opts){.n = N, .seed = reini_seed_for(seed, "episodes", 0)}, &vec));
    int32_t obs[N], action[N];
    float reward[N], cost[2 * N], of_episode[2 * N];
    uint8_t terminated[N], truncated[N], over[N] = {0};
    double sum[2] = {0, 0};
    rein_slab slab = {.action = action,
                      .obs = obs,
                      .reward = reward,
                      .terminated = terminated,
                      .truncated = truncated,
                      .cost = cost,
                      .ep_cost = of_episode};
    rein_vec_observe(vec, 0, N, &slab);
    for (uint64_t step = 0; step < 100; step++) {
        rein_sampling sampling = {.seed = reini_seed_for(seed, "actions", 0), .step = step};
        rein_policy_act(walker, N, obs, NULL, &sampling, action);
        rein_vec_step(vec, 0, N, &slab);
        for (int i = 0; i < N; i++) {
            for (int k = 0; k < 2; k++)
                sum[k] += over[i] ? 0 : (double)cost[2 * i + k];
            over[i] |= terminated[i] || truncated[i];
        }
    }
    rein_vec_free(vec);
    rein_env_close(&grid);
    rein_policy_free(walker);

    assert_int_equal(r.n_costs, 2);
    assert_string_equal(r.cost_name[0], "hazard");
    assert_string_equal(r.cost_name[1], "mud");
    assert_true(sum[0] > 0 && sum[1] > 0);
    for (int k = 0; k < 2; k++) {
        assert_true(fabs(r.cost_mean[k] - sum[k] / N) < 1e-6);
        assert_true(r.cost_low[k] <= r.cost_mean[k] && r.cost_mean[k] <= r.cost_high[k]);
    }
    opts.path = saved();
    opts.sample = 0;
    assert_ok(rein_eval(&opts, &r));
    assert_int_equal(r.n_costs, 0);
}

static void dynamics_can_be_perturbed(void **state) {
    rein_setting push = {"env.push", "0.9"};
    rein_eval_opts opts = {.path = saved(), .episodes = 200, .threads = 1};
    rein_eval_result plain, pushed;
    assert_ok(rein_eval(&opts, &plain));
    opts.settings = &push;
    opts.n_settings = 1;
    assert_ok(rein_eval(&opts, &pushed));
    assert_true(pushed.length_mean < plain.length_mean);
}

/* a run is evaluated on the environment it was trained on */
static void runs_keep_their_dynamics(void **state) {
    rein_setting settings[] = {RUN_SETTINGS, {"env.push", "0.9"}}, push = {"env.push", "0.9"};
    rein_summary summary;
    rein_train_opts train = run_opts(run_path("pushed"));
    train.settings = settings;
    train.n_settings = N_RUN_SETTINGS + 1;
    assert_ok(reini_train_with(&mock_algo, &train, &summary));
    rein_eval_opts opts = {.path = run_path("pushed"), .episodes = 50, .threads = 1};
    rein_eval_result of_run, of_file, of_copy, of_perturbed;
    assert_ok(rein_eval(&opts, &of_run));
    assert_string_equal(of_run.policy_sha256, summary.policy_sha256);
    opts.path = run_path("pushed/policy.safetensors");
    assert_ok(rein_eval(&opts, &of_file));
    assert_true(of_file.return_mean == of_run.return_mean);
    assert_int_equal(rename(run_path("pushed/policy.safetensors"), run_path("copy.safetensors")), 0);
    opts.path = run_path("copy.safetensors");
    assert_ok(rein_eval(&opts, &of_copy));
    assert_true(of_copy.return_mean != of_run.return_mean);
    opts.settings = &push;
    opts.n_settings = 1;
    assert_ok(rein_eval(&opts, &of_perturbed));
    assert_true(of_perturbed.return_mean == of_run.return_mean);
}

static rein_status eval_with(rein_eval_opts opts) {
    rein_eval_result result;
    return rein_eval(&opts, &result);
}

static void wrong_evaluations_are_refused(void **state) {
    const char *path = saved();
    rein_setting typo = {"env.pusch", "1"}, wide = {"env.push", "99"}, bare = {"push", "1"};
    static const volatile sig_atomic_t stop = 1;
    assert_fails(eval_with((rein_eval_opts){0}), REIN_USAGE, "no run directory or policy file");
    assert_fails(eval_with((rein_eval_opts){.path = "nothing"}), REIN_USAGE, "there is no run directory");
    assert_fails(eval_with((rein_eval_opts){.path = temp_dir}), REIN_USAGE, "neither a run directory nor");
    assert_fails(eval_with((rein_eval_opts){.path = path, .episodes = -1}), REIN_USAGE, "1 <= episodes");
    assert_fails(eval_with((rein_eval_opts){.path = path, .obs_noise = -1}), REIN_USAGE,
                 "standard deviation >= 0");
    assert_fails(eval_with((rein_eval_opts){.path = path, .obs_noise = NAN}), REIN_USAGE,
                 "standard deviation >= 0");
    assert_fails(eval_with((rein_eval_opts){.path = path, .threads = 2000}), REIN_USAGE, "threads <= 1024");
    assert_fails(eval_with((rein_eval_opts){.path = path, .env = "CartPole-v1"}), REIN_MISMATCH,
                 "does not fit CartPole-v1");
    assert_fails(eval_with((rein_eval_opts){.path = path, .env = "CartPole-v9"}), REIN_USAGE, "CartPole-v1");
    assert_fails(eval_with((rein_eval_opts){.path = path, .settings = &typo, .n_settings = 1}), REIN_USAGE,
                 "push");
    assert_fails(eval_with((rein_eval_opts){.path = path, .settings = &wide, .n_settings = 1}), REIN_USAGE,
                 "env.push: 99 is out of range");
    assert_fails(eval_with((rein_eval_opts){.path = path, .settings = &bare, .n_settings = 1}), REIN_USAGE,
                 "env.NAME");
    assert_fails(eval_with((rein_eval_opts){.path = path, .stop = &stop}), REIN_INTERRUPTED, "stopped");
    temp_write(run_path("broken.safetensors"), "not a policy", 12);
    assert_true(eval_with((rein_eval_opts){.path = run_path("broken.safetensors")}) != REIN_OK);
}

static void stop_now(int64_t iteration) {
    run_stop = 1;
}

static void runs_without_a_policy_are_explained(void **state) {
    rein_summary summary;
    rein_train_opts train = run_opts(run_path("two"));
    train.seeds = 2;
    assert_ok(reini_train_with(&mock_algo, &train, &summary));
    assert_fails(eval_with((rein_eval_opts){.path = run_path("two")}), REIN_USAGE, "two/seed-3");
    assert_ok(eval_with((rein_eval_opts){.path = run_path("two/seed-3"), .episodes = 5}));
    train = run_opts(run_path("unfinished"));
    mock_hook = stop_now;
    assert_fails(reini_train_with(&mock_algo, &train, &summary), REIN_INTERRUPTED, "stopped at 30");
    mock_hook = NULL;
    /* a stopped run leaves its policy so far; one that was killed does not */
    assert_ok(eval_with((rein_eval_opts){.path = run_path("unfinished"), .episodes = 5}));
    assert_int_equal(unlink(run_path("unfinished/policy.safetensors")), 0);
    assert_fails(eval_with((rein_eval_opts){.path = run_path("unfinished")}), REIN_USAGE, "has not finished");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(episodes_are_those_of_the_seed),
        cmocka_unit_test(nothing_else_decides),
        cmocka_unit_test(noise_and_sampling_change_scores),
        cmocka_unit_test(a_policy_file_is_scored),
        cmocka_unit_test(costs_of_episodes_are_told),
        cmocka_unit_test(dynamics_can_be_perturbed),
        cmocka_unit_test(runs_keep_their_dynamics),
        cmocka_unit_test(wrong_evaluations_are_refused),
        cmocka_unit_test(runs_without_a_policy_are_explained),
    };
    mock_env_register();
    return cmocka_run_group_tests(tests, make_policy, drop_policy);
}
