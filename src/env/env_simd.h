/*
 * env_simd.h - step_range for every instruction-set level from one plain loop.
 *
 * A file writes `name_body` once, as an always-inlined function over n environments, and ends with
 * REINI_STEP_RANGE(name). The compiler vectorises one copy per level; `name` picks one by the level of the
 * machine. Levels give the same bits (see env_math.h). Function attributes rather than target_clones, because
 * indirect functions are resolved before a sanitizer's run time is up.
 */
#ifndef REINI_ENV_SIMD_H
#define REINI_ENV_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { REINI_ISA_PORTABLE, REINI_ISA_AVX2, REINI_ISA_AVX512 };

/* The level in use: rein_cpu_level, or less after reini_env_isa_cap. */
int reini_env_isa(void);
/* Test hook: use at most this level; a negative level lifts the cap. Not while environments step. */
void reini_env_isa_cap(int level);

/* Inlined for sure: a copy per level needs the body itself, not a call. */
#define REINI_INLINE static inline __attribute__((always_inline))

/* Defines `name` with parameters `params`, which calls name_body with `args` at the level of the machine. */
#if defined(__x86_64__) && defined(__GNUC__)
#define REINI_TARGET_AVX2 __attribute__((target("avx2")))
#if defined(__clang__)
#define REINI_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#else
#define REINI_TARGET_AVX512                                                                              \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))
#endif
#define REINI_FOR_LEVELS(name, params, args)                                                             \
    REINI_TARGET_AVX2 static void name##_avx2 params {                                                   \
        name##_body args;                                                                                \
    }                                                                                                    \
    REINI_TARGET_AVX512 static void name##_avx512 params {                                               \
        name##_body args;                                                                                \
    }                                                                                                    \
    static void name params {                                                                            \
        int isa = reini_env_isa();                                                                       \
        if (isa == REINI_ISA_AVX512)                                                                     \
            name##_avx512 args;                                                                          \
        else if (isa == REINI_ISA_AVX2)                                                                  \
            name##_avx2 args;                                                                            \
        else                                                                                             \
            name##_body args;                                                                            \
    }
#else
#define REINI_FOR_LEVELS(name, params, args)                                                             \
    static void name params {                                                                            \
        name##_body args;                                                                                \
    }
#endif

/* ---- step_range from the step of one environment ------------------------------------------------------- */

#define REINI_LANES 64 /* environments in a block */

/* Parameters of rein_env_type.step_range. */
#define REINI_RANGE_PARAMS                                                                               \
    const void *config, void *states, const void *actions, int n, float *reward, uint8_t *terminated,    \
        uint8_t *truncated, void *obs
#define REINI_RANGE_ARGS (config, states, actions, n, reward, terminated, truncated, obs)

/*
 * Defines `name_range`, a step_range for environments with one action of action_type and obs_size numbers per
 * observation, from
 *     name_model name_model_of(const void *config);
 *     int name_lane(const name_model *, name_state *, action_type, float *reward, float *obs);
 * the second returns 1 when the episode terminated. The flags are 32-bit words in the vector loop: one of a
 * byte would make the compiler take 64 environments at once and run out of registers.
 */
#define REINI_STEP_RANGE(name, action_type, obs_size)                                                    \
    REINI_INLINE void name##_range_body(REINI_RANGE_PARAMS) {                                            \
        const name##_model model = name##_model_of(config);                                              \
        for (int base = 0; base < n; base += REINI_LANES) {                                              \
            int count = n - base < REINI_LANES ? n - base : REINI_LANES;                                 \
            name##_state *s = (name##_state *)states + base;                                             \
            const action_type *a = (const action_type *)actions + base;                                  \
            float *r = reward + base, *o = (float *)obs + (obs_size) * base;                             \
            int32_t ended[REINI_LANES];                                                                  \
            for (int i = 0; i < count; i++) {                                                            \
                name##_state next = s[i];                                                                \
                ended[i] = name##_lane(&model, &next, a[i], &r[i], o + (obs_size) * i);                  \
                s[i] = next;                                                                             \
            }                                                                                            \
            for (int i = 0; i < count; i++)                                                              \
                terminated[base + i] = (uint8_t)ended[i];                                                \
        }                                                                                                \
        memset(truncated, 0, (size_t)n);                                                                 \
    }                                                                                                    \
    REINI_FOR_LEVELS(name##_range, (REINI_RANGE_PARAMS), REINI_RANGE_ARGS)

#endif
