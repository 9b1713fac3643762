/*
 * cost_grid.c - CostGrid-v1: a short way through hazards, longer ones around them, and a price on each.
 *
 * A constrained problem (Altman, "Constrained Markov Decision Processes", 1999) small enough to be solved exactly. One
 * line of the map for each row: '#' wall, ' ' or '.' free, 'S' start (several: each as likely), 'G' goal, 'X' hazard, 'M'
 * mud. States are the cells without walls, counted row by row; goals are terminal. Actions: 0 left, 1 down, 2 right, 3
 * up. A move goes to either side with half the probability slip; into a wall or out of the map it changes nothing.
 * Reaching a goal earns goal_reward and any other step step_reward. Two costs: a step that ends in a hazard, even one
 * that did not move, costs 1 in `hazard`, one that ends in mud 1 in `mud`.
 *
 * The default map: straight on there are five hazards; each row further up has fewer of them and takes two steps more.
 * Mud lies below, and beyond a wall a way on which no slip meets either. Under a limit on its costs the best policy
 * mixes: which returns are possible under which limits is the linear program of tests/reference/cost_grid_lp.py.
 */
#include <math.h>
#include <string.h>
#include "env/env_types.h"
#include "env/tabular/map.h"
#include "env/tabular/mdp_env.h"

#define COST_GRID_FIELDS(F, E)                                                                               \
    F(TEXT, map, "default", 0, 0, "default, or a file of rows of the letters #, space, ., S, G, X and M")    \
    F(REAL, goal_reward, "1", -1e6, 1e6, "reward for reaching a goal")                                       \
    F(REAL, step_reward, "-0.05", -1e6, 1e6, "reward for any other step")                                    \
    F(REAL, slip, "0.1", 0, 1, "probability that a move goes to the side")

typedef struct cost_grid_config {
    REIN_FIELDS_STRUCT(COST_GRID_FIELDS)
} cost_grid_config;

#define REIN_FIELD_OWNER cost_grid_config
static const rein_field cost_grid_fields[] = {REIN_FIELDS_TABLE(COST_GRID_FIELDS)};
#undef REIN_FIELD_OWNER

static const reini_map_kind cost_grid_kind = {
    .letters = "# .SGXM",
    .legend = "# (wall), space or . (free), S (start), G (goal), X (hazard) or M (mud)",
    .blocked = "#",
};

static const char cost_grid_default[] = "###########\n"
                                        "#         #\n"
                                        "#    X    #\n"
                                        "#   XXX   #\n"
                                        "#S XXXXX G#\n"
                                        "#   MMM   #\n"
                                        "#   ###   #\n"
                                        "#         #\n"
                                        "###########\n";

enum { COST_HAZARD, COST_MUD, COST_KINDS };
static const char *const cost_grid_names[COST_KINDS] = {"hazard", "mud"};
static const char cost_letters[COST_KINDS] = {'X', 'M'};

typedef struct cost_grid_model {
    reini_mdp_env env;
    char letter[]; /* (states) what the map has there */
} cost_grid_model;

/* ---- the tables ------------------------------------------------------------------------------------------------ */

typedef struct cost_grid {
    const cost_grid_config *config;
    reini_map map;
    int32_t *state; /* (height x width) the state of a cell, -1 = wall */
    int32_t n_states;
} cost_grid;

static rein_status number_cells(cost_grid *g) {
    int32_t cells = g->map.height * g->map.width;
    g->state = REINI_NEW_ARRAY(int32_t, (size_t)cells);
    if (!g->state)
        return reini_fail_memory((size_t)cells * sizeof(int32_t), "the states of a grid");
    for (int32_t i = 0; i < cells; i++) {
        if (g->map.cell[i] == '.')
            g->map.cell[i] = ' ';
        g->state[i] = g->map.cell[i] == '#' ? -1 : g->n_states++;
    }
    return REIN_OK;
}

static rein_outcome outcome_of(const cost_grid *g, int32_t cell, int direction, double probability) {
    int32_t next = reini_map_beside(&g->map, cell, direction);
    if (g->state[next] < 0)
        next = cell;
    double reward = g->map.cell[next] == 'G' ? g->config->goal_reward : g->config->step_reward;
    return (rein_outcome){g->state[next], probability, reward};
}

static rein_status add_row(rein_mdp *mdp, const cost_grid *g, int32_t cell, int action) {
    const double slip = g->config->slip, probability[3] = {slip / 2, 1 - slip, slip / 2};
    rein_outcome outcomes[3];
    int n = 0;
    for (int k = 0; k < 3; k++)
        if (probability[k] > 0)
            outcomes[n++] = outcome_of(g, cell, (action + k + 3) & 3, probability[k]);
    return rein_mdp_add(mdp, g->state[cell], action, n, outcomes);
}

static rein_status add_cell(rein_mdp *mdp, const cost_grid *g, int32_t cell) {
    int32_t state = g->state[cell];
    if (state < 0)
        return REIN_OK;
    if (g->map.cell[cell] == 'G')
        return rein_mdp_terminal(mdp, state, 0);
    for (int action = 0; action < 4; action++)
        REINI_TRY(add_row(mdp, g, cell, action));
    return g->map.cell[cell] == 'S' ? rein_mdp_start(mdp, state, 1) : REIN_OK;
}

static rein_status fill(rein_mdp *mdp, const cost_grid *g) {
    static const reini_action_label labels[] = {{"left", '<'}, {"down", 'v'}, {"right", '>'}, {"up", '^'}};
    REINI_TRY(reini_label_actions(mdp, labels, 4));
    for (int32_t cell = 0; cell < g->map.height * g->map.width; cell++)
        REINI_TRY(add_cell(mdp, g, cell));
    rein_panel panel = {"", g->map.height, g->map.width, g->state, g->map.cell};
    return rein_mdp_add_panel(mdp, &panel);
}

/* ---- playing --------------------------------------------------------------------------------------------------- */

static void cost_grid_costs(const void *model, const void *state, float *cost) {
    char letter = ((const cost_grid_model *)model)->letter[((const reini_mdp_state *)state)->s];
    for (int k = 0; k < COST_KINDS; k++)
        cost[k] = letter == cost_letters[k] ? 1.0f : 0.0f;
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

static rein_status read_map(cost_grid *g) {
    const char *map = g->config->map;
    if (strcmp(map, "default") == 0)
        return reini_map_parse(&cost_grid_kind, "default", cost_grid_default, sizeof cost_grid_default - 1,
                               &g->map);
    rein_status status = reini_map_read(&cost_grid_kind, map, &g->map);
    return status == REIN_IO ? reini_fail_in(status, "map (default or a file): ") : status;
}

static rein_status open_grid(cost_grid *g, rein_env_type *opened) {
    rein_mdp *mdp = NULL;
    rein_status status = number_cells(g);
    if (status == REIN_OK)
        status = rein_mdp_new(g->n_states, 4, false, &mdp);
    if (status == REIN_OK)
        status = fill(mdp, g);
    REINI_TRY(reini_mdp_env_open(status, mdp, sizeof(cost_grid_model) + (size_t)g->n_states, opened));
    cost_grid_model *model = opened->model;
    for (int32_t cell = 0; cell < g->map.height * g->map.width; cell++)
        if (g->state[cell] >= 0)
            model->letter[g->state[cell]] = g->map.cell[cell];
    return REIN_OK;
}

static rein_status cost_grid_open(const void *config, rein_env_type *opened) {
    cost_grid g = {.config = config};
    rein_status status = read_map(&g);
    if (status != REIN_OK)
        return reini_fail_in(status, "environment %s: ", opened->id);
    status = open_grid(&g, opened);
    reini_free(g.state);
    reini_map_free(&g.map);
    return status;
}

const rein_env_type reini_env_cost_grid = {
    .abi = REIN_ENV_ABI,
    .id = "CostGrid-v1",
    .doc = "a grid with costs: hazards on the short way, mud beside it; reward 1 at the goal, -0.05 per step",
    .obs = REINI_DISCRETE(60),
    .act = REINI_DISCRETE(4),
    .horizon = 100,
    REINI_ENV_FIELDS(cost_grid_config, cost_grid_fields),
    .reward_threshold = NAN,
    REINI_MDP_ENV,
    .open = cost_grid_open,
    .n_costs = COST_KINDS,
    .cost_names = cost_grid_names,
    .costs = cost_grid_costs,
};
