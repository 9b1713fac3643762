/*
 * chain.c - recurrent classes by Tarjan's algorithm, their gain, and direct solves.
 *
 * R. Tarjan: Depth-first search and linear graph algorithms, SIAM J. Comput. 1(2), 1972. A strongly connected
 * component that no transition leaves is a recurrent class. The depth-first search keeps its own stack: an
 * MDP may be deep.
 */
#include "mdp/chain.h"

#include <string.h>
#include "base/linear.h"
#include "mdp/reach.h"

/* ---- successors of a state under a policy -------------------------------------------------------------- */

typedef struct cursor {
    int32_t a, k;
} cursor;

/* the next state after the cursor's place, -1 at the end */
static int32_t successor(const rein_mdp *mdp, const reini_choice *choice, int32_t s, cursor *at) {
    for (; at->a < mdp->n_actions; at->a++, at->k = 0) {
        if (!(reini_choice_of(choice, mdp, s, at->a) > 0))
            continue;
        reini_row row = reini_mdp_row(mdp, s, at->a);
        if (at->k < row.count)
            return row.next[at->k++];
    }
    return -1;
}

/* ---- recurrent classes --------------------------------------------------------------------------------- */

typedef struct tarjan {
    const rein_mdp *mdp;
    const reini_choice *choice;
    int32_t *of;     /* -1 = not in a class */
    int32_t *index;  /* order of discovery from 1, 0 = not found yet */
    int32_t *low;    /* lowest index that is reached */
    uint8_t *leaves; /* the part of the component below this state has a way out */
    uint8_t *open;   /* on the stack of states without a component */
    int32_t *stack, *path;
    cursor *at;
    int32_t found, top, depth, classes;
} tarjan;

static void discover(tarjan *t, int32_t s) {
    t->index[s] = t->low[s] = ++t->found;
    t->stack[t->top++] = s;
    t->path[t->depth++] = s;
    t->open[s] = 1;
    t->at[s] = (cursor){0, 0};
    t->leaves[s] = t->mdp->terminal[s]; /* an end, but no class */
}

/* the component whose first state is s is complete */
static void close_component(tarjan *t, int32_t s) {
    int32_t class = t->leaves[s] ? -1 : t->classes++;
    int32_t member;
    do {
        member = t->stack[--t->top];
        t->open[member] = 0;
        t->of[member] = class;
    } while (member != s);
}

/* goes back from s to the state it was found from */
static void ascend(tarjan *t, int32_t s) {
    bool first = t->low[s] == t->index[s];
    if (first)
        close_component(t, s);
    t->depth--;
    if (t->depth == 0)
        return;
    int32_t parent = t->path[t->depth - 1];
    t->low[parent] = t->low[s] < t->low[parent] ? t->low[s] : t->low[parent];
    t->leaves[parent] |= first ? 1 : t->leaves[s];
}

static void search_from(tarjan *t, int32_t root) {
    discover(t, root);
    while (t->depth > 0) {
        int32_t s = t->path[t->depth - 1];
        int32_t to = t->mdp->terminal[s] ? -1 : successor(t->mdp, t->choice, s, &t->at[s]);
        if (to < 0)
            ascend(t, s);
        else if (t->index[to] == 0)
            discover(t, to);
        else if (t->open[to])
            t->low[s] = t->index[to] < t->low[s] ? t->index[to] : t->low[s];
        else
            t->leaves[s] = 1;
    }
}

rein_status reini_classes_init(reini_classes *classes, const rein_mdp *mdp, const reini_choice *choice) {
    size_t n = (size_t)mdp->n_states;
    tarjan t = {.mdp = mdp,
                .choice = choice,
                .of = REINI_NEW_ARRAY(int32_t, n),
                .index = REINI_NEW_ARRAY(int32_t, n),
                .low = REINI_NEW_ARRAY(int32_t, n),
                .leaves = REINI_NEW_ARRAY(uint8_t, n),
                .open = REINI_NEW_ARRAY(uint8_t, n),
                .stack = REINI_NEW_ARRAY(int32_t, n),
                .path = REINI_NEW_ARRAY(int32_t, n),
                .at = REINI_NEW_ARRAY(cursor, n)};
    *classes = (reini_classes){.of = t.of};
    bool whole = t.of && t.index && t.low && t.leaves && t.open && t.stack && t.path && t.at;
    for (int32_t s = 0; whole && s < mdp->n_states; s++)
        if (t.index[s] == 0)
            search_from(&t, s);
    classes->count = t.classes;
    reini_free(t.index);
    reini_free(t.low);
    reini_free(t.leaves);
    reini_free(t.open);
    reini_free(t.stack);
    reini_free(t.path);
    reini_free(t.at);
    return whole ? REIN_OK : reini_fail_memory(n * 30, "the classes of a Markov chain");
}

void reini_classes_release(reini_classes *classes) {
    reini_free(classes->of);
    *classes = (reini_classes){0};
}

int32_t reini_classes_earning(const reini_classes *classes, const rein_mdp *mdp, const reini_choice *choice) {
    for (int32_t s = 0; s < mdp->n_states; s++)
        for (int32_t a = 0; classes->of[s] >= 0 && a < mdp->n_actions; a++) {
            reini_row row = reini_mdp_row(mdp, s, a);
            if (row.count > 0 && reini_choice_of(choice, mdp, s, a) > 0 && !reini_row_is_free(&row))
                return s;
        }
    return -1;
}

/* ---- gain ---------------------------------------------------------------------------------------------- */

enum { GAIN_SWEEPS = 2000 };

/* h and its successor over the members of one class */
typedef struct gain {
    const reini_bellman *b;
    const reini_choice *choice;
    const int32_t *member;
    int32_t n;
    double *h;
} gain;

/* Bounds on the gain from one backup, min and max over the class of T h - h (they hold for any h), and a step
 * towards narrower ones: half a backup, which converges for periodic classes too. `out` (S). */
static void gain_step(const gain *g, double *out, double *low, double *high) {
    *low = INFINITY;
    *high = -INFINITY;
    for (int32_t i = 0; i < g->n; i++) {
        int32_t s = g->member[i];
        double change = reini_expected(g->b, g->choice, g->h, s) - g->h[s];
        *low = change < *low ? change : *low;
        *high = change > *high ? change : *high;
        out[s] = g->h[s] + change / 2;
    }
    double base = out[g->member[0]]; /* only differences matter: keep the numbers small */
    for (int32_t i = 0; i < g->n; i++)
        g->h[g->member[i]] = out[g->member[i]] - base;
}

rein_status reini_classes_gain(const reini_classes *classes, const rein_mdp *mdp, const reini_choice *choice,
                               int32_t state, double *low, double *high) {
    size_t n = (size_t)mdp->n_states;
    int32_t *member = REINI_NEW_ARRAY(int32_t, n);
    double *h = REINI_NEW_ARRAY(double, n), *out = REINI_NEW_ARRAY(double, n);
    reini_bellman b = {mdp, 1, NULL};
    gain g = {&b, choice, member, 0, h};
    bool whole = member != NULL && h != NULL && out != NULL;
    for (int32_t s = 0; whole && s < mdp->n_states; s++)
        if (classes->of[s] == classes->of[state])
            member[g.n++] = s;
    for (int i = 0; whole && i < GAIN_SWEEPS; i++) {
        gain_step(&g, out, low, high);
        if (*high - *low <= 1e-9 * (fabs(*low) + fabs(*high)))
            break;
    }
    reini_free(member);
    reini_free(h);
    reini_free(out);
    return whole ? REIN_OK : reini_fail_memory(n * 20, "the gain of a Markov chain");
}

/* ---- infinite values ----------------------------------------------------------------------------------- */

static rein_status infinite(const rein_mdp *mdp, const char *who, int32_t s, double low, double high) {
    double shown = reini_mdp_shown(mdp, (low + high) / 2);
    return reini_fail(REIN_DIVERGED,
                      "at gamma = 1 %s has infinite values: it never ends from state %d, at a %s of %.6g per "
                      "step; choose gamma < 1, a time limit (backward-induction), or a policy that ends",
                      who, (int)s, mdp->cost ? "cost" : "reward", shown);
}

static rein_status check_classes(const reini_classes *classes, const rein_mdp *mdp,
                                 const reini_choice *choice, const char *who) {
    double low, high;
    int32_t s = reini_classes_earning(classes, mdp, choice);
    if (s < 0)
        return REIN_OK;
    REINI_TRY(reini_classes_gain(classes, mdp, choice, s, &low, &high));
    return infinite(mdp, who, s, low, high);
}

rein_status reini_chain_check(const reini_bellman *b, const reini_choice *choice, const char *who) {
    reini_classes classes;
    if (b->gamma < 1)
        return REIN_OK;
    rein_status status = reini_classes_init(&classes, b->mdp, choice);
    if (status == REIN_OK)
        status = check_classes(&classes, b->mdp, choice, who);
    reini_classes_release(&classes);
    return status;
}

/* ---- direct solves ------------------------------------------------------------------------------------- */

rein_status reini_direct_init(reini_direct *d, const rein_mdp *mdp, const char *setting) {
    size_t n = (size_t)mdp->n_states, bytes = n * n * sizeof(double);
    *d = (reini_direct){0};
    if (mdp->n_states > REINI_DIRECT_STATES)
        return reini_fail(REIN_USAGE,
                          "%s solves for at most %d states at once, there are %d: choose iterative", setting,
                          REINI_DIRECT_STATES, (int)mdp->n_states);
    d->matrix = reini_new(bytes);
    d->right = REINI_NEW_ARRAY(double, n);
    d->pivot = REINI_NEW_ARRAY(int32_t, n);
    d->number = REINI_NEW_ARRAY(int32_t, n);
    d->swept = REINI_NEW_ARRAY(double, n);
    if (d->matrix && d->right && d->pivot && d->number && d->swept)
        return REIN_OK;
    reini_direct_release(d);
    return reini_fail_memory(bytes, "the matrix of a direct solve");
}

void reini_direct_release(reini_direct *d) {
    reini_free(d->matrix);
    reini_free(d->right);
    reini_free(d->pivot);
    reini_free(d->number);
    reini_free(d->swept);
    *d = (reini_direct){0};
}

/* numbers the unknowns: all but terminal states and, at gamma = 1, states that rest (whose value is 0) */
static rein_status number_unknowns(reini_direct *d, const reini_bellman *b, const reini_choice *choice,
                                   const char *who, int32_t *n) {
    reini_classes classes = {0};
    rein_status status = REIN_OK;
    *n = 0;
    if (b->gamma == 1) {
        status = reini_classes_init(&classes, b->mdp, choice);
        if (status == REIN_OK)
            status = check_classes(&classes, b->mdp, choice, who);
    }
    for (int32_t s = 0; status == REIN_OK && s < b->mdp->n_states; s++) {
        bool known = b->mdp->terminal[s] || (b->gamma == 1 && classes.of[s] >= 0);
        d->number[s] = known ? -1 : (*n)++;
    }
    reini_classes_release(&classes);
    return status;
}

/* the equation of a state: its row of I - gamma P */
static void write_equation(const reini_direct *d, const reini_bellman *b, const reini_choice *choice,
                           int32_t s, double *equation) {
    for (int32_t a = 0; a < b->mdp->n_actions; a++) {
        double pi = reini_choice_of(choice, b->mdp, s, a);
        reini_row row = reini_mdp_row(b->mdp, s, a);
        for (int32_t k = 0; pi > 0 && k < row.count; k++)
            if (d->number[row.next[k]] >= 0)
                equation[d->number[row.next[k]]] -= b->gamma * pi * row.p[k];
    }
    equation[d->number[s]] += 1;
}

/* V += (I - gamma P)^-1 (T V - V); from V = 0 this is the solution, afterwards it takes roundings away */
static void refine(reini_direct *d, const reini_bellman *b, const reini_choice *choice, int32_t n,
                   double *V) {
    reini_sweep_policy(b, choice, V, d->swept);
    for (int32_t s = 0; s < b->mdp->n_states; s++)
        if (d->number[s] >= 0)
            d->right[d->number[s]] = d->swept[s] - V[s];
    reini_lu_solve(d->matrix, n, d->pivot, d->right);
    for (int32_t s = 0; s < b->mdp->n_states; s++)
        if (d->number[s] >= 0)
            V[s] += d->right[d->number[s]];
}

rein_status reini_direct_solve(reini_direct *d, const reini_bellman *b, const reini_choice *choice,
                               const char *who, double *V) {
    enum { REFINEMENTS = 2 };
    int32_t n;
    REINI_TRY(number_unknowns(d, b, choice, who, &n));
    memset(d->matrix, 0, (size_t)n * (size_t)n * sizeof(double));
    for (int32_t s = 0; s < b->mdp->n_states; s++)
        if (d->number[s] >= 0)
            write_equation(d, b, choice, s, d->matrix + (size_t)d->number[s] * (size_t)n);
    if (!reini_lu_factor(d->matrix, n, d->pivot, b->pool))
        return reini_fail(REIN_DIVERGED,
                          "the equations of this policy's values are singular at gamma = %.17g", b->gamma);
    reini_values_reset(b->mdp, V);
    for (int i = 0; i <= REFINEMENTS; i++)
        refine(d, b, choice, n, V);
    return REIN_OK;
}
