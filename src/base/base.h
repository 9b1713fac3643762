/*
 * base.h - what everything stands on: failing with a sentence, counted memory, logging.
 */
#ifndef REINI_BASE_H
#define REINI_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rein/status.h>

/* Records the sentence of a failure for rein_error and returns the code. Sentences name the thing, what was
 * expected, what was found and what to do, and end without a full stop or newline. */
rein_status reini_fail(rein_status status, const char *format, ...) REIN_PRINTF(2, 3);
/* Puts a prefix ("config.json: ") before the sentence already recorded; returns status. */
rein_status reini_fail_in(rein_status status, const char *format, ...) REIN_PRINTF(2, 3);
/* reini_fail(REIN_NOMEM, ...) for `bytes` bytes of `what`. */
rein_status reini_fail_memory(size_t bytes, const char *what);

void reini_log(rein_log_level level, const char *format, ...) REIN_PRINTF(2, 3);

#define REINI_TRY(expression)                                                                                \
    do {                                                                                                     \
        rein_status reini_status_ = (expression);                                                            \
        if (reini_status_ != REIN_OK)                                                                        \
            return reini_status_;                                                                            \
    } while (0)

/* Aborts with file and line when a programming error is found. On in debug and test builds. */
#ifdef REIN_ASSERTS
void reini_assert_failed(const char *what, const char *file, int line);
#define REINI_ASSERT(condition) ((condition) ? (void)0 : reini_assert_failed(#condition, __FILE__, __LINE__))
#else
#define REINI_ASSERT(condition) ((void)0)
#endif

/* ---- memory: zeroed, 64-byte aligned, counted ---------------------------------------------------------- */

void *reini_new(size_t bytes); /* NULL when out of memory; bytes 0 gives a valid pointer */
void reini_free(void *memory);
/* Grows by copying; the old block stays valid on failure (NULL). New bytes are zeroed. */
void *reini_grow(void *memory, size_t old_bytes, size_t new_bytes);
/* Growing arrays; `array` is the address of a pointer of any type, to items of `size` bytes. New items are zeroed, and on
 * REIN_NOMEM the array is as it was. reini_resize keeps the first `used` items; reini_reserve does nothing where *room
 * items are `wanted` or more, and doubles otherwise. */
rein_status reini_resize(void *array, size_t used, size_t items, size_t size, const char *what);
rein_status reini_reserve(void *array, size_t *room, size_t wanted, size_t size, const char *what);
char *reini_strdup(const char *text);
#define REINI_NEW(type)          ((type *)reini_new(sizeof(type)))
#define REINI_NEW_ARRAY(type, n) ((type *)reini_new_array((n), sizeof(type)))
void *reini_new_array(size_t n, size_t size); /* NULL on overflow too */

typedef struct reini_memory {
    uint64_t allocations; /* calls of reini_new and reini_grow so far */
    uint64_t live_bytes, peak_bytes;
} reini_memory;
reini_memory reini_memory_now(void);
/* Most bytes the whole process has held so far (its resident set), as the system counts; 0 where it does not. */
int64_t reini_memory_peak(void);
/* For large tables, before they are allocated: logs "what: 80.1 MB" (from 64 MB on) and fails when the machine does
 * not have the room (MemAvailable and the limit of the control group; passes where neither can be read). */
rein_status reini_memory_claim(size_t bytes, const char *what);
/* Test hook: room in bytes to assume instead of the machine's, 0 = the machine's. */
void reini_memory_assume(size_t room);
/* Test hook: the n-th allocation from now (1 = the next) fails, and all after it when `onwards`. 0 = off. */
void reini_memory_fail(uint64_t nth, bool onwards);

/* Nearest of n names by edit distance when close enough to be a slip of the keyboard, else NULL. */
const char *reini_nearest(const char *name, const char *const *names, int n);

#endif
