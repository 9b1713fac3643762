/*
 * eval_policy.c - rein_eval: scores of a saved policy, on its own environment, a changed one or another.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <rein/run.h>
#include "base/clock.h"
#include "run/evaluate.h"
#include "run/exact.h"
#include "run/statistics.h"
#include "run/streams.h"
#include "run/subject.h"

#define EPISODES_MAX  1000000
#define UNIT_EPISODES 20 /* over which noise finds its unit */
/* resampled values in all: an interval over a million episodes should not take longer than playing them */
#define BOOTSTRAP_VALUES 20000000
#define BOOTSTRAP_MIN    200
#define BOOTSTRAP_MAX    10000

/* ---- the call ---------------------------------------------------------------------------------------- */

static rein_status check_opts(const rein_eval_opts *opts) {
    if (opts->episodes < 0 || opts->episodes > EPISODES_MAX)
        return reini_fail(REIN_USAGE, "episodes: %d is out of range, expected 1 <= episodes <= %d",
                          opts->episodes, EPISODES_MAX);
    if (!(opts->obs_noise >= 0) || !isfinite(opts->obs_noise))
        return reini_fail(REIN_USAGE, "obs_noise: %g is out of range, expected a standard deviation >= 0",
                          opts->obs_noise);
    if (opts->threads < 0 || opts->threads > 1024)
        return reini_fail(REIN_USAGE, "threads: %d is out of range, expected 0 <= threads <= 1024",
                          opts->threads);
    return REIN_OK;
}

static void summarise_costs(rein_eval_result *r, const reini_subject *s, const reini_scores *scores,
                            int draws, uint64_t seed) {
    int n = r->episodes;
    r->n_costs = s->env->n_costs;
    for (int k = 0; k < r->n_costs; k++) {
        const double *costs = scores->costs + (ptrdiff_t)k * n;
        reini_interval interval = reini_bootstrap(costs, n, reini_mean, 0.95, draws, seed);
        snprintf(r->cost_name[k], sizeof r->cost_name[k], "%s", s->env->cost_names[k]);
        r->cost_mean[k] = reini_mean(costs, n);
        r->cost_low[k] = interval.low;
        r->cost_high[k] = interval.high;
    }
}

static void summarise(rein_eval_result *r, const reini_subject *s, const reini_eval_job *job,
                      const reini_scores *scores) {
    int n = job->episodes, successes = 0, draws = BOOTSTRAP_VALUES / n;
    snprintf(r->algo, sizeof r->algo, "%s", rein_policy_algo(s->policy));
    snprintf(r->env, sizeof r->env, "%s", s->env->id);
    r->episodes = n;
    r->return_mean = reini_mean(scores->returns, n);
    r->return_std = reini_std(scores->returns, n);
    r->return_iqm = reini_iqm(scores->returns, n);
    r->length_mean = reini_mean(scores->lengths, n);
    r->return_min = r->return_max = scores->returns[0];
    for (int i = 0; i < n; i++) {
        r->return_min = fmin(r->return_min, scores->returns[i]);
        r->return_max = fmax(r->return_max, scores->returns[i]);
        successes += scores->returns[i] >= s->env->reward_threshold;
    }
    draws = draws < BOOTSTRAP_MIN ? BOOTSTRAP_MIN : draws > BOOTSTRAP_MAX ? BOOTSTRAP_MAX : draws;
    reini_interval interval = reini_bootstrap(scores->returns, n, reini_mean, 0.95, draws, job->seed);
    r->return_low = interval.low;
    r->return_high = interval.high;
    r->success_rate = isnan(s->env->reward_threshold) ? NAN : (double)successes / n;
    r->interventions_mean = scores->replaced ? reini_mean(scores->replaced, n) : NAN;
    r->intervention_share = r->interventions_mean / r->length_mean;
    summarise_costs(r, s, scores, draws, job->seed);
    r->latency_us = 1e6 * scores->act_seconds / (double)scores->act_rows;
}

/* without episodes: the mean is known, and there is nothing to be uncertain about */
static rein_status compute(rein_eval_result *r, const reini_subject *s, const reini_eval_job *job) {
    reini_score score;
    bool done;
    REINI_TRY(reini_exact(job, &score, &done));
    if (!done)
        return REIN_OK;
    snprintf(r->algo, sizeof r->algo, "%s", rein_policy_algo(s->policy));
    snprintf(r->env, sizeof r->env, "%s", s->env->id);
    r->exact = 1;
    r->return_mean = r->return_low = r->return_high = score.mean;
    r->return_std = score.std;
    r->length_mean = score.length;
    r->return_min = r->return_max = r->return_iqm = r->success_rate = r->latency_us = NAN;
    r->intervention_share = r->interventions_mean = NAN;
    return REIN_OK;
}

static rein_status play(rein_eval_result *result, const reini_subject *s, const reini_eval_job *job) {
    reini_scores scores;
    rein_status status = reini_play(job, &scores);
    if (status == REIN_OK)
        summarise(result, s, job, &scores);
    reini_scores_release(&scores);
    return status;
}

/* ---- noise in units of the observations ------------------------------------------------------------------ */

/* the standard deviation of every element over episodes without noise, into unit; sum, square: scratch */
static rein_status measure(const reini_eval_job *job, double *unit, double *sum, double *square) {
    reini_obs_sums m = {.sum = sum, .square = square};
    reini_eval_job clean = *job;
    reini_scores scores;
    clean.obs_noise = 0;
    clean.moments = &m;
    clean.episodes = job->episodes < UNIT_EPISODES ? job->episodes : UNIT_EPISODES;
    clean.seed = reini_seed_for(job->seed, "unit of the noise", 0);
    rein_status status = reini_play(&clean, &scores);
    reini_scores_release(&scores);
    for (int32_t k = 0; status == REIN_OK && k < job->env->obs.size; k++) {
        double n = (double)m.n, mean = sum[k] / n;
        unit[k] = sqrt(fmax(square[k] / n - mean * mean, 0));
    }
    return status;
}

/* plays with noise in those units */
static rein_status play_relative(rein_eval_result *result, const reini_subject *s,
                                 const reini_eval_job *job) {
    size_t size = (size_t)job->env->obs.size;
    double *numbers = REINI_NEW_ARRAY(double, 3 * size);
    if (!numbers)
        return reini_fail_memory(3 * size * sizeof *numbers, "the evaluation");
    reini_eval_job noisy = *job;
    noisy.noise_unit = numbers;
    rein_status status = measure(job, numbers, numbers + size, numbers + 2 * size);
    if (status == REIN_OK)
        status = play(result, s, &noisy);
    reini_free(numbers);
    return status;
}

/* ---- one policy ------------------------------------------------------------------------------------------ */

static rein_status evaluate(reini_subject *s, rein_pool **pool, const rein_eval_opts *opts,
                            rein_eval_result *result) {
    REINI_TRY(reini_subject_load(s, opts->path));
    REINI_TRY(reini_subject_open(s, opts->env, opts->settings, opts->n_settings, opts->filter));
    *pool = rein_pool_new(reini_thread_count(opts->threads));
    if (!*pool)
        return reini_fail(REIN_NOMEM, "%d worker threads could not be started: choose fewer with --threads",
                          reini_thread_count(opts->threads));
    reini_eval_job job = {.env = &s->opened,
                          .policy = s->policy,
                          .pool = *pool,
                          .episodes = opts->episodes ? opts->episodes : 100,
                          .seed = reini_seed_for(opts->seed, "evaluation", 0),
                          .sample = opts->sample,
                          .obs_noise = opts->obs_noise,
                          .stop = opts->stop};
    REINI_TRY(reini_policy_digest(s->policy, result->policy_sha256));
    double start = reini_seconds();
    if (opts->episodes == 0 && reini_exact_applies(&job))
        REINI_TRY(compute(result, s, &job));
    bool relative = opts->obs_noise_relative && job.obs_noise > 0 && job.env->obs.kind == REIN_SPACE_BOX;
    if (!result->exact)
        REINI_TRY(relative ? play_relative(result, s, &job) : play(result, s, &job));
    result->wall_s = reini_seconds() - start;
    return REIN_OK;
}

rein_status rein_eval(const rein_eval_opts *opts, rein_eval_result *result) {
    reini_subject s = {0};
    rein_pool *pool = NULL;
    memset(result, 0, sizeof *result);
    REINI_TRY(check_opts(opts));
    rein_status status = evaluate(&s, &pool, opts, result);
    rein_pool_free(pool);
    reini_subject_release(&s);
    return status;
}
