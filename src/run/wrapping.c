/*
 * wrapping.c - from settings to wrappers. The safety filter stands next to the environment, so that its check sees
 * what the environment shows.
 */
#include "run/wrapping.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/number.h"

#define REIN_FIELD_OWNER rein_run_config
static const rein_field wrap_fields[] = {REIN_FIELDS_TABLE(REIN_WRAP_FIELDS)};
#undef REIN_FIELD_OWNER
#define N_WRAP_FIELDS (int)(sizeof wrap_fields / sizeof *wrap_fields)

const rein_field *rein_wrap_fields(int *n) {
    *n = N_WRAP_FIELDS;
    return wrap_fields;
}

/* ---- as text ------------------------------------------------------------------------------------------- */

void reini_wrap_print(const rein_run_config *run, char *out, size_t size) {
    rein_run_config plain;
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < N_WRAP_FIELDS && at < size; i++) {
        char now[REIN_TEXT_MAX], initial[REIN_TEXT_MAX];
        rein_fields_default(&wrap_fields[i], 1, &plain);
        rein_field_print(&wrap_fields[i], &plain, initial, sizeof initial);
        rein_field_print(&wrap_fields[i], run, now, sizeof now);
        if (strcmp(now, initial) != 0)
            at += (size_t)snprintf(out + at, size - at, "%s=%s\n", wrap_fields[i].name, now);
    }
    REINI_ASSERT(at < size);
}

rein_status reini_wrap_read(const char *text, rein_run_config *run) {
    rein_fields_default(wrap_fields, N_WRAP_FIELDS, run);
    while (*text) {
        char name[64], value[REIN_TEXT_MAX];
        size_t length = strcspn(text, "\n"), name_length = strcspn(text, "=\n");
        if (name_length >= length || name_length >= sizeof name || length - name_length > sizeof value)
            return reini_fail(REIN_FORMAT, "the policy's wrapper \"%.40s\" is not name=value", text);
        snprintf(name, sizeof name, "%.*s", (int)name_length, text);
        snprintf(value, sizeof value, "%.*s", (int)(length - name_length - 1), text + name_length + 1);
        rein_status status = rein_fields_set(wrap_fields, N_WRAP_FIELDS, run, name, value);
        if (status != REIN_OK)
            return reini_fail_in(status, "the policy's wrappers: ");
        text += length + (text[length] != 0);
    }
    return REIN_OK;
}

/* ---- safety filter ------------------------------------------------------------------------------------- */

static bool given(const char *text) {
    return *text && strcmp(text, "none") != 0;
}

/* "0.5" for every part, or "0.5,1,0.5" with a number for each */
static rein_status read_list(const char *name, const char *text, const rein_env_type *env, float *out) {
    int n = 0, size = env->act.size;
    char space[128];
    for (const char *at = text;; n++) {
        size_t length = strcspn(at, ",");
        double value;
        if (reini_real_parse(at, length, &value) != REINI_NUMBER_OK)
            return reini_fail(
                REIN_USAGE, "%s: \"%.40s\" is not a number, or numbers with commas between them", name, text);
        if (n < size)
            out[n] = (float)value;
        if (!at[length])
            break;
        at += length + 1;
    }
    for (int k = 1; n == 0 && k < size; k++)
        out[k] = out[0];
    if (n == 0 || n + 1 == size)
        return REIN_OK;
    rein_space_print(&env->act, space, sizeof space);
    return reini_fail(
        REIN_USAGE, "%s: %d numbers were given, expected one, or %d for the parts of the actions of %s (%s)",
        name, n + 1, size, env->id, space);
}

static rein_status load_check(const char *path, const rein_env_type *env, rein_filter *filter) {
    const rein_filter_plugin *plugin = rein_filter_load(path);
    if (!plugin)
        return REIN_USAGE;
    if (plugin->obs_size != 0 && plugin->obs_size != env->obs.size)
        return reini_fail(
            REIN_MISMATCH,
            "the safety filter \"%s\" is made for observations of %d numbers, those of %s have %d", path,
            (int)plugin->obs_size, env->id, (int)env->obs.size);
    if (plugin->act_size != 0 && plugin->act_size != env->act.size)
        return reini_fail(REIN_MISMATCH,
                          "the safety filter \"%s\" is made for actions of %d numbers, those of %s have %d",
                          path, (int)plugin->act_size, env->id, (int)env->act.size);
    filter->check = plugin->check;
    filter->user = plugin->user;
    return REIN_OK;
}

static rein_status read_filter(const rein_run_config *run, rein_env_type *env, float *numbers) {
    rein_filter filter = {0};
    size_t size = (size_t)env->act.size;
    const struct {
        const char *name, *text;
        const float **to;
    } limits[] = {{"action_low", run->action_low, &filter.low},
                  {"action_high", run->action_high, &filter.high},
                  {"action_rate", run->action_rate, &filter.rate}};
    for (size_t i = 0; i < 3; i++)
        if (given(limits[i].text)) {
            REINI_TRY(read_list(limits[i].name, limits[i].text, env, numbers + i * size));
            *limits[i].to = numbers + i * size;
        }
    if (given(run->safety_filter))
        REINI_TRY(load_check(run->safety_filter, env, &filter));
    return rein_env_filter(env, &filter);
}

static rein_status wrap_filter(const rein_run_config *run, const rein_filter *filter, rein_env_type *env) {
    bool wanted = given(run->action_low) || given(run->action_high) || given(run->action_rate) ||
                  given(run->safety_filter);
    if (wanted && filter)
        return reini_fail(REIN_USAGE, "a safety filter is given twice: by settings and as a rein_filter");
    if (filter)
        return rein_env_filter(env, filter);
    if (!wanted)
        return REIN_OK;
    float *numbers = REINI_NEW_ARRAY(float, 3 * (size_t)env->act.size);
    if (!numbers)
        return reini_fail_memory(3 * sizeof *numbers * (size_t)env->act.size, "a safety filter");
    rein_status status = read_filter(run, env, numbers);
    reini_free(numbers);
    return status;
}

/* ---- all ----------------------------------------------------------------------------------------------- */

rein_status reini_wrap_env(const rein_run_config *run, const rein_filter *filter, rein_env_type *env) {
    REINI_TRY(wrap_filter(run, filter, env));
    return run->frame_stack > 1 ? rein_env_stack_frames(env, (int)run->frame_stack) : REIN_OK;
}
