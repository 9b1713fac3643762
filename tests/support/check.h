/*
 * check.h - cmocka with its includes, and checks on failing calls.
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

#endif
