/*
 * settings.h - settings in one line of text, "name=value name=value": as the list a run takes, and set in a config.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdarg.h>
#include <stdio.h>
#include <rein/field.h>
#include <rein/run.h>
#include "support/check.h"

enum { SETTINGS_MOST = 64, SETTINGS_TEXT = 8192 };

/* Cuts the next name and its value out of the text; NULL at its end. `between` is " ", or ";" where values have
 * spaces. */
static inline char *settings_next(char **rest, const char *between, char **value) {
    char *name;
    do /* past what is blank, as at the end of "name=value; " */
        name = strtok_r(*rest, between, rest);
    while (name != NULL && name[strspn(name, " ")] == 0);
    if (name == NULL)
        return NULL;
    name += strspn(name, " ");
    *value = strchr(name, '=');
    if (*value == NULL)
        fail_msg("\"%s\" is not name=value", name);
    *(*value)++ = 0;
    return name;
}

/* Sets what the text names over the defaults; later ones win. The status of the first that was refused. */
static inline rein_status settings_try(const rein_field *fields, int n_fields, void *config,
                                       const char *between, const char *text) {
    char copy[SETTINGS_TEXT], *rest = copy, *value;
    assert_true(snprintf(copy, sizeof copy, "%s", text) < (int)sizeof copy);
    rein_fields_default(fields, n_fields, config);
    for (char *name; (name = settings_next(&rest, between, &value)) != NULL;) {
        rein_status status = rein_fields_set(fields, n_fields, config, name, value);
        if (status != REIN_OK)
            return status;
    }
    return REIN_OK;
}

/* the same with a format of the text, and nothing in it may be refused */
__attribute__((format(printf, 4, 5))) static inline void settings_set(const rein_field *fields, int n_fields,
                                                                      void *config, const char *format, ...) {
    char text[SETTINGS_TEXT];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert_in_range(length, 0, sizeof text - 1);
    assert_ok(settings_try(fields, n_fields, config, " ", text));
}

/* what rein_train_opts take; the names and values lie in the text, so it must stay where it is */
typedef struct settings_list {
    rein_setting at[SETTINGS_MOST];
    int n;
    char text[SETTINGS_TEXT];
} settings_list;

/* those of `base`, then those of `more`, which win */
static inline void settings_parse(settings_list *list, const char *base, const char *more) {
    char *rest = list->text, *value;
    int length = snprintf(list->text, sizeof list->text, "%s %s", base, more);
    assert_in_range(length, 0, sizeof list->text - 1);
    list->n = 0;
    for (char *name; (name = settings_next(&rest, " ", &value)) != NULL;) {
        assert_true(list->n < SETTINGS_MOST);
        list->at[list->n++] = (rein_setting){name, value};
    }
}

#endif
