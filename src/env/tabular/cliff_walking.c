/*
 * cliff_walking.c - CliffWalking-v1, CliffWalkingSlippery-v1: walk along a cliff without stepping over its edge.
 *
 * Source: Sutton and Barto, "Reinforcement Learning: An Introduction", Example 6.6, as Gymnasium's CliffWalking-v1.
 * Four rows of twelve cells, counted row by row; the start is the lower left one, the goal the lower right one, and
 * between them lies the cliff. Every step costs 1; stepping over the edge costs 100 and leads back to the start, without
 * an end. Actions: 0 up, 1 right, 2 down, 3 left. Slippery: the intended move and the two to its sides with a third
 * each. There is no time limit. The cells of the cliff have rows, as in Gymnasium, though no episode visits them.
 */
#include <math.h>
#include "env/env_types.h"
#include "env/tabular/mdp_env.h"

#define CLIFF_FIELDS(slippery, F, E)                                                                         \
    F(BOOL, is_slippery, slippery, 0, 1, "whether moves may go to the side, with a third each")

#define CLIFF_DRY_FIELDS(F, E)      CLIFF_FIELDS("false", F, E)
#define CLIFF_SLIPPERY_FIELDS(F, E) CLIFF_FIELDS("true", F, E)

typedef struct cliff_config {
    REIN_FIELDS_STRUCT(CLIFF_DRY_FIELDS)
} cliff_config;

#define REIN_FIELD_OWNER cliff_config
static const rein_field cliff_fields[] = {REIN_FIELDS_TABLE(CLIFF_DRY_FIELDS)};
static const rein_field cliff_slippery_fields[] = {REIN_FIELDS_TABLE(CLIFF_SLIPPERY_FIELDS)};
#undef REIN_FIELD_OWNER

enum { ROWS = 4, COLUMNS = 12, CELLS = ROWS * COLUMNS, START = CELLS - COLUMNS, GOAL = CELLS - 1 };

static rein_outcome cliff_outcome(int32_t cell, int direction, double probability) {
    static const int down[4] = {-1, 0, 1, 0}, right[4] = {0, 1, 0, -1};
    int row = cell / COLUMNS + down[direction], column = cell % COLUMNS + right[direction];
    row = row < 0 ? 0 : row >= ROWS ? ROWS - 1 : row;
    column = column < 0 ? 0 : column >= COLUMNS ? COLUMNS - 1 : column;
    int32_t next = row * COLUMNS + column;
    if (next > START && next < GOAL)
        return (rein_outcome){START, probability, -100};
    return (rein_outcome){next, probability, -1};
}

static rein_status add_row(rein_mdp *mdp, const cliff_config *c, int32_t cell, int action) {
    rein_outcome outcomes[3];
    if (!c->is_slippery) {
        outcomes[0] = cliff_outcome(cell, action, 1);
        return rein_mdp_add(mdp, cell, action, 1, outcomes);
    }
    for (int k = 0; k < 3; k++)
        outcomes[k] = cliff_outcome(cell, (action + k + 3) & 3, 1.0 / 3.0);
    return rein_mdp_add(mdp, cell, action, 3, outcomes);
}

static rein_status fill(rein_mdp *mdp, const cliff_config *c) {
    static const reini_action_label labels[] = {{"up", '^'}, {"right", '>'}, {"down", 'v'}, {"left", '<'}};
    char symbols[CELLS];
    REINI_TRY(reini_label_actions(mdp, labels, 4));
    for (int32_t cell = 0; cell < CELLS; cell++) {
        symbols[cell] = cell < START ? ' ' : cell == START ? 'S' : cell == GOAL ? 'G' : 'C';
        for (int action = 0; action < 4 && cell != GOAL; action++)
            REINI_TRY(add_row(mdp, c, cell, action));
    }
    REINI_TRY(rein_mdp_terminal(mdp, GOAL, 0));
    REINI_TRY(rein_mdp_start(mdp, START, 1));
    return reini_add_grid(mdp, "", ROWS, COLUMNS, 0, 1, symbols);
}

static rein_status cliff_open(const void *config, rein_env_type *opened) {
    rein_mdp *mdp = NULL;
    rein_status status = rein_mdp_new(CELLS, 4, false, &mdp);
    if (status == REIN_OK)
        status = fill(mdp, config);
    return reini_mdp_env_open(status, mdp, sizeof(reini_mdp_env), opened);
}

const rein_env_type reini_env_cliff_walking = {
    .abi = REIN_ENV_ABI,
    .id = "CliffWalking-v1",
    .doc = "walk along a cliff to the goal; reward -1 per step, -100 for a fall; best return -13",
    .obs = REINI_DISCRETE(CELLS),
    .act = REINI_DISCRETE(4),
    REINI_ENV_FIELDS(cliff_config, cliff_fields),
    .reward_threshold = NAN,
    REINI_MDP_ENV,
    .open = cliff_open,
};

const rein_env_type reini_env_cliff_walking_slippery = {
    .abi = REIN_ENV_ABI,
    .id = "CliffWalkingSlippery-v1",
    .doc = "CliffWalking-v1 on slippery ground; reward -1 per step, -100 for a fall",
    .obs = REINI_DISCRETE(CELLS),
    .act = REINI_DISCRETE(4),
    REINI_ENV_FIELDS(cliff_config, cliff_slippery_fields),
    .reward_threshold = NAN,
    REINI_MDP_ENV,
    .open = cliff_open,
};
