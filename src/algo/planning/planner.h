/*
 * planner.h - what planners share: the tables, when to stop, what is reported and saved.
 *
 * A planner embeds a reini_plan as its first member, `p`, and its iterate is a loop of sweeps:
 *
 *     reini_plan_begin(p);
 *     while (reini_plan_more(p))
 *         reini_plan_note(p, one sweep that changes p->table->v);
 *     reini_plan_report(p, report);
 *
 * An iteration is one sweep of a large MDP and many of a small one; which sweeps fall into one iteration
 * shows in metrics.csv and nowhere else.
 */
#ifndef REINI_PLANNER_H
#define REINI_PLANNER_H

#include "algo/algo.h"
#include "mdp/solve.h"
#include "rl/table_policy.h"

#define REINI_PLAN_FIELDS(F, E)                                                                              \
    F(REAL, gamma, "0.99", 0, 1, "discount per step")                                                        \
    F(REAL, tolerance, "1e-9", 1e-300, 1e300,                                                                \
      "how far the values may be from the true ones; at gamma = 1 how much a sweep may still change them")

enum { REINI_PLAN_RESIDUAL, REINI_PLAN_START_VALUE, REINI_PLAN_CHANGED, REINI_PLAN_METRICS };
extern const char *const reini_plan_metrics[REINI_PLAN_METRICS];

typedef struct reini_plan {
    reini_context context;
    reini_bellman b;
    reini_table_policy *table; /* v: the values now */
    double *spare;             /* (S) what the next sweep is written to */
    int32_t *action;           /* (S) the policy now, where the method has one; else the last one looked at */
    reini_settling settling;
    reini_progress_kind progress;
    rein_status failed;
    int64_t sweeps,
        changed;    /* so far; actions that changed when last looked at, -1 = not in this iteration */
    int64_t pause;  /* sweep at which the iteration ends */
    bool evaluates; /* a given policy, table->pi, rather than to find one */
    bool timed;     /* the method writes table->action, a row for each step of time */
    bool stale;     /* table->action and q are older than v */
    double started; /* seconds */
} reini_plan;

/* The environment has tables. */
rein_status reini_plan_check(const char *algo, const reini_context *context);
/* parts: REINI_TABLE_*; q is added where it is not large. horizon: steps of a plan in time, 0 = a policy that
 * does not depend on it. */
rein_status reini_plan_init(reini_plan *p, const char *algo, const reini_context *context, double gamma,
                            double tolerance, int parts, int32_t horizon);
void reini_plan_release(reini_plan *p);
rein_status reini_plan_visit(reini_plan *p, reini_archive *archive);

void reini_plan_begin(reini_plan *p);
/* The iteration goes on: nothing has failed, settled or stalled, and there are sweeps left. */
static inline bool reini_plan_more(const reini_plan *p) {
    return p->failed == REIN_OK && p->progress == REINI_GOES_ON && p->sweeps < p->pause;
}
/* Books a sweep of the optimality equation (of the policy's equation for `evaluates`). Looks at the greedy
 * actions after 1, 2, 4, 8, ... sweeps. */
void reini_plan_note(reini_plan *p, reini_sweep sweep);
/* Books a sweep of another kind. */
void reini_plan_count(reini_plan *p);
/* p->spare has the new values. */
void reini_plan_swap(reini_plan *p);
void reini_plan_report(reini_plan *p, reini_report *report);

/* For descriptors: self begins with a reini_plan. */
void reini_plan_extend(void *self, int64_t total_steps);
rein_policy *reini_plan_policy(void *self);

#endif
