/*
 * terminal.c - what stdout can show, and pictures of policies on it.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "cli.h"

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value && *value;
}

/* the first of these that is set decides, as in setlocale(3) */
static bool speaks_utf8(void) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        if (!is_set(names[i]))
            continue;
        const char *codeset = strchr(getenv(names[i]), '.');
        return codeset && (strncasecmp(codeset, ".utf-8", 6) == 0 || strncasecmp(codeset, ".utf8", 5) == 0);
    }
    return false;
}

static bool shows_colour(void) {
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !is_set("NO_COLOR") && term && *term && strcmp(term, "dumb") != 0;
}

static int columns(void) {
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col;
}

rein_picture_opts cli_picture_opts(bool ascii) {
    return (rein_picture_opts){
        .ascii = ascii || !speaks_utf8(), .colour = shows_colour(), .width = columns()};
}
