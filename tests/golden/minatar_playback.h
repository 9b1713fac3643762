/*
 * minatar_playback.h - a recorded game of the original MinAtar (tests/reference/minatar_original.py) played again with
 * its draws: every reward, end and observation agrees. Included before the game's .c file, which draws through it.
 */
#ifndef MINATAR_PLAYBACK_H
#define MINATAR_PLAYBACK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <rein/env.h>

enum { PLAYED_CELLS = 100 };

#define MINATAR_UNIFORM(rng)      played_uniform()
#define MINATAR_BELOW(rng, count) played_below(count)

static char line[1024], *rest;

static inline const char *next_word(void) {
    const char *word = strtok_r(NULL, " \n", &rest);
    return word != NULL ? word : "";
}

static inline double played_uniform(void) {
    const char *word = next_word();
    assert_non_null(strchr(word, '.'));
    return strtod(word, NULL);
}

static inline int played_below(int count) {
    const char *word = next_word(), *slash = strchr(word, '/');
    assert_non_null(slash);
    assert_int_equal(atoi(slash + 1), count);
    return atoi(word);
}

static inline void same_observation(const rein_env_type *type, const void *config, const void *state,
                                    const char *hash) {
    uint8_t obs[16 * PLAYED_CELLS];
    uint64_t value = 0xcbf29ce484222325u;
    memset(obs, 0xaa, sizeof obs);
    type->observe(config, state, obs);
    for (int i = 0; i < type->obs.size; i++)
        value = (value ^ obs[i]) * 0x100000001b3u;
    for (int i = type->obs.size; i < type->obs.size + PLAYED_CELLS; i++)
        assert_int_equal(obs[i], 0xaa);
    if (value != strtoull(hash, NULL, 16))
        fail_msg("the observation differs");
}

static inline void play_back(const rein_env_type *type, const char *file, size_t config_size) {
    static uint64_t state[1024], config[8];
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/%s", REIN_SOURCE_DIR, file);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_true(type->state_size <= sizeof state);
    assert_true(config_size <= sizeof config);
    rein_fields_default(type->fields, type->n_fields, config);
    rein_rng unused = {0};
    int frames = 0;
    for (int number = 1; fgets(line, sizeof line, in) != NULL; number++) {
        const char *word = strtok_r(line, " \n", &rest);
        char hash[32];
        if (strcmp(word, "reset") == 0) {
            snprintf(hash, sizeof hash, "%s", next_word());
            type->reset(config, state, &unused);
        } else {
            int32_t action = atoi(word), reward = atoi(next_word()), end = atoi(next_word());
            snprintf(hash, sizeof hash, "%s", next_word());
            rein_step step = type->step(config, state, &action, &unused);
            if (step.reward != (float)reward || step.terminated != (end != 0))
                fail_msg("line %d: reward %g, end %d; the original has %d, %d", number, (double)step.reward,
                         step.terminated, reward, end);
            frames++;
        }
        same_observation(type, config, state, hash);
        assert_string_equal(next_word(), ""); /* every draw was asked for */
    }
    fclose(in);
    assert_true(frames >= 1500);
}

#endif
