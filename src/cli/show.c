/*
 * show.c - errors, aligned tables and JSON.
 */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

int cli_usage(const char *format, ...) {
    va_list args;
    fflush(stdout);
    fputs("rein: error: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return CLI_USAGE;
}

int cli_failed(rein_status status) {
    fflush(stdout);
    if (status == REIN_INTERRUPTED) {
        fprintf(stderr, "rein: %s\n", *rein_error() ? rein_error() : rein_status_text(status));
        return CLI_SIGNAL + (cli_stop ? (int)cli_stop : SIGINT);
    }
    fprintf(stderr, "rein: error: %s\n", *rein_error() ? rein_error() : rein_status_text(status));
    return status == REIN_USAGE ? CLI_USAGE : CLI_FAILED;
}

/* ---- tables -------------------------------------------------------------------------------------------- */

#define COLUMNS_MAX 10

typedef struct row {
    bool heading; /* cell[0], over all columns */
    char *cell[COLUMNS_MAX];
} row;

struct cli_table {
    row *rows;
    int n, room;
};

static void *must(void *memory) {
    if (!memory) {
        fputs("rein: error: out of memory\n", stderr);
        exit(CLI_FAILED);
    }
    return memory;
}

cli_table *cli_table_new(void) {
    return must(calloc(1, sizeof(cli_table)));
}

static row *new_row(cli_table *table) {
    if (table->n == table->room) {
        table->room = table->room ? 2 * table->room : 16;
        table->rows = must(realloc(table->rows, (size_t)table->room * sizeof *table->rows));
    }
    row *r = &table->rows[table->n++];
    memset(r, 0, sizeof *r);
    return r;
}

void cli_table_heading(cli_table *table, const char *text) {
    row *r = new_row(table);
    r->heading = true;
    r->cell[0] = must(strdup(text));
}

void cli_table_add(cli_table *table, const char *first, ...) {
    row *r = new_row(table);
    va_list args;
    va_start(args, first);
    const char *cell = first;
    for (int k = 0; cell && k < COLUMNS_MAX; k++, cell = va_arg(args, const char *))
        r->cell[k] = must(strdup(cell));
    va_end(args);
}

/* columns on a terminal: every byte of UTF-8 but the continuations */
static int text_width(const char *text) {
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void cli_table_print(cli_table *table) {
    int width[COLUMNS_MAX] = {0};
    for (int i = 0; i < table->n; i++)
        for (int k = 0; !table->rows[i].heading && k < COLUMNS_MAX && table->rows[i].cell[k]; k++) {
            int w = text_width(table->rows[i].cell[k]);
            width[k] = w > width[k] ? w : width[k];
        }
    for (int i = 0; i < table->n; i++) {
        row *r = &table->rows[i];
        for (int k = 0; k < COLUMNS_MAX && r->cell[k]; k++) {
            bool last = k + 1 == COLUMNS_MAX || !r->cell[k + 1];
            printf("%s%s%*s", r->heading ? "" : "  ", r->cell[k],
                   last ? 0 : width[k] - text_width(r->cell[k]), "");
        }
        putchar('\n');
        for (int k = 0; k < COLUMNS_MAX; k++)
            free(r->cell[k]);
    }
    free(table->rows);
    free(table);
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

void cli_json_text(json_t *object, const char *key, const char *text) {
    json_t *value = json_string(text);
    if (!value) {
        char *ascii = must(strdup(text));
        for (char *c = ascii; *c; c++)
            if ((unsigned char)*c >= 0x80)
                *c = '?';
        value = json_string(ascii);
        free(ascii);
    }
    json_object_set_new(object, key, value);
}

void cli_json_real(json_t *object, const char *key, double value) {
    json_object_set_new(object, key, isfinite(value) ? json_real(value) : json_null());
}

void cli_json_whole(json_t *object, const char *key, int64_t value) {
    json_object_set_new(object, key, json_integer(value));
}

void cli_json_print(json_t *object) {
    /* 15 digits: what a double is sure to hold, without the noise of the last two */
    char *text = must(json_dumps(object, JSON_REAL_PRECISION(15)));
    puts(text);
    free(text);
    json_decref(object);
}

static const char *kind_name(rein_field_kind kind) {
    static const char *const names[] = {"bool", "int", "count", "real", "schedule", "ints", "text", "enum"};
    return names[kind];
}

json_t *cli_json_fields(const rein_field *fields, int n) {
    json_t *list = must(json_array());
    for (int i = 0; i < n; i++) {
        const rein_field *f = &fields[i];
        json_t *o = must(json_object());
        cli_json_text(o, "name", f->name);
        cli_json_text(o, "kind", kind_name(f->kind));
        cli_json_text(o, "default", f->initial);
        if (f->kind == REIN_FIELD_ENUM) {
            cli_json_text(o, "choices", f->choices);
        } else if (f->kind != REIN_FIELD_TEXT && f->kind != REIN_FIELD_BOOL) {
            cli_json_real(o, "low", f->low);
            cli_json_real(o, "high", f->high);
        }
        cli_json_text(o, "doc", f->doc);
        json_array_append_new(list, o);
    }
    return list;
}
