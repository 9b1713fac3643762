/*
 * solve.h - what all planners share: when they are done, and how they start and end where gamma = 1.
 *
 * Stopping. A sweep is a gamma-contraction, so |V - V*| <= gamma / (1 - gamma) |V - V_before|. With residual
 * |V - V_before| <= tolerance (1 - gamma) / (2 gamma), V is within tolerance / 2 of V* and its greedy policy
 * is worth V* within tolerance (M. Puterman: Markov Decision Processes, theorem 6.3.1). Where V is not the
 * result of the backup that the residual comes from but its argument, |V - V*| <= residual / (1 - gamma), and
 * the residual has to be gamma times smaller. At gamma = 1 there is no such bound: the residual itself has to
 * be within the tolerance.
 */
#ifndef REINI_SOLVE_H
#define REINI_SOLVE_H

#include "mdp/chain.h"

typedef enum reini_progress_kind { REINI_GOES_ON, REINI_SETTLED, REINI_STALLED } reini_progress_kind;

/* How far a sequence of sweeps has come; plain data. */
typedef struct reini_settling {
    double gamma, tolerance;
    double scale;      /* tolerance that a residual of 1 stands for */
    double residual;   /* of the last sweep, INFINITY before */
    double largest;    /* max |V| after it */
    double least;      /* smallest residual so far */
    int64_t fruitless; /* sweeps since `least` */
} reini_settling;

/* result: V is what the backups write; else what they read. */
reini_settling reini_settling_make(double gamma, double tolerance, bool result);
/* The residual that the tolerance asks for. */
double reini_settling_goal(const reini_settling *s);
/* STALLED: what is left of the residual is rounding, and is more than the tolerance allows. */
reini_progress_kind reini_settling_note(reini_settling *s, reini_sweep sweep);
/* A round of policy iteration after evaluation: residual of V, then better actions where there are any
 * (*changed of them). STALLED as well when no action is left to change. room (S). */
reini_progress_kind reini_settling_improve(reini_settling *s, const reini_bellman *b, const double *V,
                                           double *room, int32_t *action, int64_t *changed);
/* The tolerance that the last residual stands for. */
double reini_settling_reached(const reini_settling *s);
/* REIN_USAGE with a sentence that names the smallest tolerance that can be reached. */
rein_status reini_settling_unreachable(const reini_settling *s);

/* Whether values can be finite: at gamma = 1, REIN_DIVERGED naming a state from which no policy is sure to
 * end. */
rein_status reini_check_endings(const reini_bellman *b);
/* At gamma = 1: REIN_DIVERGED when these actions, greedy for the present values, go round a cycle that earns.
 * */
rein_status reini_check_gain(const reini_bellman *b, const int32_t *action);
/* Where policy iteration starts: greedy on the rewards; at gamma = 1 a policy that ends for sure, or the
 * failure of reini_check_endings. */
rein_status reini_first_policy(const reini_bellman *b, int32_t *action);
/* The policy to keep: greedy for V, lowest actions first. At gamma = 1, where a greedy action may go round
 * for ever on the promise of a value, one that ends among the actions whose Q is within `slack` of the best.
 * `V` are values that planning has arrived at. */
rein_status reini_last_policy(const reini_bellman *b, const double *V, double slack, int32_t *action);

#endif
