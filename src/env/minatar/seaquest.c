/*
 * seaquest.c - MinAtar/Seaquest: a submarine shoots fish and submarines and brings divers to the surface.
 *
 * An enemy shot is worth 1. Oxygen runs out within 200 frames and is renewed at the surface, at the price of a diver;
 * surfacing with six divers is worth the oxygen left, in tenths; surfacing with none, no oxygen, or the touch of an enemy
 * or its bullet ends the game. Every surfacing makes enemies faster and more frequent.
 *
 * The order in which things are moved, met and removed is the original's to the last detail: things stand in lists in the
 * order they came, lists are walked from the newest, and what is removed is the oldest entry that equals the thing.
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

/* A thing crosses the field in at most 60 frames and at most one enemy comes in a frame. */
enum { SEAQUEST_MOST = 64 };

typedef struct seaquest_thing {
    int8_t x, y, right, move_timer, shoot_timer;
} seaquest_thing;

typedef struct seaquest_list {
    int32_t count;
    seaquest_thing at[SEAQUEST_MOST];
} seaquest_list;

typedef struct seaquest_state {
    seaquest_list shots, bullets, fish, subs, divers; /* shots ours, bullets theirs */
    int32_t crew; /* divers on board; less than none after a full load and surfacing on, as in the original */
    int16_t oxygen;
    int8_t x, y, right;
    int8_t spawn_speed, spawn_timer, diver_timer, move_speed, cool_down;
    uint8_t odd_ramp, surfaced;
    uint8_t last_action;
} seaquest_state;

static void seaquest_reset(const void *config, void *state, rein_rng *rng) {
    seaquest_state *s = state;
    memset(s, 0, sizeof *s);
    s->oxygen = SEAQUEST_MAX_OXYGEN;
    s->x = 5;
    s->spawn_speed = s->spawn_timer = SEAQUEST_SPAWN;
    s->diver_timer = SEAQUEST_DIVER_SPAWN;
    s->move_speed = SEAQUEST_MOVE;
    s->surfaced = 1;
}

/* ---- lists --------------------------------------------------------------------------------------------- */

static bool same_cell(const seaquest_thing *a, const seaquest_thing *b) {
    return a->x == b->x && a->y == b->y;
}

static void append(seaquest_list *list, seaquest_thing thing) {
    REINI_ASSERT(list->count < SEAQUEST_MOST);
    if (list->count < SEAQUEST_MOST)
        list->at[list->count++] = thing;
}

static void remove_equal(seaquest_list *list, seaquest_thing thing) {
    int i = 0;
    while (memcmp(&list->at[i], &thing, sizeof thing) != 0)
        i++;
    list->count--;
    memmove(&list->at[i], &list->at[i + 1], (size_t)(list->count - i) * sizeof thing);
    memset(&list->at[list->count], 0, sizeof thing);
}

/* The first of the list in that cell, or NULL. */
static const seaquest_thing *in_cell(const seaquest_list *list, const seaquest_thing *cell) {
    for (int i = 0; i < list->count; i++)
        if (same_cell(&list->at[i], cell))
            return &list->at[i];
    return NULL;
}

static bool advance(seaquest_thing *thing) {
    thing->x = (int8_t)(thing->x + (thing->right ? 1 : -1));
    return thing->x >= 0 && thing->x < MINATAR_SIDE;
}

/* ---- a frame ------------------------------------------------------------------------------------------- */

/* A fish or a submarine, unless its row has traffic in the other direction. */
static void spawn_enemy(seaquest_state *s, rein_rng *rng) {
    bool right = MINATAR_UNIFORM(rng) < 1.0 / 2, is_sub = MINATAR_UNIFORM(rng) < 1.0 / 3;
    int8_t y = (int8_t)(1 + MINATAR_BELOW(rng, 8));
    const seaquest_list *both[] = {&s->subs, &s->fish};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < both[k]->count; i++)
            if (both[k]->at[i].y == y && both[k]->at[i].right != right)
                return;
    seaquest_thing enemy = {.x = right ? 0 : 9, .y = y, .right = right, .move_timer = s->move_speed};
    enemy.shoot_timer = is_sub ? SEAQUEST_SHOOT : 0;
    append(is_sub ? &s->subs : &s->fish, enemy);
}

static void spawn_diver(seaquest_state *s, rein_rng *rng) {
    bool right = MINATAR_UNIFORM(rng) < 1.0 / 2;
    int8_t y = (int8_t)(1 + MINATAR_BELOW(rng, 8));
    append(&s->divers,
           (seaquest_thing){.x = right ? 0 : 9, .y = y, .right = right, .move_timer = SEAQUEST_MOVE});
}

static void steer(seaquest_state *s, int action) {
    if (action == MINATAR_FIRE && s->cool_down == 0) {
        append(&s->shots, (seaquest_thing){.x = s->x, .y = s->y, .right = s->right});
        s->cool_down = SEAQUEST_COOL_DOWN;
    }
    int across = (action == MINATAR_RIGHT) - (action == MINATAR_LEFT);
    s->x = (int8_t)minatar_clamp(s->x + across, 0, 9);
    s->y = (int8_t)minatar_clamp(s->y + (action == MINATAR_DOWN) - (action == MINATAR_UP), 0, 8);
    if (across != 0)
        s->right = across > 0;
}

/* A shot meets an enemy of the list: both go. */
static bool strike(seaquest_state *s, const seaquest_thing *shot, seaquest_list *enemies) {
    const seaquest_thing *enemy = in_cell(enemies, shot);
    if (enemy == NULL)
        return false;
    remove_equal(enemies, *enemy);
    remove_equal(&s->shots, *shot);
    return true;
}

static int move_shots(seaquest_state *s) {
    int hits = 0;
    for (int i = s->shots.count - 1; i >= 0; i--) {
        bool inside = advance(&s->shots.at[i]);
        seaquest_thing shot = s->shots.at[i];
        if (!inside)
            remove_equal(&s->shots, shot);
        else
            hits += strike(s, &shot, &s->fish) || strike(s, &shot, &s->subs);
    }
    return hits;
}

static bool take_aboard(seaquest_state *s, const seaquest_thing *diver) {
    if (diver->x != s->x || diver->y != s->y || s->crew >= SEAQUEST_CREW)
        return false;
    remove_equal(&s->divers, *diver);
    s->crew++;
    return true;
}

static void move_divers(seaquest_state *s) {
    for (int i = s->divers.count - 1; i >= 0; i--) {
        seaquest_thing diver = s->divers.at[i];
        if (take_aboard(s, &diver))
            continue;
        if (s->divers.at[i].move_timer > 0) {
            s->divers.at[i].move_timer--;
            continue;
        }
        s->divers.at[i].move_timer = SEAQUEST_MOVE;
        bool inside = advance(&s->divers.at[i]);
        diver = s->divers.at[i];
        if (!inside)
            remove_equal(&s->divers, diver);
        else
            take_aboard(s, &diver);
    }
}

static bool meets_player(const seaquest_state *s, const seaquest_thing *thing) {
    return thing->x == s->x && thing->y == s->y;
}

/* The i-th enemy's move; true when it is still there. A shot of ours in its new cell takes it away. */
static bool move_enemy(seaquest_state *s, seaquest_list *enemies, int i, rein_step *step) {
    seaquest_thing *enemy = &enemies->at[i];
    step->terminated |= meets_player(s, enemy);
    if (enemy->move_timer > 0) {
        enemy->move_timer--;
        return true;
    }
    enemy->move_timer = s->move_speed;
    bool inside = advance(enemy);
    seaquest_thing moved = *enemy;
    if (!inside) {
        remove_equal(enemies, moved);
        return false;
    }
    if (meets_player(s, &moved)) {
        step->terminated = true;
        return true;
    }
    const seaquest_thing *shot = in_cell(&s->shots, &moved);
    if (shot == NULL)
        return true;
    remove_equal(enemies, moved);
    remove_equal(&s->shots, *shot);
    step->reward += 1;
    return false;
}

/* A submarine shoots on, even in the frame in which it goes. */
static void move_subs(seaquest_state *s, rein_step *step) {
    for (int i = s->subs.count - 1; i >= 0; i--) {
        seaquest_thing sub = s->subs.at[i];
        if (sub.move_timer == 0)
            advance(&sub);
        bool there = move_enemy(s, &s->subs, i, step);
        if (sub.shoot_timer == 0)
            append(&s->bullets, (seaquest_thing){.x = sub.x, .y = sub.y, .right = sub.right});
        if (there)
            s->subs.at[i].shoot_timer = (int8_t)(sub.shoot_timer == 0 ? SEAQUEST_SHOOT : sub.shoot_timer - 1);
    }
}

static void move_bullets(seaquest_state *s, rein_step *step) {
    for (int i = s->bullets.count - 1; i >= 0; i--) {
        step->terminated |= meets_player(s, &s->bullets.at[i]);
        bool inside = advance(&s->bullets.at[i]);
        seaquest_thing bullet = s->bullets.at[i];
        if (!inside)
            remove_equal(&s->bullets, bullet);
        else
            step->terminated |= meets_player(s, &bullet);
    }
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

static void breathe(const minatar_config *c, seaquest_state *s, rein_step *step) {
    step->terminated |= s->oxygen <= 0;
    if (s->y > 0) {
        s->oxygen--;
        s->surfaced = 0;
    } else if (!s->surfaced && s->crew == 0) {
        step->terminated = true;
    } else if (!s->surfaced) {
        s->surfaced = 1;
        if (s->crew == SEAQUEST_CREW) {
            /* floor division: oxygen is -1 in the frame in which it ran out */
            int tenths = s->oxygen * 10;
            step->reward += (float)(tenths < 0 ? -1 : tenths / SEAQUEST_MAX_OXYGEN);
            s->crew = 0;
        }
        s->oxygen = SEAQUEST_MAX_OXYGEN;
        s->crew--;
        if (c->difficulty_ramping)
            grow_harder(s);
    }
}

static rein_step seaquest_play(const void *config, void *state, int action, rein_rng *rng) {
    seaquest_state *s = state;
    rein_step step = {0};
    if (s->spawn_timer == 0) {
        spawn_enemy(s, rng);
        s->spawn_timer = s->spawn_speed;
    }
    if (s->diver_timer == 0) {
        spawn_diver(s, rng);
        s->diver_timer = SEAQUEST_DIVER_SPAWN;
    }
    steer(s, action);
    step.reward += (float)move_shots(s);
    move_divers(s);
    move_subs(s, &step);
    move_bullets(s, &step);
    for (int i = s->fish.count - 1; i >= 0; i--)
        move_enemy(s, &s->fish, i, &step);
    s->spawn_timer = (int8_t)(s->spawn_timer - (s->spawn_timer > 0));
    s->diver_timer = (int8_t)(s->diver_timer - (s->diver_timer > 0));
    s->cool_down = (int8_t)(s->cool_down - (s->cool_down > 0));
    breathe(config, s, &step);
    return step;
}

/* ---- what is seen -------------------------------------------------------------------------------------- */

/* Entry 0 goes without a branch, for whether there is one nothing could predict: one that is not is all zeros and writes
 * zeros in the corner, where there are zeros, because nothing was written before and no trail lies in row 0. */
REINI_INLINE void show(uint8_t *obs, const seaquest_list *list, int channel, bool trail) {
    int i = 0;
    do {
        const seaquest_thing *thing = &list->at[i];
        int cell = thing->y * MINATAR_SIDE + thing->x, behind = thing->x + 1 - 2 * thing->right;
        bool there = i < list->count, trails = there & ((unsigned)behind < MINATAR_SIDE);
        obs[channel * MINATAR_CELLS + cell] = there;
        if (trail)
            obs[SEAQUEST_TRAIL * MINATAR_CELLS + (trails ? cell + 1 - 2 * thing->right : 0)] = trails;
    } while (++i < list->count);
}

static void seaquest_show(const seaquest_state *s, uint8_t *obs) {
    minatar_set(obs, SEAQUEST_FRONT, s->y, s->x);
    minatar_set(obs, SEAQUEST_BACK, s->y, s->x + (s->right ? -1 : 1));
    int full = s->oxygen * 10 / SEAQUEST_MAX_OXYGEN, crew = s->crew < 0 ? 0 : s->crew;
    minatar_row oxygen = (minatar_row)((1 << full) - 1), gauge = (minatar_row)(0x200 - (0x200 >> crew));
    minatar_write(obs, SEAQUEST_OXYGEN, MINATAR_SIDE - 1, 1, &oxygen);
    minatar_write(obs, SEAQUEST_GAUGE, MINATAR_SIDE - 1, 1, &gauge);
    show(obs, &s->shots, SEAQUEST_SHOT, false);
    if (s->bullets.count > 0)
        show(obs, &s->bullets, SEAQUEST_BULLET, false);
    show(obs, &s->fish, SEAQUEST_FISH, true);
    if (s->subs.count > 0)
        show(obs, &s->subs, SEAQUEST_SUB, true);
    show(obs, &s->divers, SEAQUEST_DIVER, true);
}

MINATAR_TYPES(seaquest, "MinAtar/Seaquest", SEAQUEST_CHANNELS,
              "shoot enemies and rescue divers from a submarine; reward 1 an enemy", MINATAR_NOTHING,
              MINATAR_LEFT, MINATAR_UP, MINATAR_RIGHT, MINATAR_DOWN, MINATAR_FIRE)
