/*
 * picture_list.c - states one below the other, for MDPs that are not laid out in a plane.
 *
 *     state  value  action
 *         0   7.29  right
 *         1   8.10  left 0.25, right 0.75
 *         2  10.00  (end)
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "run/picture_view.h"

/* "12", or "12 (1, 2)" where a state has parts */
static void state_text(const reini_view *v, int32_t s, char *out, size_t size) {
    const rein_space *obs = &v->policy->base.obs;
    int at = snprintf(out, size, "%d", (int)s);
    if (obs->kind != REIN_SPACE_MULTI_DISCRETE)
        return;
    int32_t item[REIN_SPACE_PARTS];
    rein_space_item(obs, s, item);
    for (int k = 0; k < obs->size; k++)
        at += snprintf(out + at, size - (size_t)at, "%s%d", k == 0 ? " (" : ", ", (int)item[k]);
    snprintf(out + at, size - (size_t)at, ")");
}

static bool is_certain(const double *pi, int32_t n) {
    for (int32_t a = 0; a < n; a++)
        if (pi[a] == 1)
            return true;
    return false;
}

/* "left 0.25, right 0.75" */
static void put_probabilities(const reini_view *v, const double *pi, reini_text *text) {
    char name[32];
    int32_t shown = 0, n = v->policy->n_actions;
    for (int32_t a = 0; a < n; a++) {
        if (!(pi[a] > 0))
            continue;
        if (shown == 8) {
            reini_text_put(text, ", ...");
            return;
        }
        reini_text_put(text, "%s%s %.3g", shown++ ? ", " : "", reini_view_action_name(v, a, name), pi[a]);
    }
}

static void put_action(const reini_view *v, int32_t s, reini_text *text) {
    char name[32];
    const reini_table_policy *p = v->policy;
    const double *pi = p->pi != NULL ? p->pi + (size_t)s * (size_t)p->n_actions : NULL;
    int32_t action = reini_view_action(v, s);
    if (action == REINI_ACTION_END) {
        reini_text_put(text, "(end)");
    } else if (p->action == NULL && pi != NULL && !is_certain(pi, p->n_actions)) {
        put_probabilities(v, pi, text);
    } else if (action == REINI_ACTION_NONE) {
        reini_text_put(text, "-");
    } else {
        reini_view_bold(v, text);
        reini_text_put(text, "%s", reini_view_action_name(v, action, name));
        reini_view_plain(v, text);
    }
}

static void put_row(const reini_view *v, int32_t s, int columns, reini_text *text) {
    char state[160], number[32];
    state_text(v, s, state, sizeof state);
    reini_text_put(text, REINI_PICTURE_INDENT "%*s", columns, state);
    if (v->valued) {
        int width = reini_view_columns(v, v->decimals);
        reini_view_number(v, reini_view_value(v, s), v->decimals, number);
        reini_text_put(text, "  ");
        reini_view_shade(v, text, reini_view_value(v, s));
        reini_text_put(text, "%*s", width < 5 ? 5 : width, number);
        reini_view_plain(v, text);
    }
    reini_text_put(text, "  ");
    put_action(v, s, text);
    reini_text_put(text, "\n");
}

/* a state that no visit has told anything of */
static bool is_unknown(const reini_view *v, int32_t s) {
    return v->policy->q != NULL && v->policy->pi == NULL && isnan(reini_view_value(v, s)) &&
           reini_view_action(v, s) == REINI_ACTION_NONE;
}

static int state_columns(const reini_view *v, int64_t most) {
    char state[160];
    int columns = 5;
    for (int32_t s = 0; s < v->policy->n_states && most > 0; s++) {
        if (is_unknown(v, s))
            continue;
        state_text(v, s, state, sizeof state);
        columns = (int)strlen(state) > columns ? (int)strlen(state) : columns;
        most--;
    }
    return columns;
}

reini_listed reini_picture_list(const reini_view *view, reini_text *text) {
    int columns = state_columns(view, view->style->states);
    reini_listed listed = {0};
    reini_text_put(text, REINI_PICTURE_INDENT "%*s", columns, "state");
    if (view->valued) {
        int width = reini_view_columns(view, view->decimals);
        reini_text_put(text, "  %*s", width < 5 ? 5 : width, "value");
    }
    reini_text_put(text, "  action\n");
    for (int32_t s = 0; s < view->policy->n_states; s++) {
        if (is_unknown(view, s))
            listed.unknown++;
        else if (listed.shown < view->style->states && ++listed.shown)
            put_row(view, s, columns, text);
        else
            listed.more++;
    }
    return listed;
}
