/*
 * line_process.h - a program that is started once and asked over and over, in lines of JSON: rewards and judges written
 * in any language.
 *
 * For every question of a batch the program gets one line on its standard input, a JSON object with an "id" that counts
 * from 0, and writes one line each on its standard output, in any order when it repeats the id, else in theirs. What it
 * writes on standard error goes where Rein's goes. It must flush after the last line of a batch; when its input ends it
 * should end as well.
 *
 * A program that dies, or takes longer than the time limit for a batch, is started again and asked the same batch once
 * more, `restarts` times; one that writes something else is not asked again. What is wrong is said with the question that
 * was waiting. The program leads a process group of its own, so an interrupt from the terminal does not reach it, and
 * all of the group is ended with it. Limits on memory and processor time are set (setrlimit, by the shell's ulimit)
 * before it starts and hold for each of its processes. They are limits, no sandbox: programs that a model writes can
 * read and delete files. Run the checker in a container or under a user without rights.
 */
#ifndef REINI_LINE_PROCESS_H
#define REINI_LINE_PROCESS_H

#include <signal.h>
#include <jansson.h>
#include "base/base.h"

typedef struct reini_line_process_opts {
    const char *command;  /* for /bin/sh */
    const char *where;    /* "reward command", for sentences */
    const char *noun;     /* what an answer is, "reward" */
    const char *expected; /* "a line like {...}" */
    const char *time_option;
    double timeout; /* seconds for a batch */
    int restarts;
    int64_t memory_mb, cpu_seconds;    /* of its processes, each; 0 = any */
    const volatile sig_atomic_t *stop; /* a batch is given up when it is set; NULL = never */
} reini_line_process_opts;

/* Who asks. */
typedef struct reini_line_asker {
    void *user;
    /* "FILE:LINE: " of a question, into out */
    const char *(*place)(void *user, int question, char out[400]);
    /* Takes an answer; what is wrong with it, "a line without a reward", or NULL. */
    const char *(*take)(void *user, int question, const json_t *answer);
} reini_line_asker;

typedef struct reini_line_process reini_line_process;

rein_status reini_line_process_new(const reini_line_process_opts *opts, reini_line_process **out);
void reini_line_process_free(reini_line_process *p); /* NULL is accepted */
/* Starts a batch; adds a question to it, whose "id" is set. */
void reini_line_process_begin(reini_line_process *p);
rein_status reini_line_process_add(reini_line_process *p, json_t *question);
/* Asks what was added; each question is taken at most once in an attempt. */
rein_status reini_line_process_ask(reini_line_process *p, const reini_line_asker *asker);

#endif
