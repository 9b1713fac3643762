/*
 * maze.c - Maze-v0: a maze from a text file.
 *
 * One line for each row: '#' wall, ' ' or '.' free, 'S' start (several: each as likely), 'G' goal, 'H' hole. States are
 * the cells without walls, counted row by row; goals and holes are terminal. Actions: 0 left, 1 down, 2 right, 3 up.
 * A move goes to either side with half the probability slip; into a wall or out of the map it changes nothing. Reaching
 * a goal earns goal_reward, a hole hole_reward, and any other step step_reward.
 */
#include <math.h>
#include <string.h>
#include "env/env_types.h"
#include "env/tabular/map.h"
#include "env/tabular/mdp_env.h"

#define MAZE_FIELDS(F, E)                                                                                    \
    F(TEXT, map, "default", 0, 0, "default, or a file of rows of the letters #, space, ., S, G and H")       \
    F(REAL, goal_reward, "1", -1e6, 1e6, "reward for reaching a goal")                                       \
    F(REAL, hole_reward, "-1", -1e6, 1e6, "reward for falling into a hole")                                  \
    F(REAL, step_reward, "-0.01", -1e6, 1e6, "reward for any other step")                                    \
    F(REAL, slip, "0", 0, 1, "probability that a move goes to the side")

typedef struct maze_config {
    REIN_FIELDS_STRUCT(MAZE_FIELDS)
} maze_config;

#define REIN_FIELD_OWNER maze_config
static const rein_field maze_fields[] = {REIN_FIELDS_TABLE(MAZE_FIELDS)};
#undef REIN_FIELD_OWNER

static const reini_map_kind maze_kind = {
    .letters = "# .SGH",
    .legend = "# (wall), space or . (free), S (start), G (goal) or H (hole)",
    .blocked = "#H",
};

static const char maze_default[] = "#####################\n"
                                   "#S        #     #   #\n"
                                   "#H####### # ### ### #\n"
                                   "#       # # # #   # #\n"
                                   "# ### ### # # ### # #\n"
                                   "#   #     # #   #   #\n"
                                   "# # ####### # # ### #\n"
                                   "# #       # # #     #\n"
                                   "# ### # # # # # # # #\n"
                                   "#       #          G#\n"
                                   "#####################\n";

typedef struct maze {
    const maze_config *config;
    reini_map map;
    int32_t *state; /* (height x width) the state of a cell, -1 = wall */
    int32_t n_states;
} maze;

static rein_status number_cells(maze *m) {
    int32_t cells = m->map.height * m->map.width;
    m->state = REINI_NEW_ARRAY(int32_t, (size_t)cells);
    if (!m->state)
        return reini_fail_memory((size_t)cells * sizeof(int32_t), "the states of a maze");
    for (int32_t i = 0; i < cells; i++)
        m->state[i] = m->map.cell[i] == '#' ? -1 : m->n_states++;
    return REIN_OK;
}

static rein_outcome maze_outcome(const maze *m, int32_t cell, int direction, double probability) {
    int32_t next = reini_map_beside(&m->map, cell, direction);
    if (m->state[next] < 0)
        next = cell;
    char letter = m->map.cell[next];
    const maze_config *c = m->config;
    double reward = letter == 'G' ? c->goal_reward : letter == 'H' ? c->hole_reward : c->step_reward;
    return (rein_outcome){m->state[next], probability, reward};
}

static rein_status add_row(rein_mdp *mdp, const maze *m, int32_t cell, int action) {
    const double slip = m->config->slip, probability[3] = {slip / 2, 1 - slip, slip / 2};
    rein_outcome outcomes[3];
    int n = 0;
    for (int k = 0; k < 3; k++)
        if (probability[k] > 0)
            outcomes[n++] = maze_outcome(m, cell, (action + k + 3) & 3, probability[k]);
    return rein_mdp_add(mdp, m->state[cell], action, n, outcomes);
}

static rein_status add_cell(rein_mdp *mdp, const maze *m, int32_t cell) {
    int32_t state = m->state[cell];
    char letter = m->map.cell[cell];
    if (state < 0)
        return REIN_OK;
    if (letter == 'G' || letter == 'H')
        return rein_mdp_terminal(mdp, state, 0);
    for (int action = 0; action < 4; action++)
        REINI_TRY(add_row(mdp, m, cell, action));
    return letter == 'S' ? rein_mdp_start(mdp, state, 1) : REIN_OK;
}

static rein_status fill(rein_mdp *mdp, maze *m) {
    static const reini_action_label labels[] = {{"left", '<'}, {"down", 'v'}, {"right", '>'}, {"up", '^'}};
    int32_t cells = m->map.height * m->map.width;
    REINI_TRY(reini_label_actions(mdp, labels, 4));
    for (int32_t cell = 0; cell < cells; cell++)
        REINI_TRY(add_cell(mdp, m, cell));
    for (int32_t cell = 0; cell < cells; cell++)
        if (m->map.cell[cell] == '.')
            m->map.cell[cell] = ' ';
    rein_panel panel = {"", m->map.height, m->map.width, m->state, m->map.cell};
    return rein_mdp_add_panel(mdp, &panel);
}

static rein_status read_maze(maze *m) {
    const char *map = m->config->map;
    if (strcmp(map, "default") == 0)
        return reini_map_parse(&maze_kind, "default", maze_default, sizeof maze_default - 1, &m->map);
    rein_status status = reini_map_read(&maze_kind, map, &m->map);
    return status == REIN_IO ? reini_fail_in(status, "map (default or a file): ") : status;
}

static rein_status maze_open(const void *config, rein_env_type *opened) {
    maze m = {.config = config};
    rein_mdp *mdp = NULL;
    rein_status status = read_maze(&m);
    if (status != REIN_OK)
        return reini_fail_in(status, "environment %s: ", opened->id);
    status = number_cells(&m);
    if (status == REIN_OK)
        status = rein_mdp_new(m.n_states, 4, false, &mdp);
    if (status == REIN_OK)
        status = fill(mdp, &m);
    reini_free(m.state);
    reini_map_free(&m.map);
    return reini_mdp_env_open(status, mdp, sizeof(reini_mdp_env), opened);
}

const rein_env_type reini_env_maze = {
    .abi = REIN_ENV_ABI,
    .id = "Maze-v0",
    .doc = "a maze from a text file; reward 1 at the goal, -0.01 per step, -1 in a hole",
    .obs = REINI_DISCRETE(106),
    .act = REINI_DISCRETE(4),
    .horizon = 1000,
    REINI_ENV_FIELDS(maze_config, maze_fields),
    .reward_threshold = NAN,
    REINI_MDP_ENV,
    .open = maze_open,
};
