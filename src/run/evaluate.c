/*
 * evaluate.c - playing episodes with a policy, many side by side.
 *
 * Episodes go in blocks of REINI_EVAL_ROWS. A block is one vector of environments, whose environment i plays
 * episode block * REINI_EVAL_ROWS + i as the first episode after its reset. What a vector plays after that
 * (it resets by itself) is not looked at.
 */
#include <stdio.h>
#include <string.h>
#include <rein/wrap.h>
#include "base/clock.h"
#include "rl/table_policy.h"
#include "run/evaluate.h"
#include "run/exact.h"
#include "run/statistics.h"
#include "run/streams.h"

/* environments that are worth handing to another worker */
enum { SHARE = 64 };

/* one block: N = its episodes */
typedef struct stage {
    const reini_eval_job *job;
    rein_vec *vec;
    rein_slab slab;
    size_t obs_bytes, act_bytes, mask_bytes; /* of one row */
    void *obs;                               /* (N x obs size) */
    float *seen;                             /* (N x obs size)  obs with noise; NULL without */
    void *action;                            /* (N x action size) */
    uint8_t *mask;                           /* (N x logits)    NULL without masks */
    float *state; /* (N x state size)  of policies with a memory; NULL for others */
    size_t state_size;
    float *reward, *ep_return;              /* (N) */
    float *cost, *ep_cost;                  /* (N x n_costs)  NULL without costs */
    uint8_t *terminated, *truncated, *over; /* (N) */
    int32_t *ep_length;                     /* (N) */
    rein_rng *noise;                        /* (N)  NULL without */
    int first;                              /* episode of environment 0 */
    int begin, end, shares;                 /* environments that the pool steps, cut into shares */
} stage;

static void stage_release(stage *s) {
    void *owned[] = {s->obs,       s->seen,       s->action,    s->mask,  s->reward, s->over, s->ep_return,
                     s->ep_length, s->terminated, s->truncated, s->noise, s->state,  s->cost, s->ep_cost};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        reini_free(owned[i]);
    rein_vec_free(s->vec);
    *s = (stage){0};
}

static bool stage_allocate(stage *s, int n) {
    const rein_env_type *env = s->job->env;
    bool noisy = s->job->obs_noise > 0;
    s->obs_bytes = rein_space_bytes(&env->obs);
    s->act_bytes = rein_space_bytes(&env->act);
    s->mask_bytes = env->mask ? (size_t)rein_space_logits(&env->act) : 0;
    s->obs = reini_new_array((size_t)n, s->obs_bytes);
    s->seen = noisy ? reini_new_array((size_t)n, s->obs_bytes) : NULL;
    s->action = reini_new_array((size_t)n, s->act_bytes);
    s->mask = env->mask ? reini_new_array((size_t)n, s->mask_bytes) : NULL;
    s->reward = REINI_NEW_ARRAY(float, (size_t)n);
    s->ep_return = REINI_NEW_ARRAY(float, (size_t)n);
    s->ep_length = REINI_NEW_ARRAY(int32_t, (size_t)n);
    s->terminated = reini_new((size_t)n);
    s->truncated = reini_new((size_t)n);
    s->over = reini_new((size_t)n);
    s->noise = noisy ? REINI_NEW_ARRAY(rein_rng, (size_t)n) : NULL;
    s->state_size = (size_t)rein_policy_state_size(s->job->policy);
    s->state = s->state_size > 0 ? REINI_NEW_ARRAY(float, (size_t)n * s->state_size) : NULL;
    size_t costs = (size_t)env->n_costs;
    s->cost = costs > 0 ? REINI_NEW_ARRAY(float, (size_t)n *costs) : NULL;
    s->ep_cost = costs > 0 ? REINI_NEW_ARRAY(float, (size_t)n *costs) : NULL;
    return s->obs && s->action && s->reward && s->ep_return && s->ep_length && s->terminated &&
           s->truncated && s->over && (!noisy || (s->seen && s->noise)) && (!env->mask || s->mask) &&
           (s->state_size == 0 || s->state) && (costs == 0 || (s->cost && s->ep_cost));
}

/* n environments for the episodes from `first` on */
static rein_status stage_init(stage *s, const reini_eval_job *job, int first, int n) {
    *s = (stage){.job = job, .first = first};
    uint64_t block = (uint64_t)first / REINI_EVAL_ROWS;
    rein_vec_opts opts = {.n = n,
                          .seed = reini_seed_for(job->seed, "episodes", block),
                          .horizon = job->env->horizon > 0 ? 0 : REINI_EVAL_HORIZON};
    REINI_TRY(rein_vec_new(job->env, &opts, &s->vec));
    if (!stage_allocate(s, n))
        return reini_fail_memory((size_t)n * (s->obs_bytes + s->act_bytes + s->mask_bytes), "the evaluation");
    for (int i = 0; s->noise && i < n; i++)
        s->noise[i] = rein_rng_make(reini_seed_for(job->seed, "noise", 0), (uint64_t)(first + i));
    s->slab = (rein_slab){.action = s->action,
                          .obs = s->obs,
                          .reward = s->reward,
                          .terminated = s->terminated,
                          .truncated = s->truncated,
                          .mask = s->mask,
                          .ep_return = s->ep_return,
                          .cost = s->cost,
                          .ep_cost = s->ep_cost,
                          .ep_length = s->ep_length};
    rein_vec_observe(s->vec, 0, n, &s->slab);
    return REIN_OK;
}

static void step_share(void *user, int share, int worker) {
    stage *s = user;
    int n = s->end - s->begin;
    int from = s->begin + (int)((int64_t)n * share / s->shares);
    int to = s->begin + (int)((int64_t)n * (share + 1) / s->shares);
    if (from < to)
        rein_vec_step(s->vec, from, to, &s->slab);
}

/* box observations of the episodes that are still played */
static void add_moments(const stage *s, int begin, int end) {
    reini_obs_sums *m = s->job->moments;
    size_t width = s->obs_bytes / sizeof(float);
    for (int i = begin; i < end; i++) {
        const float *obs = (const float *)s->obs + (size_t)i * width;
        m->n += !s->over[i];
        for (size_t k = 0; k < width && !s->over[i]; k++) {
            m->sum[k] += (double)obs[k];
            m->square[k] += (double)obs[k] * (double)obs[k];
        }
    }
}

/* obs of [begin, end) as the policy sees them */
static const void *view(stage *s, int begin, int end) {
    const char *obs = (const char *)s->obs + (size_t)begin * s->obs_bytes;
    if (s->job->moments)
        add_moments(s, begin, end);
    if (!s->seen)
        return obs;
    size_t width = s->obs_bytes / sizeof(float);
    const float *clean = s->obs;
    const double *unit = s->job->noise_unit;
    for (int i = begin; i < end; i++)
        for (size_t k = 0; k < width; k++) {
            double sigma = s->job->obs_noise * (unit ? unit[k] : 1);
            s->seen[(size_t)i * width + k] =
                clean[(size_t)i * width + k] + (float)(sigma * rein_rng_normal(&s->noise[i]));
        }
    return s->seen + (size_t)begin * width;
}

static void act(stage *s, int begin, int end, uint64_t step, reini_scores *scores) {
    rein_sampling sampling = {.seed = reini_seed_for(s->job->seed, "actions", 0),
                              .step = step,
                              .row_base = (uint64_t)(s->first + begin)};
    const void *obs = view(s, begin, end);
    const uint8_t *mask = s->mask ? s->mask + (size_t)begin * s->mask_bytes : NULL;
    const reini_table_policy *table = reini_table_of(s->job->policy);
    bool sample = s->job->sample || (table && table->pi && !table->action);
    double start = reini_seconds();
    float *state = s->state ? s->state + (size_t)begin * s->state_size : NULL;
    rein_policy_act_state(s->job->policy, (int64_t)step, end - begin, obs, mask, sample ? &sampling : NULL,
                          state, NULL, (char *)s->action + (size_t)begin * s->act_bytes);
    scores->act_seconds += reini_seconds() - start;
    scores->act_rows += end - begin;
}

/* environment i has ended its episode */
static void record(const stage *s, int i, reini_scores *scores) {
    int episode = s->first + i, costs = s->job->env->n_costs;
    scores->returns[episode] = s->ep_return[i];
    scores->lengths[episode] = s->ep_length[i];
    if (scores->replaced)
        scores->replaced[episode] = rein_filter_episode(s->job->env, rein_vec_state(s->vec, i));
    for (int k = 0; k < costs; k++)
        scores->costs[k * s->job->episodes + episode] = s->ep_cost[i * costs + k];
}

/* plays the environments [begin, end), one episode each */
static rein_status play_range(stage *s, int begin, int end, reini_scores *scores) {
    for (uint64_t step = 0; begin < end; step++) {
        if (s->job->stop && *s->job->stop)
            return reini_fail(REIN_INTERRUPTED, "stopped during an evaluation of %d episodes",
                              s->job->episodes);
        act(s, begin, end, step, scores);
        s->begin = begin;
        s->end = end;
        s->shares = (end - begin + SHARE - 1) / SHARE;
        rein_pool_run(s->job->pool, s->shares, step_share, s);
        REINI_TRY(rein_vec_fault(s->vec));
        for (int i = begin; i < end; i++)
            if (!s->over[i] && (s->terminated[i] || s->truncated[i])) {
                s->over[i] = 1;
                record(s, i, scores);
            }
        /* finished rows at both borders need no more steps; the others' results do not change by that */
        while (begin < end && s->over[begin])
            begin++;
        while (begin < end && s->over[end - 1])
            end--;
    }
    return REIN_OK;
}

static rein_status play_block(const reini_eval_job *job, int first, int n, reini_scores *scores) {
    stage s;
    int rows = job->rows > 0 && job->rows < n ? job->rows : n;
    rein_status status = stage_init(&s, job, first, n);
    for (int begin = 0; status == REIN_OK && begin < n; begin += rows)
        status = play_range(&s, begin, begin + rows < n ? begin + rows : n, scores);
    stage_release(&s);
    return status;
}

rein_status reini_play(const reini_eval_job *job, reini_scores *scores) {
    *scores = (reini_scores){0};
    if (job->obs_noise > 0 && job->env->obs.kind != REIN_SPACE_BOX)
        return reini_fail(REIN_USAGE,
                          "obs_noise: noise can be added to box observations only, and %s has others",
                          job->env->id);
    REINI_TRY(reini_policy_fits(job->policy, job->env));
    scores->returns = REINI_NEW_ARRAY(double, (size_t)job->episodes);
    scores->lengths = REINI_NEW_ARRAY(double, (size_t)job->episodes);
    int64_t actions, replaced;
    bool filtered = rein_filter_count(job->env, &actions, &replaced);
    scores->replaced = filtered ? REINI_NEW_ARRAY(double, (size_t)job->episodes) : NULL;
    size_t costs = (size_t)job->env->n_costs, episodes = (size_t)job->episodes;
    scores->costs = costs > 0 ? REINI_NEW_ARRAY(double, costs *episodes) : NULL;
    if (!scores->returns || !scores->lengths || (filtered && !scores->replaced) ||
        (costs > 0 && !scores->costs))
        return reini_fail_memory((2 + costs) * sizeof(double) * episodes, "the scores of an evaluation");
    for (int first = 0; first < job->episodes; first += REINI_EVAL_ROWS) {
        int left = job->episodes - first;
        REINI_TRY(play_block(job, first, left < REINI_EVAL_ROWS ? left : REINI_EVAL_ROWS, scores));
    }
    return REIN_OK;
}

void reini_scores_release(reini_scores *scores) {
    reini_free(scores->returns);
    reini_free(scores->lengths);
    reini_free(scores->replaced);
    reini_free(scores->costs);
    *scores = (reini_scores){0};
}

rein_status reini_score_policy(const reini_eval_job *job, reini_score *score) {
    bool done = false;
    if (reini_exact_applies(job))
        REINI_TRY(reini_exact(job, score, &done));
    if (done)
        return REIN_OK;
    reini_scores scores;
    rein_status status = reini_play(job, &scores);
    if (status == REIN_OK)
        *score = (reini_score){.mean = reini_mean(scores.returns, job->episodes),
                               .std = reini_std(scores.returns, job->episodes),
                               .length = reini_mean(scores.lengths, job->episodes)};
    reini_scores_release(&scores);
    return status;
}

rein_status reini_policy_digest(const rein_policy *policy, char out[65]) {
    rein_policy_sha256(policy, out);
    return strspn(out, "0") < 64 ? REIN_OK
                                 : reini_fail(REIN_NOMEM, "out of memory for the digest of the policy");
}

/* ---- fitting ----------------------------------------------------------------------------------------- */

static bool same_space(const rein_space *a, const rein_space *b) {
    if (a->kind != b->kind || a->size != b->size)
        return false;
    if (a->kind == REIN_SPACE_IMAGE)
        return memcmp(a->shape, b->shape, sizeof a->shape) == 0;
    if (a->kind == REIN_SPACE_BOX)
        return true; /* bounds may differ: actions are clipped to the environment's */
    return memcmp(a->n, b->n, (size_t)a->size * sizeof *a->n) == 0;
}

static rein_status check_space(const char *what, const rein_space *policy, const rein_space *env,
                               const char *id) {
    char has[256], needs[256];
    if (same_space(policy, env))
        return REIN_OK;
    rein_space_print(policy, has, sizeof has);
    rein_space_print(env, needs, sizeof needs);
    return reini_fail(REIN_MISMATCH,
                      "the policy does not fit %s: its %s space is %s, the environment's is %s", id, what,
                      has, needs);
}

rein_status reini_policy_fits(const rein_policy *policy, const rein_env_type *env) {
    REINI_TRY(check_space("observation", rein_policy_obs_space(policy), &env->obs, env->id));
    return check_space("action", rein_policy_act_space(policy), &env->act, env->id);
}
