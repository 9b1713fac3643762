/*
 * breakout.c - MinAtar/Breakout: a ball, a paddle in the lowest row, three rows of bricks.
 *
 * The ball flies along diagonals. A brick it meets is broken (reward 1) and turns it back; walls and paddle reflect it.
 * Losing it ends the game. New bricks come when the ball reaches the lowest row and none are left.
 */
#include <math.h>
#include "env/minatar/minatar.h"

enum { BREAKOUT_PADDLE, BREAKOUT_BALL, BREAKOUT_TRAIL, BREAKOUT_BRICK, BREAKOUT_CHANNELS };
enum { BREAKOUT_FIRST = 1, BREAKOUT_ROWS = 3, BREAKOUT_FULL = 0x3ff };

typedef struct breakout_state {
    minatar_row brick[BREAKOUT_ROWS]; /* rows 1, 2, 3 */
    int8_t x, y, last_x, last_y;      /* of the ball */
    int8_t direction;                 /* 0 up left, 1 up right, 2 down right, 3 down left */
    int8_t paddle;
    uint8_t strike; /* the last frame broke or touched a brick: no second one now */
    uint8_t last_action;
} breakout_state;

static void fill_bricks(breakout_state *s) {
    for (int i = 0; i < BREAKOUT_ROWS; i++)
        s->brick[i] = BREAKOUT_FULL;
}

static minatar_row *brick_row(breakout_state *s, int y) {
    return y >= BREAKOUT_FIRST && y < BREAKOUT_FIRST + BREAKOUT_ROWS ? &s->brick[y - BREAKOUT_FIRST] : NULL;
}

static void breakout_reset(const void *config, void *state, rein_rng *rng) {
    breakout_state *s = state;
    int right = MINATAR_BELOW(rng, 2);
    *s = (breakout_state){.y = 3, .last_y = 3, .paddle = 4};
    s->x = s->last_x = (int8_t)(right ? 9 : 0);
    s->direction = (int8_t)(right ? 3 : 2);
    fill_bricks(s);
}

/* directions after a reflection at a side wall, at a level surface, and back where the ball came from */
static const int8_t breakout_sideways[4] = {1, 0, 3, 2}, breakout_level[4] = {3, 2, 1, 0},
                    breakout_back[4] = {2, 3, 0, 1};

/* The ball in the lowest row: true when it is lost. *y is where it goes. */
static bool meet_paddle(breakout_state *s, int x, int *y) {
    if ((s->brick[0] | s->brick[1] | s->brick[2]) == 0)
        fill_bricks(s);
    if (s->x != s->paddle && x != s->paddle)
        return true;
    s->direction = (s->x == s->paddle ? breakout_level : breakout_back)[s->direction];
    *y = s->last_y;
    return false;
}

/* A brick at (x, *y) is broken, unless one was in the last frame. */
static float meet_brick(breakout_state *s, minatar_row *row, int x, int *y) {
    if (s->strike)
        return 0;
    s->strike = 1;
    *row = (minatar_row)(*row & ~(1 << x));
    *y = s->last_y;
    s->direction = breakout_level[s->direction];
    return 1;
}

REINI_INLINE rein_step breakout_play(const void *config, void *state, int action, rein_rng *rng) {
    static const int8_t dx[4] = {-1, 1, 1, -1}, dy[4] = {-1, -1, 1, 1};
    breakout_state *s = state;
    rein_step step = {0};
    int move = (action == MINATAR_RIGHT) - (action == MINATAR_LEFT);
    s->paddle = (int8_t)minatar_clamp(s->paddle + move, 0, MINATAR_SIDE - 1);
    s->last_x = s->x;
    s->last_y = s->y;
    int wanted = s->x + dx[s->direction], y = s->y + dy[s->direction];
    int x = minatar_clamp(wanted, 0, MINATAR_SIDE - 1);
    if (x != wanted)
        s->direction = breakout_sideways[s->direction];
    minatar_row *row = brick_row(s, y);
    bool touches = row != NULL && (*row >> x & 1);
    if (y < 0) {
        y = 0;
        s->direction = breakout_level[s->direction];
    } else if (touches) {
        step.reward = meet_brick(s, row, x, &y);
    } else if (y == MINATAR_SIDE - 1) {
        step.terminated = meet_paddle(s, x, &y);
    }
    if (!touches)
        s->strike = 0;
    s->x = (int8_t)x;
    s->y = (int8_t)y;
    return step;
}

static void breakout_show(const breakout_state *s, uint8_t *obs) {
    minatar_set(obs, BREAKOUT_BALL, s->y, s->x);
    minatar_set(obs, BREAKOUT_PADDLE, MINATAR_SIDE - 1, s->paddle);
    minatar_set(obs, BREAKOUT_TRAIL, s->last_y, s->last_x);
    minatar_write(obs, BREAKOUT_BRICK, BREAKOUT_FIRST, BREAKOUT_ROWS, s->brick);
}

MINATAR_TYPES(breakout, "MinAtar/Breakout", BREAKOUT_CHANNELS, "break bricks with a ball; reward 1 a brick",
              MINATAR_NOTHING, MINATAR_LEFT, MINATAR_RIGHT)
