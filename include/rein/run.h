/*
 * run.h - training, evaluating and describing: what the `rein` command is made of.
 *
 *     rein_train_opts opts = {.algo = "ppo", .env = "CartPole-v1"};
 *     rein_summary summary;
 *     rein_status status = rein_train(&opts, &summary);
 */
#ifndef REIN_RUN_H
#define REIN_RUN_H

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <rein/field.h>
#include <rein/policy.h>
#include <rein/status.h>
#include <rein/wrap.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Wrappers around the environment, which make it another task: a run remembers them, and so does its policy. "none" or
 * numbers: one for every part of the action, or one for each with commas between them. */
#define REIN_WRAP_FIELDS(F, E)                                                                               \
    F(INT, frame_stack, "1", 1, 64, "observations of the last so many steps side by side")                   \
    F(TEXT, action_low, "none", 0, 0, "safety filter: least value of box actions")                           \
    F(TEXT, action_high, "none", 0, 0, "safety filter: largest value of box actions")                        \
    F(TEXT, action_rate, "none", 0, 0, "safety filter: most change of box actions in a step")                \
    F(TEXT, safety_filter, "none", 0, 0, "safety filter: shared library that may replace actions")

/* Settings every training run has, whatever the algorithm. */
#define REIN_RUN_FIELDS(F, E)                                                                                \
    F(COUNT, steps, "1e5", 1, 1e15, "environment steps to train for; of a planner: the most sweeps")         \
    F(INT, seed, "0", 0, 9e15, "seed of everything random in the run")                                       \
    F(INT, threads, "0", 0, 1024, "worker threads, 0 = one per core; never changes results")                 \
    F(COUNT, eval_every, "0", 0, 1e15, "environment steps between evaluations during training, 0 = none")    \
    F(INT, eval_episodes, "100", 1, 1e6, "greedy episodes of the final evaluation")                          \
    F(INT, eval_every_episodes, "20", 1, 1e6, "greedy episodes of each evaluation during training")          \
    F(REAL, stop_at, "inf", -1e300, INFINITY,                                                                \
      "stop once an evaluation during training reaches this mean return")                                    \
    F(COUNT, checkpoint_every, "0", 0, 1e15, "environment steps between checkpoints, 0 = every 30 seconds")  \
    F(INT, log_every, "1", 1, 1e9, "iterations between rows of metrics.csv")                                 \
    E(dtype, "f32", "f32|bf16", "number format of matrix products, where the machine has it")                \
    REIN_WRAP_FIELDS(F, E)

typedef struct rein_run_config {
    REIN_FIELDS_STRUCT(REIN_RUN_FIELDS)
} rein_run_config;

/* One `--name=value`: a field of the run or of the algorithm, or "env.NAME" for one of the environment. */
typedef struct rein_setting {
    const char *name, *value;
} rein_setting;

typedef struct rein_train_opts {
    const char *algo;   /* NULL with resume */
    const char *env;    /* NULL with resume */
    const char *preset; /* NULL = the tuned default of (algo, env) if any; "none"; or a name */
    const char *config; /* config.json whose settings apply before `settings`; NULL = none */
    const rein_setting *settings;
    int n_settings;
    int seeds;          /* runs with seeds seed, seed + 1, ...; 0 = 1 */
    const char *out;    /* run directory; NULL = a new one under runs/ */
    const char *resume; /* run directory to continue; algorithm, environment and settings come from it */
    int force;          /* an existing run directory is replaced */
    const rein_filter
        *filter;    /* before every action; not remembered by the run. NULL = that of the settings */
    FILE *progress; /* progress line, NULL = silent */
    const volatile sig_atomic_t
        *stop; /* non-zero: save a checkpoint and return REIN_INTERRUPTED; NULL = never */
} rein_train_opts;

typedef struct rein_summary {
    char algo[64], env[256], run_dir[1024];
    char policy_sha256[65];
    uint64_t seed;
    int64_t env_steps;
    double wall_s;           /* training time of all legs of the run */
    double sps;              /* environment steps per second of training */
    double eval_return_mean; /* fresh seeds, greedy */
    double eval_return_std;  /* over episodes */
    double eval_length_mean;
    int eval_episodes;
    int eval_exact;          /* 1: the figures are computed, no episodes were played (tabular environments) */
    char unit[16];           /* what env_steps counts: "steps", or "sweeps", ... of a planner */
    int64_t skipped_updates; /* updates dropped because a loss or gradient was not finite */
    /* several seeds: statistics over the seeds' eval_return_mean; seeds = 1 leaves the rest NAN */
    int seeds;
    double seeds_mean, seeds_std, seeds_iqm, seeds_low, seeds_high; /* interval: 95% bootstrap of the mean */
    /* of a run on a language model, whose steps are updates; "" and 0 otherwise */
    char model_dir[1100];  /* what was trained, as a folder; "" = not such a run */
    int64_t tokens;        /* that went through the network in training */
    double loss;           /* mean of the last updates */
    double eval_loss;      /* of the model as it is at the end, NAN without evaluation data */
    double eval_accuracy;  /* share of tokens that were the likeliest */
    double best_eval_loss; /* of the model in best/ */
    int64_t best_step;     /* update it comes from, -1 = none */
    /* bytes: what the run takes, said before its first update; the most the process held, measured at its end */
    int64_t planned_memory, peak_memory;
} rein_summary;

/* Trains. With several seeds every run has its own directory (seed-N) below the run directory. */
REIN_API rein_status rein_train(const rein_train_opts *opts, rein_summary *summary);

typedef struct rein_eval_opts {
    const char *path;             /* run directory or policy file */
    const char *env;              /* NULL = the policy's */
    const rein_setting *settings; /* "env.NAME" perturbs the dynamics */
    int n_settings;
    int episodes; /* 0 = exactly where that is possible (tabular environments), else 100 */
    uint64_t seed;
    int sample;                /* draw actions instead of taking the most likely */
    double obs_noise;          /* standard deviation of Gaussian noise added to box observations */
    int obs_noise_relative;    /* in standard deviations of each element over episodes without noise */
    int threads;               /* 0 = one per core */
    const rein_filter *filter; /* as in rein_train_opts */
    const volatile sig_atomic_t *stop;
} rein_eval_opts;

typedef struct rein_eval_result {
    char algo[64], env[256];
    char policy_sha256[65];
    int exact;    /* 1: the figures are computed, no episodes were played */
    int episodes; /* 0 when exact */
    double return_mean, return_std, return_min, return_max, return_iqm;
    double return_low, return_high; /* 95% bootstrap interval of the mean */
    double length_mean;
    double success_rate; /* share of episodes reaching the environment's threshold, NAN without one */
    /* of a safety filter, NAN without one: actions replaced, as a share and in an episode */
    double intervention_share, interventions_mean;
    /* sums of the environment's costs over an episode: mean and 95% bootstrap interval; n_costs = 0 without costs, and
     * where no episodes were played */
    int n_costs;
    char cost_name[REIN_COSTS_MAX][32];
    double cost_mean[REIN_COSTS_MAX], cost_low[REIN_COSTS_MAX], cost_high[REIN_COSTS_MAX];
    double wall_s, latency_us; /* time of one batched act call divided by its rows */
} rein_eval_result;

REIN_API rein_status rein_eval(const rein_eval_opts *opts, rein_eval_result *result);

/* ---- evaluation under changed conditions --------------------------------------------------------------- */

#define REIN_SWEEP_AXES 2

/* Evaluates at every value of an axis, or at every pair of values of two. */
typedef struct rein_sweep_opts {
    rein_eval_opts eval; /* path may also be a run of several seeds: all their policies are evaluated */
    /* "NAME=LOW:HIGH:N", N values evenly spaced, or "NAME=A,B,C"; NAME is a field of the environment or obs_noise */
    const char *const *axes;
    int n_axes;      /* 0 = the conditions of eval alone */
    const char *out; /* file for the table as CSV, NULL = none */
} rein_sweep_opts;

#define REIN_SWEEP_TEXT 64
typedef struct rein_condition {
    char value[REIN_SWEEP_AXES][REIN_SWEEP_TEXT];
    /* of one policy: as rein_eval. Of several: returns are the policies' mean returns, `return_std` their spread and
     * the interval a bootstrap over policies; other figures are means */
    rein_eval_result result;
} rein_condition;

typedef struct rein_sweep_result {
    int n_axes, policies;
    char name[REIN_SWEEP_AXES][REIN_SWEEP_TEXT];
    int n; /* conditions: the second axis runs fastest */
    rein_condition *at;
} rein_sweep_result;

/* result: released after success and failure alike. */
REIN_API rein_status rein_sweep(const rein_sweep_opts *opts, rein_sweep_result *result);
REIN_API void rein_sweep_release(rein_sweep_result *result);
/* Policies that a path stands for: the seeds of a run of several seeds, else 1. */
REIN_API int rein_policies_of(const char *path);

/* ---- pictures ------------------------------------------------------------------------------------------ */

typedef struct rein_picture_opts {
    const char *path;             /* run directory or policy file */
    const char *env;              /* NULL = the policy's */
    const rein_setting *settings; /* "env.NAME", on top of the run's own */
    int n_settings;
    int ascii;    /* 1 = no character beyond ASCII, else UTF-8 */
    int colour;   /* 1 = with ANSI sequences: shades of 256 colours by value, bold actions */
    int width;    /* columns of the terminal, 0 = unlimited */
    int panels;   /* most panels drawn, 0 = all */
    int complete; /* 1 = an empty text rather than a picture that leaves states out */
} rein_picture_opts;

/* Draws the values and actions of a policy over numbered states: the panels of the environment's MDP, or a list of
 * states where it has none. REIN_USAGE for policies that are networks. *text is freed by rein_text_free. */
REIN_API rein_status rein_picture(const rein_picture_opts *opts, char **text);
REIN_API void rein_text_free(char *text);

/* ---- what there is ------------------------------------------------------------------------------------- */

typedef struct rein_algo_info {
    const char *name, *doc, *family;
    const rein_field *fields;
    int n_fields;
    const rein_field *
        text_fields; /* with a language model: `fields`, or others where it trains both; NULL = it does not */
    int n_text_fields;
} rein_algo_info;
/* i from 0; false past the end. */
REIN_API int rein_algo_at(int i, rein_algo_info *info);
/* By name, with an error naming the nearest. */
REIN_API rein_status rein_algo_find(const char *name, rein_algo_info *info);
REIN_API const rein_field *rein_run_fields(int *n);
/* Those of a rein_run_config that are wrappers. */
REIN_API const rein_field *rein_wrap_fields(int *n);

typedef struct rein_preset {
    const char *algo, *env, *name; /* env "Hopper-*" stands for all versions; name "tuned" is the default */
    const char *doc;
    const char *settings; /* "n_envs=8 gamma=0.98 ..." */
} rein_preset;
REIN_API const rein_preset *rein_preset_at(int i); /* NULL past the end */
/* Is the preset for this algorithm and environment? */
REIN_API int rein_preset_fits(const rein_preset *preset, const char *algo, const char *env);

#ifdef __cplusplus
}
#endif
#endif
