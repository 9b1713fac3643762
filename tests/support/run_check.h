/*
 * run_check.h - short calls of the trainer with the mock algorithm, and comparing the directories of two
 * runs.
 */
#ifndef RUN_CHECK_H
#define RUN_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/wait.h>
#include <rein/run.h>
#include "run/train.h"
#include "support/check.h"
#include "support/mock_algo.h"
#include "support/temp_dir.h"

/* a run of 20 iterations of 30 steps with 6 evaluations */
#define RUN_SETTINGS                                                                                         \
    {"steps", "600"}, {"eval_every", "100"}, {"eval_every_episodes", "5"}, {"eval_episodes", "10"},          \
        {"threads", "1"}, {"checkpoint_every", "90"}, {                                                      \
        "seed", "3"                                                                                          \
    }
static const rein_setting run_settings[] = {RUN_SETTINGS};
#define N_RUN_SETTINGS 7

/* a path inside the test's directory that lives as long as the next 63 */
static inline const char *run_path(const char *name) {
    static char paths[64][2 * TEMP_PATH];
    static int next;
    char *out = paths[next++ & 63];
    snprintf(out, sizeof paths[0], "%s/%s", temp_dir, name);
    return out;
}

static volatile sig_atomic_t run_stop;

static inline rein_train_opts run_opts(const char *out) {
    run_stop = 0;
    return (rein_train_opts){.algo = "mock",
                             .env = MOCK_ENV,
                             .settings = run_settings,
                             .n_settings = N_RUN_SETTINGS,
                             .out = out,
                             .stop = &run_stop};
}

static inline rein_train_opts run_resume(const char *dir) {
    run_stop = 0;
    return (rein_train_opts){.resume = dir, .stop = &run_stop};
}

/* metrics.csv without the values of columns that measure the machine; malloc'ed */
static inline char *run_csv(const char *dir) {
    char path[2 * TEMP_PATH + 32];
    snprintf(path, sizeof path, "%s/metrics.csv", dir);
    char *text = temp_read(path, NULL), *out = calloc(1, strlen(text) + 1), *at = out;
    bool measured[64] = {false};
    int column = 0;
    for (char *c = text, *header_end = strchr(text, '\n'); *c; c++) {
        if (c < header_end && (c == text || c[-1] == ','))
            measured[column] = strncmp(c, "time/", 5) == 0 || strncmp(c, "memory/", 7) == 0;
        if (*c == ',' || *c == '\n')
            column = *c == ',' ? column + 1 : 0;
        if (c < header_end || *c == ',' || *c == '\n' || !measured[column])
            *at++ = *c;
    }
    free(text);
    return out;
}

static inline void run_same_file(const char *a, const char *b, const char *name) {
    char path[2 * TEMP_PATH + 64];
    size_t na, nb;
    snprintf(path, sizeof path, "%s/%s", a, name);
    char *ta = temp_read(path, &na);
    snprintf(path, sizeof path, "%s/%s", b, name);
    char *tb = temp_read(path, &nb);
    if (na != nb || memcmp(ta, tb, na) != 0)
        fail_msg("%s differs between %s and %s", name, a, b);
    free(ta);
    free(tb);
}

/* metrics.csv, but for what measures the machine */
static inline void run_same_csv(const char *a, const char *b) {
    char *ca = run_csv(a), *cb = run_csv(b);
    if (strcmp(ca, cb) != 0) {
        size_t at = 0;
        while (ca[at] == cb[at])
            at++;
        while (at > 0 && ca[at - 1] != '\n')
            at--;
        fail_msg("metrics.csv differs between %s and %s:\n%.*s\n%.*s", a, b, (int)strcspn(ca + at, "\n"),
                 ca + at, (int)strcspn(cb + at, "\n"), cb + at);
    }
    free(ca);
    free(cb);
}

/* two finished runs computed the same */
static inline void run_same(const char *a, const char *b, const rein_summary *sa, const rein_summary *sb) {
    run_same_csv(a, b);
    run_same_file(a, b, "policy.safetensors");
    run_same_file(a, b, "best.safetensors");
    assert_string_equal(sa->policy_sha256, sb->policy_sha256);
    assert_true(sa->eval_return_mean == sb->eval_return_mean);
    assert_true(sa->eval_return_std == sb->eval_return_std);
    assert_true(sa->eval_length_mean == sb->eval_length_mean);
    assert_int_equal(sa->env_steps, sb->env_steps);
    assert_int_equal(sa->eval_episodes, sb->eval_episodes);
}

/* two finished runs on language models computed the same; the files are what they wrote of it */
static inline void run_same_text(const rein_summary *a, const rein_summary *b, int n_files,
                                 const char *const *files) {
    assert_string_equal(a->policy_sha256, b->policy_sha256);
    run_same_csv(a->run_dir, b->run_dir);
    for (int i = 0; i < n_files; i++)
        run_same_file(a->run_dir, b->run_dir, files[i]);
}

/* ---- killing ----------------------------------------------------------------------------------------- */

static inline bool run_has(const char *dir, const char *name) {
    char path[2 * TEMP_PATH + 64];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0;
}

/* trains in a child process, which can be killed; its exit status is the rein_status */
static inline pid_t run_start_child(const reini_algo *algo, const rein_train_opts *opts) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        rein_summary ignored;
        rein_status status = reini_train_with(algo, opts, &ignored);
        if (status != REIN_OK)
            fprintf(stderr, "%s\n", rein_error());
        _exit((int)status);
    }
    return child;
}

/* starts a run and kills it at random moments, within `most` microseconds, until it gets through; returns how
 * often it was killed, at least once: a run that was never hit starts over with half the time. After a kill it gets
 * a little longer: on a busy machine a run may need all of `most` to begin. */
static inline int run_kill_until_done(const reini_algo *algo, rein_train_opts start, uint32_t most,
                                      rein_rng *rng) {
    for (int kills = 0, how;;) {
        rein_train_opts opts = run_has(start.out, "config.json") ? run_resume(start.out) : start;
        pid_t child = run_start_child(algo, &opts);
        usleep(rein_rng_below(rng, most));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &how, 0), child);
        if (WIFSIGNALED(how)) {
            kills++;
            most += most / 16;
            continue;
        }
        assert_int_equal(WEXITSTATUS(how), REIN_OK);
        if (kills > 0)
            return kills;
        temp_remove(start.out);
        most = most / 2 + 1;
    }
}

/* kills a run until it is done, and gives its summary, which resuming it then only reads; returns the kills */
static inline int run_killed(const reini_algo *algo, rein_train_opts start, uint32_t most, rein_rng *rng,
                             rein_summary *summary) {
    int kills = run_kill_until_done(algo, start, most, rng);
    rein_train_opts again = run_resume(start.out);
    assert_ok(reini_train_with(algo, &again, summary));
    return kills;
}

/* such a run ends as `whole`, which was never stopped; returns the kills */
static inline int run_killed_same(const reini_algo *algo, rein_train_opts start, uint32_t most, rein_rng *rng,
                                  const rein_summary *whole) {
    rein_summary killed;
    int kills = run_killed(algo, start, most, rng, &killed);
    run_same(whole->run_dir, killed.run_dir, whole, &killed);
    return kills;
}

/* A run from its beginning to its end, and one beside it that is killed wherever it happens to be: environments,
 * updates, checkpoints, evaluations. Lives last up to `share` of the whole run's time and `least` microseconds. */
static inline void run_check_kills(const reini_algo *algo, rein_train_opts opts, double share, uint32_t least,
                                   uint64_t seed) {
    char beside[2 * TEMP_PATH + 16];
    rein_summary whole;
    rein_rng rng = rein_rng_make(seed, 0);
    assert_ok(rein_train(&opts, &whole));
    snprintf(beside, sizeof beside, "%s-killed", opts.out);
    opts.out = beside;
    int kills = run_killed_same(algo, opts, (uint32_t)(whole.wall_s * 1e6 * share) + least, &rng, &whole);
    print_message("# %s: %d kills\n", whole.run_dir, kills);
}

#endif
