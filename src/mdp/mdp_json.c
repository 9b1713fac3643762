/*
 * mdp_json.c - reading an MDP from a JSON file.
 *
 *     {
 *       "format": "rein-mdp", "version": 1,
 *       "states": 4,                           or ["home", "road", "bridge", "work"]
 *       "actions": ["left", "right"],          or 2, or [{"name": "left", "glyph": "<"}, ...]
 *       "orientation": "cost",                 "reward" unless said
 *       "terminal": {"work": 10},              values by state, or a list of states of value 0
 *       "start": {"home": 0.5, "road": 0.5},   weights by state, or one state; state 0 unless said
 *       "transitions": [["home", "right", "road", 0.9, 1], ["home", "right", "home", 0.1, 5], ...],
 *       "rewards": [["home", "right", 1], ...],
 *       "panels": [{"title": "", "height": 1, "width": 4, "states": [0, 1, 2, 3], "symbols": "S  G"}]
 *     }
 *
 * A transition is [state, action, next state, probability, reward of (s, a, s')]; the reward may be left out when it
 * is 0. A reward is [state, action, reward of (s, a)] and adds to those of the transitions. Both come in any order;
 * the outcomes of a row stay in that of the file. With costs, rewards are costs. States and actions go by number or
 * by name; names of states are for the file alone and are not kept. In a panel, state -1 is a cell without a state.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mdp/mdp_file.h"

/* a list of the file, in the order of rows */
typedef struct entry {
    int32_t state, action, next;
    uint32_t at; /* its place in the list of the file */
    double p, r;
} entry;

typedef struct entries {
    entry *item;
    size_t n;
} entries;

typedef struct reader {
    const json_t *root;
    reini_mdp_names states, actions;
    entries transitions, rewards;
    rein_outcome *row; /* room for the outcomes of one row */
    rein_mdp *mdp;
} reader;

/* ---- the head, terminal and start states ---------------------------------------------------------------------------- */

static rein_status name_action(reader *r, int32_t a) {
    const json_t *item = json_array_get(r->actions.list, (size_t)a), *glyph = json_object_get(item, "glyph");
    if (glyph && json_string_length(glyph) != 1)
        return reini_mdp_expected("one character as glyph", glyph);
    return rein_mdp_name_action(r->mdp, a, json_string_value(reini_mdp_name_at(&r->actions, a)),
                                glyph ? json_string_value(glyph)[0] : 0);
}

static rein_status read_head(reader *r) {
    static const char *const keys[] = {"format",   "version", "states",      "actions", "orientation",
                                       "terminal", "start",   "transitions", "rewards", "panels"};
    const json_t *format = json_object_get(r->root, "format"), *version = json_object_get(r->root, "version");
    const json_t *orientation = json_object_get(r->root, "orientation");
    const char *name = json_string_value(orientation);
    bool cost = name && strcmp(name, "cost") == 0;
    if (!json_is_object(r->root))
        return reini_mdp_expected("an object", r->root);
    if (!json_is_string(format) || strcmp(json_string_value(format), "rein-mdp") != 0)
        return reini_mdp_at_key(reini_mdp_expected("\"rein-mdp\"", format), "format");
    if (!json_is_integer(version) || json_integer_value(version) != 1)
        return reini_mdp_at_key(reini_mdp_expected("1", version), "version");
    REINI_TRY(reini_mdp_check_keys(r->root, keys, sizeof keys / sizeof *keys));
    if (orientation && !cost && !(name && strcmp(name, "reward") == 0))
        return reini_mdp_at_key(reini_mdp_expected("\"reward\" or \"cost\"", orientation), "orientation");
    REINI_TRY(reini_mdp_read_names(r->root, "states", INT32_MAX, &r->states));
    REINI_TRY(reini_mdp_read_names(r->root, "actions", UINT16_MAX, &r->actions));
    REINI_TRY(rein_mdp_new(r->states.n, r->actions.n, cost, &r->mdp));
    for (int32_t a = 0; r->actions.list && a < r->actions.n; a++)
        REINI_TRY(reini_mdp_at_entry(name_action(r, a), "actions", (size_t)a));
    return REIN_OK;
}

/* numbers by state: terminal values, weights of the start */
static rein_status read_by_state(reader *r, const json_t *object, const char *what,
                                 rein_status (*set)(rein_mdp *, int32_t, double)) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        int32_t s = 0;
        double number = 0;
        REINI_TRY(reini_mdp_find_text(&r->states, key, &s));
        rein_status status = reini_mdp_read_number(value, what, &number);
        if (status != REIN_OK)
            return reini_fail_in(status, "state \"%.60s\": ", key);
        REINI_TRY(set(r->mdp, s, number));
    }
    return REIN_OK;
}

static rein_status read_terminal(reader *r) {
    const json_t *terminal = json_object_get(r->root, "terminal");
    if (!terminal)
        return REIN_OK;
    if (json_is_object(terminal))
        return read_by_state(r, terminal, "value", rein_mdp_terminal);
    if (!json_is_array(terminal))
        return reini_mdp_expected("values by state or a list of states", terminal);
    for (size_t i = 0; i < json_array_size(terminal); i++) {
        int32_t s = 0;
        REINI_TRY(reini_mdp_find(&r->states, json_array_get(terminal, i), &s));
        REINI_TRY(rein_mdp_terminal(r->mdp, s, 0));
    }
    return REIN_OK;
}

static rein_status read_start(reader *r) {
    const json_t *start = json_object_get(r->root, "start");
    int32_t s = 0;
    if (!start)
        return REIN_OK;
    if (json_is_object(start))
        return read_by_state(r, start, "weight", rein_mdp_start);
    REINI_TRY(reini_mdp_find(&r->states, start, &s));
    return rein_mdp_start(r->mdp, s, 1);
}

/* ---- transitions and rewards ----------------------------------------------------------------------------------------- */

static rein_status read_transition(const reader *r, const json_t *list, entry *e) {
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n < 4 || n > 5)
        return reini_fail(REIN_FORMAT,
                          "expected [state, action, next state, probability, reward], found %s%s",
                          reini_mdp_shown_json(list).text, json_is_array(list) ? " of another length" : "");
    REINI_TRY(reini_mdp_find(&r->states, json_array_get(list, 0), &e->state));
    REINI_TRY(reini_mdp_find(&r->actions, json_array_get(list, 1), &e->action));
    REINI_TRY(reini_mdp_find(&r->states, json_array_get(list, 2), &e->next));
    REINI_TRY(reini_mdp_read_number(json_array_get(list, 3), "probability", &e->p));
    if (!(e->p > 0) || e->p > 1)
        return reini_mdp_expected("a probability above 0 and at most 1", json_array_get(list, 3));
    return n == 5 ? reini_mdp_read_number(json_array_get(list, 4), r->mdp->cost ? "cost" : "reward", &e->r)
                  : REIN_OK;
}

static rein_status read_reward(const reader *r, const json_t *list, entry *e) {
    if (!json_is_array(list) || json_array_size(list) != 3)
        return reini_fail(REIN_FORMAT, "expected [state, action, reward], found %s%s",
                          reini_mdp_shown_json(list).text, json_is_array(list) ? " of another length" : "");
    REINI_TRY(reini_mdp_find(&r->states, json_array_get(list, 0), &e->state));
    REINI_TRY(reini_mdp_find(&r->actions, json_array_get(list, 1), &e->action));
    return reini_mdp_read_number(json_array_get(list, 2), r->mdp->cost ? "cost" : "reward", &e->r);
}

static int compare_rows(const entry *a, const entry *b) {
    if (a->state != b->state)
        return a->state < b->state ? -1 : 1;
    return (a->action > b->action) - (a->action < b->action);
}

static int by_row(const void *a, const void *b) {
    const entry *x = a, *y = b;
    int rows = compare_rows(x, y);
    return rows != 0 ? rows : (x->at > y->at) - (x->at < y->at);
}

static rein_status read_entries(const reader *r, const char *key, entries *out,
                                rein_status (*read)(const reader *, const json_t *, entry *)) {
    const json_t *list = json_object_get(r->root, key);
    size_t n = json_array_size(list);
    bool ordered = true;
    if (!json_is_array(list) || n > UINT32_MAX)
        return reini_mdp_at_key(reini_mdp_expected("a list", list), key);
    out->item = REINI_NEW_ARRAY(entry, n);
    if (!out->item)
        return reini_fail_memory(n * sizeof(entry), key);
    out->n = n;
    for (size_t i = 0; i < n; i++) {
        entry *e = &out->item[i];
        *e = (entry){.state = -1, .action = -1, .at = (uint32_t)i};
        rein_status status = read(r, json_array_get(list, i), e);
        if (status != REIN_OK && e->action >= 0)
            reini_fail_in(status, "state %d, action %d: ", e->state, e->action);
        REINI_TRY(reini_mdp_at_entry(status, key, i));
        ordered = ordered && (i == 0 || compare_rows(e - 1, e) <= 0);
    }
    if (!ordered)
        qsort(out->item, n, sizeof(entry), by_row);
    return REIN_OK;
}

/* the first entry of the row, and what the file calls it */
static rein_status at_row(const reader *r, rein_status status, const entry *e) {
    const char *state = json_string_value(reini_mdp_name_at(&r->states, e->state));
    const char *action = json_string_value(reini_mdp_name_at(&r->actions, e->action));
    if (status != REIN_OK && (state || action))
        reini_fail_in(status, "(%.60s, %.60s) ", state ? state : "", action ? action : "");
    return reini_mdp_at_entry(status, "transitions", e->at);
}

/* one row: n entries of transitions from e on, and the reward of (s, a) when the next of those is for it */
static rein_status add_row(reader *r, const entry *e, size_t n, size_t *next_reward) {
    const entry *reward = r->rewards.item + *next_reward;
    double extra = 0;
    if (*next_reward < r->rewards.n && compare_rows(reward, e) == 0) {
        extra = reward->r;
        ++*next_reward;
    }
    for (size_t k = 0; k < n; k++)
        r->row[k] = (rein_outcome){e[k].next, e[k].p, e[k].r + extra};
    return at_row(r, rein_mdp_add(r->mdp, e->state, e->action, (int)n, r->row), e);
}

/* rewards are taken in the order of rows; one that is left is for a row that is not there, or the second of its */
static rein_status fail_reward(const reader *r, size_t i) {
    const entry *e = &r->rewards.item[i];
    bool twice = i > 0 && compare_rows(e - 1, e) == 0;
    return reini_fail(REIN_FORMAT, "rewards[%u]: state %d, action %d: %s", e->at, e->state, e->action,
                      twice ? "has a reward already" : "has no transitions");
}

static size_t row_length(const entries *t, size_t from) {
    size_t end = from + 1;
    while (end < t->n && compare_rows(&t->item[from], &t->item[end]) == 0)
        end++;
    return end - from;
}

static rein_status read_rows(reader *r) {
    const entries *t = &r->transitions;
    size_t next_reward = 0, longest = 1;
    REINI_TRY(read_entries(r, "transitions", &r->transitions, read_transition));
    if (json_object_get(r->root, "rewards"))
        REINI_TRY(read_entries(r, "rewards", &r->rewards, read_reward));
    for (size_t i = 0, n; i < t->n; i += n) {
        n = row_length(t, i);
        longest = n > longest ? n : longest;
    }
    if (longest > INT32_MAX)
        return reini_fail(REIN_UNSUPPORTED, "a row of %zu outcomes, expected fewer than 2^31", longest);
    r->row = REINI_NEW_ARRAY(rein_outcome, longest);
    if (!r->row)
        return reini_fail_memory(longest * sizeof *r->row, "the rows of an MDP");
    for (size_t i = 0, n; i < t->n; i += n) {
        n = row_length(t, i);
        REINI_TRY(add_row(r, &t->item[i], n, &next_reward));
        if (next_reward < r->rewards.n && compare_rows(&r->rewards.item[next_reward], &t->item[i]) <= 0)
            return fail_reward(r, next_reward);
    }
    return next_reward < r->rewards.n ? fail_reward(r, next_reward) : REIN_OK;
}

/* ---- panels ------------------------------------------------------------------------------------------------------------ */

static rein_status read_cells(const reader *r, const json_t *list, int32_t *state, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        state[i] = -1;
        if (!json_is_integer(item) || json_integer_value(item) != -1)
            REINI_TRY(reini_mdp_at_entry(reini_mdp_find(&r->states, item, &state[i]), "states", i));
    }
    return REIN_OK;
}

static rein_status read_panel(reader *r, const json_t *value) {
    static const char *const keys[] = {"title", "height", "width", "states", "symbols"};
    const json_t *title = json_object_get(value, "title"), *states = json_object_get(value, "states");
    const json_t *symbols = json_object_get(value, "symbols");
    rein_panel panel = {.title = json_string_value(title), .symbol = json_string_value(symbols)};
    if (!json_is_object(value))
        return reini_mdp_expected("an object", value);
    REINI_TRY(reini_mdp_check_keys(value, keys, sizeof keys / sizeof *keys));
    REINI_TRY(reini_mdp_at_key(
        reini_mdp_read_count(json_object_get(value, "height"), INT32_MAX, &panel.height), "height"));
    REINI_TRY(reini_mdp_at_key(reini_mdp_read_count(json_object_get(value, "width"), INT32_MAX, &panel.width),
                               "width"));
    size_t n = (size_t)panel.height * (size_t)panel.width;
    if (title && !panel.title)
        return reini_mdp_at_key(reini_mdp_expected("text", title), "title");
    if (json_array_size(states) != n)
        return reini_fail(REIN_FORMAT, "\"states\": expected a list of %d x %d = %zu states, found %zu",
                          panel.height, panel.width, n, json_array_size(states));
    if (symbols && json_string_length(symbols) != n)
        return reini_fail(REIN_FORMAT, "\"symbols\": expected text of %d x %d = %zu characters, found %zu",
                          panel.height, panel.width, n, json_string_length(symbols));
    int32_t *cells = REINI_NEW_ARRAY(int32_t, n);
    if (!cells)
        return reini_fail_memory(n * sizeof *cells, "a panel of an MDP");
    panel.state = cells;
    rein_status status = read_cells(r, states, cells, n);
    if (status == REIN_OK)
        status = rein_mdp_add_panel(r->mdp, &panel);
    reini_free(cells);
    return status;
}

static rein_status read_panels(reader *r) {
    const json_t *panels = json_object_get(r->root, "panels");
    if (panels && !json_is_array(panels))
        return reini_mdp_at_key(reini_mdp_expected("a list", panels), "panels");
    for (size_t i = 0; i < json_array_size(panels); i++)
        REINI_TRY(reini_mdp_at_entry(read_panel(r, json_array_get(panels, i)), "panels", i));
    return REIN_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------ */

static rein_status read_all(reader *r) {
    REINI_TRY(read_head(r));
    REINI_TRY(reini_mdp_at_key(read_terminal(r), "terminal"));
    REINI_TRY(reini_mdp_at_key(read_start(r), "start"));
    REINI_TRY(read_rows(r));
    REINI_TRY(read_panels(r));
    return rein_mdp_finish(r->mdp);
}

rein_status reini_mdp_from_json(const json_t *root, const char *path, rein_mdp **out) {
    reader r = {.root = root, .states.kind = "state", .actions.kind = "action"};
    rein_status status = read_all(&r);
    json_decref(r.states.number_of);
    json_decref(r.actions.number_of);
    reini_free(r.transitions.item);
    reini_free(r.rewards.item);
    reini_free(r.row);
    *out = r.mdp;
    if (status == REIN_OK)
        return status;
    rein_mdp_free(r.mdp);
    *out = NULL;
    /* wrong usage by a file is a wrong file */
    return reini_fail_in(status == REIN_USAGE ? REIN_FORMAT : status, "%s: ", path);
}

rein_status rein_mdp_read(const char *path, rein_mdp **out) {
    char *text;
    size_t size;
    json_t *root = NULL;
    *out = NULL;
    REINI_TRY(reini_file_read(path, REINI_MDP_FILE_MAX, &text, &size));
    rein_status status = reini_memory_claim(size * REINI_MDP_FILE_FACTOR, path);
    if (status == REIN_OK)
        status = reini_json_parse(text, size, path, &root);
    reini_free(text);
    if (status == REIN_OK)
        status = reini_mdp_from_json(root, path, out);
    json_decref(root);
    return status;
}
