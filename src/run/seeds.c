/*
 * seeds.c - the same run with several seeds, one directory each, and statistics over them.
 *
 * A seed that diverges does not take the others with it: they are finished first, then the call fails.
 */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "run/run_dir.h"
#include "run/statistics.h"
#include "run/summary.h"
#include "run/train.h"

#define BOOTSTRAP_DRAWS 10000

/* run i: the same setup with seed + i in its own directory */
static rein_status train_seed(const reini_task *all, int i, rein_summary *summary) {
    reini_setup setup = *all->setup; /* borrows the configs */
    char dir[REINI_DIR_MAX];
    reini_dir_kind kind;
    int hold = -1;
    setup.run.seed += i;
    setup.seeds = 1;
    REINI_TRY(reini_dir_of_seed(dir, all->dir, setup.run.seed));
    REINI_TRY(reini_dir_make(dir));
    REINI_TRY(reini_dir_hold(dir, &hold));
    reini_task one = *all;
    one.setup = &setup;
    one.dir = dir;
    rein_status status = reini_dir_look(dir, &kind);
    one.fresh = kind != REINI_DIR_RUN;
    if (status == REIN_OK)
        status = reini_train_one(&one, summary);
    reini_dir_let_go(hold);
    return status;
}

/* one digest for all policies: of the digests in the order of the seeds */
static rein_status combine_digests(rein_summary *s, const rein_summary *runs, int n) {
    uint8_t digest[32];
    reini_sha256 *sha = reini_sha256_new();
    if (!sha)
        return reini_fail_memory(sizeof digest, "the digest of the policies");
    for (int i = 0; i < n; i++)
        reini_sha256_add(sha, runs[i].policy_sha256, strlen(runs[i].policy_sha256));
    reini_sha256_finish(sha, digest);
    reini_hex(s->policy_sha256, digest, sizeof digest);
    return REIN_OK;
}

/* sums over the runs, means of their means; the deviation over all episodes of all runs */
static void combine(rein_summary *s, const rein_summary *runs, int n, double *means) {
    double length = 0, within = 0;
    for (int i = 0; i < n; i++) {
        s->env_steps += runs[i].env_steps;
        s->wall_s += runs[i].wall_s;
        s->eval_episodes += runs[i].eval_episodes;
        s->skipped_updates += runs[i].skipped_updates;
        length += runs[i].eval_length_mean / n;
        within += runs[i].eval_return_std * runs[i].eval_return_std / n;
        means[i] = runs[i].eval_return_mean;
    }
    double between = reini_std_population(means, n);
    reini_interval interval = reini_bootstrap(means, n, reini_mean, 0.95, BOOTSTRAP_DRAWS, s->seed);
    s->sps = (double)s->env_steps / fmax(s->wall_s, 1e-9);
    s->eval_return_mean = s->seeds_mean = reini_mean(means, n);
    s->eval_return_std = sqrt(within + between * between);
    s->eval_length_mean = length;
    s->seeds_std = reini_std(means, n);
    s->seeds_iqm = reini_iqm(means, n);
    s->seeds_low = interval.low;
    s->seeds_high = interval.high;
}

static rein_status train_all(const reini_task *task, rein_summary *runs) {
    char first[512];
    int diverged = 0, n = task->setup->seeds;
    for (int i = 0; i < n; i++) {
        rein_status status = train_seed(task, i, &runs[i]);
        if (status != REIN_OK && status != REIN_DIVERGED)
            return status;
        if (status == REIN_DIVERGED && diverged++ == 0)
            snprintf(first, sizeof first, "%s", rein_error());
    }
    if (diverged == 0)
        return REIN_OK;
    return reini_fail(REIN_DIVERGED, "%d of %d seeds diverged, the others are finished; the first: %s",
                      diverged, n, first);
}

rein_status reini_train_seeds(const reini_task *task, rein_summary *summary) {
    int n = task->setup->seeds;
    REINI_TRY(task->fresh ? reini_dir_write_config(task->dir, task->setup) : reini_settle_config(task));
    rein_summary *runs = REINI_NEW_ARRAY(rein_summary, (size_t)n);
    double *means = REINI_NEW_ARRAY(double, (size_t)n);
    rein_status status = REIN_OK;
    if (!runs || !means)
        status = reini_fail_memory((size_t)n * sizeof *runs, "the summaries of the seeds");
    if (status == REIN_OK)
        status = train_all(task, runs);
    if (status == REIN_OK) {
        reini_summary_init(summary, task->setup, task->dir);
        combine(summary, runs, n, means);
        status = combine_digests(summary, runs, n);
    }
    if (status == REIN_OK)
        status = reini_summary_write(summary, task->setup, runs, n);
    reini_free(means);
    reini_free(runs);
    return status;
}
