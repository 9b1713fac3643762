/*
 * status.h - status codes, the error sentence, the log hook and the version.
 *
 * Functions that can fail for reasons outside the program return a rein_status. The sentence that goes
 * with a failure (what was expected, what was found, what to do) is kept per thread:
 *
 *     if (rein_train(&opts, &summary) != REIN_OK)
 *         fprintf(stderr, "%s\n", rein_error());
 *
 * The library never prints, never exits and never reads the environment, REIN_CPU excepted.
 */
#ifndef REIN_STATUS_H
#define REIN_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define REIN_API
#else
#define REIN_API __attribute__((visibility("default")))
#endif

#if defined(__GNUC__)
#define REIN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define REIN_PRINTF(fmt, args)
#endif

/* code, meaning */
#define REIN_STATUS_LIST(X)                                                                                  \
    X(OK, "success")                                                                                         \
    X(USAGE, "wrong usage: an argument, a name or a value is wrong")                                         \
    X(NOMEM, "out of memory")                                                                                \
    X(IO, "a file could not be read or written")                                                             \
    X(FORMAT, "a file is damaged or not of the expected kind")                                               \
    X(MISMATCH, "two things that must fit together do not")                                                  \
    X(UNSUPPORTED, "this build or this method cannot do that")                                               \
    X(DIVERGED, "training diverged: losses or gradients not finite")                                         \
    X(INTERRUPTED, "stopped on request")                                                                     \
    X(INTERNAL, "an internal error")

typedef enum rein_status {
#define X(code, text) REIN_##code,
    REIN_STATUS_LIST(X)
#undef X
} rein_status;

/* Short meaning of a status code; a static string. */
REIN_API const char *rein_status_text(rein_status status);

/* The sentence of this thread's last failure, "" if none. Valid until the thread's next failing call. */
REIN_API const char *rein_error(void);

typedef enum rein_log_level { REIN_LOG_DEBUG, REIN_LOG_INFO, REIN_LOG_WARNING } rein_log_level;

/* Called with one line, without its newline. May be called from any thread. */
typedef void rein_log_fn(void *user, rein_log_level level, const char *line);

/* Sets the process-wide log hook; NULL silences (the default). Call before any other thread uses Rein. */
REIN_API void rein_set_log(rein_log_fn *fn, void *user);

/* "0.1.0", and a longer line with the build's options ("libxsmm yes, oneDNN yes, ..."). */
REIN_API const char *rein_version(void);
REIN_API const char *rein_build_info(void);

/* The instruction-set level that kernels run at: "portable", "avx2" or "avx512" (REIN_CPU= caps it). */
REIN_API const char *rein_cpu_level(void);

#ifdef __cplusplus
}
#endif
#endif
