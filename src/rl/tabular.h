/*
 * tabular.h - what tabular learners share: one environment that is stepped, the table that is learned, step sizes,
 * and the accounts of episodes.
 *
 * A learner embeds a reini_tabular as its first member, `t`, and its iterate is the loop of the book:
 *
 *     reini_tabular_begin(t);
 *     while (reini_tabular_more(t)) {
 *         reini_transition x = reini_tabular_step(t, choose(t));
 *         learn from x
 *         if (x.ended)
 *             reini_tabular_reset(t);
 *     }
 *     reini_tabular_report(t, report);
 *
 * After a step, t->state and t->mask are those of x.next, also when the episode ended; reini_tabular_reset starts the
 * next episode. What follows an end is worth 0 when x.terminated, and its value when the episode was only cut.
 *
 * States and actions are numbered by rein_space_index; an entry is an index into the table of one number a state, or
 * of one number a (state, action): state x A + action.
 */
#ifndef REINI_TABULAR_H
#define REINI_TABULAR_H

#include <math.h>
#include "algo/algo.h"
#include "rl/explore.h"
#include "rl/rollout.h"
#include "rl/table_policy.h"
