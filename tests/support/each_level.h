/*
 * each_level.h - a group of tests once for every instruction-set level of the machine.
 *
 * The level is decided once in a process, so every level gets a child of its own.
 */
#ifndef EACH_LEVEL_H
#define EACH_LEVEL_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/levels.h"

/* `group` runs tests and returns the number that failed; one run when REIN_CPU chooses the level already */
static inline int each_level(int (*group)(const char *level)) {
    static const char *const levels[] = {"portable", "avx2", "avx512"};
    int failed = 0;
    if (getenv("REIN_CPU") != NULL)
        return group(getenv("REIN_CPU"));
    for (int i = REINI_ISA_PORTABLE; i <= REINI_ISA_AVX512; i++) {
        int how;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            setenv("REIN_CPU", levels[i], 1);
            int result = reini_isa() == i ? group(levels[i]) : 0; /* 0: the machine lacks it */
            fflush(NULL);
            exit(result); /* not _exit: the leak checker reports at the end */
        }
        failed += waitpid(child, &how, 0) != child || !WIFEXITED(how) || WEXITSTATUS(how) != 0;
    }
    return failed;
}

#endif
