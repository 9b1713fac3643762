/*
 * status.c - the error sentence of each thread, the log hook, version and build options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"

#define SENTENCE_MAX 1024
#define LOG_LINE_MAX 1024

static _Thread_local char sentence[SENTENCE_MAX];

const char *rein_error(void) {
    return sentence;
}

const char *rein_status_text(rein_status status) {
    switch (status) {
#define X(code, text)                                                                                        \
    case REIN_##code:                                                                                        \
        return text;
        REIN_STATUS_LIST(X)
#undef X
    }
    return "an unknown status code";
}

/* the arguments may point into the old sentence, so the new one is built beside it */
rein_status reini_fail(rein_status status, const char *format, ...) {
    char next[SENTENCE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(next, sizeof next, format, args);
    va_end(args);
    memcpy(sentence, next, sizeof sentence);
    return status;
}

rein_status reini_fail_in(rein_status status, const char *format, ...) {
    char next[SENTENCE_MAX];
    va_list args;
    va_start(args, format);
    int used = vsnprintf(next, sizeof next, format, args);
    va_end(args);
    size_t at = used < 0 ? 0 : (size_t)used < sizeof next ? (size_t)used : sizeof next - 1;
    size_t rest = strnlen(sentence, sizeof next - 1 - at);
    memcpy(next + at, sentence, rest);
    next[at + rest] = 0;
    memcpy(sentence, next, at + rest + 1);
    return status;
}

rein_status reini_fail_memory(size_t bytes, const char *what) {
    if (bytes < (size_t)10 << 20)
        return reini_fail(REIN_NOMEM, "out of memory: %zu bytes for %s could not be allocated", bytes, what);
    return reini_fail(REIN_NOMEM, "out of memory: %zu MiB for %s could not be allocated", bytes >> 20, what);
}

#ifdef REIN_ASSERTS
void reini_assert_failed(const char *what, const char *file, int line) {
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, what);
    abort();
}
#endif

/* ---- log ----------------------------------------------------------------------------------------------- */

/* set once, before other threads use the library */
static rein_log_fn *log_fn;
static void *log_user;

void rein_set_log(rein_log_fn *fn, void *user) {
    log_fn = fn;
    log_user = user;
}

void reini_log(rein_log_level level, const char *format, ...) {
    if (!log_fn)
        return;
    char line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log_fn(log_user, level, line);
}

/* ---- version ------------------------------------------------------------------------------------------- */

/* written by the build; other ways of compiling this file do without */
#if __has_include("rein_build.h")
#include "rein_build.h"
#else
#define REIN_BUILD_VERSION "0.1.0"
#define REIN_BUILD_ID      "unknown build"
#define REIN_BUILD_OPTIONS "unknown options"
#endif

const char *rein_version(void) {
    return REIN_BUILD_VERSION;
}

#ifdef REIN_HAVE_LIBXSMM
#define LIBXSMM "libxsmm yes"
#else
#define LIBXSMM "libxsmm no"
#endif
#ifdef REIN_HAVE_DNNL
#define DNNL "oneDNN yes"
#else
#define DNNL "oneDNN no"
#endif
#ifdef REIN_HAVE_MUJOCO
#define MUJOCO "MuJoCo yes"
#else
#define MUJOCO "MuJoCo no"
#endif
#ifdef REIN_ASSERTS
#define ASSERTS "assertions on"
#else
#define ASSERTS "assertions off"
#endif
#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown compiler"
#endif

const char *rein_build_info(void) {
    return "rein " REIN_BUILD_VERSION " (" REIN_BUILD_ID "), " COMPILER ", " REIN_BUILD_OPTIONS ", " LIBXSMM
           ", " DNNL ", " MUJOCO ", " ASSERTS;
}
