/*
 * minatar.h - what the five MinAtar games share: settings, sticky actions, maps of bits, and their types.
 *
 * K. Young and T. Tian: MinAtar: An Atari-Inspired Testbed for Thorough and Reproducible Reinforcement Learning
 * Experiments, arXiv 1903.03176; rules and draws as in MinAtar 1.0.15. Ten by ten cells, several binary channels. Every
 * game knows six actions (nothing, left, up, right, down, fire); -v0 offers them all, -v1 those that do something. With
 * probability sticky_action_prob the last action is repeated (Machado et al. 2018). There is no time limit.
 *
 * Deviation: the action that sticks is forgotten between episodes, where MinAtar remembers it.
 */
#ifndef REINI_MINATAR_H
#define REINI_MINATAR_H

#include <math.h>
#include <string.h>
#include "env/env_simd.h"
#include "env/env_types.h"

enum { MINATAR_SIDE = 10, MINATAR_CELLS = 100, MINATAR_BLOCK = 128 };
enum {
    MINATAR_NOTHING,
    MINATAR_LEFT,
    MINATAR_UP,
    MINATAR_RIGHT,
    MINATAR_DOWN,
    MINATAR_FIRE,
    MINATAR_ACTIONS
};

#define MINATAR_FIELDS(F, E)                                                                                 \
    F(REAL, sticky_action_prob, "0.1", 0, 1, "how often the last action is repeated instead")                \
    F(BOOL, difficulty_ramping, "true", 0, 1, "the game grows faster")

typedef struct minatar_config {
    REIN_FIELDS_STRUCT(MINATAR_FIELDS)
} minatar_config;

/* Draws in the order and meaning of the original, so that a recorded game can be played back. */
#ifndef MINATAR_UNIFORM
#define MINATAR_UNIFORM(rng)      rein_rng_uniform(rng)
#define MINATAR_BELOW(rng, count) ((int)rein_rng_below(rng, (uint32_t)(count)))
#endif

/* a row of ten cells, cell x in bit x */
typedef uint16_t minatar_row;

/* The size is hidden from the compiler: one that it knows becomes a slow string instruction in place of a call. */
static inline void minatar_clear(void *obs, int channels) {
    volatile size_t bytes = (size_t)(channels * MINATAR_CELLS);
    memset(obs, 0, bytes);
}

static inline void minatar_set(uint8_t *obs, int channel, int y, int x) {
    obs[channel * MINATAR_CELLS + y * MINATAR_SIDE + x] = 1;
}

/* eight bits to eight bytes of 0 or 1, the lowest bit first */
static inline uint64_t minatar_spread(uint64_t bits) {
    uint64_t copies = (bits & 0xff) * 0x0101010101010101u;
    uint64_t own = copies & 0x8040201008040201u;
    return (own + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
}

/* 10 to 64 cells from the bits of a word; the last eight may overlap those before them */
static inline void minatar_write_cells(uint8_t *at, uint64_t bits, int cells) {
    for (int i = 0; i < cells; i += 8) {
        int from = i + 8 <= cells ? i : cells - 8;
        uint64_t eight = minatar_spread(bits >> from);
        memcpy(at + from, &eight, sizeof eight);
    }
}

/* `count` rows of a channel from `first_row` on, as many as fit a word at a time */
static inline void minatar_write(uint8_t *obs, int channel, int first_row, int count,
                                 const minatar_row *rows) {
    enum { FIT = 6 };
    uint8_t *at = obs + channel * MINATAR_CELLS + first_row * MINATAR_SIDE;
    for (int y = 0; y < count; y += FIT) {
        int high = count - y < FIT ? count - y : FIT;
        uint64_t bits = 0;
        for (int k = 0; k < high; k++)
            bits |= (uint64_t)rows[y + k] << k * MINATAR_SIDE;
        minatar_write_cells(at + y * MINATAR_SIDE, bits, high * MINATAR_SIDE);
    }
}

static inline int minatar_clamp(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

/* The action that is played, out of a table of those offered, and remembered. */
static inline int minatar_stick(const minatar_config *config, const uint8_t *offered, const void *action,
                                uint8_t *last, rein_rng *rng) {
    uint8_t wanted = offered[*(const int32_t *)action];
    bool repeat = MINATAR_UNIFORM(rng) < config->sticky_action_prob;
    *last = repeat ? *last : wanted;
    return *last;
}

/* What minatar_stick decides, for up to MINATAR_BLOCK environments, whose streams draw at once: the action wanted, and
 * whether the last one is repeated instead. */
static inline void minatar_stick_all(const minatar_config *config, const uint8_t *offered,
                                     const int32_t *action, rein_rng *rng, int n, uint8_t *wanted,
                                     uint8_t *repeat) {
    uint32_t word[MINATAR_BLOCK];
    /* a uniform is k / 2^24: it is below the probability when the integer k is below this */
    int32_t bar = (int32_t)ceil(config->sticky_action_prob * 16777216);
    reini_draw_each(rng, n, word);
    for (int i = 0; i < n; i++)
        repeat[i] = (int32_t)(word[i] >> 8) < bar;
    for (int i = 0; i < n; i++)
        wanted[i] = offered[action[i]];
}

/* The game's two types. Its file has NAME_state (with a member uint8_t last_action), NAME_reset, NAME_play (one frame of
 * an action of the six; best inlined, so that its result need not pass through memory) and NAME_show (what is seen, into
 * zeros); the table of actions follows. */
#define MINATAR_TYPES(game, title, channels, sentence, ...)                                                  \
    static const rein_field game##_fields[] = {REIN_FIELDS_TABLE(MINATAR_FIELDS)};                           \
    static void game##_observe(const void *config, const void *state, void *obs) {                           \
        minatar_clear(obs, channels);                                                                        \
        game##_show(state, obs);                                                                             \
    }                                                                                                        \
    static void game##_range(const uint8_t *offered, REINI_RANGE_PARAMS) {                                   \
        for (int base = 0; base < n; base += MINATAR_BLOCK) {                                                \
            int count = n - base < MINATAR_BLOCK ? n - base : MINATAR_BLOCK;                                 \
            uint8_t wanted[MINATAR_BLOCK], repeat[MINATAR_BLOCK];                                            \
            game##_state *s = (game##_state *)states + base;                                                 \
            uint8_t *row = (uint8_t *)obs + (size_t)base * (channels)*MINATAR_CELLS;                         \
            minatar_stick_all(config, offered, (const int32_t *)actions + base, rng + base, count, wanted,   \
                              repeat);                                                                       \
            for (int i = 0; i < count; i++, row += (channels)*MINATAR_CELLS) {                               \
                s[i].last_action = repeat[i] ? s[i].last_action : wanted[i];                                 \
                rein_step step = game##_play(config, s + i, s[i].last_action, &rng[base + i]);               \
                reward[base + i] = step.reward;                                                              \
                terminated[base + i] = step.terminated;                                                      \
                game##_observe(config, s + i, row);                                                          \
            }                                                                                                \
        }                                                                                                    \
        memset(truncated, 0, (size_t)n);                                                                     \
    }                                                                                                        \
    MINATAR_SET(game, title "-v0", v0, channels, sentence ", six actions", 0, 1, 2, 3, 4, 5)                 \
    MINATAR_SET(game, title "-v1", v1, channels, sentence, __VA_ARGS__)

/* The type with one of the two sets of actions. */
#define MINATAR_SET(game, name, version, channels, sentence, ...)                                            \
    static const uint8_t game##_##version##_offered[] = {__VA_ARGS__};                                       \
    static rein_step game##_##version##_step(const void *config, void *state, const void *action,            \
                                             rein_rng *rng) {                                                \
        uint8_t *last = &((game##_state *)state)->last_action;                                               \
        int played = minatar_stick(config, game##_##version##_offered, action, last, rng);                   \
        return game##_play(config, state, played, rng);                                                      \
    }                                                                                                        \
    static void game##_##version##_range(REINI_RANGE_PARAMS) {                                               \
        game##_range(game##_##version##_offered, config, states, rng, actions, n, reward, terminated,        \
                     truncated, obs);                                                                        \
    }                                                                                                        \
    const rein_env_type reini_env_##game##_##version = {                                                     \
        .abi = REIN_ENV_ABI,                                                                                 \
        .id = name,                                                                                          \
        .doc = sentence,                                                                                     \
        .obs = {.kind = REIN_SPACE_IMAGE,                                                                    \
                .size = (channels)*MINATAR_CELLS,                                                            \
                .shape = {channels, MINATAR_SIDE, MINATAR_SIDE}},                                            \
        .act = REINI_DISCRETE(sizeof game##_##version##_offered),                                            \
        .state_size = sizeof(game##_state),                                                                  \
        REINI_ENV_FIELDS(minatar_config, game##_fields),                                                     \
        .reward_threshold = NAN,                                                                             \
        .reset = game##_reset,                                                                               \
        .step = game##_##version##_step,                                                                     \
        .observe = game##_observe,                                                                           \
        .step_range = game##_##version##_range,                                                              \
    };

#define REIN_FIELD_OWNER minatar_config

#endif
