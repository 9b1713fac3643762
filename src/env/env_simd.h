/*
 * env_simd.h - step_range for every instruction-set level from one plain loop over blocks of environments.
 */
#ifndef REINI_ENV_SIMD_H
#define REINI_ENV_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <rein/env.h>
#include "base/levels.h"

/* ---- step_range from the step of one environment ------------------------------------------------------- */

#define REINI_LANES 64 /* environments in a block */

/* Parameters of rein_env_type.step_range. */
#define REINI_RANGE_PARAMS                                                                                   \
    const void *config, void *states, rein_rng *rng, const void *actions, int n, float *reward,              \
        uint8_t *terminated, uint8_t *truncated, void *obs
#define REINI_RANGE_ARGS (config, states, rng, actions, n, reward, terminated, truncated, obs)

/*
 * Defines `name_range`, a step_range for environments with one action of action_type and obs_size numbers per
 * observation, from
 *     name_model name_model_of(const void *config);
 *     int name_lane(const name_model *, name_state *, action_type, float *reward, float *obs);
 * the second returns 1 when the episode terminated. The flags are 32-bit words in the vector loop: one of a
 * byte would make the compiler take 64 environments at once and run out of registers.
 */
#define REINI_STEP_RANGE(name, action_type, obs_size)                                                        \
    REINI_INLINE void name##_range_body(REINI_RANGE_PARAMS) {                                                \
        const name##_model model = name##_model_of(config);                                                  \
        for (int base = 0; base < n; base += REINI_LANES) {                                                  \
            int count = n - base < REINI_LANES ? n - base : REINI_LANES;                                     \
            name##_state *s = (name##_state *)states + base;                                                 \
            const action_type *a = (const action_type *)actions + base;                                      \
            float *r = reward + base, *o = (float *)obs + (obs_size)*base;                                   \
            int32_t ended[REINI_LANES];                                                                      \
            for (int i = 0; i < count; i++) {                                                                \
                name##_state next = s[i];                                                                    \
                ended[i] = name##_lane(&model, &next, a[i], &r[i], o + (obs_size)*i);                        \
                s[i] = next;                                                                                 \
            }                                                                                                \
            for (int i = 0; i < count; i++)                                                                  \
                terminated[base + i] = (uint8_t)ended[i];                                                    \
        }                                                                                                    \
        memset(truncated, 0, (size_t)n);                                                                     \
    }                                                                                                        \
    REINI_FOR_LEVELS(name##_range, (REINI_RANGE_PARAMS), REINI_RANGE_ARGS)

/* ---- draws of many environments ------------------------------------------------------------------------ */

/* word[i] = rein_rng_next(&rng[i]) for i in [0, n); env_draws.c. */
void reini_draw_each(rein_rng *rng, int n, uint32_t *word);

#endif
