/*
 * space_invaders.c - MinAtar/SpaceInvaders: a cannon below a block of aliens that march, drop and shoot.
 *
 * An alien shot is worth 1. The fewer are left the faster they march; every cleared block makes the next one faster. The
 * alien nearest to the cannon's column shoots every ten frames. A bullet or an alien on the cannon ends the game, and so
 * do aliens that would drop from the lowest row.
 */
#include <math.h>
#include <stdlib.h>
#include "env/minatar/minatar.h"

enum {
    INVADERS_CANNON,
    INVADERS_ALIEN,
    INVADERS_LEFT,
    INVADERS_RIGHT,
    INVADERS_SHOT,
    INVADERS_BULLET,
    INVADERS_CHANNELS
};
enum { INVADERS_COOL_DOWN = 5, INVADERS_MOVE = 12, INVADERS_MOVE_LEAST = 6, INVADERS_SHOOT = 10 };
enum { INVADERS_BLOCK = 0xfc, INVADERS_BLOCK_ROWS = 4, INVADERS_LAST = MINATAR_SIDE - 1 };

typedef struct space_invaders_state {
    minatar_row alien[MINATAR_SIDE], shot[MINATAR_SIDE], bullet[MINATAR_SIDE]; /* shot ours, bullet theirs */
    int8_t cannon, direction; /* of the march: -1 left, 1 right */
    int8_t interval;          /* frames between moves */
    int8_t move_timer, shoot_timer, cool_down;
    uint8_t last_action;
} space_invaders_state;

static void line_up(space_invaders_state *s) {
    for (int y = 0; y < INVADERS_BLOCK_ROWS; y++)
        s->alien[y] = INVADERS_BLOCK;
}

static void space_invaders_reset(const void *config, void *state, rein_rng *rng) {
    space_invaders_state *s = state;
    *s = (space_invaders_state){.cannon = 5,
                                .direction = -1,
                                .interval = INVADERS_MOVE,
                                .move_timer = INVADERS_MOVE,
                                .shoot_timer = INVADERS_SHOOT};
    line_up(s);
}

static int count_aliens(const space_invaders_state *s) {
    int count = 0;
    for (int y = 0; y < MINATAR_SIDE; y++)
        count += __builtin_popcount(s->alien[y]);
    return count;
}

static minatar_row columns(const space_invaders_state *s) {
    minatar_row any = 0;
    for (int y = 0; y < MINATAR_SIDE; y++)
        any |= s->alien[y];
    return any;
}

static void act(space_invaders_state *s, int action) {
    if (action == MINATAR_FIRE && s->cool_down == 0) {
        s->shot[INVADERS_LAST] |= (minatar_row)(1 << s->cannon);
        s->cool_down = INVADERS_COOL_DOWN;
    }
    int move = (action == MINATAR_RIGHT) - (action == MINATAR_LEFT);
    s->cannon = (int8_t)minatar_clamp(s->cannon + move, 0, MINATAR_SIDE - 1);
}

static void fly(space_invaders_state *s) {
    memmove(s->shot, s->shot + 1, INVADERS_LAST * sizeof *s->shot);
    s->shot[INVADERS_LAST] = 0;
    memmove(s->bullet + 1, s->bullet, INVADERS_LAST * sizeof *s->bullet);
    s->bullet[0] = 0;
}

/* One move of all aliens: sideways, or down and about at the edge. True when they have landed. */
static bool march(space_invaders_state *s) {
    minatar_row any = columns(s), edge = s->direction < 0 ? 1 : 1 << (MINATAR_SIDE - 1);
    if ((any & edge) == 0) {
        for (int y = 0; y < MINATAR_SIDE; y++)
            s->alien[y] = (minatar_row)(s->direction < 0 ? s->alien[y] >> 1 : s->alien[y] << 1);
        return false;
    }
    minatar_row lowest = s->alien[INVADERS_LAST];
    s->direction = (int8_t)-s->direction;
    memmove(s->alien + 1, s->alien, INVADERS_LAST * sizeof *s->alien);
    s->alien[0] = lowest;
    return lowest != 0;
}

/* The lowest alien of the column nearest to the cannon, the left one of two. */
static void shoot(space_invaders_state *s) {
    minatar_row any = columns(s);
    int nearest = -1;
    for (int x = 0; x < MINATAR_SIDE; x++)
        if ((any >> x & 1) && (nearest < 0 || abs(x - s->cannon) < abs(nearest - s->cannon)))
            nearest = x;
    int y = INVADERS_LAST;
    while (!(s->alien[y] >> nearest & 1))
        y--;
    s->bullet[y] |= (minatar_row)(1 << nearest);
}

static int hit(space_invaders_state *s) {
    int hits = 0;
    for (int y = 0; y < MINATAR_SIDE; y++) {
        minatar_row both = s->alien[y] & s->shot[y];
        hits += __builtin_popcount(both);
        s->alien[y] ^= both;
        s->shot[y] ^= both;
    }
    return hits;
}

REINI_INLINE rein_step space_invaders_play(const void *config, void *state, int action, rein_rng *rng) {
    const minatar_config *c = config;
    space_invaders_state *s = state;
    rein_step step = {0};
    act(s, action);
    fly(s);
    minatar_row cannon = (minatar_row)(1 << s->cannon);
    step.terminated = ((s->bullet[INVADERS_LAST] | s->alien[INVADERS_LAST]) & cannon) != 0;
    if (s->move_timer == 0) {
        int count = count_aliens(s);
        s->move_timer = (int8_t)(count < s->interval ? count : s->interval);
        step.terminated |= march(s);
        step.terminated |= (s->alien[INVADERS_LAST] & cannon) != 0;
    }
    if (s->shoot_timer == 0) {
        s->shoot_timer = INVADERS_SHOOT;
        shoot(s);
    }
    step.reward = (float)hit(s);
    s->cool_down = (int8_t)(s->cool_down - (s->cool_down > 0));
    s->move_timer--;
    s->shoot_timer--;
    if (columns(s) == 0) {
        s->interval = (int8_t)(s->interval - (s->interval > INVADERS_MOVE_LEAST && c->difficulty_ramping));
        line_up(s);
    }
    return step;
}

static void space_invaders_show(const space_invaders_state *s, uint8_t *obs) {
    minatar_set(obs, INVADERS_CANNON, INVADERS_LAST, s->cannon);
    minatar_write(obs, INVADERS_ALIEN, 0, MINATAR_SIDE, s->alien);
    minatar_write(obs, s->direction < 0 ? INVADERS_LEFT : INVADERS_RIGHT, 0, MINATAR_SIDE, s->alien);
    minatar_write(obs, INVADERS_SHOT, 0, MINATAR_SIDE, s->shot);
    minatar_write(obs, INVADERS_BULLET, 0, MINATAR_SIDE, s->bullet);
}

MINATAR_TYPES(space_invaders, "MinAtar/SpaceInvaders", INVADERS_CHANNELS,
              "shoot a block of aliens; reward 1 an alien", MINATAR_NOTHING, MINATAR_LEFT, MINATAR_RIGHT,
              MINATAR_FIRE)
