/*
 * check.h - cmocka with its includes, checks on failing calls, and cases of one thread.
 */
#ifndef CHECK_H
#define CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <rein/status.h>

/* the call succeeds; otherwise its sentence is shown */
#define assert_ok(call)                                                                                      \
    do {                                                                                                     \
        if ((call) != REIN_OK)                                                                               \
            fail_msg("%s: %s", #call, rein_error());                                                         \
    } while (0)

/* the call fails with this status and a sentence that contains these words */
#define assert_fails(call, expected, words)                                                                  \
    do {                                                                                                     \
        rein_status status_ = (call);                                                                        \
        if (status_ != (expected) || !strstr(rein_error(), words))                                           \
            fail_msg("%s: status %d, sentence \"%s\", expected %d and \"%s\"", #call, (int)status_,          \
                     rein_error(), (int)(expected), words);                                                  \
    } while (0)

#if defined(__SANITIZE_THREAD__)
#define UNDER_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_THREAD_SANITIZER 1
#endif
#endif
#ifndef UNDER_THREAD_SANITIZER
#define UNDER_THREAD_SANITIZER 0
#endif

/* first in a long case that keeps to one thread: the thread sanitizer has nothing to find there, at twenty times the
 * time */
#define one_thread_only()                                                                                    \
    do {                                                                                                     \
        if (UNDER_THREAD_SANITIZER)                                                                          \
            skip();                                                                                          \
    } while (0)

#endif
