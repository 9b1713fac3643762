/*
 * fuzz_field.c - "name=value" through a table with a field of every kind.
 *
 * What is accepted must be in range, and printing it must give a text that sets the same value again.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rein/field.h>
#include "base/base.h"
#include "fuzz.h"

#define LIST(F, E)                                                                                           \
    F(BOOL, flag, "no", 0, 1, "")                                                                            \
    F(INT, whole, "0", -INFINITY, INFINITY, "")                                                              \
    F(COUNT, count, "1e6", 1, 1e15, "")                                                                      \
    F(REAL, real, "0", -INFINITY, INFINITY, "")                                                              \
    F(REAL, gamma, "0.99", 0, 1, "")                                                                         \
    F(SCHEDULE, schedule, "lin_3e-4", 0, 1, "")                                                              \
    F(INTS, list, "64,64", 1, 65536, "")                                                                     \
    F(TEXT, text, "", 0, 0, "")                                                                              \
    E(choice, "clip", "clip|penalty|none", "")

typedef struct config {
    REIN_FIELDS_STRUCT(LIST)
} config;
#define REIN_FIELD_OWNER config
static const rein_field fields[] = {REIN_FIELDS_TABLE(LIST)};
enum { N = sizeof fields / sizeof *fields };

static void must(bool condition, const char *what) {
    if (condition)
        return;
    fprintf(stderr, "%s (%s)\n", what, rein_error());
    abort();
}

static void try_field(const rein_field *f, const char *name, const char *value) {
    config c, untouched, again;
    char text[600], text_again[600];
    memset(&c, 0, sizeof c);
    rein_fields_default(fields, N, &c);
    untouched = again = c;
    if (rein_fields_set(fields, N, &c, name, value) != REIN_OK) {
        must(memcmp(&c, &untouched, sizeof c) == 0, "a failure changed the struct");
        must(rein_error()[0] != 0, "a failure without a sentence");
        return;
    }
    must(rein_fields_check(fields, N, &c) == REIN_OK, "an accepted value is out of range");
    if (!f)
        return;
    must(rein_field_print(f, &c, text, sizeof text) < sizeof text, "a printed value is too long");
    must(rein_fields_set(fields, N, &again, f->name, text) == REIN_OK, "a printed value is refused");
    rein_field_print(f, &again, text_again, sizeof text_again);
    must(strcmp(text, text_again) == 0, "a printed value reads back as another");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *line = malloc(size + 1);
    if (!line)
        return 0;
    if (size > 0)
        memcpy(line, data, size);
    line[size] = 0;
    char *equals = strchr(line, '=');
    if (equals) {
        *equals = 0;
        try_field(NULL, line, equals + 1);
    }
    const char *value = equals ? equals + 1 : line;
    for (int i = 0; i < N; i++)
        try_field(&fields[i], fields[i].name, value);
    free(line);
    return 0;
}
