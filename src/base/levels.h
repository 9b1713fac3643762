/*
 * levels.h - one plain loop compiled for every instruction-set level, the right copy chosen at run time.
 *
 * A file writes `name_body` once as an always-inlined function and defines `name` with REINI_FOR_LEVELS. The
 * compiler vectorises one copy for each level. Function attributes rather than target_clones, because indirect
 * functions are resolved before a sanitizer's run time is up. Contraction is off, so all levels give the same bits.
 */
#ifndef REINI_LEVELS_H
#define REINI_LEVELS_H

enum { REINI_ISA_PORTABLE, REINI_ISA_AVX2, REINI_ISA_AVX512 };

/* The machine's level under REIN_CPU= ("portable", "avx2", "avx512"; anything else is ignored) and the test cap. */
int reini_isa(void);
/* Test hook: at most this level from now on; a negative level lifts the cap. Not while loops run. */
void reini_isa_cap(int level);

/* Inlined for sure: a copy per level needs the body itself, not a call. */
#define REINI_INLINE static inline __attribute__((always_inline))

/* Defines `name` with parameters `params`, which calls name_body with `args` at the level of the machine. */
#if defined(__x86_64__) && defined(__GNUC__)
#define REINI_TARGET_AVX2 __attribute__((target("avx2")))
#if defined(__clang__)
#define REINI_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#else
#define REINI_TARGET_AVX512                                                                                  \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))
#endif
#define REINI_FOR_LEVELS(name, params, args)                                                                 \
    REINI_TARGET_AVX2 static void name##_avx2 params {                                                       \
        name##_body args;                                                                                    \
    }                                                                                                        \
    REINI_TARGET_AVX512 static void name##_avx512 params {                                                   \
        name##_body args;                                                                                    \
    }                                                                                                        \
    static void name params {                                                                                \
        int isa = reini_isa();                                                                               \
        if (isa == REINI_ISA_AVX512)                                                                         \
            name##_avx512 args;                                                                              \
        else if (isa == REINI_ISA_AVX2)                                                                      \
            name##_avx2 args;                                                                                \
        else                                                                                                 \
            name##_body args;                                                                                \
    }
#else
#define REINI_FOR_LEVELS(name, params, args)                                                                 \
    static void name params {                                                                                \
        name##_body args;                                                                                    \
    }
#endif

#endif
