/*
 * test_rollout.c - what a rollout records, against environments driven by hand with the recorded actions; the
 * same bits for any number of workers; and log-probabilities that the graph which learns finds again bit for
 * bit.
 */
#include <stdlib.h>
#include "env/env_types.h"
#include "rl/rollout.h"
#include "support/each_level.h"
#include "support/small_policy.h"

/* ---- an environment with every kind of end ------------------------------------------------------------- */

/* Obs: episode's start and steps so far. Ends after a random number of steps: terminated, cut by itself, or
 * both; the horizon of 8 cuts the rest. Reward: a function of the state before the step and the action. */
typedef struct ends_state {
    int32_t start, steps, terminate, cut;
} ends_state;

static void ends_reset(const void *config, void *state, rein_rng *rng) {
    ends_state *s = state;
    s->start = (int32_t)rein_rng_below(rng, 100);
    s->steps = 0;
    s->terminate = 1 + (int32_t)rein_rng_below(rng, 12);
    s->cut = 1 + (int32_t)rein_rng_below(rng, 6);
}

static rein_step ends_step(const void *config, void *state, const void *action, rein_rng *rng) {
    ends_state *s = state;
    s->steps++;
    return (rein_step){.reward = 0.25f * (float)(s->start % 7) - (float)*(const int32_t *)action,
                       .terminated = s->steps == s->terminate,
                       .truncated = s->steps == s->cut};
}

static void ends_observe(const void *config, const void *state, void *obs) {
    const ends_state *s = state;
    ((float *)obs)[0] = 0.02f * (float)s->start - 1;
    ((float *)obs)[1] = 0.25f * (float)s->steps - 1;
}

static const rein_env_type ends = {
    .abi = REIN_ENV_ABI,
    .id = "test/Ends-v0",
    .doc = "ends in every way",
    .obs = {.kind = REIN_SPACE_BOX, .size = 2, .shape = {2}},
    .act = {REIN_SPACE_DISCRETE, 1, {3}},
    .horizon = 8,
    .state_size = sizeof(ends_state),
    .reset = ends_reset,
    .step = ends_step,
    .observe = ends_observe,
};

/* ---- rollouts ------------------------------------------------------------------------------------------ */

typedef struct recipe {
    const char *name;
    const rein_env_type *env;
    const char *net;
} recipe;

static const recipe recipes[] = {
    {"ends", &ends, "hidden=16"},
    {"time limit", &reini_env_time_limit, "hidden=8,8"},
    {"discrete", &reini_env_cartpole, "hidden=32,32"},
    {"multi-discrete", &reini_env_identity_multi_discrete, "hidden=16,16 shared=true"},
    {"masked", &reini_env_identity_masked, "hidden=24,24"},
    {"box", &reini_env_pendulum, "hidden=16,16 log_std_init=-0.7"},
    {"scaled box", &reini_env_pendulum, "hidden=16,16 scale_actions=true shared=true"},
    {"normalised", &reini_env_acrobot, "hidden=20,12 norm_obs=running"},
    {"normalised box", &reini_env_mountain_car_continuous, "hidden=9 norm_obs=warmup"},
    {"state-dependent", &reini_env_pendulum, "hidden=16,12 use_sde=true sde_sample_freq=5 log_std_init=-1"},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

typedef struct run {
    rein_pool *pool;
    reini_net *policy;
    reini_collector *collector;
    reini_rollout *r;
} run;

static run make(const recipe *from, int64_t T, int64_t N, int threads, bool critic) {
    run x = {.pool = rein_pool_new(threads), .policy = small_policy(from->env, from->net, critic, 5)};
    small_policy_shake(x.policy, 1);
    if (x.policy->net.norm_obs != REINI_NORM_NONE)
        small_policy_see(x.policy, 2);
    reini_collector_opts opts = {.env = from->env,
                                 .seed = 21,
                                 .n_envs = N,
                                 .n_steps = T,
                                 .pool = x.pool,
                                 .critic = critic,
                                 .output = true};
    assert_ok(reini_collector_new(&opts, x.policy, &x.collector));
    x.r = reini_collector_rollout(x.collector);
    return x;
}

static void collect(run *x) {
    double env = 0, act = 0;
    reini_collector_run(x->collector, &env, &act);
    assert_true(env >= 0 && act >= 0);
}

static void release(run *x) {
    reini_collector_free(x->collector);
    reini_net_free(x->policy);
    rein_pool_free(x->pool);
}

/* ---- against environments driven by hand --------------------------------------------------------------- */

/* what one environment does with the actions of a rollout; it lives on from rollout to rollout */
typedef struct replay {
    const rein_env_type *env;
    void *state, *config;
    rein_rng rng;
    int32_t clock;
    double total;
    int finals;
} replay;

static replay replay_new(const rein_env_type *env, int64_t n) {
    replay p = {.env = env, .state = calloc(1, env->state_size + 64), .rng = rein_rng_make(21, (uint64_t)n)};
    p.config = calloc(1, env->config_size + 1);
    rein_fields_default(env->fields, env->n_fields, p.config);
    /* environments start when they are made and start again when the first rollout begins */
    env->reset(p.config, p.state, &p.rng);
    env->reset(p.config, p.state, &p.rng);
    return p;
}

static void same_observation(replay *p, const float *recorded) {
    float obs[SMALL_WIDTH];
    p->env->observe(p->config, p->state, obs);
    assert_memory_equal(obs, recorded, (size_t)p->env->obs.size * sizeof(float));
}

/* the action as the environment gets it: in its units, inside its bounds */
static void environment_action(const run *x, const reini_rollout *r, int64_t i, void *out) {
    memcpy(out, (const char *)r->action + i * r->act_size * 4, (size_t)r->act_size * 4);
    for (int k = 0; x->policy->base.act.kind == REIN_SPACE_BOX && k < r->act_size; k++) {
        float *a = (float *)out + k;
        *a = x->policy->act_middle[k] + x->policy->act_half[k] * *a;
        *a = fminf(fmaxf(*a, x->policy->low[k]), x->policy->high[k]);
    }
}

static void check_end(const run *x, replay *p, int64_t t, int64_t n, rein_step step) {
    const reini_rollout *r = x->r;
    int64_t i = t * r->N + n;
    if (step.truncated && !step.terminated) {
        int64_t at = n * r->final_capacity + p->finals++;
        assert_true(p->finals <= r->final_count[n]);
        assert_int_equal(r->final_step[at], t);
        same_observation(p, r->final_obs + at * r->obs_size);
    }
    assert_true(fabs(r->ep_return[i] - p->total) <= 1e-5 * fmax(1, fabs(p->total)));
    assert_int_equal(r->ep_length[i], p->clock);
    p->env->reset(p->config, p->state, &p->rng);
    p->total = 0;
    p->clock = 0;
}

static void check_step(const run *x, replay *p, int64_t t, int64_t n) {
    const reini_rollout *r = x->r;
    int64_t i = t * r->N + n;
    char action[256];
    same_observation(p, r->obs + i * r->obs_size);
    if (p->env->mask != NULL) {
        uint8_t mask[SMALL_WIDTH];
        p->env->mask(p->config, p->state, mask);
        assert_memory_equal(mask, r->mask + i * r->logits, (size_t)r->logits);
        assert_true(mask[((const int32_t *)r->action)[i]]);
    }
    environment_action(x, r, i, action);
    rein_step step = p->env->step(p->config, p->state, action, &p->rng);
    p->total += (double)step.reward;
    step.truncated |= p->env->horizon > 0 && ++p->clock >= p->env->horizon;
    assert_true(r->reward[i] == step.reward);
    assert_int_equal(r->terminated[i], step.terminated);
    assert_int_equal(r->truncated[i], step.truncated);
    assert_int_equal(r->done[i], step.terminated || step.truncated);
    if (step.terminated || step.truncated)
        check_end(x, p, t, n, step);
}

static void check_replay(const recipe *from, int64_t T, int64_t N) {
    run x = make(from, T, N, 2, true);
    replay *replays = calloc((size_t)N, sizeof *replays);
    for (int64_t n = 0; n < N; n++)
        replays[n] = replay_new(from->env, n);
    for (int round = 0; round < 3; round++) {
        collect(&x);
        for (int64_t n = 0; n < N; n++) {
            replays[n].finals = 0;
            for (int64_t t = 0; t < T; t++)
                check_step(&x, &replays[n], t, n);
            assert_int_equal(replays[n].finals, x.r->final_count[n]);
            same_observation(&replays[n], x.r->obs + (T * N + n) * x.r->obs_size);
        }
    }
    for (int64_t n = 0; n < N; n++) {
        free(replays[n].state);
        free(replays[n].config);
    }
    free(replays);
    release(&x);
}

static void test_records_what_happened(void **state) {
    for (int k = 0; k < RECIPES; k++) {
        check_replay(&recipes[k], 37, 5);
        check_replay(&recipes[k], 1, 3);
    }
}

/* ---- values and bootstrapping -------------------------------------------------------------------------- */

static void check_values(const recipe *from, double discount) {
    run x = make(from, 29, 5, 2, true);
    reini_rollout *r = x.r;
    int64_t finals = 0;
    collect(&x);
    float *paid = malloc((size_t)(r->T * r->N) * sizeof *paid), *expected = paid;
    memcpy(paid, r->reward, (size_t)(r->T * r->N) * sizeof *paid);
    for (int64_t n = 0; n < r->N; n++)
        for (int i = 0; i < r->final_count[n]; i++) {
            int64_t at = n * r->final_capacity + i, step = r->final_step[at] * r->N + n;
            double value = small_policy_value(x.policy, r->final_obs + at * r->obs_size);
            expected[step] += (float)(discount * value);
            assert_true(r->truncated[step] && !r->terminated[step]);
            finals++;
        }
    for (int64_t i = 0; i < r->T * r->N; i++)
        finals -= r->truncated[i] && !r->terminated[i];
    assert_int_equal(finals, 0);
    reini_collector_evaluate(x.collector, discount);
    for (int64_t i = 0; i < (r->T + 1) * r->N; i++)
        assert_true(fabs(r->value[i] - small_policy_value(x.policy, r->obs + i * r->obs_size)) < 2e-5);
    for (int64_t i = 0; i < r->T * r->N; i++)
        if (r->truncated[i] && !r->terminated[i])
            assert_true(fabs(r->reward[i] - expected[i]) < 2e-5);
        else
            assert_true(r->reward[i] == expected[i]);
    free(paid);
    release(&x);
}

static void test_values_and_truncated_rewards(void **state) {
    for (int k = 0; k < RECIPES; k++)
        check_values(&recipes[k], 0.93);
}

static void test_without_a_critic(void **state) {
    run x = make(&recipes[0], 29, 5, 2, false);
    collect(&x);
    float reward[29 * 5];
    memcpy(reward, x.r->reward, sizeof reward);
    reini_collector_evaluate(x.collector, 0.9);
    assert_memory_equal(reward, x.r->reward, sizeof reward);
    for (int i = 0; i < 30 * 5; i++)
        assert_true(x.r->value[i] == 0);
    release(&x);
}

/* ---- the same bits ------------------------------------------------------------------------------------- */

static void same(const char *what, const void *a, const void *b, int64_t n, size_t size) {
    if (memcmp(a, b, (size_t)n * size) != 0)
        fail_msg("%s differ", what);
}

static void same_rollouts(const reini_rollout *a, const reini_rollout *b, int64_t from, int64_t T) {
    int64_t n = T * a->N, at = from * a->N;
    same("observations", a->obs + at * a->obs_size, b->obs, (n + a->N) * a->obs_size, sizeof(float));
    same("actions", (char *)a->action + at * a->act_size * 4, b->action, n * a->act_size, 4);
    same("log-probabilities", a->logp + at, b->logp, n, sizeof(float));
    same("logits or means", a->output + at * a->logits, b->output, n * a->logits, sizeof(float));
    same("rewards", a->reward + at, b->reward, n, sizeof(float));
    same("terminations", a->terminated + at, b->terminated, n, 1);
    same("truncations", a->truncated + at, b->truncated, n, 1);
    if (a->mask != NULL)
        same("masks", a->mask + at * a->logits, b->mask, (n + a->N) * a->logits, 1);
}

static void test_workers_do_not_matter(void **state) {
    static const int threads[] = {2, 3, 8};
    for (int k = 0; k < RECIPES; k++) {
        run one = make(&recipes[k], 23, 7, 1, true);
        collect(&one);
        reini_collector_evaluate(one.collector, 0.9);
        for (int i = 0; i < 3; i++) {
            run many = make(&recipes[k], 23, 7, threads[i], true);
            collect(&many);
            reini_collector_evaluate(many.collector, 0.9);
            same_rollouts(one.r, many.r, 0, 23);
            same("values", one.r->value, many.r->value, 24 * 7, sizeof(float));
            assert_int_equal(reini_collector_episodes(one.collector)->count,
                             reini_collector_episodes(many.collector)->count);
            release(&many);
        }
        release(&one);
    }
}

/* two rollouts of 10 and 10 steps are one of 20 */
static void test_rollouts_go_on(void **state) {
    for (int k = 0; k < RECIPES; k++) {
        run whole = make(&recipes[k], 20, 4, 1, true), parts = make(&recipes[k], 10, 4, 3, true);
        collect(&whole);
        for (int round = 0; round < 2; round++) {
            collect(&parts);
            same_rollouts(whole.r, parts.r, 10 * round, 10);
        }
        const reini_episodes *a = reini_collector_episodes(whole.collector);
        const reini_episodes *b = reini_collector_episodes(parts.collector);
        assert_int_equal(a->count, b->count);
        same("returns of episodes", a->returns, b->returns, REINI_WINDOW, sizeof(float));
        same("lengths of episodes", a->lengths, b->lengths, REINI_WINDOW, sizeof(int32_t));
        release(&whole);
        release(&parts);
    }
}

static void test_restart(void **state) {
    run x = make(&recipes[2], 12, 3, 1, true);
    collect(&x);
    reini_collector_restart(x.collector);
    collect(&x);
    for (int i = 0; i < 3 * 4; i++) /* CartPole starts within 0.05 of the middle */
        assert_true(fabsf(x.r->obs[i]) <= 0.05f);
    release(&x);
}

/* ---- statistics of episodes ---------------------------------------------------------------------------- */

static void test_window_of_episodes(void **state) {
    run x = make(&recipes[0], 41, 6, 2, true);
    const reini_episodes *e = reini_collector_episodes(x.collector);
    double sum[512], lengths[512];
    int64_t count = 0;
    assert_true(isnan(reini_episodes_mean_return(e)) && isnan(reini_episodes_mean_length(e)));
    while (count < 300) {
        collect(&x);
        for (int64_t i = 0; i < x.r->T * x.r->N; i++)
            if (x.r->done[i]) {
                sum[count] = x.r->ep_return[i];
                lengths[count++] = x.r->ep_length[i];
            }
        assert_int_equal(e->count, count);
        int64_t first = count > REINI_WINDOW ? count - REINI_WINDOW : 0;
        double mean = 0, length = 0;
        for (int64_t i = first; i < count; i++) {
            mean += sum[i] / (double)(count - first);
            length += lengths[i] / (double)(count - first);
        }
        assert_true(fabs(reini_episodes_mean_return(e) - mean) < 1e-9);
        assert_true(fabs(reini_episodes_mean_length(e) - length) < 1e-9);
    }
    release(&x);
}

/* ---- the log-probability that learning starts from ----------------------------------------------------- */

typedef struct learner {
    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    int rows;
    rein_tensor *index, *logp;
} learner;

static rein_tensor *take(learner *l, const char *name, rein_dtype dtype, int extent, int width,
                         rein_tensor **all) {
    *all = rein_input(l->g, name, dtype, extent, 1, &width);
    return rein_gather(*all, l->index);
}

/* the same graph an on-policy method learns with: rows gathered from the rollout in any order */
static learner learner_new(const run *x, int64_t batch) {
    const reini_rollout *r = x->r;
    bool box = x->policy->base.act.kind == REIN_SPACE_BOX;
    learner l = {.g = rein_graph_new(REIN_F32)};
    rein_tensor *obs, *action, *mask = NULL;
    reini_net_inputs in = {0};
    l.rows = rein_extent(l.g, "rows", batch);
    int steps = rein_extent(l.g, "steps", r->T * r->N), slot = rein_slot(l.g, x->policy->layout);
    l.index = rein_input(l.g, "index", REIN_I32, l.rows, 1, (int[]){1});
    in.obs = take(&l, "obs", REIN_F32, steps, r->obs_size, &obs);
    if (r->mask != NULL)
        in.mask = take(&l, "mask", REIN_U8, steps, r->logits, &mask);
    rein_tensor *chosen = take(&l, "action", box ? REIN_F32 : REIN_I32, steps, r->act_size, &action);
    reini_net_norm_inputs(x->policy, l.g, &in);
    reini_net_heads heads = reini_net_build(x->policy, slot, &in, true, true);
    l.logp = rein_output(rein_dist_logp(&heads.dist, chosen), "logp");
    rein_gradient(rein_add(rein_mean(l.logp), rein_mean(rein_square(heads.value))), slot, NULL);
    assert_ok(rein_compile(l.g, NULL, &l.program));
    assert_ok(rein_exec_new(l.program, x->pool, &l.exec));
    rein_exec_bind_store(l.exec, slot, x->policy->store);
    reini_net_bind_norm(x->policy, l.exec, &in);
    rein_exec_bind(l.exec, obs, r->obs, 0);
    rein_exec_bind(l.exec, action, r->action, 0);
    if (mask != NULL)
        rein_exec_bind(l.exec, mask, r->mask, 0);
    return l;
}

static void check_ratio(const recipe *from, int64_t batch, int threads) {
    run x = make(from, 31, 7, threads, true);
    int64_t n = x.r->T * x.r->N;
    collect(&x);
    learner l = learner_new(&x, batch);
    rein_store *grads;
    assert_ok(rein_store_new(x.policy->layout, REIN_F32, &grads));
    rein_exec_bind_gradient(l.exec, 0, grads);
    int32_t *order = malloc((size_t)n * sizeof *order);
    for (int64_t i = 0; i < n; i++)
        order[i] = (int32_t)(i * 64 % n); /* 64 and 217 have no common divisor */
    for (int64_t first = 0; first < n; first += batch) {
        int64_t count = first + batch < n ? batch : n - first;
        rein_exec_rows(l.exec, l.rows, count);
        rein_exec_bind(l.exec, l.index, order + first, 0);
        rein_exec_run(l.exec);
        const float *logp = rein_exec_data(l.exec, l.logp);
        for (int64_t i = 0; i < count; i++)
            if (memcmp(&logp[i], &x.r->logp[order[first + i]], sizeof(float)) != 0)
                fail_msg("%s: log-probability %.9g became %.9g", from->name, x.r->logp[order[first + i]],
                         logp[i]);
    }
    free(order);
    rein_store_free(grads);
    rein_exec_free(l.exec);
    rein_program_free(l.program);
    rein_graph_free(l.g);
    release(&x);
}

static void test_learning_finds_the_same_log_probabilities(void **state) {
    for (int k = 0; k < RECIPES; k++) {
        check_ratio(&recipes[k], 64, 1);
        check_ratio(&recipes[k], 37, 3);
        check_ratio(&recipes[k], 1, 1);
    }
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_what_happened),
        cmocka_unit_test(test_values_and_truncated_rewards),
        cmocka_unit_test(test_without_a_critic),
        cmocka_unit_test(test_workers_do_not_matter),
        cmocka_unit_test(test_rollouts_go_on),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_window_of_episodes),
        cmocka_unit_test(test_learning_finds_the_same_log_probabilities),
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return each_level(all);
}
