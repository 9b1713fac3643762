/*
 * mdp.c - building finite Markov decision processes, and reading them.
 *
 * Rows arrive in order, so their next states stand one after the other in one array. Probabilities and rewards are
 * interned (mdp_intern.c). Costs are negated on the way in and on the way out, as 0 - x, which knows no -0.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mdp/mdp_build.h"

#define ACTIONS_MAX     65535
#define TRANSITIONS_MAX ((int64_t)UINT32_MAX) /* `first` has 32 bits */
#define SUM_TOLERANCE   1e-9

/* ---- lifetime ---------------------------------------------------------------------------------------------------- */

static rein_status allocate(rein_mdp *mdp) {
    char what[80];
    size_t states = (size_t)mdp->n_states, actions = (size_t)mdp->n_actions, cells, bytes;
    snprintf(what, sizeof what, "an MDP of %zu states and %zu actions", states, actions);
    if (__builtin_mul_overflow(states, actions, &cells) ||
        __builtin_mul_overflow(cells, 2 * sizeof(uint32_t), &bytes) ||
        __builtin_add_overflow(bytes, states, &bytes))
        return reini_memory_claim(SIZE_MAX, what);
    REINI_TRY(reini_memory_claim(bytes, what));
    mdp->terminal = REINI_NEW_ARRAY(uint8_t, states);
    mdp->shape = REINI_NEW_ARRAY(uint32_t, cells);
    mdp->first = REINI_NEW_ARRAY(uint32_t, cells);
    mdp->names = REINI_NEW_ARRAY(reini_action_name, actions);
    mdp->build = REINI_NEW(reini_mdp_build);
    if (!mdp->terminal || !mdp->shape || !mdp->first || !mdp->names || !mdp->build)
        return reini_fail_memory(bytes, what);
    for (int32_t a = 0; a < mdp->n_actions; a++)
        snprintf(mdp->names[a].name, sizeof mdp->names[a].name, "%d", a);
    REINI_TRY(reini_mdp_reserve(&mdp->shapes, &mdp->build->shape_room, 0, 1, sizeof(reini_shape),
                                "the rows of an MDP"));
    mdp->shapes[0].r = -1; /* no such action */
    mdp->n_shapes = 1;
    return REIN_OK;
}

rein_status rein_mdp_new(int32_t n_states, int32_t n_actions, bool cost, rein_mdp **out) {
    *out = NULL;
    if (n_states < 1)
        return reini_fail(REIN_USAGE, "an MDP of %d states: expected 1 or more", n_states);
    if (n_actions < 1 || n_actions > ACTIONS_MAX)
        return reini_fail(REIN_USAGE, "an MDP of %d actions: expected 1 to %d", n_actions, ACTIONS_MAX);
    rein_mdp *mdp = REINI_NEW(rein_mdp);
    if (!mdp)
        return reini_fail_memory(sizeof *mdp, "an MDP");
    mdp->n_states = n_states;
    mdp->n_actions = n_actions;
    mdp->cost = cost;
    rein_status status = allocate(mdp);
    if (status != REIN_OK) {
        rein_mdp_free(mdp);
        return status;
    }
    *out = mdp;
    return REIN_OK;
}

static void release_build(rein_mdp *mdp) {
    if (mdp->build)
        reini_free(mdp->build->slot);
    reini_free(mdp->build);
    mdp->build = NULL;
}

void rein_mdp_free(rein_mdp *mdp) {
    if (!mdp)
        return;
    release_build(mdp);
    reini_mdp_release_panels(mdp);
    reini_free(mdp->terminal);
    reini_free(mdp->terminal_value);
    reini_free(mdp->shape);
    reini_free(mdp->first);
    reini_free(mdp->next);
    reini_free(mdp->shapes);
    reini_free(mdp->p);
    reini_free(mdp->r);
    reini_free(mdp->starts);
    reini_free(mdp->names);
    reini_free(mdp);
}

/* ---- building ---------------------------------------------------------------------------------------------------- */

static rein_status check_open(const rein_mdp *mdp) {
    return mdp->finished ? reini_fail(REIN_USAGE, "the MDP is finished, nothing can be added to it")
                         : REIN_OK;
}

static rein_status check_state(const rein_mdp *mdp, int32_t state, const char *role) {
    if (state >= 0 && state < mdp->n_states)
        return REIN_OK;
    return reini_fail(REIN_USAGE, "%s %d does not exist: the MDP has states 0 to %d", role, state,
                      mdp->n_states - 1);
}

/* the place of the row, and that it comes after the rows there are */
static rein_status check_place(const rein_mdp *mdp, int32_t state, int32_t action) {
    REINI_TRY(check_open(mdp));
    REINI_TRY(check_state(mdp, state, "state"));
    if (action < 0 || action >= mdp->n_actions)
        return reini_fail(REIN_USAGE, "state %d: action %d does not exist, the MDP has actions 0 to %d",
                          state, action, mdp->n_actions - 1);
    uint64_t row = (uint64_t)state * (uint64_t)mdp->n_actions + (uint64_t)action;
    uint64_t after = mdp->build->row_after, actions = (uint64_t)mdp->n_actions;
    if (row + 1 == after)
        return reini_fail(REIN_USAGE, "state %d, action %d: this row is there already", state, action);
    if (row < after)
        return reini_fail(REIN_USAGE,
                          "state %d, action %d: rows come in ascending order, and the last was state %llu, "
                          "action %llu",
                          state, action, (unsigned long long)((after - 1) / actions),
                          (unsigned long long)((after - 1) % actions));
    return REIN_OK;
}

static rein_status check_outcomes(const rein_mdp *mdp, int32_t state, int32_t action, int n,
                                  const rein_outcome *outcomes) {
    double sum = 0;
    if (n < 1)
        return reini_fail(REIN_USAGE, "state %d, action %d: %d outcomes, expected 1 or more", state, action,
                          n);
    if (n > TRANSITIONS_MAX - mdp->n_transitions)
        return reini_fail(REIN_UNSUPPORTED,
                          "state %d, action %d: the MDP has more than %lld transitions, which "
                          "is the most the tables can hold",
                          state, action, (long long)TRANSITIONS_MAX);
    for (int k = 0; k < n; k++) {
        const rein_outcome *o = &outcomes[k];
        if (o->next < 0 || o->next >= mdp->n_states)
            return reini_fail(REIN_USAGE,
                              "state %d, action %d: next state %d does not exist, the MDP has states 0 to %d",
                              state, action, o->next, mdp->n_states - 1);
        if (!(o->probability > 0) || o->probability > 1)
            return reini_fail(REIN_USAGE,
                              "state %d, action %d: probability %.17g of next state %d, expected more than 0 "
                              "and at most 1",
                              state, action, o->probability, o->next);
        if (!isfinite(o->reward))
            return reini_fail(REIN_USAGE, "state %d, action %d: %s %g to next state %d is not finite", state,
                              action, mdp->cost ? "cost" : "reward", o->reward, o->next);
        sum += o->probability;
    }
    if (fabs(sum - 1) > SUM_TOLERANCE)
        return reini_fail(REIN_USAGE, "state %d, action %d: the probabilities sum to %.12g, expected 1",
                          state, action, sum);
    return REIN_OK;
}

rein_status rein_mdp_add(rein_mdp *mdp, int32_t state, int32_t action, int n, const rein_outcome *outcomes) {
    uint32_t shape;
    REINI_TRY(check_place(mdp, state, action));
    REINI_TRY(check_outcomes(mdp, state, action, n, outcomes));
    REINI_TRY(reini_mdp_reserve(&mdp->next, &mdp->build->next_room, (size_t)mdp->n_transitions, (size_t)n,
                                sizeof(int32_t), "the transitions of an MDP"));
    rein_status status = reini_mdp_intern(mdp, n, outcomes, &shape);
    if (status != REIN_OK)
        return reini_fail_in(status, "state %d, action %d: ", state, action);
    size_t row = (size_t)state * (size_t)mdp->n_actions + (size_t)action;
    mdp->shape[row] = shape;
    mdp->first[row] = (uint32_t)mdp->n_transitions;
    for (int k = 0; k < n; k++)
        mdp->next[mdp->n_transitions + k] = outcomes[k].next;
    mdp->n_transitions += n;
    mdp->build->row_after = (uint64_t)row + 1;
    return REIN_OK;
}

rein_status rein_mdp_terminal(rein_mdp *mdp, int32_t state, double value) {
    REINI_TRY(check_open(mdp));
    REINI_TRY(check_state(mdp, state, "terminal state"));
    if (!isfinite(value))
        return reini_fail(REIN_USAGE, "terminal state %d: the value %g is not finite", state, value);
    double before;
    if (rein_mdp_is_terminal(mdp, state, &before) && before != value)
        return reini_fail(REIN_USAGE, "terminal state %d: has the value %.12g already, not %.12g", state,
                          before, value);
    if (value != 0 && !mdp->terminal_value) {
        size_t bytes = (size_t)mdp->n_states * sizeof(double);
        REINI_TRY(reini_memory_claim(bytes, "the terminal values of an MDP"));
        mdp->terminal_value = reini_new(bytes);
        if (!mdp->terminal_value)
            return reini_fail_memory(bytes, "the terminal values of an MDP");
    }
    mdp->terminal[state] = 1;
    if (value != 0)
        mdp->terminal_value[state] = reini_mdp_shown(mdp, value);
    return REIN_OK;
}

rein_status rein_mdp_start(rein_mdp *mdp, int32_t state, double weight) {
    REINI_TRY(check_open(mdp));
    REINI_TRY(check_state(mdp, state, "start state"));
    if (!(weight >= 0) || !isfinite(mdp->build->total + weight))
        return reini_fail(REIN_USAGE, "start state %d: weight %g, expected 0 or more, and a finite total",
                          state, weight);
    if ((size_t)mdp->n_starts >= INT32_MAX)
        return reini_fail(REIN_UNSUPPORTED, "start state %d: too many start weights", state);
    REINI_TRY(reini_mdp_reserve(&mdp->starts, &mdp->build->start_room, (size_t)mdp->n_starts, 1,
                                sizeof(reini_start), "the start states of an MDP"));
    mdp->starts[mdp->n_starts++] = (reini_start){state, weight, 0};
    mdp->build->total += weight;
    return REIN_OK;
}

/* ---- finishing --------------------------------------------------------------------------------------------------- */

static rein_status check_states(const rein_mdp *mdp) {
    size_t actions = (size_t)mdp->n_actions;
    for (int32_t s = 0; s < mdp->n_states; s++) {
        const uint32_t *shape = mdp->shape + (size_t)s * actions;
        size_t a = 0;
        while (a < actions && shape[a] == 0)
            a++;
        if (a < actions && mdp->terminal[s])
            return reini_fail(REIN_USAGE,
                              "state %d is terminal, but has a row for action %zu; it can be one or "
                              "the other",
                              s, a);
        if (a == actions && !mdp->terminal[s])
            return reini_fail(REIN_USAGE,
                              "state %d has no action and is not terminal; give it a row or make it "
                              "terminal",
                              s);
    }
    return REIN_OK;
}

static int by_state(const void *a, const void *b) {
    int32_t x = ((const reini_start *)a)->state, y = ((const reini_start *)b)->state;
    return (x > y) - (x < y);
}

/* Sorted by state, each once. Weights that already sum to 1 are probabilities and stay as they are to the bit, so that
 * a file reads back as what was written. */
static rein_status finish_starts(rein_mdp *mdp) {
    if (mdp->n_starts == 0)
        REINI_TRY(rein_mdp_start(mdp, 0, 1));
    reini_start *starts = mdp->starts;
    double total = mdp->build->total, upto = 0;
    int32_t n = 0;
    if (total == 0)
        return reini_fail(REIN_USAGE,
                          "the weights of all %d start states are 0; give one of them a weight, or "
                          "none to start in state 0",
                          mdp->n_starts);
    qsort(starts, (size_t)mdp->n_starts, sizeof *starts, by_state);
    if (fabs(total - 1) <= SUM_TOLERANCE)
        total = 1;
    for (int32_t i = 0, j; i < mdp->n_starts; i = j) {
        reini_start merged = starts[i];
        for (j = i + 1; j < mdp->n_starts && starts[j].state == merged.state; j++)
            merged.p += starts[j].p;
        merged.p /= total;
        upto += merged.p;
        merged.p_upto = upto < 1 ? upto : 1;
        if (merged.p > 0)
            starts[n++] = merged;
    }
    mdp->n_starts = n;
    mdp->build->total = 1;
    starts[n - 1].p_upto = 1;
    return REIN_OK;
}

static rein_status trim(void *array, size_t *room, size_t used, size_t item) {
    if (*room == used && used > 0)
        return REIN_OK;
    REINI_TRY(reini_resize(array, used, used, item, "the tables of an MDP"));
    *room = used;
    return REIN_OK;
}

static rein_status trim_all(rein_mdp *mdp) {
    reini_mdp_build *b = mdp->build;
    reini_free(b->slot); /* not needed from here, and the copies want room */
    b->slot = NULL;
    b->n_slots = 0;
    REINI_TRY(trim(&mdp->next, &b->next_room, (size_t)mdp->n_transitions, sizeof *mdp->next));
    REINI_TRY(trim(&mdp->p, &b->p_room, (size_t)mdp->n_p, sizeof *mdp->p));
    REINI_TRY(trim(&mdp->r, &b->r_room, (size_t)mdp->n_r, sizeof *mdp->r));
    REINI_TRY(trim(&mdp->shapes, &b->shape_room, mdp->n_shapes, sizeof *mdp->shapes));
    return trim(&mdp->starts, &b->start_room, (size_t)mdp->n_starts, sizeof *mdp->starts);
}

rein_status rein_mdp_finish(rein_mdp *mdp) {
    if (mdp->finished)
        return reini_fail(REIN_USAGE, "the MDP is finished already");
    REINI_TRY(check_states(mdp));
    REINI_TRY(finish_starts(mdp));
    REINI_TRY(trim_all(mdp));
    release_build(mdp);
    mdp->finished = true;
    return REIN_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

int32_t rein_mdp_states(const rein_mdp *mdp) {
    return mdp->n_states;
}

int32_t rein_mdp_actions(const rein_mdp *mdp) {
    return mdp->n_actions;
}

bool rein_mdp_is_cost(const rein_mdp *mdp) {
    return mdp->cost;
}

int64_t rein_mdp_transitions(const rein_mdp *mdp) {
    return mdp->n_transitions;
}

size_t rein_mdp_bytes(const rein_mdp *mdp) {
    size_t states = (size_t)mdp->n_states, cells = states * (size_t)mdp->n_actions;
    size_t bytes = sizeof *mdp + states * sizeof *mdp->terminal;
    bytes += mdp->terminal_value ? states * sizeof *mdp->terminal_value : 0;
    bytes += cells * (sizeof *mdp->shape + sizeof *mdp->first);
    bytes += (size_t)mdp->n_transitions * sizeof *mdp->next + mdp->n_shapes * sizeof *mdp->shapes;
    bytes += (size_t)mdp->n_p * sizeof *mdp->p + (size_t)mdp->n_r * sizeof *mdp->r;
    return bytes + (size_t)mdp->n_starts * sizeof *mdp->starts;
}

int rein_mdp_row(const rein_mdp *mdp, int32_t state, int32_t action, rein_outcome *out, int capacity) {
    if (state < 0 || state >= mdp->n_states || action < 0 || action >= mdp->n_actions)
        return 0;
    const size_t at = (size_t)state * (size_t)mdp->n_actions + (size_t)action;
    const reini_shape *shape = &mdp->shapes[mdp->shape[at]];
    for (int k = 0; k < shape->count && k < capacity; k++) {
        double reward = shape->r < 0 ? shape->reward : mdp->r[shape->r + k];
        out[k] = (rein_outcome){mdp->next[(size_t)mdp->first[at] + (size_t)k], mdp->p[shape->p + (size_t)k],
                                reini_mdp_shown(mdp, reward)};
    }
    return shape->count;
}

bool rein_mdp_is_terminal(const rein_mdp *mdp, int32_t state, double *value) {
    if (state < 0 || state >= mdp->n_states || !mdp->terminal[state])
        return false;
    if (value)
        *value = reini_mdp_shown(mdp, reini_mdp_terminal_value(mdp, state));
    return true;
}

bool rein_mdp_start_at(const rein_mdp *mdp, int32_t i, int32_t *state, double *probability) {
    if (!mdp->finished || i < 0 || i >= mdp->n_starts)
        return false;
    *state = mdp->starts[i].state;
    *probability = mdp->starts[i].p;
    return true;
}
