/*
 * asterix.c - MinAtar/Asterix: collect treasure and avoid enemies that cross the field in eight lanes.
 *
 * Treasure is worth 1, touching an enemy ends the game. Things enter from either side, faster and more often as the game
 * goes on. A trail shows where they come from.
 */
#include <math.h>
#include "env/minatar/minatar.h"

enum { ASTERIX_PLAYER, ASTERIX_ENEMY, ASTERIX_TRAIL, ASTERIX_GOLD, ASTERIX_CHANNELS };
enum { ASTERIX_LANES = 8, ASTERIX_RAMP = 100, ASTERIX_SPAWN = 10, ASTERIX_MOVE = 5 };

/* What crosses in lane i, which is row i + 1; arrays, so that all lanes move at once. */
typedef struct asterix_state {
    int8_t at[ASTERIX_LANES];   /* its column, 0 in a free lane */
    int8_t step[ASTERIX_LANES]; /* 1 to the right, -1 to the left, 0 in a free lane */
    uint8_t gold[ASTERIX_LANES];
    int8_t x, y; /* of the player */
    int8_t spawn_speed, spawn_timer, move_speed, move_timer;
    int8_t ramp_timer;
    uint8_t odd_ramp; /* whether the difficulty has risen an odd number of times */
    uint8_t last_action;
} asterix_state;

static void asterix_reset(const void *config, void *state, rein_rng *rng) {
    asterix_state *s = state;
    *s = (asterix_state){.x = 5,
                         .y = 5,
                         .spawn_speed = ASTERIX_SPAWN,
                         .spawn_timer = ASTERIX_SPAWN,
                         .move_speed = ASTERIX_MOVE,
                         .move_timer = ASTERIX_MOVE,
                         .ramp_timer = ASTERIX_RAMP};
}

/* Something in a free lane; nothing when all are taken. */
static void spawn(asterix_state *s, rein_rng *rng) {
    bool right = MINATAR_UNIFORM(rng) < 1.0 / 2, gold = MINATAR_UNIFORM(rng) < 1.0 / 3;
    int free_lanes[ASTERIX_LANES + 1], count = 0;
    for (int i = 0; i < ASTERIX_LANES; i++) {
        free_lanes[count] = i;
        count += s->step[i] == 0;
    }
    if (count == 0)
        return;
    int lane = free_lanes[MINATAR_BELOW(rng, count)];
    s->at[lane] = right ? 0 : 9;
    s->step[lane] = right ? 1 : -1;
    s->gold[lane] = gold;
}

static void walk(asterix_state *s, int action) {
    s->x = (int8_t)minatar_clamp(s->x + (action == MINATAR_RIGHT) - (action == MINATAR_LEFT), 0, 9);
    s->y = (int8_t)minatar_clamp(s->y + (action == MINATAR_DOWN) - (action == MINATAR_UP), 1, 8);
}

/* What the player's lane does to the player. */
static void touch(asterix_state *s, rein_step *step) {
    int lane = s->y - 1;
    if (s->at[lane] != s->x || s->step[lane] == 0)
        return;
    if (s->gold[lane]) {
        s->at[lane] = s->step[lane] = 0;
        step->reward += 1;
    } else {
        step->terminated = true;
    }
}

static void move_things(asterix_state *s) {
    for (int i = 0; i < ASTERIX_LANES; i++) {
        int8_t at = (int8_t)(s->at[i] + s->step[i]);
        bool inside = (uint8_t)at < MINATAR_SIDE;
        s->at[i] = inside ? at : 0;
        s->step[i] = inside ? s->step[i] : 0;
    }
}

static void ramp(asterix_state *s) {
    if (s->spawn_speed <= 1 && s->move_speed <= 1)
        return;
    if (s->ramp_timer >= 0) {
        s->ramp_timer--;
        return;
    }
    if (s->move_speed > 1 && s->odd_ramp)
        s->move_speed--;
    if (s->spawn_speed > 1)
        s->spawn_speed--;
    s->odd_ramp ^= 1;
    s->ramp_timer = ASTERIX_RAMP;
}

REINI_INLINE rein_step asterix_play(const void *config, void *state, int action, rein_rng *rng) {
    const minatar_config *c = config;
    asterix_state *s = state;
    rein_step step = {0};
    if (s->spawn_timer == 0) {
        spawn(s, rng);
        s->spawn_timer = s->spawn_speed;
    }
    walk(s, action);
    touch(s, &step);
    if (s->move_timer == 0) {
        s->move_timer = s->move_speed;
        move_things(s);
        touch(s, &step);
    }
    s->spawn_timer--;
    s->move_timer--;
    if (c->difficulty_ramping)
        ramp(s);
    return step;
}

static void asterix_show(const asterix_state *s, uint8_t *obs) {
    minatar_set(obs, ASTERIX_PLAYER, s->y, s->x);
    /* without branches: a free lane writes zeros where zeros are, and a trail outside adds nothing to its neighbour */
    uint8_t *row = obs + MINATAR_SIDE;
    for (int i = 0; i < ASTERIX_LANES; i++, row += MINATAR_SIDE) {
        int at = s->at[i], present = s->step[i] & 1, behind = at - s->step[i];
        int trails = present & ((unsigned)behind < MINATAR_SIDE);
        row[(ASTERIX_ENEMY + s->gold[i] * (ASTERIX_GOLD - ASTERIX_ENEMY)) * MINATAR_CELLS + at] =
            (uint8_t)present;
        row[ASTERIX_TRAIL * MINATAR_CELLS + behind] |= (uint8_t)trails;
    }
}

MINATAR_TYPES(asterix, "MinAtar/Asterix", ASTERIX_CHANNELS,
              "collect treasure, avoid enemies; reward 1 a treasure", MINATAR_NOTHING, MINATAR_LEFT,
              MINATAR_UP, MINATAR_RIGHT, MINATAR_DOWN)
