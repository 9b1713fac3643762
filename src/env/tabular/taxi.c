/*
 * taxi.c - Taxi-v3, Taxi-v4: fetch a passenger and bring him to his destination.
 *
 * Source: Dietterich, "Hierarchical Reinforcement Learning with the MAXQ Value Function Decomposition", 2000; as
 * Gymnasium's Taxi-v4 (version 1.4.0). The state is ((row 5 + column) 5 + passenger) 4 + destination, with the pads R,
 * G, Y, B as 0 to 3 and passenger 4 for "in the taxi". Actions: 0 south, 1 north, 2 east, 3 west, 4 pick up, 5 drop
 * off. A step earns -1, picking up where no passenger waits and dropping off away from the pads -10, and the delivery,
 * which terminates, 20. The mask allows the actions that change the state.
 *
 * Rain: a move that no wall blocks goes as intended with rainy_probability, and to the left or the right with half of
 * the rest each; a blocked one changes nothing. Fickle passengers: with fickle_probability, drawn when the episode
 * begins, the destination changes to one of the other three at the first move of the taxi with the passenger in it.
 * Whether that is still to come is not in the observation, so there are no tables (mdp) then.
 *
 * The four states of a passenger at his destination, with the taxi there, are terminal. Gymnasium terminates on the
 * delivery instead; the two differ only in states that no episode visits, those with a passenger who waits at his own
 * destination. Taxi-v3 has the tables of Taxi-v4 without rain and fickle passengers; it has no settings, since
 * Gymnasium's version history calls its rain and its fickle passengers wrong and mends them as v4.
 */
#include <stdio.h>
#include <string.h>
#include "env/env_types.h"
#include "env/tabular/mdp_env.h"

#define TAXI_FIELDS(F, E)                                                                                    \
    F(BOOL, is_rainy, "false", 0, 1, "whether the taxi may drift to the side")                               \
    F(REAL, rainy_probability, "0.8", 0, 1, "probability of the intended move in the rain")                  \
    F(BOOL, fickle_passenger, "false", 0, 1,                                                                 \
      "whether passengers may change their destination; no planning then")                                   \
    F(REAL, fickle_probability, "0.3", 0, 1, "probability that a passenger does")

typedef struct taxi_config {
    REIN_FIELDS_STRUCT(TAXI_FIELDS)
} taxi_config;

#define REIN_FIELD_OWNER taxi_config
static const rein_field taxi_fields[] = {REIN_FIELDS_TABLE(TAXI_FIELDS)};
#undef REIN_FIELD_OWNER

enum { SIDE = 5, PADS = 4, IN_TAXI = 4, STATES = 500, ACTIONS = 6 };
enum { SOUTH, NORTH, EAST, WEST, PICK_UP, DROP_OFF };

typedef struct taxi_model {
    reini_mdp_env env;
    double fickle_probability;
    uint8_t mask[STATES][ACTIONS];
} taxi_model;

/* What a state number stands for. */
typedef struct taxi {
    int row, column, passenger, destination;
} taxi;

/* ':' between the columns where there is a way, '|' where there is a wall */
static const char walls[SIDE][SIDE] = {":|::", ":|::", "::::", "|:|:", "|:|:"};
static const int pads[PADS][2] = {{0, 0}, {0, 4}, {4, 0}, {4, 3}};
static const char pad_letters[] = "RGYB";

static taxi decode(int32_t s) {
    return (taxi){s / 100, s / 20 % 5, s / 4 % 5, s % 4};
}

static int32_t encode(const taxi *t) {
    return ((t->row * SIDE + t->column) * 5 + t->passenger) * PADS + t->destination;
}

/* the pad that the taxi stands on, -1 = none */
static int pad_at(const taxi *t) {
    for (int i = 0; i < PADS; i++)
        if (t->row == pads[i][0] && t->column == pads[i][1])
            return i;
    return -1;
}

static bool is_delivered(const taxi *t) {
    return t->passenger == t->destination && pad_at(t) == t->destination;
}

static bool can_move(const taxi *t, int direction) {
    switch (direction) {
    case SOUTH:
        return t->row < SIDE - 1;
    case NORTH:
        return t->row > 0;
    case EAST:
        return t->column < SIDE - 1 && walls[t->row][t->column] == ':';
    default:
        return t->column > 0 && walls[t->row][t->column - 1] == ':';
    }
}

static bool changes_state(const taxi *t, int action) {
    int pad = pad_at(t);
    if (action < PICK_UP)
        return can_move(t, action);
    return action == PICK_UP ? pad >= 0 && t->passenger == pad : pad >= 0 && t->passenger == IN_TAXI;
}

/* ---- the tables ------------------------------------------------------------------------------------------------ */

static rein_outcome moved(taxi t, int direction, double probability) {
    static const int down[4] = {1, -1, 0, 0}, right[4] = {0, 0, 1, -1};
    if (can_move(&t, direction)) {
        t.row += down[direction];
        t.column += right[direction];
    }
    return (rein_outcome){encode(&t), probability, -1};
}

static rein_outcome served(taxi t, int action) {
    double reward = -10;
    if (changes_state(&t, action)) {
        t.passenger = action == PICK_UP ? IN_TAXI : pad_at(&t);
        reward = action == DROP_OFF && is_delivered(&t) ? 20 : -1;
    }
    return (rein_outcome){encode(&t), 1, reward};
}

static rein_status add_row(rein_mdp *mdp, const taxi_config *c, const taxi *t, int action) {
    static const int left[4] = {EAST, WEST, NORTH, SOUTH}, right[4] = {WEST, EAST, SOUTH, NORTH};
    rein_outcome outcomes[3];
    if (action >= PICK_UP || !c->is_rainy || !can_move(t, action)) {
        outcomes[0] = action >= PICK_UP ? served(*t, action) : moved(*t, action, 1);
        return rein_mdp_add(mdp, encode(t), action, 1, outcomes);
    }
    double lateral = (1.0 - c->rainy_probability) / 2.0;
    int n = 0;
    if (c->rainy_probability > 0)
        outcomes[n++] = moved(*t, action, c->rainy_probability);
    if (lateral > 0) {
        outcomes[n++] = moved(*t, left[action], lateral);
        outcomes[n++] = moved(*t, right[action], lateral);
    }
    return rein_mdp_add(mdp, encode(t), action, n, outcomes);
}

static rein_status add_state(rein_mdp *mdp, const taxi_config *c, int32_t s) {
    taxi t = decode(s);
    if (is_delivered(&t))
        return rein_mdp_terminal(mdp, s, 0);
    for (int action = 0; action < ACTIONS; action++)
        REINI_TRY(add_row(mdp, c, &t, action));
    if (t.passenger != IN_TAXI && t.passenger != t.destination)
        return rein_mdp_start(mdp, s, 1);
    return REIN_OK;
}

static rein_status add_panel(rein_mdp *mdp, int passenger, int destination) {
    char title[48], where[2] = {pad_letters[passenger], 0}, symbols[SIDE * SIDE];
    memset(symbols, ' ', sizeof symbols);
    for (int i = 0; i < PADS; i++)
        symbols[pads[i][0] * SIDE + pads[i][1]] = pad_letters[i];
    snprintf(title, sizeof title, "passenger %s, to %c", passenger == IN_TAXI ? "in taxi" : where,
             pad_letters[destination]);
    return reini_add_grid(mdp, title, SIDE, SIDE, passenger * PADS + destination, 20, symbols);
}

static rein_status fill(rein_mdp *mdp, const taxi_config *c) {
    static const reini_action_label labels[] = {{"south", 'v'}, {"north", '^'},   {"east", '>'},
                                                {"west", '<'},  {"pick up", 'P'}, {"drop off", 'D'}};
    REINI_TRY(reini_label_actions(mdp, labels, ACTIONS));
    for (int32_t s = 0; s < STATES; s++)
        REINI_TRY(add_state(mdp, c, s));
    for (int passenger = 0; passenger <= IN_TAXI; passenger++)
        for (int destination = 0; destination < PADS; destination++)
            if (passenger != destination)
                REINI_TRY(add_panel(mdp, passenger, destination));
    return REIN_OK;
}

/* ---- playing --------------------------------------------------------------------------------------------------- */

static void taxi_mask(const void *model, const void *state, uint8_t *mask) {
    const taxi_model *m = model;
    memcpy(mask, m->mask[((const reini_mdp_state *)state)->s], ACTIONS);
}

typedef struct fickle_state {
    reini_mdp_state taxi;
    int32_t undecided; /* 1 = the destination is going to change */
} fickle_state;

static void fickle_reset(const void *model, void *state, rein_rng *rng) {
    const taxi_model *m = model;
    fickle_state *f = state;
    reini_mdp_env_reset(model, &f->taxi, rng);
    f->undecided = rein_rng_uniform64(rng) < m->fickle_probability;
}

static rein_step fickle_step(const void *model, void *state, const void *action, rein_rng *rng) {
    fickle_state *f = state;
    taxi before = decode(f->taxi.s);
    rein_step result = reini_mdp_env_step(model, &f->taxi, action, rng);
    taxi after = decode(f->taxi.s);
    bool moved_away = before.row != after.row || before.column != after.column;
    if (f->undecided && before.passenger == IN_TAXI && moved_away) {
        f->undecided = 0;
        after.destination = (before.destination + 1 + (int)rein_rng_below(rng, PADS - 1)) % PADS;
        f->taxi.s = encode(&after);
    }
    return result;
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

static rein_status open_taxi(const taxi_config *c, rein_env_type *opened) {
    rein_mdp *mdp = NULL;
    rein_status status = rein_mdp_new(STATES, ACTIONS, false, &mdp);
    if (status == REIN_OK)
        status = fill(mdp, c);
    REINI_TRY(reini_mdp_env_open(status, mdp, sizeof(taxi_model), opened));
    taxi_model *m = opened->model;
    for (int32_t s = 0; s < STATES; s++) {
        taxi t = decode(s);
        for (int action = 0; action < ACTIONS; action++)
            m->mask[s][action] = changes_state(&t, action);
    }
    opened->mask = taxi_mask;
    if (c->fickle_passenger) {
        m->fickle_probability = c->fickle_probability;
        opened->mdp = NULL;
        opened->no_mdp = "a fickle passenger may change his mind once, which the observation does not show; "
                         "--env.fickle_passenger=false makes it one";
        opened->state_size = sizeof(fickle_state);
        opened->reset = fickle_reset;
        opened->step = fickle_step;
    }
    return REIN_OK;
}

static rein_status taxi_v3_open(const void *config, rein_env_type *opened) {
    const taxi_config dry = {0};
    return open_taxi(&dry, opened);
}

static rein_status taxi_v4_open(const void *config, rein_env_type *opened) {
    return open_taxi(config, opened);
}

const rein_env_type reini_env_taxi_v3 = {
    .abi = REIN_ENV_ABI,
    .id = "Taxi-v3",
    .doc = "fetch a passenger and bring him to his destination; reward -1 per step, 20 at the end",
    .obs = REINI_DISCRETE(STATES),
    .act = REINI_DISCRETE(ACTIONS),
    .horizon = 200,
    .reward_threshold = 8,
    REINI_MDP_ENV,
    .open = taxi_v3_open,
};

const rein_env_type reini_env_taxi_v4 = {
    .abi = REIN_ENV_ABI,
    .id = "Taxi-v4",
    .doc = "Taxi-v3 with rain and fickle passengers as settings",
    .obs = REINI_DISCRETE(STATES),
    .act = REINI_DISCRETE(ACTIONS),
    .horizon = 200,
    REINI_ENV_FIELDS(taxi_config, taxi_fields),
    .reward_threshold = 8,
    REINI_MDP_ENV,
    .open = taxi_v4_open,
};
