/*
 * freeway.c - MinAtar/Freeway: cross a road of eight lanes again and again for 2500 frames.
 *
 * Reaching the top is worth 1, brings the player back to the bottom and draws new speeds for all cars; a car sends it
 * back without. The player moves at most every third frame. A car's trail lies in the channel of its speed: one cell
 * every 1 to 5 frames.
 */
#include <math.h>
#include "env/minatar/minatar.h"

enum { FREEWAY_CHICKEN, FREEWAY_CAR, FREEWAY_SPEED, FREEWAY_CHANNELS = FREEWAY_SPEED + 5 };
enum { FREEWAY_LANES = 8, FREEWAY_COLUMN = 4, FREEWAY_START = 9, FREEWAY_PACE = 3, FREEWAY_FRAMES = 2500 };

/* Car i is in row i + 1; arrays, so that all cars drive at once. */
typedef struct freeway_state {
    int8_t x[FREEWAY_LANES], timer[FREEWAY_LANES];
    int8_t period[FREEWAY_LANES], step[FREEWAY_LANES]; /* frames between moves; -1 left, 1 right */
    int8_t row, pace_timer;                            /* of the player */
    uint8_t last_action;
    int16_t frames_left;
} freeway_state;

static void draw_cars(freeway_state *s, rein_rng *rng) {
    for (int i = 0; i < FREEWAY_LANES; i++)
        s->period[i] = s->timer[i] = (int8_t)(1 + MINATAR_BELOW(rng, 5));
    for (int i = 0; i < FREEWAY_LANES; i++)
        s->step[i] = MINATAR_UNIFORM(rng) < 0.5 ? -1 : 1;
}

static void freeway_reset(const void *config, void *state, rein_rng *rng) {
    freeway_state *s = state;
    *s = (freeway_state){.row = FREEWAY_START, .pace_timer = FREEWAY_PACE, .frames_left = FREEWAY_FRAMES};
    draw_cars(s, rng);
}

static int8_t wrapped(int8_t x) {
    int8_t from_left = x < 0 ? MINATAR_SIDE - 1 : x;
    return from_left >= MINATAR_SIDE ? 0 : from_left;
}

static void drive(freeway_state *s) {
    for (int i = 0; i < FREEWAY_LANES; i++) {
        bool goes = s->timer[i] == 0;
        int8_t x = (int8_t)(s->x[i] + (goes ? s->step[i] : 0));
        s->timer[i] = goes ? s->period[i] : (int8_t)(s->timer[i] - 1);
        s->x[i] = wrapped(x);
    }
}

/* A car meets the player before it drives or after. Only that in the player's row can, so the order of cars is nothing. */
static void drive_and_hit(freeway_state *s) {
    int lane = s->row - 1;
    bool hit = lane < FREEWAY_LANES && s->x[lane] == FREEWAY_COLUMN;
    drive(s);
    hit |= lane < FREEWAY_LANES && s->x[lane] == FREEWAY_COLUMN;
    if (hit)
        s->row = FREEWAY_START;
}

REINI_INLINE rein_step freeway_play(const void *config, void *state, int action, rein_rng *rng) {
    freeway_state *s = state;
    rein_step step = {0};
    int move = (action == MINATAR_DOWN) - (action == MINATAR_UP);
    if (move != 0 && s->pace_timer == 0) {
        s->pace_timer = FREEWAY_PACE;
        s->row = (int8_t)minatar_clamp(s->row + move, 0, FREEWAY_START);
    }
    if (s->row == 0) {
        step.reward = 1;
        draw_cars(s, rng);
        s->row = FREEWAY_START;
    }
    drive_and_hit(s);
    s->pace_timer = (int8_t)(s->pace_timer - (s->pace_timer > 0));
    s->frames_left--;
    step.terminated = s->frames_left < 0;
    return step;
}

static void freeway_show(const freeway_state *s, uint8_t *obs) {
    minatar_set(obs, FREEWAY_CHICKEN, s->row, FREEWAY_COLUMN);
    for (int i = 0; i < FREEWAY_LANES; i++) {
        int8_t behind = wrapped((int8_t)(s->x[i] - s->step[i]));
        minatar_set(obs, FREEWAY_CAR, i + 1, s->x[i]);
        minatar_set(obs, FREEWAY_SPEED + s->period[i] - 1, i + 1, behind);
    }
}

MINATAR_TYPES(freeway, "MinAtar/Freeway", FREEWAY_CHANNELS,
              "cross a road for 2500 frames; reward 1 a crossing", MINATAR_NOTHING, MINATAR_UP, MINATAR_DOWN)
