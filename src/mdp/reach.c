/*
 * reach.c - almost-sure reachability by nested fixpoints.
 *
 * C. Baier, J.-P. Katoen: Principles of Model Checking, section 10.6.1 (states where some policy reaches a
 * set with probability 1). The outer fixpoint keeps the states R that may still do it; the inner one walks
 * backward from the set, breadth first, over actions that cannot leave R; what it does not meet leaves R. The
 * states of rest are a greatest fixpoint of their own: those with an action that earns nothing and cannot
 * leave them.
 */
#include "mdp/reach.h"

#include <string.h>

/* ---- predecessors -------------------------------------------------------------------------------------- */

/* calls for every transition s -> next in order: counts them, or writes them; repeats of the same s are left
 * out */
static void each_transition(const rein_mdp *mdp, size_t *count, int32_t *last, int32_t *state) {
    for (int32_t s = 0; s < mdp->n_states; s++)
        for (int32_t a = 0; a < mdp->n_actions; a++) {
            reini_row row = reini_mdp_row(mdp, s, a);
            for (int32_t k = 0; k < row.count; k++) {
                int32_t to = row.next[k];
                if (last[to] == s)
                    continue;
                last[to] = s;
                if (state != NULL)
                    state[count[to]] = s;
                count[to]++;
            }
        }
}

static void forget(int32_t *last, int32_t n) {
    for (int32_t s = 0; s < n; s++)
        last[s] = -1;
}

rein_status reini_predecessors_init(reini_predecessors *pred, const rein_mdp *mdp) {
    size_t n = (size_t)mdp->n_states, sum = 0;
    int32_t *last = REINI_NEW_ARRAY(int32_t, n);
    *pred = (reini_predecessors){.first = REINI_NEW_ARRAY(size_t, n + 1)};
    if (last == NULL || pred->first == NULL) {
        reini_free(last);
        return reini_fail_memory(n * 12, "the predecessors of an MDP's states");
    }
    forget(last, mdp->n_states);
    each_transition(mdp, pred->first, last, NULL);
    for (size_t s = 0; s < n; s++) { /* counts become places */
        size_t count = pred->first[s];
        pred->first[s] = sum;
        sum += count;
    }
    rein_status status = reini_memory_claim(sum * sizeof *pred->state, "the predecessors of an MDP's states");
    if (status == REIN_OK && (pred->state = REINI_NEW_ARRAY(int32_t, sum)) == NULL)
        status = reini_fail_memory(sum * sizeof *pred->state, "the predecessors of an MDP's states");
    if (status == REIN_OK) {
        forget(last, mdp->n_states);
        each_transition(mdp, pred->first, last, pred->state);
        /* every place has moved to the next one's beginning */
        memmove(pred->first + 1, pred->first, n * sizeof *pred->first);
        pred->first[0] = 0;
    }
    reini_free(last);
    return status;
}

void reini_predecessors_release(reini_predecessors *pred) {
    reini_free(pred->first);
    reini_free(pred->state);
    *pred = (reini_predecessors){0};
}

/* ---- the two fixpoints --------------------------------------------------------------------------------- */

typedef struct search {
    const rein_mdp *mdp;
    const reini_ending_opts *opts;
    reini_predecessors pred;
    uint8_t *rest;  /* (S) may rest here */
    uint8_t *in;    /* (S) R: may still end for sure */
    uint8_t *met;   /* (S) the walk has come here */
    int32_t *queue; /* (S) */
    int32_t *action;
} search;

bool reini_row_is_free(const reini_row *row) {
    if (row->r == NULL)
        return row->reward == 0;
    for (int32_t k = 0; k < row->count; k++)
        if (row->r[k] != 0)
            return false;
    return true;
}

static bool stays_in(const reini_row *row, const uint8_t *set) {
    for (int32_t k = 0; k < row->count; k++)
        if (!set[row->next[k]])
            return false;
    return true;
}

static bool meets(const reini_row *row, const uint8_t *set) {
    for (int32_t k = 0; k < row->count; k++)
        if (set[row->next[k]])
            return true;
    return false;
}

/* the row, with count 0 when it may not be taken */
static reini_row row_of(const search *x, int32_t s, int32_t a) {
    size_t row = (size_t)s * (size_t)x->mdp->n_actions + (size_t)a;
    if (x->opts->allowed != NULL && !x->opts->allowed[row])
        return (reini_row){0};
    return reini_mdp_row(x->mdp, s, a);
}

/* lowest action that stays among the states of rest for nothing, -1 = none */
static int32_t action_of_rest(const search *x, int32_t s) {
    for (int32_t a = 0; a < x->mdp->n_actions; a++) {
        reini_row row = row_of(x, s, a);
        if (row.count > 0 && reini_row_is_free(&row) && stays_in(&row, x->rest))
            return a;
    }
    return -1;
}

/* takes the states out that have no such action any more, and then their predecessors */
static void find_rest(search *x) {
    int32_t n = x->mdp->n_states, head = 0, tail = 0;
    for (int32_t s = 0; s < n; s++)
        x->rest[s] = !x->mdp->terminal[s] && (x->opts->rest == NULL || x->opts->rest[s]);
    for (int32_t s = 0; s < n; s++)
        if (!x->rest[s])
            x->queue[tail++] = s;
    for (int32_t s = 0; s < n; s++)
        if (x->rest[s] && action_of_rest(x, s) < 0) {
            x->rest[s] = 0;
            x->queue[tail++] = s;
        }
    while (head < tail) {
        int32_t s = x->queue[head++];
        for (size_t i = x->pred.first[s]; i < x->pred.first[s + 1]; i++) {
            int32_t from = x->pred.state[i];
            if (x->rest[from] && action_of_rest(x, from) < 0) {
                x->rest[from] = 0;
                x->queue[tail++] = from;
            }
        }
    }
}

/* lowest action that cannot leave R and may come to a state that was met, -1 = none */
static int32_t action_of_progress(const search *x, int32_t s) {
    for (int32_t a = 0; a < x->mdp->n_actions; a++) {
        reini_row row = row_of(x, s, a);
        if (row.count > 0 && meets(&row, x->met) && stays_in(&row, x->in))
            return a;
    }
    return -1;
}

/* backward from the ends, breadth first; returns how many states it met */
static int32_t walk_back(search *x) {
    int32_t head = 0, tail = 0;
    for (int32_t s = 0; s < x->mdp->n_states; s++) {
        x->met[s] = x->mdp->terminal[s] || x->rest[s];
        x->action[s] = x->rest[s] ? action_of_rest(x, s) : -1;
        if (x->met[s])
            x->queue[tail++] = s;
    }
    while (head < tail) {
        int32_t s = x->queue[head++];
        for (size_t i = x->pred.first[s]; i < x->pred.first[s + 1]; i++) {
            int32_t from = x->pred.state[i];
            int32_t a = x->met[from] || !x->in[from] ? -1 : action_of_progress(x, from);
            if (a < 0)
                continue;
            x->met[from] = 1;
            x->action[from] = a;
            x->queue[tail++] = from;
        }
    }
    return tail;
}

static rein_status search_init(search *x) {
    size_t n = (size_t)x->mdp->n_states;
    x->rest = REINI_NEW_ARRAY(uint8_t, n);
    x->in = REINI_NEW_ARRAY(uint8_t, n);
    x->met = REINI_NEW_ARRAY(uint8_t, n);
    x->queue = REINI_NEW_ARRAY(int32_t, n);
    if (x->rest == NULL || x->in == NULL || x->met == NULL || x->queue == NULL)
        return reini_fail_memory(7 * n, "the search for a policy that ends");
    return reini_predecessors_init(&x->pred, x->mdp);
}

static void search_release(search *x) {
    reini_predecessors_release(&x->pred);
    reini_free(x->rest);
    reini_free(x->in);
    reini_free(x->met);
    reini_free(x->queue);
}

rein_status reini_ending_policy(const rein_mdp *mdp, const reini_ending_opts *opts, int32_t *action,
                                int32_t *stuck) {
    static const reini_ending_opts all;
    search x = {.mdp = mdp, .opts = opts != NULL ? opts : &all, .action = action};
    int32_t left = mdp->n_states, found;
    rein_status status = search_init(&x);
    if (status == REIN_OK) {
        find_rest(&x);
        memset(x.in, 1, (size_t)mdp->n_states);
        while ((found = walk_back(&x)) < left) {
            memcpy(x.in, x.met, (size_t)mdp->n_states);
            left = found;
        }
        *stuck = -1;
        for (int32_t s = mdp->n_states; s-- > 0;)
            *stuck = x.met[s] ? *stuck : s;
    }
    search_release(&x);
    return status;
}
