/*
 * test_sde.c - state-dependent exploration: how long a noise lasts, what it is over many draws, that densities are
 * densities, what acts when nothing is learned, what is saved, and what is refused.
 */
#include <math.h>
#include <stdlib.h>
#include "env/env_types.h"
#include "rl/rollout.h"
#include "support/on_policy_rig.h"
#include "support/small_policy.h"
#include "support/temp_dir.h"

/* ---- a world that does not move, so that only the noise moves the action -------------------------------- */

static const float low[] = {-1, -3}, high[] = {1, 5};

static void still_reset(const void *config, void *state, rein_rng *rng) {
    *(float *)state = (float)rein_rng_normal(rng);
}

static rein_step still_step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){0};
}

static void still_observe(const void *config, const void *state, void *obs) {
    ((float *)obs)[0] = *(const float *)state;
    ((float *)obs)[1] = 0.5f;
}

static const rein_env_type still = {
    .abi = REIN_ENV_ABI,
    .id = "test/Still-v0",
    .doc = "nothing happens",
    .obs = {.kind = REIN_SPACE_BOX, .size = 2, .shape = {2}},
    .act = {.kind = REIN_SPACE_BOX, .size = 2, .shape = {2}, .low = low, .high = high},
    .state_size = sizeof(float),
    .reset = still_reset,
    .step = still_step,
    .observe = still_observe,
};

/* ---- the life of a noise -------------------------------------------------------------------------------- */

enum { N = 5, T = 12, ACT = 2 };

/* a rollout's actions */
static void collect(reini_collector *c, float out[T][N][ACT]) {
    double env = 0, act = 0;
    reini_collector_run(c, &env, &act);
    memcpy(out, reini_collector_rollout(c)->action, T * N * ACT * sizeof(float));
}

static bool same(const float *a, const float *b) {
    return memcmp(a, b, ACT * sizeof *a) == 0;
}

static void check_life(int life) {
    char settings[128];
    float a[T][N][ACT], next[T][N][ACT];
    snprintf(settings, sizeof settings, "hidden=8,6 use_sde=true sde_sample_freq=%d", life);
    reini_net *policy = small_policy(&still, settings, false, 3);
    rein_pool *pool = rein_pool_new(2);
    reini_collector_opts opts = {.env = &still, .seed = 9, .n_envs = N, .n_steps = T, .pool = pool};
    reini_collector *c = NULL;
    assert_ok(reini_collector_new(&opts, policy, &c));
    collect(c, a);
    for (int n = 0; n < N; n++)
        for (int t = 1; t < T; t++)
            if (same(a[t][n], a[t - 1][n]) != (life <= 0 || t % life != 0))
                fail_msg("life %d: action of step %d", life, t);
    for (int n = 1; n < N; n++) /* environments have noises of their own */
        assert_false(same(a[0][n], a[0][n - 1]));
    collect(c, next);
    for (int n = 0; n < N; n++)
        assert_false(same(next[0][n], a[T - 1][n]));
    reini_collector_free(c);
    reini_net_free(policy);
    rein_pool_free(pool);
}

static void test_a_noise_lasts_its_steps(void **state) {
    check_life(-1);
    check_life(0);
    check_life(1);
    check_life(4);
    check_life(5);
}

/* ---- what acts: mu + z theta, seen from outside --------------------------------------------------------- */

typedef struct probe {
    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    rein_tensor *latent, *mean, *log_std;
} probe;

/* the parts of the policy's distribution for n observations */
static probe look(const reini_net *policy, const float *obs, int n) {
    probe p = {.g = rein_graph_new(REIN_F32)};
    int rows = rein_extent(p.g, "rows", n), slot = rein_slot(p.g, policy->layout);
    reini_net_inputs in = {.obs = rein_input(p.g, "obs", REIN_F32, rows, 1, &policy->base.obs.size)};
    reini_net_heads heads = reini_net_build(policy, slot, &in, true, false);
    p.latent = rein_output(heads.latent, "latent");
    p.mean = rein_output(heads.dist.mean, "mean");
    p.log_std = rein_output(heads.dist.log_std, "log_std");
    assert_ok(rein_compile(p.g, NULL, &p.program));
    assert_ok(rein_exec_new(p.program, NULL, &p.exec));
    rein_exec_bind_store(p.exec, slot, policy->store);
    rein_exec_bind(p.exec, in.obs, obs, 0);
    rein_exec_run(p.exec);
    return p;
}

static const float *at(const probe *p, const rein_tensor *x) {
    return rein_exec_data(p->exec, x);
}

static void forget(probe *p) {
    rein_exec_free(p->exec);
    rein_program_free(p->program);
    rein_graph_free(p->g);
}

/* sigma of latent i and action j */
static double sigma(const reini_net *policy, int i, int j) {
    rein_param_info info = rein_layout_at(policy->layout, rein_layout_find(policy->layout, "log_std"));
    const float *l = (const float *)rein_store_view(policy->store) + info.offset;
    double x = l[i * ACT + j];
    return policy->net.sde_expln && x > 0 ? 1 + log(1 + x) : exp(x);
}

/* Two states and one theta for both, many times: z theta has covariance sum_i z_i z'_i sigma_ij^2 between the states and
 * none between the actions, and the distribution says the same of one state. */
static void check_covariance(const char *settings) {
    enum { DRAWS = 40000, K = 6 };
    const float obs[2][2] = {{0.3f, 0.5f}, {-1.1f, 0.5f}};
    reini_net *policy = small_policy(&still, settings, false, 4);
    small_policy_shake(policy, 6);
    probe p = look(policy, obs[0], 2);
    const float *z = at(&p, p.latent);
    double sum[ACT][3] = {{0}}, cross = 0, size = 0;
    reini_sde sde;
    assert_ok(reini_sde_init(&sde, policy, DRAWS));
    assert_int_equal(sde.latent, K);
    reini_sde_draw(&sde, policy, 1, 0, 0, DRAWS);
    for (int64_t r = 0; r < DRAWS; r++) {
        double e[2][ACT] = {{0}};
        for (int s = 0; s < 2; s++)
            for (int j = 0; j < ACT; j++)
                for (int i = 0; i < K; i++)
                    e[s][j] += (double)z[s * K + i] * reini_sde_at(&sde, r)[j * K + i];
        for (int j = 0; j < ACT; j++) {
            sum[j][0] += e[0][j] * e[0][j] / DRAWS;
            sum[j][1] += e[1][j] * e[1][j] / DRAWS;
            sum[j][2] += e[0][j] * e[1][j] / DRAWS;
        }
        cross += e[0][0] * e[0][1] / DRAWS;
    }
    for (int j = 0; j < ACT; j++) {
        double wanted[3] = {0};
        for (int i = 0; i < K; i++) {
            double v = sigma(policy, i, j) * sigma(policy, i, j), a = z[i], b = z[K + i];
            wanted[0] += a * a * v;
            wanted[1] += b * b * v;
            wanted[2] += a * b * v;
        }
        for (int s = 0; s < 2; s++) {
            double said = exp(2.0 * at(&p, p.log_std)[s * ACT + j]);
            assert_true(fabs(said - wanted[s] - REINI_SDE_EPSILON) < 1e-5 * (said + 1));
            assert_true(fabs(sum[j][s] / wanted[s] - 1) < 5 * sqrt(2.0 / DRAWS));
        }
        size = sqrt(wanted[0] * wanted[1]);
        assert_true(fabs(sum[j][2] - wanted[2]) < 5 * sqrt(2.0 / DRAWS) * size);
        assert_true(fabs(wanted[2]) > 0.02 * size); /* else it would show nothing */
    }
    assert_true(fabs(cross) < 5 / sqrt(DRAWS) * sqrt(sum[0][0] * sum[1][0]));
    reini_sde_release(&sde);
    forget(&p);
    reini_net_free(policy);
}

static void test_noise_has_the_distributions_covariance(void **state) {
    check_covariance("hidden=7,6 use_sde=true log_std_init=-0.5");
    check_covariance("hidden=6 use_sde=true sde_expln=true log_std_init=0.6");
}

/* the rollout's actions are mean + z theta with the theta of (seed, step, environment) */
static void test_actions_are_mean_and_noise(void **state) {
    enum { K = 6, LIFE = 4 };
    reini_net *policy =
        small_policy(&reini_env_pendulum, "hidden=6 use_sde=true sde_sample_freq=4", false, 8);
    reini_collector_opts opts = {.env = &reini_env_pendulum, .seed = 77, .n_envs = N, .n_steps = T};
    reini_collector *c = NULL;
    reini_sde sde;
    assert_ok(reini_collector_new(&opts, policy, &c));
    assert_ok(reini_sde_init(&sde, policy, N));
    double env = 0, act = 0;
    reini_collector_run(c, &env, &act);
    const reini_rollout *r = reini_collector_rollout(c);
    probe p = look(policy, r->obs, T * N);
    for (int t = 0; t < T; t++) {
        reini_sde_draw(&sde, policy, 77, (uint64_t)(t / LIFE * LIFE), 0, N);
        for (int n = 0; n < N; n++) {
            int i = t * N + n;
            double u = at(&p, p.mean)[i], s = exp((double)at(&p, p.log_std)[i]);
            for (int k = 0; k < K; k++)
                u += (double)at(&p, p.latent)[i * K + k] * reini_sde_at(&sde, n)[k];
            assert_true(fabs(((const float *)r->action)[i] - u) < 1e-5);
            double normal = (u - at(&p, p.mean)[i]) / s;
            assert_true(fabs(r->logp[i] + 0.5 * normal * normal + log(s) + 0.5 * log(2 * acos(-1))) < 1e-4);
        }
    }
    forget(&p);
    reini_sde_release(&sde);
    reini_collector_free(c);
    reini_net_free(policy);
}

/* ---- densities ------------------------------------------------------------------------------------------ */

enum { GRID = 40001 };
static double grid_obs[GRID][2], grid_action[GRID], grid_logp[GRID];

/* log-densities of the grid's actions, in double */
static void evaluate_grid(const reini_net *policy) {
    rein_graph *g = rein_graph_new(REIN_F64);
    rein_program *program;
    rein_exec *exec;
    rein_store *store;
    int rows = rein_extent(g, "rows", GRID), slot = rein_slot(g, policy->layout);
    reini_net_inputs in = {.obs = rein_input(g, "obs", REIN_F32, rows, 1, (int[]){2})};
    rein_tensor *action = rein_input(g, "action", REIN_F32, rows, 1, (int[]){1});
    reini_net_heads heads = reini_net_build(policy, slot, &in, true, false);
    assert_int_equal(heads.dist.kind, REIN_DIST_SQUASHED);
    rein_tensor *logp = rein_output(rein_dist_logp(&heads.dist, action), "logp");
    assert_ok(rein_store_new(policy->layout, REIN_F64, &store));
    for (int64_t i = 0; i < rein_store_size(store); i++)
        ((double *)rein_store_data(store))[i] = (double)((const float *)rein_store_view(policy->store))[i];
    assert_ok(rein_compile(g, NULL, &program));
    assert_ok(rein_exec_new(program, NULL, &exec));
    rein_exec_bind_store(exec, slot, store);
    rein_exec_bind(exec, in.obs, grid_obs, 0);
    rein_exec_bind(exec, action, grid_action, 0);
    rein_exec_run(exec);
    memcpy(grid_logp, rein_exec_data(exec, logp), sizeof grid_logp);
    rein_exec_free(exec);
    rein_program_free(program);
    rein_graph_free(g);
    rein_store_free(store);
}

/* over actions in (-1, 1) the density of one state integrates to one, whatever the state */
static void check_integral(const char *settings, const float *obs) {
    const double step = 18.0 / (GRID - 1); /* of u = artanh a */
    double total = 0;
    reini_net_config net = small_net(settings);
    rein_space act = {.kind = REIN_SPACE_BOX, .size = 1, .shape = {1}, .low = low, .high = high};
    reini_net *policy = NULL;
    net.head = REINI_HEAD_SQUASHED;
    net.scale_actions = true;
    assert_ok(reini_net_new("sac", "Box-v0", &still.obs, &act, &net, false, REIN_F32, 3, &policy));
    small_policy_shake(policy, 11);
    for (int i = 0; i < GRID; i++) {
        grid_action[i] = tanh(-9 + step * i);
        for (int k = 0; k < 2; k++)
            grid_obs[i][k] = (double)obs[k];
    }
    evaluate_grid(policy);
    for (int i = 0; i < GRID; i++)
        if (fabs(grid_action[i]) < 1 - 1e-6) /* where tanh can be undone */
            total += exp(grid_logp[i]) * (1 - grid_action[i]) * (1 + grid_action[i]) * step;
    print_message("# %s: %.7f\n", settings, total);
    assert_true(fabs(total - 1) < 1e-4);
    reini_net_free(policy);
}

static void test_squashed_densities_integrate_to_one(void **state) {
    static const float obs[][2] = {{0, 0}, {1.5f, -0.5f}, {-0.2f, 3}};
    for (int i = 0; i < 3; i++) {
        check_integral("hidden=5,5 use_sde=true log_std_init=-1", obs[i]);
        check_integral("hidden=5 activation=relu use_sde=true sde_expln=true log_std_init=-2", obs[i]);
    }
}

/* ---- acting alone, files -------------------------------------------------------------------------------- */

/* rein_policy_act: the mean when greedy; draws of the marginal, new for every row and step, when sampling */
static void test_acting_alone(void **state) {
    enum { ROWS = 20000 };
    static float obs[ROWS][2], action[ROWS][ACT], again[ROWS][ACT];
    reini_net *policy =
        small_policy(&still, "hidden=6,6 use_sde=true log_std_init=-2.5 scale_actions=true", false, 5);
    for (int i = 0; i < ROWS; i++) {
        obs[i][0] = 0.7f;
        obs[i][1] = -0.2f;
    }
    probe p = look(policy, obs[0], 1);
    rein_policy_act(&policy->base, 3, obs, NULL, NULL, action);
    for (int j = 0; j < ACT; j++) {
        float wanted = policy->act_middle[j] + policy->act_half[j] * at(&p, p.mean)[j];
        assert_true(fabsf(action[0][j] - wanted) < 1e-5f && action[2][j] == action[0][j]);
    }
    rein_sampling sampling = {.seed = 3, .step = 9};
    rein_policy_act(&policy->base, ROWS, obs, NULL, &sampling, action);
    rein_policy_act(&policy->base, ROWS, obs, NULL, &sampling, again);
    assert_memory_equal(action, again, sizeof action);
    for (int j = 0; j < ACT; j++) {
        double mean = 0, square = 0, s = exp((double)at(&p, p.log_std)[j]) * policy->act_half[j];
        for (int i = 0; i < ROWS; i++)
            mean += action[i][j] / ROWS;
        for (int i = 0; i < ROWS; i++)
            square += (action[i][j] - mean) * (action[i][j] - mean) / ROWS;
        double wanted = policy->act_middle[j] + policy->act_half[j] * at(&p, p.mean)[j];
        assert_true(s > 0.01 && fabs(mean - wanted) < 5 * s / sqrt(ROWS));
        assert_true(fabs(sqrt(square) / s - 1) < 5 / sqrt(2.0 * ROWS));
    }
    forget(&p);
    reini_net_free(policy);
}

static void test_policy_file(void **state) {
    enum { ROWS = 50 };
    float obs[ROWS][2], a[ROWS][ACT], b[ROWS][ACT];
    rein_rng rng = rein_rng_make(1, 1);
    for (int i = 0; i < 2 * ROWS; i++)
        obs[i / 2][i % 2] = (float)rein_rng_normal(&rng);
    reini_net *policy =
        small_policy(&still, "hidden=6,5 use_sde=true sde_expln=true sde_sample_freq=3", true, 5);
    rein_policy *loaded = NULL;
    small_policy_shake(policy, 2);
    assert_ok(rein_policy_save(&policy->base, temp_path("sde.safetensors")));
    assert_ok(rein_policy_load(temp_path("sde.safetensors"), &loaded));
    const reini_net_config *net = &((const reini_net *)loaded)->net;
    assert_true(net->use_sde && net->sde_expln && net->sde_sample_freq == 3);
    for (int sampled = 0; sampled < 2; sampled++) {
        rein_sampling sampling = {.seed = 5, .step = 7};
        rein_policy_act(&policy->base, ROWS, obs, NULL, sampled ? &sampling : NULL, a);
        rein_policy_act(loaded, ROWS, obs, NULL, sampled ? &sampling : NULL, b);
        assert_memory_equal(a, b, sizeof a);
    }
    rein_policy_free(loaded);
    reini_net_free(policy);
}

/* ---- what is refused ------------------------------------------------------------------------------------ */

static void refused(const reini_algo *algo, const rein_env_type *env, const char *settings, const char *why) {
    assert_int_equal(rig_check(algo, env, settings), REIN_USAGE);
    if (strstr(rein_error(), why) == NULL)
        fail_msg("%s: %s", settings, rein_error());
}

static void test_refusals(void **state) {
    const reini_algo *ppo = reini_algo_find("ppo"), *a2c = reini_algo_find("a2c");
    refused(ppo, &reini_env_cartpole, "use_sde=true",
            "use_sde: state-dependent noise is added to box actions");
    refused(a2c, &reini_env_cartpole, "use_sde=true",
            "use_sde: state-dependent noise is added to box actions");
    refused(ppo, &reini_env_pendulum, "use_sde=true objective=penalty", "use objective=clip");
    assert_ok(rig_check(ppo, &reini_env_pendulum, "use_sde=true"));
    for (int i = 0; i < 2;
         i++) { /* methods whose bound or gradient is made for one deviation do not have it */
        const reini_algo *algo = reini_algo_find(i == 0 ? "trpo" : "reinforce");
        for (int k = 0; k < algo->n_fields; k++)
            assert_string_not_equal(algo->fields[k].name, "use_sde");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_noise_lasts_its_steps),
        cmocka_unit_test(test_noise_has_the_distributions_covariance),
        cmocka_unit_test(test_actions_are_mean_and_noise),
        cmocka_unit_test(test_squashed_densities_integrate_to_one),
        cmocka_unit_test(test_acting_alone),
        cmocka_unit_test(test_policy_file),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
