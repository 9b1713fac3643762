/*
 * reward_paths.c - paths in the line of a reward, made whole, so that a run can be continued from another directory.
 *
 * Of a command the words that are files are paths ("python3 check.py"), when no character in them means something to the
 * shell; what a program opens by itself is its own affair. A path that a shell or the line would read in another way
 * (blanks, parentheses) stays as it was given.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "lm/reward_parts.h"

typedef struct builder {
    char *at;
    size_t n, size;
    bool full;
} builder;

static void put(builder *b, const char *text, size_t n) {
    b->full = b->full || b->n + n + 1 > b->size;
    if (b->full)
        return;
    memcpy(b->at + b->n, text, n);
    b->at[b->n += n] = 0;
}

static bool is_plain(char c, bool shell) {
    return shell ? isalnum((unsigned char)c) || (c && strchr("_./-+,:=@%", c))
                 : c != '(' && c != ')' && c != '\\';
}

static bool all_plain(const char *text, size_t n, bool shell) {
    for (size_t i = 0; i < n; i++)
        if (!is_plain(text[i], shell))
            return false;
    return n > 0;
}

/* the whole path of text[0 .. n), or the text where it is no path; shell: only files, and only plain characters */
static void put_path(builder *b, const char *text, size_t n, bool shell) {
    char path[PATH_MAX], whole[PATH_MAX];
    struct stat found;
    bool is_path = n < sizeof path && all_plain(text, n, shell);
    if (is_path) {
        memcpy(path, text, n);
        path[n] = 0;
        is_path = stat(path, &found) == 0 && (!shell || S_ISREG(found.st_mode)) && realpath(path, whole) &&
                  all_plain(whole, strlen(whole), shell);
    }
    put(b, is_path ? whole : text, is_path ? strlen(whole) : n);
}

static void put_words(builder *b, const char *text, size_t n) {
    for (size_t i = 0, word; i < n; i += word) {
        for (word = 0; i + word < n && !isspace((unsigned char)text[i + word]); word++)
            ;
        if (word > 0)
            put_path(b, text + i, word, true);
        else
            put(b, text + i, word = 1);
    }
}

/* a name and what is in its parentheses; returns what is behind it */
static const char *put_term(builder *b, const char *at) {
    size_t n = 0;
    while (isalnum((unsigned char)at[n]) || at[n] == '_')
        n++;
    const char *end = at[n] == '(' ? reini_reward_argument_end(at + n) : NULL;
    put(b, at, n + (end != NULL));
    if (!end)
        return at + n;
    const char *argument = at + n + 1;
    size_t length = (size_t)(end - argument);
    if (n == 5 && strncmp(at, "model", n) == 0)
        put_path(b, argument, length, false);
    else if (n == 7 && strncmp(at, "command", n) == 0)
        put_words(b, argument, length);
    else
        put(b, argument, length);
    return end;
}

void reini_rewards_anchor(const char *spec, char *out, size_t size) {
    builder b = {.at = out, .size = size};
    if (*spec == '@') {
        put(&b, spec, 1);
        put_path(&b, spec + 1, strlen(spec + 1), false);
    }
    for (const char *at = spec; *spec != '@' && *at;) {
        if (isalpha((unsigned char)*at))
            at = put_term(&b, at);
        else
            put(&b, at++, 1);
    }
    if (!b.full)
        return;
    b = (builder){.at = out, .size = size};
    put(&b, spec, strlen(spec));
}
