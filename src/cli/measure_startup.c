/*
 * measure_startup.c - what the command costs before it does anything.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "measure.h"

extern char **environ;

/* Milliseconds of one "rein version"; negative when it could not be run. */
static double version_ms(void) {
    char self[] = "/proc/self/exe", name[] = "rein", verb[] = "version";
    char *argv[] = {name, verb, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int wait_status = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    double start = measure_now();
    bool ran =
        posix_spawn(&pid, self, &actions, NULL, argv, environ) == 0 && waitpid(pid, &wait_status, 0) == pid;
    double ms = 1e3 * (measure_now() - start);
    posix_spawn_file_actions_destroy(&actions);
    return ran && wait_status == 0 ? ms : -1;
}

rein_status measure_startup(measure *m) {
    double *ms = calloc((size_t)m->repeats, sizeof *ms);
    if (!ms)
        return REIN_NOMEM;
    int n = 0;
    for (int i = 0; i < m->repeats; i++) {
        double one = version_ms();
        if (one >= 0)
            ms[n++] = one;
    }
    if (n > 0)
        measure_result(m, "startup", measure_median(ms, n), "ms");
    free(ms);
    return REIN_OK;
}
