/*
 * env_table.h - reads the transitions that tests/reference/env_gymnasium.py recorded.
 */
#ifndef REIN_TEST_ENV_TABLE_H
#define REIN_TEST_ENV_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_WORDS = 16, TABLE_ROWS = 4096 };

typedef struct table_row {
    int run;     /* number of the run, from 0 */
    int elapsed; /* steps of the episode, this one included */
    bool terminated, truncated;
    double reward;
    double action[2];
    double state[6]; /* before the step */
    double obs[8];   /* after the step; the last one of the episode where it ended */
} table_row;

typedef struct table {
    char id[64];
    int state_size, act_size, obs_size;
    int n;
    table_row row[TABLE_ROWS];
} table;

static inline bool table_parse_row(table *t, char *line, int run) {
    double word[3 + sizeof(table_row) / sizeof(double)];
    int wanted = 3 + t->act_size + t->state_size + t->obs_size, found = 0;
    for (char *end; found < wanted; found++, line = end) {
        word[found] = strtod(line, &end);
        if (end == line)
            break;
    }
    if (found != wanted || t->n == TABLE_ROWS)
        return false;
    table_row *row = &t->row[t->n++];
    const double *from = word + 3;
    row->run = run;
    row->elapsed = (int)word[0];
    row->terminated = (int)word[1] & 1;
    row->truncated = (int)word[1] & 2;
    row->reward = word[2];
    for (int k = 0; k < t->act_size; k++)
        row->action[k] = *from++;
    for (int k = 0; k < t->state_size; k++)
        row->state[k] = *from++;
    for (int k = 0; k < t->obs_size; k++)
        row->obs[k] = *from++;
    return true;
}

/* Reads REIN_SOURCE_DIR/tests/golden/<name>; false when the file is missing or malformed. */
static inline bool table_read(table *t, const char *name) {
    char path[1024], line[1024];
    int run = -1;
    bool ok = true;
    memset(t, 0, sizeof *t);
    snprintf(path, sizeof path, "%s/tests/golden/%s", REIN_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    while (ok && fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            continue;
        if (strncmp(line, "env ", 4) == 0)
            ok = sscanf(line, "env %63s %d %d %d", t->id, &t->state_size, &t->act_size, &t->obs_size) == 4 &&
                 t->state_size <= 6 && t->act_size <= 2 && t->obs_size <= 8;
        else if (strncmp(line, "run ", 4) == 0)
            run++;
        else
            ok = table_parse_row(t, line, run);
    }
    fclose(file);
    return ok && t->n > 0;
}

static inline double table_error(double found, double expected) {
    double size = expected < 0 ? -expected : expected;
    double error = found < expected ? expected - found : found - expected;
    return error == error ? error / (size > 1 ? size : 1) : 1e300;
}

#endif
