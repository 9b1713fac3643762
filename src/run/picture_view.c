/*
 * picture_view.c - the value, the action and the marks of a state, and how they are written and coloured.
 */
#include "run/picture_view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- states ---------------------------------------------------------------------------------------------- */

bool reini_view_ends(const reini_view *v, int32_t s) {
    return v->mdp != NULL && rein_mdp_is_terminal(v->mdp, s, NULL);
}

/* where every second state starts (Taxi, exploring starts) a mark says nothing */
static bool has_many_starts(const rein_mdp *mdp) {
    int32_t state, n = 0;
    double p;
    while (rein_mdp_start_at(mdp, n, &state, &p))
        n++;
    return n > 4;
}

bool reini_view_starts(const reini_view *v, int32_t s) {
    int32_t state;
    double p;
    for (int32_t i = 0; v->mdp != NULL && !v->many_starts && rein_mdp_start_at(v->mdp, i, &state, &p); i++)
        if (state == s && p > 0)
            return true;
    return false;
}

bool reini_view_has(const reini_view *v, int32_t s, int32_t a) {
    return v->mdp == NULL || rein_mdp_row(v->mdp, s, a, NULL, 0) > 0;
}

/* sum_a pi(a|s) q(s,a), or max_a q(s,a) where the policy is greedy; unknown where a learner's q is the same for all
 * actions: that is what tables begin with, and a visit leaves a difference */
static double value_of_q(const reini_view *v, int32_t s) {
    const reini_table_policy *p = v->policy;
    const double *q = p->q + (size_t)s * (size_t)p->n_actions;
    const double *pi = p->pi != NULL ? p->pi + (size_t)s * (size_t)p->n_actions : NULL;
    double best = NAN, sum = 0, worst = INFINITY;
    int32_t n = 0;
    for (int32_t a = 0; a < p->n_actions; a++) {
        if (!reini_view_has(v, s, a))
            continue;
        n++;
        best = isnan(best) || q[a] > best ? q[a] : best;
        worst = q[a] < worst ? q[a] : worst;
        sum += pi != NULL && pi[a] > 0 ? pi[a] * q[a] : 0;
    }
    if (pi != NULL)
        return sum;
    return p->action == NULL && n > 1 && best == worst ? NAN : best;
}

double reini_view_value(const reini_view *v, int32_t s) {
    const reini_table_policy *p = v->policy;
    double value = NAN;
    if (v->mdp != NULL && rein_mdp_is_terminal(v->mdp, s, &value))
        return value;
    if (p->v != NULL)
        value = p->v[s];
    else if (p->q != NULL)
        value = value_of_q(v, s);
    return p->cost ? 0 - value : value;
}

/* the first largest of the existing actions; none when they are all the same or all unknown */
static int32_t preferred(const reini_view *v, int32_t s, const double *x) {
    int32_t best = REINI_ACTION_NONE, n = 0, same = 0;
    for (int32_t a = 0; a < v->policy->n_actions; a++) {
        if (!reini_view_has(v, s, a))
            continue;
        n++;
        if (isnan(x[a]))
            continue;
        if (best < 0 || x[a] > x[best]) {
            best = a;
            same = 1;
        } else {
            same += x[a] == x[best];
        }
    }
    return n > 1 && same == n ? REINI_ACTION_NONE : best;
}

int32_t reini_view_action(const reini_view *v, int32_t s) {
    const reini_table_policy *p = v->policy;
    size_t row = (size_t)s * (size_t)p->n_actions;
    if (reini_view_ends(v, s))
        return REINI_ACTION_END;
    if (p->action != NULL)
        return p->action[s] < 0 ? REINI_ACTION_NONE : p->action[s];
    if (p->pi != NULL)
        return preferred(v, s, p->pi + row);
    return p->q != NULL ? preferred(v, s, p->q + row) : REINI_ACTION_NONE;
}

/* ---- numbers --------------------------------------------------------------------------------------------- */

/* whether x is a multiple of 10^-decimals, as far as iteration to a tolerance can tell */
static bool is_round(double x, int decimals) {
    double scaled = x * pow(10, decimals);
    return fabs(scaled - round(scaled)) <= 1e-6 * fmax(1, fmin(fabs(x), 1000));
}

/* Three significant digits of the largest value, four from 1 on, two of the spread at least, and no more than all
 * values need. */
static int choose_decimals(double low, double high, int needed) {
    double size = fmax(fabs(low), fabs(high)), spread = high - low;
    if (size == 0 || !isfinite(spread))
        return size == 0 ? 0 : -1;
    int order = (int)floor(log10(size)), decimals = order < 0 ? 2 - order : order > 3 ? 0 : 3 - order;
    if (size >= 1e9 || decimals > 5)
        return -1;
    if (spread > 0) {
        int fine = 1 - (int)floor(log10(spread));
        decimals = fine > decimals ? fine > 7 ? 7 : fine : decimals;
    }
    return decimals < needed ? decimals : needed;
}

reini_view reini_view_of(const rein_mdp *mdp, const reini_table_policy *policy,
                         const reini_picture_style *style) {
    reini_view v = {.mdp = mdp, .policy = policy, .style = style, .low = INFINITY, .high = -INFINITY};
    int needed = 0;
    v.many_starts = mdp != NULL && has_many_starts(mdp);
    for (int32_t s = 0; s < policy->n_states; s++) {
        double value = reini_view_value(&v, s);
        v.undecided = v.undecided || reini_view_action(&v, s) == REINI_ACTION_NONE;
        if (!isfinite(value))
            continue;
        /* what the rules of the process say does not make values known */
        v.valued = v.valued || !reini_view_ends(&v, s);
        v.low = fmin(v.low, value);
        v.high = fmax(v.high, value);
        while (needed < 8 && !is_round(value, needed))
            needed++;
    }
    if (v.valued)
        v.decimals = choose_decimals(v.low, v.high, needed);
    return v;
}

void reini_view_number(const reini_view *v, double value, int decimals, char out[32]) {
    char text[64];
    (void)v;
    if (isnan(value)) {
        snprintf(out, 32, "-");
        return;
    }
    if (isinf(value)) {
        snprintf(out, 32, "%sinf", value < 0 ? "-" : "");
        return;
    }
    if (decimals < 0)
        snprintf(text, sizeof text, "%.2e", value);
    else
        snprintf(text, sizeof text, "%.*f", decimals, value);
    /* a zero that was rounded from below has no sign */
    bool zero = text[0] == '-' && strcspn(text, "123456789e") >= strcspn(text, "e");
    snprintf(out, 32, "%.31s", text + zero);
}

int reini_view_columns(const reini_view *v, int decimals) {
    char text[32];
    double ends[3] = {0, v->low, v->high};
    size_t columns = 1;
    for (int i = 0; i < 3; i++) {
        reini_view_number(v, ends[i], decimals, text);
        columns = strlen(text) > columns ? strlen(text) : columns;
    }
    return (int)columns;
}

/* ---- actions --------------------------------------------------------------------------------------------- */

const char *reini_view_glyph(const reini_view *v, int32_t action, char out[8]) {
    static const char digits[] = "0123456789abcdefghijklmnopqrstuwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char *const arrows[] = {"<", "←", ">", "→", "^", "↑", "v", "↓"};
    char glyph = v->mdp != NULL && action >= 0 ? rein_mdp_action_glyph(v->mdp, action) : 0;
    if (action < 0)
        return action == REINI_ACTION_END ? " " : v->style->ascii ? "." : "·";
    if (glyph == 0)
        glyph = action < (int32_t)sizeof digits - 1 ? digits[action] : '?';
    else
        for (int i = 0; i < 8 && !v->style->ascii; i += 2)
            if (glyph == arrows[i][0])
                return arrows[i + 1];
    out[0] = glyph;
    out[1] = 0;
    return out;
}

void reini_view_text(const reini_view *v, const char *text, char *out, size_t size) {
    size_t n = 0;
    for (; *text && n + 1 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (!v->style->ascii || c < 0x80)
            out[n++] = *text;
        else if ((c & 0xc0) != 0x80)
            out[n++] = '?';
    }
    /* no half character at the end of what had to be cut */
    while (*text && n > 0 && ((unsigned char)*text & 0xc0) == 0x80) {
        text--;
        n--;
    }
    out[n] = 0;
}

const char *reini_view_action_name(const reini_view *v, int32_t action, char out[32]) {
    if (v->mdp != NULL)
        reini_view_text(v, rein_mdp_action_name(v->mdp, action), out, 32);
    else
        snprintf(out, 32, "%d", (int)action);
    return out;
}

/* ---- colours --------------------------------------------------------------------------------------------- */

/* xterm's 256 colours from dark violet over blue and green to yellow: about the order of brightness, so that the
 * ramp can be read without telling hues apart. Both background and letters are set: the terminal's own colours do
 * not matter. */
static const int ramp[] = {54, 60, 61, 25, 31, 37, 36, 35, 71, 107, 149, 191, 227};
enum { SHADES = sizeof ramp / sizeof *ramp };

/* relative luminance of a colour of the 6 x 6 x 6 cube, 0..1 */
static double luminance(int colour) {
    static const double level[6] = {0, 0x5f / 255.0, 0x87 / 255.0, 0xaf / 255.0, 0xd7 / 255.0, 1};
    int i = colour - 16;
    return 0.2126 * pow(level[i / 36], 2.2) + 0.7152 * pow(level[i / 6 % 6], 2.2) +
           0.0722 * pow(level[i % 6], 2.2);
}

void reini_view_shade(const reini_view *v, reini_text *t, double value) {
    if (!v->style->colour || !v->valued || !isfinite(value))
        return;
    double share = v->high > v->low ? (value - v->low) / (v->high - v->low) : 0.5;
    if (v->policy->cost)
        share = 1 - share;
    int background = ramp[(int)fmin(share * SHADES, SHADES - 1)];
    /* black (16) or white (231), whichever contrasts more */
    double l = luminance(background), on_black = (l + 0.05) / 0.05, on_white = 1.05 / (l + 0.05);
    reini_text_put(t, "\033[48;5;%d;38;5;%dm", background, on_black >= on_white ? 16 : 231);
}

void reini_view_bold(const reini_view *v, reini_text *t) {
    if (v->style->colour)
        reini_text_put(t, "\033[1m");
}

void reini_view_plain(const reini_view *v, reini_text *t) {
    if (v->style->colour)
        reini_text_put(t, "\033[0m");
}
