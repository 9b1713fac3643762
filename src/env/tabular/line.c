/*
 * line.c - LineCost-v0, LineGoal-v0, LineSlip-v0: states in a row whose values can be found by hand.
 *
 * States 0 to length-1; the episode starts in 0, and the last one is terminal. Actions: 0 left, 1 right; left of 0 is 0.
 * A move fails with probability slip: the state stays, and the step counts. With n moves to the end and discount g:
 *
 *     LineCost-v0   each step costs 1, to be minimised:         V = n / (1 - slip) at g = 1       3 2 1 0
 *     LineGoal-v0   the end has the value 10, steps nothing:    V = 10 g^n at slip = 0            7.29 8.1 9 10
 *     LineSlip-v0   LineGoal with slip 0.2:    V = 10 ((1 - slip) g / (1 - slip g))^n             6.75 7.70 8.78 10
 *
 * on the right for four states and, where there is a discount, g = 0.9.
 */
#include <math.h>
#include "env/env_types.h"
#include "env/tabular/mdp_env.h"

#define LINE_LENGTH(F) F(INT, length, "4", 2, 1000000, "number of states")
#define LINE_SLIP(F, slip_default)                                                                           \
    F(REAL, slip, slip_default, 0, 1, "probability that a move fails and the state stays; below 1")

#define LINE_COST_FIELDS(F, E)                                                                               \
    LINE_LENGTH(F)                                                                                           \
    F(REAL, cost, "1", 0, 1e6, "cost of a step")                                                             \
    LINE_SLIP(F, "0")
#define LINE_GOAL_FIELDS(F, E)                                                                               \
    LINE_LENGTH(F)                                                                                           \
    F(REAL, value, "10", -1e6, 1e6, "value of the end")                                                      \
    LINE_SLIP(F, "0")
#define LINE_SLIP_FIELDS(F, E)                                                                               \
    LINE_LENGTH(F)                                                                                           \
    F(REAL, value, "10", -1e6, 1e6, "value of the end")                                                      \
    LINE_SLIP(F, "0.2")

typedef struct line_cost_config {
    REIN_FIELDS_STRUCT(LINE_COST_FIELDS)
} line_cost_config;

typedef struct line_goal_config {
    REIN_FIELDS_STRUCT(LINE_GOAL_FIELDS)
} line_goal_config;

#define REIN_FIELD_OWNER line_cost_config
static const rein_field line_cost_fields[] = {REIN_FIELDS_TABLE(LINE_COST_FIELDS)};
#undef REIN_FIELD_OWNER
#define REIN_FIELD_OWNER line_goal_config
static const rein_field line_goal_fields[] = {REIN_FIELDS_TABLE(LINE_GOAL_FIELDS)};
static const rein_field line_slip_fields[] = {REIN_FIELDS_TABLE(LINE_SLIP_FIELDS)};
#undef REIN_FIELD_OWNER

typedef struct line {
    int32_t length;
    double slip, reward; /* reward of a step, or its cost */
    double value;        /* of the end */
} line;

static rein_status add_row(rein_mdp *mdp, const line *l, int32_t state, int32_t action) {
    int32_t next = action == 1 ? state + 1 : state > 0 ? state - 1 : 0;
    rein_outcome outcomes[2] = {{next, 1 - l->slip, l->reward}, {state, l->slip, l->reward}};
    return rein_mdp_add(mdp, state, action, l->slip > 0 ? 2 : 1, outcomes);
}

static rein_status fill(rein_mdp *mdp, const line *l) {
    static const reini_action_label labels[] = {{"left", '<'}, {"right", '>'}};
    REINI_TRY(reini_label_actions(mdp, labels, 2));
    for (int32_t state = 0; state < l->length - 1; state++)
        for (int32_t action = 0; action < 2; action++)
            REINI_TRY(add_row(mdp, l, state, action));
    REINI_TRY(rein_mdp_terminal(mdp, l->length - 1, l->value));
    REINI_TRY(rein_mdp_start(mdp, 0, 1));
    return reini_add_grid(mdp, "", 1, l->length, 0, 1, NULL);
}

static rein_status open_line(const line *l, bool cost, rein_env_type *opened) {
    rein_mdp *mdp = NULL;
    if (l->slip >= 1)
        return reini_fail(REIN_USAGE, "environment %s: slip is 1, so no move would ever succeed; choose less",
                          opened->id);
    rein_status status = rein_mdp_new(l->length, 2, cost, &mdp);
    if (status == REIN_OK)
        status = fill(mdp, l);
    return reini_mdp_env_open(status, mdp, sizeof(reini_mdp_env), opened);
}

static rein_status cost_open(const void *config, rein_env_type *opened) {
    const line_cost_config *c = config;
    line l = {.length = (int32_t)c->length, .slip = c->slip, .reward = c->cost};
    return open_line(&l, true, opened);
}

static rein_status goal_open(const void *config, rein_env_type *opened) {
    const line_goal_config *c = config;
    line l = {.length = (int32_t)c->length, .slip = c->slip, .value = c->value};
    return open_line(&l, false, opened);
}

const rein_env_type reini_env_line_cost = {
    .abi = REIN_ENV_ABI,
    .id = "LineCost-v0",
    .doc = "teaching line 0-1-2-3 with unit step cost; the values are 3, 2, 1, 0",
    .obs = REINI_DISCRETE(4),
    .act = REINI_DISCRETE(2),
    .horizon = 100,
    REINI_ENV_FIELDS(line_cost_config, line_cost_fields),
    .reward_threshold = NAN,
    REINI_MDP_ENV,
    .open = cost_open,
};

const rein_env_type reini_env_line_goal = {
    .abi = REIN_ENV_ABI,
    .id = "LineGoal-v0",
    .doc = "teaching line whose end has the value 10; the values are 7.29, 8.1, 9, 10 at gamma 0.9",
    .obs = REINI_DISCRETE(4),
    .act = REINI_DISCRETE(2),
    .horizon = 100,
    REINI_ENV_FIELDS(line_goal_config, line_goal_fields),
    .reward_threshold = NAN,
    REINI_MDP_ENV,
    .open = goal_open,
};

const rein_env_type reini_env_line_slip = {
    .abi = REIN_ENV_ABI,
    .id = "LineSlip-v0",
    .doc = "LineGoal-v0 whose moves fail with probability 0.2",
    .obs = REINI_DISCRETE(4),
    .act = REINI_DISCRETE(2),
    .horizon = 100,
    REINI_ENV_FIELDS(line_goal_config, line_slip_fields),
    .reward_threshold = NAN,
    REINI_MDP_ENV,
    .open = goal_open,
};
