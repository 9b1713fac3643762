/*
 * command.h - runs the built `rein` as a user would: arguments in, exit code and both outputs back.
 *
 * Outputs go through files rather than pipes, so nothing can block however much is written.
 * Include it first: it asks for GNU extensions.
 */
#ifndef COMMAND_H
#define COMMAND_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "support/temp_dir.h"

extern char **environ;

typedef struct command {
    int code;  /* exit code, 128 + signal when killed */
    char *out; /* stdout and stderr, 0-terminated */
    char *err;
} command;

static inline void command_release(command *c) {
    free(c->out);
    free(c->err);
    *c = (command){0};
}

static int command_count;
static const char *command_input = "/dev/null"; /* standard input of what is started next */

static inline const char *command_output(int id, const char *which) {
    char name[64];
    snprintf(name, sizeof name, "command-%d.%s", id, which);
    return temp_path(name);
}

/* Starts `REIN_BINARY argv[1] ...` in the test's directory; its id names the outputs. stdout_to NULL = a file. */
static inline pid_t command_start(char **argv, const char *stdout_to, int *id) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t stops;
    pid_t pid;
    *id = command_count++;
    int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, command_input, O_RDONLY, 0);
    if (stdout_to)
        posix_spawn_file_actions_addopen(&actions, 1, stdout_to, O_WRONLY, 0);
    else
        posix_spawn_file_actions_addopen(&actions, 1, command_output(*id, "out"), flags, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, command_output(*id, "err"), flags, 0600);
    posix_spawn_file_actions_addchdir_np(&actions, temp_dir);
    /* tests that were started in the background ignore Ctrl-C; what they start shall not */
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &stops);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    if (posix_spawn(&pid, REIN_BINARY, &actions, &attributes, argv, environ) != 0)
        abort();
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static inline command command_finish(pid_t pid, int id) {
    command c = {-1, NULL, NULL};
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    c.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    c.out = access(command_output(id, "out"), R_OK) == 0 ? temp_read(command_output(id, "out"), NULL)
                                                         : strdup("");
    c.err = temp_read(command_output(id, "err"), NULL);
    return c;
}

#define COMMAND_ARGUMENTS 64

/* command_run("train", "ppo", NULL) */
static inline command command_run(const char *first, ...) {
    char *argv[COMMAND_ARGUMENTS + 2] = {(char *)"rein"};
    int n = 1, id;
    va_list list;
    va_start(list, first);
    for (const char *a = first; a && n < COMMAND_ARGUMENTS; a = va_arg(list, const char *))
        argv[n++] = (char *)(uintptr_t)a;
    va_end(list);
    pid_t pid = command_start(argv, NULL, &id);
    return command_finish(pid, id);
}

#endif
