/*
 * mdp_names.c - pieces of an MDP file: states and actions by number or name, and the words of its errors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mdp/mdp_file.h"

/* ---- words of errors --------------------------------------------------------------------------------------------- */

/* a JSON value, cut to the size of a sentence */
reini_mdp_words reini_mdp_shown_json(const json_t *value) {
    reini_mdp_words out = {"nothing"};
    if (json_is_array(value) || json_is_object(value)) {
        snprintf(out.text, sizeof out.text, "%s", json_is_array(value) ? "a list" : "an object");
    } else if (value) {
        char *text = reini_json_text(value, false);
        snprintf(out.text, sizeof out.text, strlen(text ? text : "") < 40 ? "%s" : "%.40s...",
                 text ? text : "");
        reini_free(text);
    }
    return out;
}

rein_status reini_mdp_expected(const char *what, const json_t *found) {
    return reini_fail(REIN_FORMAT, "expected %s, found %s", what, reini_mdp_shown_json(found).text);
}

/* what another function said, with its place in the file */
rein_status reini_mdp_at_key(rein_status status, const char *key) {
    return status == REIN_OK ? status : reini_fail_in(status, "\"%s\": ", key);
}

rein_status reini_mdp_at_entry(rein_status status, const char *key, size_t i) {
    return status == REIN_OK ? status : reini_fail_in(status, "%s[%zu]: ", key, i);
}

/* meant: what it may be a slip of, or NULL */
static rein_status fail_unknown(const char *kind, const char *name, const char *meant) {
    return reini_fail(REIN_FORMAT, "unknown %s \"%.60s\"%s%s%s", kind, name, meant ? "; did you mean \"" : "",
                      meant ? meant : "", meant ? "\"?" : "");
}

rein_status reini_mdp_check_keys(const json_t *object, const char *const *known, int n) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        int i = 0;
        while (i < n && strcmp(known[i], key) != 0)
            i++;
        if (i == n)
            return fail_unknown("key", key, reini_nearest(key, known, n));
    }
    return REIN_OK;
}

rein_status reini_mdp_read_number(const json_t *value, const char *what, double *out) {
    if (!json_is_number(value))
        return reini_fail(REIN_FORMAT, "expected a number as %s, found %s", what,
                          reini_mdp_shown_json(value).text);
    *out = json_number_value(value);
    return REIN_OK;
}

rein_status reini_mdp_read_count(const json_t *value, int32_t most, int32_t *out) {
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 1 || n > most)
        return reini_fail(REIN_FORMAT, "expected a whole number from 1 to %d, found %s", most,
                          reini_mdp_shown_json(value).text);
    *out = (int32_t)n;
    return REIN_OK;
}

/* ---- states and actions by number or name -------------------------------------------------------------------------- */

const json_t *reini_mdp_name_at(const reini_mdp_names *set, int32_t i) {
    const json_t *item = json_array_get(set->list, (size_t)i);
    return json_is_object(item) ? json_object_get(item, "name") : item;
}

static rein_status fail_range(const reini_mdp_names *set, int64_t i) {
    return reini_fail(REIN_FORMAT, "%s %lld does not exist; expected 0 to %d", set->kind, (long long)i,
                      set->n - 1);
}

static rein_status fail_name(const reini_mdp_names *set, const char *name) {
    const char **all = set->list ? REINI_NEW_ARRAY(const char *, (size_t)set->n) : NULL;
    for (int32_t i = 0; all && i < set->n; i++)
        all[i] = json_string_value(reini_mdp_name_at(set, i));
    rein_status status = fail_unknown(set->kind, name, all ? reini_nearest(name, all, set->n) : NULL);
    reini_free(all);
    return status;
}

/* "12" as 12; -1 when the text is not a number as one would write it */
static int64_t plain_number(const char *text) {
    size_t length = strlen(text);
    if (length == 0 || length > 10 || text[strspn(text, "0123456789")] != 0 || (text[0] == '0' && length > 1))
        return -1;
    return strtoll(text, NULL, 10);
}

rein_status reini_mdp_find_text(const reini_mdp_names *set, const char *name, int32_t *out) {
    const json_t *number = json_object_get(set->number_of, name);
    int64_t i = number ? json_integer_value(number) : plain_number(name);
    if (i < 0)
        return fail_name(set, name);
    if (i >= set->n)
        return fail_range(set, i);
    *out = (int32_t)i;
    return REIN_OK;
}

rein_status reini_mdp_find(const reini_mdp_names *set, const json_t *value, int32_t *out) {
    if (json_is_string(value))
        return reini_mdp_find_text(set, json_string_value(value), out);
    json_int_t i = json_integer_value(value);
    if (!json_is_integer(value))
        return reini_fail(REIN_FORMAT, "expected the number or the name of a%s %s, found %s",
                          set->kind[0] == 'a' ? "n" : "", set->kind, reini_mdp_shown_json(value).text);
    if (i < 0 || i >= set->n)
        return fail_range(set, i);
    *out = (int32_t)i;
    return REIN_OK;
}

static rein_status add_name(reini_mdp_names *set, int32_t i) {
    static const char *const keys[] = {"name", "glyph"};
    const json_t *item = json_array_get(set->list, (size_t)i), *name = reini_mdp_name_at(set, i);
    bool action = set->kind[0] == 'a';
    if (json_is_object(item) && action)
        REINI_TRY(reini_mdp_check_keys(item, keys, 2));
    if (!json_is_string(name) || (json_is_object(item) && !action))
        return reini_mdp_expected(action ? "a name or {\"name\": ..., \"glyph\": ...}" : "a name", item);
    const char *text = json_string_value(name);
    const json_t *other = json_object_get(set->number_of, text);
    if (!*text)
        return reini_fail(REIN_FORMAT, "the name is empty");
    if (other)
        return reini_fail(REIN_FORMAT, "\"%.60s\" is the name of %s %d already", text, set->kind,
                          (int)json_integer_value(other));
    if (plain_number(text) >= 0 && plain_number(text) != i)
        return reini_fail(REIN_FORMAT, "the name \"%s\" would be taken for a number", text);
    if (json_object_set_new(set->number_of, text, json_integer(i)) != 0)
        return reini_fail_memory(strlen(text), "a name");
    return REIN_OK;
}

rein_status reini_mdp_read_names(const json_t *root, const char *key, int32_t most, reini_mdp_names *set) {
    const json_t *value = json_object_get(root, key);
    size_t n = json_array_size(value);
    if (json_is_integer(value))
        return reini_mdp_at_key(reini_mdp_read_count(value, most, &set->n), key);
    if (!json_is_array(value) || n < 1 || n > (size_t)most)
        return reini_mdp_at_key(
            reini_mdp_expected(n ? "fewer names" : "a whole number or a list of names", value), key);
    set->list = value;
    set->n = (int32_t)n;
    set->number_of = json_object();
    if (!set->number_of)
        return reini_fail_memory(n, "names");
    for (int32_t i = 0; i < set->n; i++)
        REINI_TRY(reini_mdp_at_entry(add_name(set, i), key, (size_t)i));
    return REIN_OK;
}
