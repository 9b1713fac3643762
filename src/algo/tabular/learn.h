/*
 * learn.h - the two sorts of tabular learners: those that look for a good policy (control) and those that judge a
 * given one (prediction). Each embeds its sort as its first member.
 */
#ifndef REINI_TABULAR_LEARN_H
#define REINI_TABULAR_LEARN_H

#include <string.h>
#include "algo/algo.h"
#include "rl/given.h"
#include "rl/tabular.h"

#define REINI_RATE_FIELDS(F, E)                                                                              \
    F(SCHEDULE, learning_rate, "0.1", 0, 1, "step size alpha")                                               \
    F(BOOL, average, "false", 0, 1, "step size 1 / (updates of the entry): the mean of its targets")

/* Without step sizes that are averages, which traces do not have. */
#define REINI_CONTROL_BASE_FIELDS(F, E)                                                                      \
    F(REAL, q_init, "0", -1e300, 1e300, "value of every action before anything is learned")                  \
    REINI_EXPLORE_FIELDS(F, E) REINI_TABULAR_FIELDS(F, E)
#define REINI_CONTROL_FIELDS(F, E) REINI_RATE_FIELDS(F, E) REINI_CONTROL_BASE_FIELDS(F, E)

#define REINI_GIVEN_FIELDS(F, E)                                                                             \
    F(TEXT, policy, "uniform", 0, 0, "the policy to evaluate: uniform, a run directory or a policy file")
#define REINI_PREDICTION_FIELDS(F, E)                                                                        \
    REINI_GIVEN_FIELDS(F, E) REINI_RATE_FIELDS(F, E) REINI_TABULAR_FIELDS(F, E)

/* Copies the members that a list names from `from` to `copied`; both structs have them. */
#define REINI_TAKE_FIELD(kind, name, initial, low, high, doc)                                                \
    memcpy(&copied.name, &from->name, sizeof copied.name);
#define REINI_TAKE_FIELD_ENUM(name, initial, choices, doc)                                                   \
    memcpy(&copied.name, &from->name, sizeof copied.name);
#define REINI_TAKE_FIELDS(LIST) LIST(REINI_TAKE_FIELD, REINI_TAKE_FIELD_ENUM)

/* ---- any ------------------------------------------------------------------------------------------------------ */

/* The environment has numbered states and actions. */
rein_status reini_tabular_check(const char *algo, const reini_context *context);
/* What every learner reports. Metrics: change of entries, learning rate, epsilon, temperature. */
void reini_tabular_report(const reini_tabular *t, reini_report *report);
#define REINI_LEARNING_METRICS(change) change, "train/learning_rate", "train/epsilon", "train/temperature"
enum {
    REINI_METRIC_CHANGE,
    REINI_METRIC_RATE,
    REINI_METRIC_EPSILON,
    REINI_METRIC_TEMPERATURE,
    REINI_LEARNING_METRICS_COUNT
};
/* For descriptors: self begins with a reini_tabular. */
void reini_tabular_extend(void *self, int64_t total_steps);
rein_policy *reini_tabular_policy(void *self);

/* ---- control: Q, and choices made with it ---------------------------------------------------------------------- */

typedef struct reini_control_config {
    REIN_FIELDS_STRUCT(REINI_CONTROL_FIELDS)
} reini_control_config;

typedef struct reini_control {
    reini_tabular t;
    reini_control_config config;
    reini_explore_config explore;
} reini_control;

#define REINI_COUNT_FIELD(kind, name, initial, low, high, doc) +1
#define REINI_COUNT_FIELD_ENUM(name, initial, choices, doc)    +1

/* For learners with no settings but these. */
enum { REINI_CONTROL_FIELDS_COUNT = 0 REINI_CONTROL_FIELDS(REINI_COUNT_FIELD, REINI_COUNT_FIELD_ENUM) };
extern const rein_field reini_control_fields[REINI_CONTROL_FIELDS_COUNT];
extern const char *const reini_control_metrics[REINI_LEARNING_METRICS_COUNT];

/* Every entry of q starts at q_init. */
rein_status reini_control_init(reini_control *c, const char *algo, const reini_control_config *config,
                               const reini_context *context);
void reini_control_release(reini_control *c);
/* create, destroy and visit of a learner that is nothing but a reini_control. */
rein_status reini_control_create(const char *algo, const void *config, const reini_context *context,
                                 void **self);
void reini_control_destroy(void *self);
rein_status reini_control_visit(void *self, reini_archive *archive);

/* ---- prediction: V of a given policy --------------------------------------------------------------------------- */

typedef struct reini_prediction_config {
    REIN_FIELDS_STRUCT(REINI_PREDICTION_FIELDS)
} reini_prediction_config;

/* The table's pi is the given policy, as far as masks are known. */
typedef struct reini_prediction {
    reini_tabular t;
    reini_prediction_config config;
    reini_given given;
} reini_prediction;

extern const char *const reini_prediction_metrics[REINI_LEARNING_METRICS_COUNT];

rein_status reini_prediction_init(reini_prediction *p, const char *algo,
                                  const reini_prediction_config *config, const reini_context *context);
void reini_prediction_release(reini_prediction *p);
/* Probabilities of the given policy in the state now: its row of pi. */
const double *reini_prediction_row(reini_prediction *p);
/* An action of the given policy. */
int32_t reini_prediction_choose(reini_prediction *p);

/* ---- n steps ---------------------------------------------------------------------------------------------------- */

/* The last steps of an episode that wait for their targets: a ring of up to n. */
typedef struct reini_trail {
    int64_t n, count, first;
    size_t *entry;  /* (n) of the table */
    double *reward; /* (n) that followed */
} reini_trail;

rein_status reini_trail_init(reini_trail *trail, int64_t n);
void reini_trail_release(reini_trail *trail);
rein_status reini_trail_visit(reini_trail *trail, reini_archive *archive);

/* Adds a step, and learns those that have n rewards: R1 + g R2 + ... + g^(n-1) Rn + g^n value, where value is that of
 * what follows the step. At the end of an episode all others are learned too. */
static inline void reini_trail_learn(reini_trail *trail, reini_tabular *t, double *table, size_t entry,
                                     const reini_transition *x, double value) {
    int64_t last = trail->first + trail->count;
    last -= last >= trail->n ? trail->n : 0;
    trail->entry[last] = entry;
    trail->reward[last] = x->r;
    trail->count++;
    while (trail->count == trail->n || (x->ended && trail->count > 0)) {
        double target = value;
        for (int64_t k = trail->first + trail->count - 1; k >= trail->first; k--)
            target = trail->reward[k < trail->n ? k : k - trail->n] + t->gamma * target;
        reini_tabular_learn(t, table, trail->entry[trail->first], target);
        trail->first = trail->first + 1 == trail->n ? 0 : trail->first + 1;
        trail->count--;
    }
}

/* ---- whole episodes --------------------------------------------------------------------------------------------- */

/* One step of the episode that is being played. */
typedef struct reini_moment {
    size_t entry;  /* of the table */
    double reward; /* that followed */
    double ratio;  /* importance sampling: pi(a | s) / mu(a | s) */
    bool first;    /* the entry's first visit in the episode */
} reini_moment;

typedef struct reini_record {
    reini_moment *at; /* (room) */
    int64_t count;
    size_t room;
    int64_t *seen; /* (entries) last episode, counted from 1, that visited the entry */
    size_t entries;
} reini_record;

/* Room for `length` steps at once (0 = unknown); it grows where episodes are longer. */
rein_status reini_record_init(reini_record *record, size_t entries, int64_t length);
void reini_record_release(reini_record *record);
rein_status reini_record_visit(reini_record *record, reini_archive *archive);
/* Fails only for want of memory. */
rein_status reini_record_add(reini_record *record, int64_t episode, size_t entry, double reward,
                             double ratio);

/* ---- eligibility traces ----------------------------------------------------------------------------------------- */

#define REINI_TRACE_FIELDS(F, E)                                                                             \
    F(REAL, lambda, "0.9", 0, 1, "decay of the traces: 0 = one step, 1 = the whole return")                  \
    E(traces, "accumulating", "accumulating|replacing|dutch",                                                \
      "what a visit does to its trace; dutch is true online TD(lambda)")

enum { REINI_TRACES_ACCUMULATING, REINI_TRACES_REPLACING, REINI_TRACES_DUTCH };

/* Traces below this share of a visit's are dropped; the entries with one are listed. */
#define REINI_TRACE_LEAST 1e-12

typedef struct reini_traces {
    int kind;
    double decay; /* gamma lambda */
    size_t entries;
    double *e;      /* (entries) */
    size_t *listed; /* (count) entries whose trace is not 0 */
    size_t count;
    double before; /* dutch: value of the entry visited now, as it was when it was looked ahead at */
} reini_traces;

rein_status reini_traces_init(reini_traces *z, int kind, double decay, size_t entries);
void reini_traces_release(reini_traces *z);
rein_status reini_traces_visit(reini_traces *z, reini_archive *archive);
/* The pieces of a step: the entry is visited; all traces fade by a factor, and those too small are dropped. */
void reini_traces_see(reini_traces *z, size_t entry, double rate);
void reini_traces_fade(reini_traces *z, double factor);
/* One step of the method on a table: the entry visited, reward and value of what follows; forgets the traces at the
 * end of an episode. */
void reini_traces_learn(reini_traces *z, reini_tabular *t, double *table, size_t entry,
                        const reini_transition *x, double value);

#endif
