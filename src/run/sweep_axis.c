/*
 * sweep_axis.c - reading "length=0.3:0.9:7" and "obs_noise=0,0.05,0.1".
 *
 * Everything that can be wrong with an axis is said before the first episode is played.
 */
#include "run/sweep_axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/number.h"

/* digits of a value between the ends of a range: 0.6 rather than 0.6000000000000001 */
#define DIGITS 10

static const rein_field noise_field[] = {
    {REIN_FIELD_REAL, "obs_noise", "0", 0, 1e30, NULL, "standard deviation of the noise", 0}};

void reini_axis_release(reini_axis *axis) {
    reini_free(axis->value);
    *axis = (reini_axis){0};
}

bool reini_axis_is_noise(const reini_axis *axis) {
    return strcmp(axis->name, noise_field->name) == 0;
}

/* ---- values -------------------------------------------------------------------------------------------- */

static rein_status make_room(reini_axis *axis, int64_t n, const char *text) {
    if (n < 1 || n > REINI_AXIS_VALUES)
        return reini_fail(REIN_USAGE, "sweep \"%.80s\": %lld values were asked for, expected 1 to %d", text,
                          (long long)n, REINI_AXIS_VALUES);
    axis->value = reini_new_array((size_t)n, sizeof *axis->value);
    if (!axis->value)
        return reini_fail_memory((size_t)n * sizeof *axis->value, "the values of a sweep");
    axis->n = (int)n;
    return REIN_OK;
}

static rein_status read_range(reini_axis *axis, const char *text, const char *range) {
    const char *second = strchr(range, ':') + 1, *third = strchr(second, ':');
    double low, high;
    int64_t n;
    if (!third || reini_real_parse(range, (size_t)(second - 1 - range), &low) != REINI_NUMBER_OK ||
        reini_real_parse(second, (size_t)(third - second), &high) != REINI_NUMBER_OK ||
        reini_int_parse(third + 1, strlen(third + 1), false, &n) != REINI_NUMBER_OK || !isfinite(low) ||
        !isfinite(high))
        return reini_fail(REIN_USAGE,
                          "sweep \"%.80s\": a range is LOW:HIGH:N, numbers of which N is whole, as in "
                          "length=0.3:0.9:7",
                          text);
    if (!(low < high) || n < 2)
        return reini_fail(REIN_USAGE,
                          "sweep \"%.80s\": the range is empty, expected LOW less than HIGH and N at least 2",
                          text);
    REINI_TRY(make_room(axis, n, text));
    for (int i = 0; i < axis->n; i++) {
        double x = i == axis->n - 1 ? high : low + (high - low) * i / (axis->n - 1);
        char number[REINI_REAL_TEXT];
        reini_real_format(number, x, DIGITS);
        snprintf(axis->value[i], sizeof axis->value[i], "%s", number);
    }
    return REIN_OK;
}

static rein_status read_list(reini_axis *axis, const char *text, const char *list) {
    int64_t n = 1;
    for (const char *at = list; *at; at++)
        n += *at == ',';
    REINI_TRY(make_room(axis, n, text));
    for (int i = 0; i < axis->n; i++) {
        size_t length = strcspn(list, ",");
        if (length == 0 || length >= sizeof axis->value[i])
            return reini_fail(REIN_USAGE, "sweep \"%.80s\": value %d is %s", text, i + 1,
                              length ? "too long" : "missing");
        memcpy(axis->value[i], list, length);
        list += length + 1;
    }
    return REIN_OK;
}

/* ---- names --------------------------------------------------------------------------------------------- */

static rein_status fail_unknown(const char *name, const rein_env_type *env) {
    const char *names[65] = {noise_field->name};
    char all[400] = "";
    int n = 1;
    size_t at = 0;
    for (int i = 0; i < env->n_fields && n < 65; i++) {
        names[n++] = env->fields[i].name;
        if (at < sizeof all)
            at += (size_t)snprintf(all + at, sizeof all - at, "%s, ", env->fields[i].name);
    }
    const char *near = reini_nearest(name, names, n);
    if (near)
        return reini_fail(REIN_USAGE, "sweep: %s has no field \"%.60s\", did you mean \"%s\"?", env->id, name,
                          near);
    return reini_fail(REIN_USAGE, "sweep: %s has no field \"%.60s\", expected one of %sobs_noise", env->id,
                      name, all);
}

static rein_status find_field(const reini_axis *axis, const rein_env_type *env, const rein_field **field) {
    *field = noise_field;
    if (reini_axis_is_noise(axis))
        return REIN_OK;
    int i = rein_fields_find(env->fields, env->n_fields, axis->name);
    if (i < 0)
        return fail_unknown(axis->name, env);
    *field = &env->fields[i];
    return REIN_OK;
}

static bool has_range(const rein_field *field) {
    return field->kind == REIN_FIELD_REAL || field->kind == REIN_FIELD_INT || field->kind == REIN_FIELD_COUNT;
}

/* the field reads every value */
static rein_status check_values(const reini_axis *axis, const rein_field *field, const char *text) {
    union {
        rein_type_REAL real;
        rein_type_TEXT text;
        rein_schedule schedule;
        rein_ints ints;
    } scratch;
    rein_field row = *field;
    row.offset = 0;
    for (int i = 0; i < axis->n; i++) {
        rein_status status = rein_fields_set(&row, 1, &scratch, field->name, axis->value[i]);
        if (status != REIN_OK)
            return reini_fail_in(status, "sweep \"%.80s\": ", text);
    }
    return REIN_OK;
}

rein_status reini_axis_read(reini_axis *axis, const char *text, const rein_env_type *env) {
    const rein_field *field;
    const char *equals = strchr(text, '=');
    *axis = (reini_axis){0};
    if (!equals || equals == text || !equals[1])
        return reini_fail(REIN_USAGE,
                          "sweep \"%.80s\": expected NAME=LOW:HIGH:N or NAME=A,B,C, as in length=0.3:0.9:7",
                          text);
    const char *name = strncmp(text, "env.", 4) == 0 ? text + 4 : text;
    snprintf(axis->name, sizeof axis->name, "%.*s", (int)(equals - name), name);
    REINI_TRY(find_field(axis, env, &field));
    if (strchr(equals, ':') && field->kind != REIN_FIELD_TEXT) {
        if (!has_range(field))
            return reini_fail(
                REIN_USAGE,
                "sweep \"%.80s\": %s is not a number, so it has no range; name its values, as in "
                "%s=A,B",
                text, field->name, field->name);
        REINI_TRY(read_range(axis, text, equals + 1));
    } else {
        REINI_TRY(read_list(axis, text, equals + 1));
    }
    return check_values(axis, field, text);
}
