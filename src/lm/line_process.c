/*
 * line_process.c - the process behind line_process.h: pipes, time limits, restarts.
 */
#define _GNU_SOURCE
#include "lm/line_process.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"

enum { READ_BYTES = 1 << 16, LINE_MAX_BYTES = 1 << 20, GRACE = 40 /* waits of 5 ms for an end on its own */ };

struct reini_line_process {
    reini_line_process_opts opts;
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
    int n, left; /* questions; those without an answer */
};

typedef reini_line_process process;

/* ---- the process ------------------------------------------------------------------------------------------- */

static void close_end(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Ends the program and everything in its group. */
static void stop(process *p) {
    close_end(&p->in);
    close_end(&p->out);
    if (p->pid <= 0)
        return;
    kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    p->pid = 0;
}

static int spawn_shell(process *p, int child_in, int child_out) {
    extern char **environ;
    char *const arguments[] = {"sh", "-c", p->shell, p->text, NULL};
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
    int error = posix_spawn(&p->pid, "/bin/sh", &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    p->pid = error ? 0 : p->pid;
    return error;
}

static rein_status start(process *p) {
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    int error = pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 ? errno : 0;
    if (!error)
        error = spawn_shell(p, in[0], out[1]);
    close_end(&in[0]);
    close_end(&out[1]);
    p->in = in[1];
    p->out = out[0];
    p->n_line = 0;
    if (!error && (fcntl(p->in, F_SETFL, O_NONBLOCK) != 0 || fcntl(p->out, F_SETFL, O_NONBLOCK) != 0))
        error = errno;
    if (!error)
        return REIN_OK;
    stop(p);
    return reini_fail(REIN_IO, "%s: \"%s\" cannot be started: %s", p->where, p->text, strerror(error));
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

static rein_status append(process *p, const char *text) {
    size_t n = strlen(text);
    REINI_TRY(reini_reserve(&p->request, &p->request_room, p->n_request + n + 1, 1, p->where));
    memcpy(p->request + p->n_request, text, n);
    p->request[p->n_request + n] = '\n';
    p->n_request += n + 1;
    return REIN_OK;
}

void reini_line_process_begin(process *p) {
    p->n_request = 0;
    p->n = 0;
}

rein_status reini_line_process_add(process *p, json_t *question) {
    REINI_TRY(reini_reserve(&p->answered, &p->room, (size_t)p->n + 1, sizeof *p->answered, p->where));
    bool whole = question && json_object_set_new(question, "id", json_integer(p->n)) == 0;
    char *text = whole ? reini_json_text(question, false) : NULL;
    if (!text)
        return reini_fail_memory(4096, p->where);
    rein_status status = append(p, text);
    reini_free(text);
    p->n += status == REIN_OK;
    return status;
}

/* ---- the answer -------------------------------------------------------------------------------------------- */

static int first_open(const process *p) {
    for (int i = 0; i < p->n; i++)
        if (!p->answered[i])
            return i;
    return p->n;
}

static rein_status rubbish(const process *p, const reini_line_asker *asker, int question, const char *line,
                           const char *what) {
    char place[400];
    return reini_fail(REIN_FORMAT, "%s%s: \"%s\" wrote %s: \"%.120s\"; expected %s",
                      asker->place(asker->user, question, place), p->where, p->text, what, line,
                      p->opts.expected);
}

static rein_status take_line(process *p, const char *line, const reini_line_asker *asker) {
    json_error_t error;
    char what[80];
    int at = first_open(p), waiting = at < p->n ? at : p->n - 1;
    json_t *read = json_loads(line, JSON_DECODE_ANY, &error);
    const json_t *id = json_object_get(read, "id");
    rein_status status = REIN_OK;
    if (!read)
        return rubbish(p, asker, waiting, line, "a line that is not JSON");
    /* an id beyond int must not come back as a small one */
    if (json_is_integer(id))
        at = json_integer_value(id) >= 0 && json_integer_value(id) < p->n ? (int)json_integer_value(id) : -1;
    if (at < 0 || at >= p->n || p->answered[at]) {
        snprintf(what, sizeof what, "a %s that nobody asked for", p->opts.noun);
        status = rubbish(p, asker, waiting, line, what);
    } else {
        const char *wrong = asker->take(asker->user, at, read);
        p->answered[at] = true;
        p->left--;
        if (wrong)
            status = rubbish(p, asker, at, line, wrong);
    }
    json_decref(read);
    return status;
}

static rein_status take_lines(process *p, const reini_line_asker *asker) {
    size_t from = 0;
    for (size_t i = 0; i < p->n_line; i++) {
        if (p->line[i] != '\n')
            continue;
        p->line[i] = 0;
        if (p->line[from + strspn(p->line + from, " \t\r")])
            REINI_TRY(take_line(p, p->line + from, asker));
        from = i + 1;
    }
    memmove(p->line, p->line + from, p->n_line - from);
    p->n_line -= from;
    if (p->n_line < LINE_MAX_BYTES)
        return REIN_OK;
    p->line[120] = 0;
    int waiting = first_open(p);
    return rubbish(p, asker, waiting < p->n ? waiting : p->n - 1, p->line, "a line without an end");
}

/* ---- a batch ----------------------------------------------------------------------------------------------- */

/* how it ended, after its output did */
static void say_end(process *p, char *out, size_t size) {
    int status = 0;
    double until = reini_seconds() + 1;
    pid_t ended = 0;
    while (ended == 0 && reini_seconds() < until) {
        ended = waitpid(p->pid, &status, WNOHANG);
        if (ended == 0)
            poll(NULL, 0, 5);
    }
    if (ended != p->pid)
        snprintf(out, size, "closed its output");
    else if (WIFSIGNALED(status))
        snprintf(out, size, "was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(out, size, "ended with code %d%s", WEXITSTATUS(status),
                 WEXITSTATUS(status) == 127   ? ", which means that there is no such program"
                 : WEXITSTATUS(status) == 126 ? ", which means that it cannot be executed"
                                              : "");
    if (ended == p->pid) {
        kill(-p->pid, SIGKILL); /* what it started and left */
        p->pid = 0;
    }
}

/* The program is gone or silent: *again. Anything else it did wrong is final. */
static rein_status lost(process *p, const reini_line_asker *asker, bool dead, bool *again) {
    char place[400], how[128];
    *again = true;
    if (dead)
        say_end(p, how, sizeof how);
    else
        snprintf(how, sizeof how, "gave no answer for %g s (%s)", p->opts.timeout, p->opts.time_option);
    return reini_fail(REIN_IO, "%s%s: \"%s\" %s; %d of %d %ss were missing",
                      asker->place(asker->user, first_open(p), place), p->where, p->text, how, p->left, p->n,
                      p->opts.noun);
}

static void write_more(process *p) {
    ssize_t n = write_quietly(p->in, p->request + p->written, p->n_request - p->written);
    if (n > 0)
        p->written += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        p->written = p->n_request; /* it reads no more; what its output says decides */
}

static rein_status read_more(process *p, const reini_line_asker *asker, bool *dead) {
    REINI_TRY(reini_reserve(&p->line, &p->line_room, p->n_line + READ_BYTES, 1, p->where));
    ssize_t got = read(p->out, p->line + p->n_line, READ_BYTES);
    *dead = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    if (got <= 0)
        return REIN_OK;
    p->n_line += (size_t)got;
    return take_lines(p, asker);
}

static rein_status ask(process *p, const reini_line_asker *asker, bool *again) {
    double until = reini_seconds() + p->opts.timeout;
    p->written = 0;
    p->left = p->n;
    memset(p->answered, 0, (size_t)p->n * sizeof *p->answered);
    if (p->pid == 0)
        REINI_TRY(start(p));
    while (p->left > 0) {
        bool dead = false;
        double wait = until - reini_seconds();
        if (p->opts.stop && *p->opts.stop)
            return reini_fail(REIN_INTERRUPTED, "stopped while \"%s\" was asked", p->text);
        if (wait <= 0)
            return lost(p, asker, false, again);
        /* a signal that comes just before poll does not end it */
        wait = p->opts.stop && wait > 0.2 ? 0.2 : wait;
        struct pollfd ends[] = {{p->out, POLLIN, 0}, {p->written < p->n_request ? p->in : -1, POLLOUT, 0}};
        if (poll(ends, 2, wait > 100 ? 100000 : (int)(wait * 1000) + 1) < 0)
            continue;
        if (ends[1].revents)
            write_more(p);
        if (ends[0].revents)
            REINI_TRY(read_more(p, asker, &dead));
        if (dead)
            return lost(p, asker, true, again);
    }
    return REIN_OK;
}

rein_status reini_line_process_ask(process *p, const reini_line_asker *asker) {
    for (int attempt = 0; p->n > 0; attempt++) {
        bool again = false;
        rein_status status = ask(p, asker, &again);
        if (status == REIN_OK)
            return status;
        stop(p);
        if (!again || attempt >= p->opts.restarts)
            return status;
        reini_log(REIN_LOG_WARNING, "%s; it is started again", rein_error());
    }
    return REIN_OK;
}

/* ---- opening ----------------------------------------------------------------------------------------------- */

void reini_line_process_free(process *p) {
    if (!p)
        return;
    /* the end of its input is the sign to end; then it is ended */
    close_end(&p->in);
    for (int i = 0; i < GRACE && p->pid > 0; i++) {
        if (waitpid(p->pid, NULL, WNOHANG) == p->pid) {
            kill(-p->pid, SIGKILL); /* what it started and left */
            p->pid = 0;
        } else {
            poll(NULL, 0, 5);
        }
    }
    stop(p);
    reini_free(p->text);
    reini_free(p->shell);
    reini_free(p->request);
    reini_free(p->line);
    reini_free(p->answered);
    reini_free(p);
}

rein_status reini_line_process_new(const reini_line_process_opts *opts, process **out) {
    char shell[256];
    int n = snprintf(shell, sizeof shell, "ulimit -c 0; ");
    process *p = REINI_NEW(process);
    *out = NULL;
    if (!p)
        return reini_fail_memory(sizeof *p, opts->where);
    p->opts = *opts;
    p->in = p->out = -1;
    snprintf(p->where, sizeof p->where, "%s", opts->where);
    if (opts->memory_mb > 0)
        n += snprintf(shell + n, sizeof shell - (size_t)n, "ulimit -v %lld; ",
                      (long long)opts->memory_mb * 1024);
    if (opts->cpu_seconds > 0)
        n += snprintf(shell + n, sizeof shell - (size_t)n, "ulimit -t %lld; ", (long long)opts->cpu_seconds);
    snprintf(shell + n, sizeof shell - (size_t)n, "exec /bin/sh -c \"$0\"");
    p->text = reini_strdup(opts->command);
    p->shell = reini_strdup(shell);
    if (p->text && p->shell) {
        *out = p;
        return REIN_OK;
    }
    reini_line_process_free(p);
    return reini_fail_memory(strlen(opts->command), opts->where);
}
