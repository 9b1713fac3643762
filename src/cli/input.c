/*
 * input.c - lines that a person types, or a pipe brings: waiting for one ends when a signal asks to stop.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

enum { LINE_BLOCK = 4096, LINE_WAIT_MS = 200 /* a signal just before poll does not end it */ };

/* more input behind what is there; false at its end, after a failure and when asked to stop */
static bool read_more(cli_lines *l) {
    if (l->n + LINE_BLOCK + 1 > l->room) {
        size_t room = 2 * l->room + LINE_BLOCK + 1;
        char *grown = realloc(l->text, room);
        if (!grown)
            return false;
        l->text = grown;
        l->room = room;
    }
    while (!cli_stop) {
        struct pollfd input = {STDIN_FILENO, POLLIN, 0};
        if (poll(&input, 1, LINE_WAIT_MS) <= 0)
            continue;
        ssize_t got = read(STDIN_FILENO, l->text + l->n, LINE_BLOCK);
        if (got < 0 && errno == EINTR)
            continue;
        l->n += got > 0 ? (size_t)got : 0;
        return got > 0;
    }
    return false;
}

char *cli_lines_next(cli_lines *l) {
    size_t seen = 0;
    char *newline = NULL;
    if (l->used > 0)
        memmove(l->text, l->text + l->used, l->n - l->used);
    l->n -= l->used;
    l->used = 0;
    while (!(newline = l->n > seen ? memchr(l->text + seen, '\n', l->n - seen) : NULL)) {
        seen = l->n;
        if (!read_more(l))
            break;
    }
    if (cli_stop || (!newline && l->n == 0))
        return NULL;
    size_t length = newline ? (size_t)(newline - l->text) : l->n;
    l->used = length + (newline != NULL);
    l->text[length] = 0;
    if (length > 0 && l->text[length - 1] == '\r')
        l->text[length - 1] = 0;
    l->number++;
    return l->text;
}

void cli_lines_release(cli_lines *l) {
    free(l->text);
    *l = (cli_lines){0};
}
