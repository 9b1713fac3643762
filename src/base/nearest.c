/*
 * nearest.c - the name that was probably meant.
 */
#include <ctype.h>
#include <string.h>
#include "base/base.h"

#define NAME_MAX_LENGTH 63

static int smaller(int a, int b) {
    return a < b ? a : b;
}

/* case does not count, and - equals _ */
static char fold(char c) {
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

/* Damerau-Levenshtein distance (restricted): insert, delete, replace or swap two neighbours, one each */
static int distance(const char *a, int na, const char *b, int nb) {
    int rows[3][NAME_MAX_LENGTH + 1]; /* rows i - 2, i - 1, i of the table, by i mod 3 */
    for (int j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (int i = 1; i <= na; i++) {
        int *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            char ca = fold(a[i - 1]), cb = fold(b[j - 1]);
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == fold(b[j - 2]) && fold(a[i - 2]) == cb)
                row[j] = smaller(row[j], above2[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

const char *reini_nearest(const char *name, const char *const *names, int n) {
    const char *best = NULL;
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX_LENGTH)
        return NULL;
    /* one slip in a word of up to four letters, two up to seven, and so on */
    int best_distance = length < 3 ? 2 : (int)(length + 1) / 3 + 1;
    for (int i = 0; i < n; i++) {
        size_t other = strlen(names[i]);
        if (other == 0 || other > NAME_MAX_LENGTH)
            continue;
        int d = distance(name, (int)length, names[i], (int)other);
        if (d < best_distance && d < (int)length) {
            best_distance = d;
            best = names[i];
        }
    }
    return best;
}
