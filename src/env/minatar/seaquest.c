/*
 * seaquest.c - MinAtar/Seaquest: a submarine shoots fish and submarines and brings divers to the surface.
 *
 * An enemy shot is worth 1. Oxygen runs out within 200 frames and is renewed at the surface, at the price of a diver;
 * surfacing with six divers is worth the oxygen left, in tenths; surfacing with none, no oxygen, or the touch of an enemy
 * or its bullet ends the game. Every surfacing makes enemies faster and more frequent.
 *
 * The order in which things are moved, met and removed is the original's to the last detail: things stand in lists in the
 * order they came, lists are walked from the newest, and what is removed is the oldest entry that equals the thing.
 *
 * In most frames no shot and no diver is met and nobody leaves; then the order does not matter, and all move at once without
 * a branch, for how many there are nothing could predict. Else, or where there are more than usual, lists are walked.
 */
#include <math.h>
#include "base/base.h"
#include "env/minatar/minatar.h"

enum {
    SEAQUEST_FRONT,
    SEAQUEST_BACK,
    SEAQUEST_SHOT,
    SEAQUEST_TRAIL,
    SEAQUEST_BULLET,
    SEAQUEST_FISH,
    SEAQUEST_SUB,
    SEAQUEST_OXYGEN,
    SEAQUEST_GAUGE,
    SEAQUEST_DIVER,
    SEAQUEST_CHANNELS
};
enum { SEAQUEST_MAX_OXYGEN = 200, SEAQUEST_CREW = 6, SEAQUEST_SPAWN = 20, SEAQUEST_DIVER_SPAWN = 30 };
enum { SEAQUEST_MOVE = 5, SEAQUEST_MOVE_LEAST = 2, SEAQUEST_COOL_DOWN = 5, SEAQUEST_SHOOT = 10 };

/* A thing in a word: bits 0-3 x + 2, so that both cells beside the field have a number; 4-7 y; 8 whether it goes right;
 * 9-11 frames until it moves; 12-15 frames until it shoots. 0 is nobody. */
typedef uint16_t seaquest_thing;
enum { THING_X = 0xf, THING_CELL = 0xff, THING_RIGHT = 1 << 8, THING_LEFT_OF = 1, THING_RIGHT_OF = 12 };
enum { THING_TICK = 1 << 9, THING_WAIT = 7 << 9, THING_SHOOT_TICK = 1 << 12, THING_SHOOT_WAIT = 15 << 12 };
#define THING_AT(x, y) ((y)*16 + (x) + 2)

/* Lists have the oldest first and nobody after the newest. At most one enemy comes in a frame, and when they come that
 * often one crosses the field in 30 frames. A diver comes in 30 frames and crosses it in 60, a shot of ours in 5 and 10:
 * there are two at most. */
enum { SEAQUEST_ENEMIES = 48, SEAQUEST_PAIR = 2, FEW_FISH = 4, FEW_SUBS = 2 };

typedef struct seaquest_state {
    int64_t frame, next_enemy, next_diver, next_shot; /* of the episode; a shot may come later */
    minatar_row bullets_right[8], bullets_left[8]; /* theirs, in the rows from 1; two in a cell are as one */
    seaquest_thing shots[SEAQUEST_PAIR]; /* ours, the older and the newer, either of which may be nobody */
    int32_t crew; /* divers on board; less than none after a full load and surfacing on, as in the original */
    int16_t oxygen;
    int8_t x, y, right;
    int8_t spawn_speed, move_speed;
    uint8_t odd_ramp, surfaced;
    uint8_t last_action, unused[4];
    seaquest_thing divers[SEAQUEST_PAIR + 1], fish[SEAQUEST_ENEMIES],
        subs[SEAQUEST_ENEMIES + 2]; /* no padding */
} seaquest_state;

static void seaquest_reset(const void *config, void *state, rein_rng *rng) {
    seaquest_state *s = state;
    memset(s, 0, sizeof *s);
    s->oxygen = SEAQUEST_MAX_OXYGEN;
    s->x = 5;
    s->spawn_speed = SEAQUEST_SPAWN;
    s->next_enemy = SEAQUEST_SPAWN;
    s->next_diver = SEAQUEST_DIVER_SPAWN;
    s->move_speed = SEAQUEST_MOVE;
    s->surfaced = 1;
}

/* ---- things and lists ---------------------------------------------------------------------------------- */

static seaquest_thing thing_at(int x, int y, bool right, int wait) {
    return (seaquest_thing)(THING_AT(x, y) + THING_RIGHT * right + THING_TICK * wait);
}

static bool same_cell(int a, int b) {
    return ((a ^ b) & THING_CELL) == 0;
}

static bool is_inside(int thing) {
    return (~(1 << THING_LEFT_OF | 1 << THING_RIGHT_OF) >> (thing & THING_X) & 1) != 0;
}

static seaquest_thing advanced(int thing) {
    return (seaquest_thing)(thing + (thing & THING_RIGHT ? 1 : -1));
}

static int count(const seaquest_thing *list) {
    int n = 0;
    while (list[n] != 0)
        n++;
    return n;
}

static void append(seaquest_thing *list, seaquest_thing thing, int most) {
    int n = count(list);
    REINI_ASSERT(n + 1 < most);
    if (n + 1 < most)
        list[n] = thing;
}

static void remove_equal(seaquest_thing *list, seaquest_thing thing) {
    while (*list != thing)
        list++;
    do
        list[0] = list[1];
    while (*list++ != 0);
}

/* The first of the list in that cell, or nobody. */
static seaquest_thing in_cell(const seaquest_thing *list, int cell) {
    while (*list != 0 && !same_cell(*list, cell))
        list++;
    return *list;
}

/* ---- all at once --------------------------------------------------------------------------------------- */

typedef uint16_t seaquest_eight __attribute__((vector_size(16)));
typedef int16_t seaquest_signed __attribute__((vector_size(16)));

REINI_INLINE seaquest_eight load_eight(const void *from) {
    seaquest_eight eight;
    memcpy(&eight, from, sizeof eight);
    return eight;
}

REINI_INLINE bool any_of(seaquest_eight eight) {
    uint64_t half[2];
    memcpy(half, &eight, sizeof half);
    return (half[0] | half[1]) != 0;
}

/* The few: four fish, two submarines, two divers, the oldest. */
REINI_INLINE seaquest_eight few_of(const seaquest_state *s) {
    typedef uint32_t four __attribute__((vector_size(16)));
    uint32_t part[4];
    memcpy(part, s->fish, 8);
    memcpy(part + 2, s->subs, 4);
    memcpy(part + 3, s->divers, 4);
    return (seaquest_eight)(four){part[0], part[1], part[2], part[3]};
}

REINI_INLINE void few_to(seaquest_state *s, seaquest_eight few) {
    memcpy(s->fish, &few, 8);
    memcpy(s->subs, (const char *)&few + 8, 4);
    memcpy(s->divers, (const char *)&few + 12, 4);
}

static const seaquest_eight few_subs = {0, 0, 0, 0, 0xffff, 0xffff, 0, 0};
static const seaquest_eight few_divers = {0, 0, 0, 0, 0, 0, 0xffff, 0xffff};

/* ---- a frame ------------------------------------------------------------------------------------------- */

static bool has_traffic(const seaquest_thing *list, int y, bool right) {
    for (; *list != 0; list++)
        if ((*list >> 4 & 15) == y && ((*list & THING_RIGHT) != 0) == right)
            return true;
    return false;
}

/* A fish or a submarine, unless its row has traffic in the other direction. */
static void spawn_enemy(seaquest_state *s, rein_rng *rng) {
    bool right = MINATAR_UNIFORM(rng) < 1.0 / 2, is_sub = MINATAR_UNIFORM(rng) < 1.0 / 3;
    int y = 1 + MINATAR_BELOW(rng, 8);
    if (has_traffic(s->subs, y, !right) || has_traffic(s->fish, y, !right))
        return;
    int enemy = thing_at(right ? 0 : 9, y, right, s->move_speed) + is_sub * SEAQUEST_SHOOT * THING_SHOOT_TICK;
    append(is_sub ? s->subs : s->fish, (seaquest_thing)enemy, SEAQUEST_ENEMIES);
}

static void spawn_diver(seaquest_state *s, rein_rng *rng) {
    bool right = MINATAR_UNIFORM(rng) < 1.0 / 2;
    int y = 1 + MINATAR_BELOW(rng, 8);
    append(s->divers, thing_at(right ? 0 : 9, y, right, SEAQUEST_MOVE), SEAQUEST_PAIR + 1);
}

/* Either number, without a branch. */
REINI_INLINE int pick(bool which, int yes, int no) {
    return no ^ ((yes ^ no) & -(int)which);
}

REINI_INLINE void steer(seaquest_state *s, int action) {
    static const int8_t across[MINATAR_ACTIONS] = {[MINATAR_LEFT] = -1, [MINATAR_RIGHT] = 1};
    static const int8_t down[MINATAR_ACTIONS] = {[MINATAR_UP] = -1, [MINATAR_DOWN] = 1};
    bool fires = (action == MINATAR_FIRE) & (s->frame >= s->next_shot);
    seaquest_thing older = s->shots[0], newer = s->shots[1];
    s->shots[0] = (seaquest_thing)pick(fires, newer, older);
    s->shots[1] = (seaquest_thing)pick(fires, thing_at(s->x, s->y, s->right, 0), newer);
    s->next_shot = fires ? s->frame + SEAQUEST_COOL_DOWN : s->next_shot;
    s->x = (int8_t)minatar_clamp(s->x + across[action], 0, 9);
    s->y = (int8_t)minatar_clamp(s->y + down[action], 0, 8);
    s->right = (int8_t)pick(across[action] != 0, across[action] > 0, s->right);
}

/* Ours go on, out of the field as well. */
REINI_INLINE void move_shots(seaquest_state *s) {
    for (int i = 0; i < SEAQUEST_PAIR; i++) {
        int shot = s->shots[i];
        shot += (shot >> 7 & 2) - (shot != 0);
        s->shots[i] = (seaquest_thing)(shot & -(int)is_inside(shot));
    }
}

/* An enemy of the list in that cell goes. */
static bool strike(seaquest_thing *enemies, int cell) {
    seaquest_thing enemy = in_cell(enemies, cell);
    if (enemy != 0)
        remove_equal(enemies, enemy);
    return enemy != 0;
}

/* A shot that has moved meets a fish, else a submarine: both go. */
static int strike_with(seaquest_state *s, seaquest_thing *shot) {
    if (*shot == 0 || !(strike(s->fish, *shot) || strike(s->subs, *shot)))
        return 0;
    *shot = 0;
    return 1;
}

static int player_cell(const seaquest_state *s) {
    return THING_AT(s->x, s->y);
}

static bool take_aboard(seaquest_state *s, seaquest_thing diver) {
    if (!same_cell(diver, player_cell(s)) || s->crew >= SEAQUEST_CREW)
        return false;
    remove_equal(s->divers, diver);
    s->crew++;
    return true;
}

static void walk_divers(seaquest_state *s) {
    for (int i = count(s->divers) - 1; i >= 0; i--) {
        seaquest_thing *diver = &s->divers[i];
        if (take_aboard(s, *diver))
            continue;
        if ((*diver & THING_WAIT) != 0) {
            *diver = (seaquest_thing)(*diver - THING_TICK);
            continue;
        }
        seaquest_thing moved = *diver = (seaquest_thing)(advanced(*diver) + SEAQUEST_MOVE * THING_TICK);
        if (!is_inside(moved))
            remove_equal(s->divers, moved);
        else
            take_aboard(s, moved);
    }
}

/* The i-th enemy's move; true when it is still there. A shot of ours in its new cell takes it away. */
static bool walk_enemy(seaquest_state *s, seaquest_thing *enemies, int i, rein_step *step) {
    seaquest_thing enemy = enemies[i];
    step->terminated |= same_cell(enemy, player_cell(s));
    if ((enemy & THING_WAIT) != 0) {
        enemies[i] = (seaquest_thing)(enemy - THING_TICK);
        return true;
    }
    enemy = enemies[i] = (seaquest_thing)(advanced(enemy) + s->move_speed * THING_TICK);
    if (!is_inside(enemy)) {
        remove_equal(enemies, enemy);
        return false;
    }
    if (same_cell(enemy, player_cell(s))) {
        step->terminated = true;
        return true;
    }
    int i_shot = same_cell(s->shots[0], enemy) ? 0 : 1;
    if (!same_cell(s->shots[i_shot], enemy))
        return true;
    remove_equal(enemies, enemy);
    s->shots[i_shot] = 0;
    step->reward += 1;
    return false;
}

static void shoot(seaquest_state *s, seaquest_thing sub) {
    minatar_row *rows = sub & THING_RIGHT ? s->bullets_right : s->bullets_left,
                *row = &rows[(sub >> 4 & 15) - 1];
    if (is_inside(sub))
        *row = (minatar_row)(*row | 1 << ((sub & THING_X) - 2));
}

/* A submarine shoots on, even in the frame in which it goes. */
static void walk_subs(seaquest_state *s, rein_step *step) {
    for (int i = count(s->subs) - 1; i >= 0; i--) {
        seaquest_thing sub = s->subs[i];
        bool shoots = (sub & THING_SHOOT_WAIT) == 0;
        if ((sub & THING_WAIT) == 0)
            sub = advanced(sub);
        bool there = walk_enemy(s, s->subs, i, step);
        if (shoots)
            shoot(s, sub);
        if (there)
            s->subs[i] = (seaquest_thing)(s->subs[i] + (shoots ? SEAQUEST_SHOOT : -1) * THING_SHOOT_TICK);
    }
}

/* Everybody but bullets and shots, one by one; shots have moved. */
static rein_step walk_all(seaquest_state *s) {
    rein_step step = {0};
    for (int k = SEAQUEST_PAIR - 1; k >= 0; k--)
        step.reward += (float)strike_with(s, &s->shots[k]);
    walk_divers(s);
    walk_subs(s, &step);
    for (int i = count(s->fish) - 1; i >= 0; i--)
        walk_enemy(s, s->fish, i, &step);
    return step;
}

/* The things in the cell of a shot; nobody is where no shot is. */
REINI_INLINE seaquest_eight are_with(seaquest_eight cells, seaquest_thing shot) {
    return (seaquest_eight)(cells == (uint16_t)((shot & THING_CELL) - (shot == 0)));
}

/* The few of a frame later: who is due moves, everybody else's timer goes down. */
REINI_INLINE seaquest_eight later(seaquest_eight old, int move_speed) {
    const seaquest_eight diver_wait = few_divers & (SEAQUEST_MOVE * THING_TICK);
    const seaquest_eight ticks = THING_TICK + (few_subs & THING_SHOOT_TICK);
    seaquest_eight due = (seaquest_eight)((old & THING_WAIT) == 0), there = (seaquest_eight)(old != 0);
    seaquest_eight wait = diver_wait | (~few_divers & (uint16_t)(move_speed * THING_TICK));
    seaquest_eight moved = wait + (old >> 7 & 2) + (THING_TICK - 1);
    return (old - ticks + (moved & due)) & there;
}

/* What walk_all does, at once; false where there are more, or a shot or a diver is met, or somebody leaves. */
REINI_INLINE bool move_all(seaquest_state *s, rein_step *step) {
    seaquest_eight old = few_of(s), new = later(old, s->move_speed);
    seaquest_eight old_cell = old & THING_CELL, new_cell = new &THING_CELL, x = new &THING_X;
    seaquest_eight shot = are_with(old_cell, s->shots[0]) | are_with(old_cell, s->shots[1]);
    shot |= are_with(new_cell, s->shots[0]) | are_with(new_cell, s->shots[1]);
    uint16_t player = (uint16_t)player_cell(s);
    seaquest_eight met = (seaquest_eight)((old_cell == player) | (new_cell == player));
    seaquest_eight left = (seaquest_eight)((x == THING_LEFT_OF) | (x == THING_RIGHT_OF));
    if (any_of((met & few_divers) | (shot & ~few_divers) | left) | s->fish[FEW_FISH] | s->subs[FEW_SUBS])
        return false;
    seaquest_eight shoots =
        (seaquest_eight)((old & THING_SHOOT_WAIT) == 0) & (seaquest_eight)(old != 0) & few_subs;
    if (any_of(shoots)) {
        for (int k = FEW_FISH; k < FEW_FISH + FEW_SUBS; k++)
            if (shoots[k])
                shoot(s, new[k]);
        new += shoots &(uint16_t)((SEAQUEST_SHOOT + 1) * THING_SHOOT_TICK);
    }
    step->terminated = any_of(met);
    few_to(s, new);
    return true;
}

REINI_INLINE bool has_bullets(const seaquest_state *s) {
    return any_of(load_eight(s->bullets_right) | load_eight(s->bullets_left));
}

static bool move_bullets(seaquest_state *s) {
    int row = (s->y - 1) & 7, player = (s->y > 0) << s->x;
    int met = s->bullets_right[row] | s->bullets_left[row];
    for (int y = 0; y < 8; y++) {
        s->bullets_right[y] = (minatar_row)(s->bullets_right[y] << 1 & ((1 << MINATAR_SIDE) - 1));
        s->bullets_left[y] = s->bullets_left[y] >> 1;
    }
    met |= s->bullets_right[row] | s->bullets_left[row];
    return (met & player) != 0;
}

static void grow_harder(seaquest_state *s) {
    if (s->spawn_speed <= 1 && s->move_speed <= SEAQUEST_MOVE_LEAST)
        return;
    if (s->move_speed > SEAQUEST_MOVE_LEAST && s->odd_ramp)
        s->move_speed--;
    if (s->spawn_speed > 1)
        s->spawn_speed--;
    s->odd_ramp ^= 1;
}

static rein_step surface(const minatar_config *c, seaquest_state *s) {
    rein_step step = {.terminated = s->crew == 0};
    if (s->crew == 0)
        return step;
    s->surfaced = 1;
    if (s->crew == SEAQUEST_CREW) {
        /* floor division: oxygen is -1 in the frame in which it ran out */
        int tenths = s->oxygen * 10;
        step.reward = (float)(tenths < 0 ? -1 : tenths / SEAQUEST_MAX_OXYGEN);
        s->crew = 0;
    }
    s->oxygen = SEAQUEST_MAX_OXYGEN;
    s->crew--;
    if (c->difficulty_ramping)
        grow_harder(s);
    return step;
}

REINI_INLINE rein_step seaquest_play(const void *config, void *state, int action, rein_rng *rng) {
    seaquest_state *s = state;
    rein_step step = {0};
    if (s->frame == s->next_enemy) {
        spawn_enemy(s, rng);
        s->next_enemy += s->spawn_speed;
    }
    if (s->frame == s->next_diver) {
        spawn_diver(s, rng);
        s->next_diver += SEAQUEST_DIVER_SPAWN;
    }
    steer(s, action);
    move_shots(s);
    if (!move_all(s, &step))
        step = walk_all(s);
    if (has_bullets(s))
        step.terminated |= move_bullets(s);
    s->frame++;
    step.terminated |= s->oxygen <= 0;
    s->oxygen = (int16_t)(s->oxygen - (s->y > 0));
    s->surfaced &= s->y == 0;
    if (s->y == 0 && !s->surfaced) {
        rein_step risen = surface(config, s);
        step.reward += risen.reward;
        step.terminated |= risen.terminated;
    }
    return step;
}

/* ---- what is seen -------------------------------------------------------------------------------------- */

static void show_thing(uint8_t *obs, int channel, int thing) {
    int x = (thing & THING_X) - 2, y = thing >> 4 & 15, back = thing & THING_RIGHT ? x - 1 : x + 1;
    minatar_set(obs, channel, y, x);
    if (back >= 0 && back < MINATAR_SIDE)
        minatar_set(obs, SEAQUEST_TRAIL, y, back);
}

/* The two oldest of each list go without a branch: nobody is shown where the player is. */
REINI_INLINE void show_oldest(const seaquest_state *s, uint8_t *obs) {
    enum { C = MINATAR_CELLS, FISH = SEAQUEST_FISH * C, SUB = SEAQUEST_SUB * C, DIVER = SEAQUEST_DIVER * C };
    enum { SHOT = SEAQUEST_SHOT * C };
    const seaquest_eight first = {FISH, FISH, SUB, SUB, DIVER, DIVER, SHOT, SHOT};
    typedef uint32_t four __attribute__((vector_size(16)));
    uint32_t part[3];
    memcpy(part, s->fish, 4);
    memcpy(part + 1, s->subs, 4);
    memcpy(part + 2, s->divers, 4);
    seaquest_eight thing = (seaquest_eight)(four){part[0], part[1], part[2], 0};
    thing[6] = s->shots[0];
    thing[7] = s->shots[1];
    seaquest_eight x = thing & THING_X, y = thing >> 4 & 15;
    seaquest_eight there = (seaquest_eight)(thing != 0), back = x + 1 - (thing >> 7 & 2);
    seaquest_eight trails =
        (seaquest_eight)(((seaquest_signed)back >= 2) & ((seaquest_signed)back < 12)) & there;
    uint16_t player = (uint16_t)(s->y * MINATAR_SIDE + s->x);
    seaquest_eight row = y * MINATAR_SIDE - 2 - player, cell = player + ((row + x + first) & there);
    seaquest_eight behind = player + ((row + back + SEAQUEST_TRAIL * C) & trails);
    for (int i = 0; i < 8; i++)
        obs[cell[i]] = 1;
    for (int i = 0; i < 6; i++)
        obs[behind[i]] = 1;
}

static void show_bullets(const seaquest_state *s, uint8_t *obs) {
    minatar_row rows[8];
    for (int y = 0; y < 8; y++)
        rows[y] = s->bullets_right[y] | s->bullets_left[y];
    minatar_write(obs, SEAQUEST_BULLET, 1, 8, rows);
}

/* The gauges are cut out of strips: of oxygen ten cells from zero on, of divers nine that end one cell before the wall. */
static void show_gauges(const seaquest_state *s, uint8_t *obs) {
    static const uint8_t oxygen[20] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, crew[16] = {[9] = 1, 1, 1, 1, 1, 1};
    int full = s->oxygen * 10 / SEAQUEST_MAX_OXYGEN, aboard = s->crew < 0 ? 0 : s->crew;
    uint8_t *bottom = obs + MINATAR_CELLS - MINATAR_SIDE;
    memcpy(bottom + SEAQUEST_OXYGEN * MINATAR_CELLS, oxygen + 10 - full, 10);
    memcpy(bottom + SEAQUEST_GAUGE * MINATAR_CELLS, crew + aboard, 9);
}

REINI_INLINE void seaquest_show(const seaquest_state *s, uint8_t *obs) {
    minatar_set(obs, SEAQUEST_FRONT, s->y, s->x);
    minatar_set(obs, SEAQUEST_BACK, s->y, s->x + (s->right ? -1 : 1));
    show_gauges(s, obs);
    show_oldest(s, obs);
    if (has_bullets(s))
        show_bullets(s, obs);
    for (const seaquest_thing *fish = s->fish + 2; *fish != 0; fish++)
        show_thing(obs, SEAQUEST_FISH, *fish);
    for (const seaquest_thing *sub = s->subs + 2; *sub != 0; sub++)
        show_thing(obs, SEAQUEST_SUB, *sub);
}

MINATAR_TYPES(seaquest, "MinAtar/Seaquest", SEAQUEST_CHANNELS,
              "shoot enemies and rescue divers from a submarine; reward 1 an enemy", MINATAR_NOTHING,
              MINATAR_LEFT, MINATAR_UP, MINATAR_RIGHT, MINATAR_DOWN, MINATAR_FIRE)
