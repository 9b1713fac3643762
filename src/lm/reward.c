/*
 * reward.c - the line of a reward as terms, and their weighted sum.
 */
#include "lm/reward.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "lm/reward_parts.h"

enum { NAME = 32, SPEC_BYTES = 1 << 16 };

typedef struct term {
    const reini_reward_kind *kind;
    char name[NAME];
    char *argument;
    double weight;
    void *state;
} term;

struct reini_rewards {
    reini_reward_opts opts;
    char *data, *tokenizer;
    term terms[REINI_REWARDS_MAX];
    int n;
    double *value; /* [room] of one term */
    size_t room;
};

const char *reini_reward_place(char out[400], const reini_reward_opts *opts, const reini_reward_item *item) {
    snprintf(out, 400, "%.300s:%lld: ", opts->data ? opts->data : "data", (long long)item->line);
    return out;
}

/* ---- reading the line ------------------------------------------------------------------------------------ */

enum { TEXT_KINDS_MAX = 16 };

static rein_status find_kind(const char *name, const reini_reward_kind **out) {
    const char *names[TEXT_KINDS_MAX + 2];
    const reini_reward_kind *kinds[TEXT_KINDS_MAX + 2];
    int n = 0;
    for (const reini_reward_kind *k = reini_reward_text_kinds; k->name; k++)
        kinds[n++] = k;
    kinds[n++] = &reini_reward_model_kind;
    kinds[n++] = &reini_reward_command_kind;
    for (int i = 0; i < n; i++) {
        names[i] = kinds[i]->name;
        if (strcmp(name, names[i]) == 0) {
            *out = kinds[i];
            return REIN_OK;
        }
    }
    const char *nearest = reini_nearest(name, names, n);
    return reini_fail(
        REIN_USAGE,
        nearest ? "reward: there is no \"%s\" (did you mean \"%s\"?)"
                : "reward: there is no \"%s\"%s; expected exact, normalised, number, regex, format, "
                  "length, overlong, repetition, ended, model or command",
        name, nearest ? nearest : "");
}

static const char *skip_space(const char *p) {
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

/* "+", "-", or nothing before the first; then a number, with or without "*" behind it */
static rein_status read_weight(const char **at, bool first, double *weight) {
    const char *p = skip_space(*at);
    double sign = 1;
    if (*p == '+' || *p == '-')
        sign = *p++ == '-' ? -1 : 1;
    else if (!first)
        return reini_fail(REIN_USAGE, "reward: expected + or - before \"%.40s\"", p);
    p = skip_space(p);
    *weight = sign;
    if (isdigit((unsigned char)*p) || *p == '.') {
        char *end;
        *weight = sign * strtod(p, &end);
        p = skip_space(end);
        p = *p == '*' ? skip_space(p + 1) : p;
    }
    if (!isfinite(*weight))
        return reini_fail(REIN_USAGE, "reward: a weight is not finite in \"%.80s\"", *at);
    *at = p;
    return REIN_OK;
}

const char *reini_reward_argument_end(const char *open) {
    int depth = 0;
    for (const char *p = open; *p; p++) {
        if (*p == '\\' && p[1])
            p++;
        else
            depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
        if (depth == 0)
            return p;
    }
    return NULL;
}

static rein_status read_argument(const char **at, const char *name, char **argument) {
    const char *begin = *at, *end = begin;
    *argument = NULL;
    if (*begin == '(') {
        end = reini_reward_argument_end(begin++);
        if (!end)
            return reini_fail(REIN_USAGE, "reward: the parenthesis after %s is not closed", name);
        *at = end + 1;
    }
    size_t n = (size_t)(end - begin);
    *argument = reini_new(n + 1);
    if (!*argument)
        return reini_fail_memory(n, "a reward");
    memcpy(*argument, begin, n);
    return REIN_OK;
}

/* several of a kind are numbered */
static void name_term(reini_rewards *r, term *t) {
    int same = 1;
    for (int i = 0; &r->terms[i] != t; i++)
        same += r->terms[i].kind == t->kind;
    if (same == 1)
        snprintf(t->name, NAME, "%s", t->kind->name);
    else
        snprintf(t->name, NAME, "%s_%d", t->kind->name, same);
}

static rein_status read_term(reini_rewards *r, const char **at) {
    char name[NAME], where[NAME + 16];
    size_t n = 0;
    double weight = 1;
    REINI_TRY(read_weight(at, r->n == 0, &weight));
    while (isalnum((unsigned char)(*at)[n]) || (*at)[n] == '_')
        n++;
    if (n == 0 || n >= NAME)
        return reini_fail(REIN_USAGE, "reward: expected the name of a reward at \"%.40s\"", *at);
    if (r->n == REINI_REWARDS_MAX)
        return reini_fail(REIN_USAGE, "reward: more than %d terms", REINI_REWARDS_MAX);
    snprintf(name, sizeof name, "%.*s", (int)n, *at);
    *at += n;
    term *t = &r->terms[r->n];
    REINI_TRY(find_kind(name, &t->kind));
    t->weight = weight;
    r->n++;
    name_term(r, t);
    REINI_TRY(read_argument(at, name, &t->argument));
    if (t->kind->needs_argument && !*t->argument)
        return reini_fail(REIN_USAGE, "reward: %s needs an argument in parentheses", name);
    snprintf(where, sizeof where, "reward %s", t->name);
    return t->kind->open(t->argument, &r->opts, where, &t->state);
}

static rein_status read_terms(reini_rewards *r, const char *text) {
    const char *at = text;
    if (!*skip_space(at))
        return reini_fail(REIN_USAGE,
                          "no reward: say with --reward what makes an answer good, for instance number");
    while (*skip_space(at))
        REINI_TRY(read_term(r, &at));
    return REIN_OK;
}

static rein_status read_spec(reini_rewards *r, const char *spec) {
    if (*spec != '@')
        return read_terms(r, spec);
    char *text;
    size_t size;
    REINI_TRY(reini_file_read(spec + 1, SPEC_BYTES, &text, &size));
    rein_status status = read_terms(r, text);
    reini_free(text);
    return status == REIN_OK ? status : reini_fail_in(status, "%s: ", spec + 1);
}

rein_status reini_rewards_new(const char *spec, const reini_reward_opts *opts, reini_rewards **out) {
    *out = NULL;
    reini_rewards *r = REINI_NEW(reini_rewards);
    if (!r)
        return reini_fail_memory(sizeof *r, "rewards");
    r->opts = *opts;
    r->opts.data = r->data = reini_strdup(opts->data ? opts->data : "data");
    r->opts.tokenizer = r->tokenizer = opts->tokenizer ? reini_strdup(opts->tokenizer) : NULL;
    rein_status status = r->data && (r->tokenizer || !opts->tokenizer) ? read_spec(r, spec)
                                                                       : reini_fail_memory(256, "rewards");
    if (status == REIN_OK)
        *out = r;
    else
        reini_rewards_free(r);
    return status;
}

void reini_rewards_free(reini_rewards *r) {
    if (!r)
        return;
    for (int i = 0; i < r->n; i++) {
        if (r->terms[i].state)
            r->terms[i].kind->close(r->terms[i].state);
        reini_free(r->terms[i].argument);
    }
    reini_free(r->data);
    reini_free(r->tokenizer);
    reini_free(r->value);
    reini_free(r);
}

int reini_rewards_count(const reini_rewards *r) {
    return r->n;
}

const char *reini_rewards_name(const reini_rewards *r, int i) {
    return r->terms[i].name;
}

double reini_rewards_weight(const reini_rewards *r, int i) {
    return r->terms[i].weight;
}

/* ---- scoring --------------------------------------------------------------------------------------------- */

rein_status reini_rewards_check_row(const reini_rewards *r, const json_t *row, int64_t line) {
    for (int i = 0; i < r->n; i++) {
        const term *t = &r->terms[i];
        const char *column = t->kind->column ? t->kind->column(t->state) : NULL;
        const json_t *value = column ? json_object_get(row, column) : NULL;
        if (column && !json_is_string(value) && !json_is_number(value))
            return reini_fail(
                REIN_FORMAT,
                "%s:%lld: reward %s reads the column \"%s\", expected text or a number there, found %s",
                r->data, (long long)line, t->name, column, value ? "something else" : "no such column");
    }
    return REIN_OK;
}

rein_status reini_rewards_score(reini_rewards *r, const reini_reward_item *items, int n, double *each,
                                double *total) {
    char place[400];
    REINI_TRY(reini_reserve(&r->value, &r->room, (size_t)n, sizeof *r->value, "rewards"));
    for (int i = 0; i < n; i++)
        total[i] = NAN;
    for (int k = 0; k < r->n; k++) {
        const term *t = &r->terms[k];
        REINI_TRY(t->kind->score(t->state, items, n, r->value));
        for (int i = 0; i < n; i++) {
            double value = r->value[i];
            if (isinf(value))
                return reini_fail(REIN_DIVERGED, "%sreward %s is infinite for the answer \"%.80s\"",
                                  reini_reward_place(place, &r->opts, &items[i]), t->name, items[i].text);
            each[(int64_t)i * r->n + k] = value;
            if (!isnan(value))
                total[i] = (isnan(total[i]) ? 0 : total[i]) + t->weight * value;
        }
    }
    return REIN_OK;
}
