/*
 * image_env.h - test environments with images: two channels of side x side bytes, noise but for one bright quarter of
 * the second; reward for naming the quarter, then another is lit. 20 steps; best return 20.
 */
#ifndef IMAGE_ENV_H
#define IMAGE_ENV_H

#include <string.h>
#include <rein/env.h>

enum { IMAGE_CHANNELS = 2, IMAGE_HORIZON = 20 };

typedef struct image_state {
    int32_t quarter;
    uint32_t noise;
    int32_t steps;
} image_state;

static inline void image_reset(const void *config, void *state, rein_rng *rng) {
    image_state *s = state;
    s->quarter = (int32_t)rein_rng_below(rng, 4);
    s->noise = rein_rng_below(rng, 1u << 30);
}

static inline rein_step image_step(const void *config, void *state, const void *action, rein_rng *rng) {
    const image_state *s = state;
    rein_step result = {.reward = *(const int32_t *)action == s->quarter ? 1 : 0};
    image_reset(config, state, rng);
    return result;
}

/* bright: the byte of a lit pixel; noise is below an eighth of it, or 0 */
static inline void image_draw(const image_state *s, int side, int bright, uint8_t *obs) {
    uint32_t word = s->noise;
    for (int i = 0; i < IMAGE_CHANNELS * side * side; i++) {
        int x = i % side, y = i / side % side, quarter = (y >= side / 2) * 2 + (x >= side / 2);
        word = word * 1664525u + 1013904223u;
        bool lit = i >= side * side && quarter == s->quarter;
        obs[i] = (uint8_t)(lit ? bright : (int)(word >> 24) * (bright / 8) / 256);
    }
}

#define IMAGE_ENV(name, title, side, bright)                                                                 \
    static inline void name##_observe(const void *config, const void *state, void *obs) {                    \
        image_draw((const image_state *)state, side, bright, (uint8_t *)obs);                                \
    }                                                                                                        \
    static const rein_env_type name = {.abi = REIN_ENV_ABI,                                                  \
                                       .id = title,                                                          \
                                       .doc = "test environment",                                            \
                                       .obs = {.kind = REIN_SPACE_IMAGE,                                     \
                                               .size = IMAGE_CHANNELS * (side) * (side),                     \
                                               .shape = {IMAGE_CHANNELS, side, side}},                       \
                                       .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {4}},            \
                                       .horizon = IMAGE_HORIZON,                                             \
                                       .state_size = sizeof(image_state),                                    \
                                       .reward_threshold = 19,                                               \
                                       .reset = image_reset,                                                 \
                                       .step = image_step,                                                   \
                                       .observe = name##_observe}

IMAGE_ENV(image_env_small, "TestImage-10", 10, 1);
IMAGE_ENV(image_env_middle, "TestImage-20", 20, 255);
IMAGE_ENV(image_env_large, "TestImage-40", 40, 255);

#endif
