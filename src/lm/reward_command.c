/*
 * reward_command.c - a reward written in any language: a program that is started once and asked over and over.
 *
 * For every batch of answers the program gets one line of JSON each on its standard input,
 *
 *     {"id": 0, "line": 12, "prompt": "...", "completion": "...", "ended": true, ...the other columns of the row}
 *
 * and writes one line each on its standard output, in any order when it repeats the id, else in theirs:
 *
 *     {"id": 0, "reward": 0.5}      or {"reward": 0.5}, or only 0.5; null: no opinion
 *
 * What it writes on standard error goes where Rein's goes. It must flush after the last line of a batch; when its input
 * ends it should end as well.
 *
 * A program that dies, or takes longer than the time limit for a batch, is started again and asked the same batch once
 * more, `restarts` times; one that writes something else is not asked again. What is wrong is said with the row that
 * was waiting. The program leads a process group of its own, so an interrupt from the terminal does not reach it, and
 * all of the group is ended with it. Limits on memory and processor time are set (setrlimit, by the shell's ulimit)
 * before it starts and hold for each of its processes. They are limits, no sandbox: programs that a model writes can
 * read and delete files. Run the checker in a container or under a user without rights.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "lm/reward_parts.h"

enum { READ_BYTES = 1 << 16, LINE_MAX_BYTES = 1 << 20, GRACE = 40 /* waits of 5 ms for an end on its own */ };

typedef struct command {
    reini_reward_opts opts;
    char *text, *shell; /* the command, and the limits before it */
    char where[64];
    pid_t pid;   /* 0: not running */
    int in, out; /* its standard input and output, -1 = closed */
    /* of the batch under way */
    char *request;
    size_t n_request, request_room, written;
    char *line; /* what was read and is no whole line yet */
    size_t n_line, line_room;
    bool *answered; /* [room] */
    size_t room;
    int left; /* answers without a reward */
} command;

/* ---- the process ------------------------------------------------------------------------------------------- */

static void close_end(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Ends the program and everything in its group. */
static void stop(command *c) {
    close_end(&c->in);
    close_end(&c->out);
    if (c->pid <= 0)
        return;
    kill(-c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    c->pid = 0;
}

static int spawn_shell(command *c, int child_in, int child_out) {
    extern char **environ;
    char *const arguments[] = {"sh", "-c", c->shell, c->text, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, child_in, 0);
    posix_spawn_file_actions_adddup2(&actions, child_out, 1);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGINT);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawn(&c->pid, "/bin/sh", &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    c->pid = error ? 0 : c->pid;
    return error;
}

static rein_status start(command *c) {
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    int error = pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 ? errno : 0;
    if (!error)
        error = spawn_shell(c, in[0], out[1]);
    close_end(&in[0]);
    close_end(&out[1]);
    c->in = in[1];
    c->out = out[0];
    c->n_line = 0;
    if (!error && (fcntl(c->in, F_SETFL, O_NONBLOCK) != 0 || fcntl(c->out, F_SETFL, O_NONBLOCK) != 0))
        error = errno;
    if (!error)
        return REIN_OK;
    stop(c);
    return reini_fail(REIN_IO, "%s: \"%s\" cannot be started: %s", c->where, c->text, strerror(error));
}

/* Writes without a SIGPIPE, whatever the caller does with that signal: one that our write raises is taken back. */
static ssize_t write_quietly(int fd, const char *data, size_t n) {
    sigset_t pipe, before, waiting;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&waiting);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    ssize_t written = write(fd, data, n);
    int error = errno;
    if (written < 0 && error == EPIPE && !sigismember(&waiting, SIGPIPE)) {
        const struct timespec now = {0};
        sigtimedwait(&pipe, NULL, &now);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return written;
}

/* ---- the question ------------------------------------------------------------------------------------------ */

static rein_status append(command *c, const char *text) {
    size_t n = strlen(text);
    if (c->n_request + n + 1 > c->request_room) {
        size_t room = 2 * (c->n_request + n) + 4096;
        char *grown = reini_grow(c->request, c->request_room, room);
        if (!grown)
            return reini_fail_memory(room, c->where);
        c->request = grown;
        c->request_room = room;
    }
    memcpy(c->request + c->n_request, text, n);
    c->request[c->n_request + n] = '\n';
    c->n_request += n + 1;
    return REIN_OK;
}

static rein_status append_item(command *c, const reini_reward_item *item, int id) {
    json_t *row = item->row ? json_copy((json_t *)item->row) : json_object();
    bool whole = row && json_object_set_new(row, "id", json_integer(id)) == 0 &&
                 json_object_set_new(row, "line", json_integer(item->line)) == 0 &&
                 json_object_set_new(row, "prompt", json_string(item->prompt)) == 0 &&
                 json_object_set_new(row, "completion", json_string(item->text)) == 0 &&
                 json_object_set_new(row, "ended", json_boolean(item->ended)) == 0;
    char *text = whole ? reini_json_text(row, false) : NULL;
    json_decref(row);
    if (!text)
        return reini_fail_memory(strlen(item->text), c->where);
    rein_status status = append(c, text);
    reini_free(text);
    return status;
}

static rein_status make_request(command *c, const reini_reward_item *items, int n) {
    c->n_request = 0;
    if ((size_t)n > c->room) {
        reini_free(c->answered);
        c->answered = REINI_NEW_ARRAY(bool, (size_t)n);
        c->room = c->answered ? (size_t)n : 0;
        if (!c->answered)
            return reini_fail_memory((size_t)n, c->where);
    }
    for (int i = 0; i < n; i++)
        REINI_TRY(append_item(c, &items[i], i));
    return REIN_OK;
}

/* ---- the answer -------------------------------------------------------------------------------------------- */

static int first_open(const command *c, int n) {
    for (int i = 0; i < n; i++)
        if (!c->answered[i])
            return i;
    return n;
}

static rein_status rubbish(const command *c, const reini_reward_item *item, const char *line,
                           const char *what) {
    char place[400];
    return reini_fail(REIN_FORMAT,
                      "%s%s: \"%s\" wrote %s: \"%.120s\"; expected a line like {\"id\": 0, \"reward\": 0.5}",
                      reini_reward_place(place, &c->opts, item), c->where, c->text, what, line);
}

static rein_status take_line(command *c, const char *line, const reini_reward_item *items, int n,
                             double *value) {
    json_error_t error;
    int at = first_open(c, n);
    const reini_reward_item *waiting = &items[at < n ? at : n - 1];
    json_t *read = json_loads(line, JSON_DECODE_ANY, &error), *reward = read;
    rein_status status = REIN_OK;
    if (!read)
        return rubbish(c, waiting, line, "a line that is not JSON");
    if (json_is_object(read)) {
        const json_t *id = json_object_get(read, "id");
        reward = json_object_get(read, "reward");
        at = json_is_integer(id) ? (int)json_integer_value(id) : at;
    }
    if (at < 0 || at >= n || c->answered[at])
        status = rubbish(c, waiting, line, "a reward that nobody asked for");
    else if (!json_is_number(reward) && !json_is_null(reward))
        status = rubbish(c, &items[at], line, "a line without a reward");
    else {
        value[at] = json_is_null(reward) ? NAN : json_number_value(reward);
        c->answered[at] = true;
        c->left--;
    }
    json_decref(read);
    return status;
}

static rein_status take_lines(command *c, const reini_reward_item *items, int n, double *value) {
    size_t from = 0;
    for (size_t i = 0; i < c->n_line; i++) {
        if (c->line[i] != '\n')
            continue;
        c->line[i] = 0;
        if (c->line[from + strspn(c->line + from, " \t\r")])
            REINI_TRY(take_line(c, c->line + from, items, n, value));
        from = i + 1;
    }
    memmove(c->line, c->line + from, c->n_line - from);
    c->n_line -= from;
    if (c->n_line < LINE_MAX_BYTES)
        return REIN_OK;
    c->line[120] = 0;
    return rubbish(c, &items[first_open(c, n)], c->line, "a line without an end");
}

static rein_status room_to_read(command *c) {
    if (c->line_room >= c->n_line + READ_BYTES)
        return REIN_OK;
    size_t room = 2 * c->n_line + READ_BYTES;
    char *grown = reini_grow(c->line, c->line_room, room);
    if (!grown)
        return reini_fail_memory(room, c->where);
    c->line = grown;
    c->line_room = room;
    return REIN_OK;
}

/* ---- a batch ----------------------------------------------------------------------------------------------- */

/* how it ended, after its output did */
static void say_end(command *c, char *out, size_t size) {
    int status = 0;
    double until = reini_seconds() + 1;
    pid_t ended = 0;
    while (ended == 0 && reini_seconds() < until) {
        ended = waitpid(c->pid, &status, WNOHANG);
        if (ended == 0)
            poll(NULL, 0, 5);
    }
    if (ended != c->pid)
        snprintf(out, size, "closed its output");
    else if (WIFSIGNALED(status))
        snprintf(out, size, "was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(out, size, "ended with code %d%s", WEXITSTATUS(status),
                 WEXITSTATUS(status) == 127   ? ", which means that there is no such program"
                 : WEXITSTATUS(status) == 126 ? ", which means that it cannot be executed"
                                              : "");
    if (ended == c->pid) {
        kill(-c->pid, SIGKILL); /* what it started and left */
        c->pid = 0;
    }
}

/* The program is gone or silent: *again. Anything else it did wrong is final. */
static rein_status lost(command *c, const reini_reward_item *items, int n, bool dead, bool *again) {
    char place[400], how[128];
    *again = true;
    if (dead)
        say_end(c, how, sizeof how);
    else
        snprintf(how, sizeof how, "gave no answer for %g s (--reward_timeout)", c->opts.timeout);
    return reini_fail(REIN_IO, "%s%s: \"%s\" %s; %d of %d rewards were missing",
                      reini_reward_place(place, &c->opts, &items[first_open(c, n)]), c->where, c->text, how,
                      c->left, n);
}

static void write_more(command *c) {
    ssize_t n = write_quietly(c->in, c->request + c->written, c->n_request - c->written);
    if (n > 0)
        c->written += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        c->written = c->n_request; /* it reads no more; what its output says decides */
}

static rein_status read_more(command *c, const reini_reward_item *items, int n, double *value, bool *dead) {
    REINI_TRY(room_to_read(c));
    ssize_t got = read(c->out, c->line + c->n_line, READ_BYTES);
    *dead = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    if (got <= 0)
        return REIN_OK;
    c->n_line += (size_t)got;
    return take_lines(c, items, n, value);
}

static rein_status ask(command *c, const reini_reward_item *items, int n, double *value, bool *again) {
    double until = reini_seconds() + c->opts.timeout;
    c->written = 0;
    c->left = n;
    memset(c->answered, 0, (size_t)n * sizeof *c->answered);
    if (c->pid == 0)
        REINI_TRY(start(c));
    while (c->left > 0) {
        bool dead = false;
        double wait = until - reini_seconds();
        if (wait <= 0)
            return lost(c, items, n, false, again);
        struct pollfd ends[] = {{c->out, POLLIN, 0}, {c->written < c->n_request ? c->in : -1, POLLOUT, 0}};
        if (poll(ends, 2, wait > 100 ? 100000 : (int)(wait * 1000) + 1) < 0)
            continue;
        if (ends[1].revents)
            write_more(c);
        if (ends[0].revents)
            REINI_TRY(read_more(c, items, n, value, &dead));
        if (dead)
            return lost(c, items, n, true, again);
    }
    return REIN_OK;
}

static rein_status score_command(void *state, const reini_reward_item *items, int n, double *value) {
    command *c = state;
    if (n == 0)
        return REIN_OK;
    REINI_TRY(make_request(c, items, n));
    for (int attempt = 0;; attempt++) {
        bool again = false;
        rein_status status = ask(c, items, n, value, &again);
        if (status == REIN_OK)
            return status;
        stop(c);
        if (!again || attempt >= c->opts.restarts)
            return status;
        reini_log(REIN_LOG_WARNING, "%s; it is started again", rein_error());
    }
}

/* ---- opening ----------------------------------------------------------------------------------------------- */

static void close_command(void *state) {
    command *c = state;
    /* the end of its input is the sign to end; then it is ended */
    close_end(&c->in);
    for (int i = 0; i < GRACE && c->pid > 0; i++) {
        if (waitpid(c->pid, NULL, WNOHANG) == c->pid) {
            kill(-c->pid, SIGKILL); /* what it started and left */
            c->pid = 0;
        } else {
            poll(NULL, 0, 5);
        }
    }
    stop(c);
    reini_free(c->text);
    reini_free(c->shell);
    reini_free(c->request);
    reini_free(c->line);
    reini_free(c->answered);
    reini_free(c);
}

static rein_status open_command(const char *argument, const reini_reward_opts *opts, const char *where,
                                void **state) {
    char shell[256];
    int n = snprintf(shell, sizeof shell, "ulimit -c 0; ");
    command *c = REINI_NEW(command);
    if (!c)
        return reini_fail_memory(sizeof *c, where);
    *state = c;
    c->opts = *opts;
    c->in = c->out = -1;
    snprintf(c->where, sizeof c->where, "%s", where);
    if (opts->memory_mb > 0)
        n += snprintf(shell + n, sizeof shell - (size_t)n, "ulimit -v %lld; ",
                      (long long)opts->memory_mb * 1024);
    if (opts->cpu_seconds > 0)
        n += snprintf(shell + n, sizeof shell - (size_t)n, "ulimit -t %lld; ", (long long)opts->cpu_seconds);
    snprintf(shell + n, sizeof shell - (size_t)n, "exec /bin/sh -c \"$0\"");
    c->text = reini_strdup(argument);
    c->shell = reini_strdup(shell);
    return c->text && c->shell ? REIN_OK : reini_fail_memory(strlen(argument), where);
}

const reini_reward_kind reini_reward_command_kind = {
    .name = "command",
    .needs_argument = true,
    .open = open_command,
    .close = close_command,
    .score = score_command,
};
