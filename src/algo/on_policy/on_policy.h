/*
 * on_policy.h - what methods share that learn from the experience of the policy they train: the policy, the rollout
 * it gathers, their preparation and their accounts; and the steps of a rollout as inputs of a graph.
 *
 * A method embeds a reini_on_policy as its first member, and its iterate is
 *
 *     if (reini_on_policy_gather(base, report)) {
 *         estimate advantages, build on them
 *         reini_on_policy_finish(base, report);
 *     }
 */
#ifndef REINI_ON_POLICY_H
#define REINI_ON_POLICY_H

#include "algo/algo.h"
#include "rl/learner.h"
#include "rl/rollout.h"

typedef struct reini_on_policy_opts {
    const char *algo;
    int64_t n_envs, n_steps;
    double gamma;
    bool critic;      /* learns a value function */
    bool output;      /* the rollout keeps logits or means */
    bool norm_reward; /* rewards divided by the deviation of the discounted return */
    bool costs;       /* the rollout keeps the environment's costs */
    int64_t sequence; /* steps of a sequence of a policy with a memory; 1 without */
    reini_net_config net;
} reini_on_policy_opts;

typedef struct reini_on_policy {
    reini_context context;
    reini_on_policy_opts opts;
    reini_net *policy;
    reini_collector *collector;
    reini_reward_scale reward_scale;
    int64_t env_steps;
    int64_t skipped, skipped_in_a_row; /* updates that were not finite */
    bool warm;                         /* the warm-up rollout for observation statistics is done */
    double update_start;               /* clock */
} reini_on_policy;

/* Rules that hold for all of them: observations the networks take, sizes that fit. */
rein_status reini_on_policy_check(const reini_on_policy_opts *opts, const reini_context *context);
rein_status reini_on_policy_init(reini_on_policy *base, const reini_on_policy_opts *opts,
                                 const reini_context *context);
void reini_on_policy_release(reini_on_policy *base);
/* Parameters, statistics, environments and counters, under the names of the archive's own. */
rein_status reini_on_policy_visit(reini_on_policy *base, reini_archive *archive);

static inline reini_rollout *reini_on_policy_rollout(const reini_on_policy *base) {
    return reini_collector_rollout(base->collector);
}
static inline double reini_on_policy_progress(const reini_on_policy *base) {
    return (double)base->env_steps / (double)base->context.total_steps;
}

/* Observation statistics need experience before the first update: one rollout that nothing else is learned from. */
void reini_on_policy_warm_up(reini_on_policy *base, reini_report *report);
/* One rollout. False when an environment failed, which report->failed tells. */
bool reini_on_policy_gather(reini_on_policy *base, reini_report *report);
/* Scales rewards, values all states, and fills adv and ret by generalised advantage estimation. */
void reini_on_policy_estimate(reini_on_policy *base, double lambda);
/* Statistics take in the rollout, and the report is filled. */
void reini_on_policy_finish(reini_on_policy *base, reini_report *report);
/* The report's accounts alone. */
void reini_on_policy_account(const reini_on_policy *base, const reini_episodes *episodes,
                             reini_report *report);
/* Notes an update, made or skipped as not finite. */
void reini_on_policy_note(reini_on_policy *base, bool skipped);

/* ---- steps as rows of a graph -------------------------------------------------------------------------- */

enum { REINI_BATCH_INPUTS = 14 };

/* A graph's inputs that are arrays of steps, and the memory each is bound to. With an index, row i of the graph is
 * step index[i]; without, it is step i. */
typedef struct reini_batch {
    rein_graph *g;
    int rows, steps;    /* extents: of the graph's rows, of the arrays; the same without an index */
    rein_tensor *index; /* (rows x 1) NULL without */
    /* of a policy with a memory: rows are whole sequences of `length` steps, one after the other */
    int64_t length;
    int sequences;      /* extent */
    rein_tensor *first; /* (sequences x 1) the step that each begins with */
    int count;
    struct {
        const rein_tensor *input;
        const void *data;
    } bound[REINI_BATCH_INPUTS];
} reini_batch;

/* Rows and steps are capacities; rows 0: no index. length: 1 without memory; sequences need an index. */
void reini_batch_init(reini_batch *batch, rein_graph *g, int64_t rows, int64_t steps, int64_t length);
/* The graph's rows are the steps index[0 .. count), which are whole sequences. */
void reini_batch_select(const reini_batch *batch, rein_exec *exec, const int32_t *index, int64_t count);
/* The rows' part of `data`, an array of `width` elements a step. */
rein_tensor *reini_batch_take(reini_batch *batch, const char *name, rein_dtype dtype, int width,
                              const void *data);
void reini_batch_bind(const reini_batch *batch, rein_exec *exec);
/* Observations, masks and normaliser, and what the policy makes of them. */
reini_net_heads reini_batch_heads(reini_batch *batch, const reini_net *policy, int slot,
                                  const reini_rollout *r, bool actor, bool critic, reini_net_inputs *in);
/* The actions taken. */
rein_tensor *reini_batch_action(reini_batch *batch, const reini_net *policy, const reini_rollout *r);

/* ---- programs ------------------------------------------------------------------------------------------ */

/* A graph, compiled and running on the policy's parameters. */
typedef struct reini_part {
    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    reini_batch batch;
    reini_net_inputs in;
    int slot;
} reini_part;

/* An empty graph with a slot for the policy; rows and steps as in reini_batch_init. */
rein_status reini_part_begin(reini_part *part, const reini_on_policy *base, int64_t rows, int64_t steps);
/* Compiles it, binds parameters, normaliser and arrays; `steps` of them are live. */
rein_status reini_part_end(reini_part *part, const reini_on_policy *base);
/* The same with another model than the policy: its layout and store; rows that are steps of their own. */
rein_status reini_part_begin_with(reini_part *part, rein_layout *layout, int64_t rows, int64_t steps);
rein_status reini_part_end_with(reini_part *part, const reini_on_policy *base, const rein_store *store);
void reini_part_release(reini_part *part);

#endif
