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

#include <stdint.h>

enum { REINI_ISA_PORTABLE, REINI_ISA_AVX2, REINI_ISA_AVX512 };

/* The level in use: rein_cpu_level, or less after reini_env_isa_cap. */
int reini_env_isa(void);
/* Test hook: use at most this level; a negative level lifts the cap. Not while environments step. */
void reini_env_isa_cap(int level);

#define REINI_RANGE_PARAMS                                                                               \
    const void *config, void *states, const void *actions, int n, float *reward, uint8_t *terminated,    \
        uint8_t *truncated, void *obs
#define REINI_RANGE_ARGS config, states, actions, n, reward, terminated, truncated, obs

#if defined(__x86_64__) && defined(__GNUC__)
#define REINI_HAS_X86 1
#define REINI_TARGET_AVX2 __attribute__((target("avx2")))
#if defined(__clang__)
#define REINI_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#else
#define REINI_TARGET_AVX512                                                                              \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))
#endif
#define REINI_STEP_RANGE(name)                                                                           \
    REINI_TARGET_AVX2 static void name##_avx2(REINI_RANGE_PARAMS) {                                      \
        name##_body(REINI_RANGE_ARGS);                                                                   \
    }                                                                                                    \
    REINI_TARGET_AVX512 static void name##_avx512(REINI_RANGE_PARAMS) {                                  \
        name##_body(REINI_RANGE_ARGS);                                                                   \
    }                                                                                                    \
    static void name(REINI_RANGE_PARAMS) {                                                               \
        int isa = reini_env_isa();                                                                       \
        if (isa == REINI_ISA_AVX512)                                                                     \
            name##_avx512(REINI_RANGE_ARGS);                                                             \
        else if (isa == REINI_ISA_AVX2)                                                                  \
            name##_avx2(REINI_RANGE_ARGS);                                                               \
        else                                                                                             \
            name##_body(REINI_RANGE_ARGS);                                                               \
    }
#else
#define REINI_STEP_RANGE(name)                                                                           \
    static void name(REINI_RANGE_PARAMS) {                                                               \
        name##_body(REINI_RANGE_ARGS);                                                                   \
    }
#endif

#endif
