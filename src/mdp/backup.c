/*
 * backup.c - sweeps, laid out for the memory they stream.
 *
 * A synchronous sweep over a large MDP reads the shape of every row, every next state and V once and in
 * order, and writes out; what is gathered, V(s'), mostly lies in cache when neighbours have near numbers. The
 * rest is to keep up with memory: next states stand without gaps in the order of the rows, so `first` is read
 * once a range, terminal states are known by their shapes, and rows of three outcomes, the slippery grids'
 * kind, are unrolled.
 */
#include "mdp/backup.h"

#include <stdatomic.h>
#include <string.h>

/* states of a task of the pool; bytes that a sweep asks for ahead of itself */
enum { RANGE = 4096, AHEAD = 2048 };

/* The processor's own prefetching stops at every page of 4 KiB: asking ahead makes a sweep twice as fast. */
static inline void prefetch(const void *from) {
    __builtin_prefetch((const void *)((uintptr_t)from + AHEAD));
}

/* ---- one row ------------------------------------------------------------------------------------------- */

static inline double row_value(const rein_mdp *mdp, const reini_shape *shape, const int32_t *next,
                               double gamma, const double *V) {
    const double *p = mdp->p + shape->p;
    double sum = p[0] * V[next[0]];
    if (shape->count == 3)
        sum = (sum + p[1] * V[next[1]]) + p[2] * V[next[2]];
    else
        for (int32_t k = 1; k < shape->count; k++)
            sum += p[k] * V[next[k]];
    return shape->reward + gamma * sum;
}

double reini_q(const reini_bellman *b, const double *V, int32_t s, int32_t a) {
    const rein_mdp *mdp = b->mdp;
    size_t row = (size_t)s * (size_t)mdp->n_actions + (size_t)a;
    if (mdp->shape[row] == 0)
        return -INFINITY;
    return row_value(mdp, &mdp->shapes[mdp->shape[row]], mdp->next + mdp->first[row], b->gamma, V);
}

/* ---- one state ----------------------------------------------------------------------------------------- */

double reini_best(const reini_bellman *b, const double *V, int32_t s) {
    double best = -INFINITY;
    if (b->mdp->terminal[s])
        return V[s];
    for (int32_t a = 0; a < b->mdp->n_actions; a++) {
        double q = reini_q(b, V, s, a);
        best = q > best ? q : best;
    }
    return best;
}

static bool is_within(double margin, double q, double best) {
    return q >= best - margin * fabs(best);
}

/* `now` stays when it is within `keep` of the best */
static int32_t choose(const reini_bellman *b, const double *V, int32_t s, double keep, int32_t now) {
    if (b->mdp->terminal[s])
        return -1;
    double best = reini_best(b, V, s);
    if (keep >= 0 && is_within(keep, reini_q(b, V, s, now), best))
        return now;
    int32_t a = 0;
    while (!is_within(keep >= 0 ? keep : REINI_TIE, reini_q(b, V, s, a), best))
        a++;
    return a;
}

int32_t reini_greedy(const reini_bellman *b, const double *V, int32_t s) {
    return choose(b, V, s, REINI_AFRESH, 0);
}

double reini_expected(const reini_bellman *b, const reini_choice *choice, const double *V, int32_t s) {
    double sum = 0;
    if (b->mdp->terminal[s])
        return V[s];
    if (choice->action != NULL)
        return reini_q(b, V, s, choice->action[s]);
    const double *pi = choice->pi + (size_t)s * (size_t)b->mdp->n_actions;
    for (int32_t a = 0; a < b->mdp->n_actions; a++)
        if (pi[a] > 0)
            sum += pi[a] * reini_q(b, V, s, a);
    return sum;
}

/* ---- ranges of states, one a task ---------------------------------------------------------------------- */

typedef struct job job;
typedef reini_sweep range_fn(job *j, int32_t begin, int32_t end);

struct job {
    const reini_bellman *b;
    const reini_choice *choice;
    const double *V;
    double *out; /* (S), or Q (S x A) */
    int32_t *action;
    double keep;
    range_fn *range;
    /* maxima as the bits of doubles >= 0, which are ordered like the numbers; no order of tasks shows in them
     * */
    _Atomic uint64_t residual, largest;
    _Atomic int64_t changed;
};

static inline void note(reini_sweep *sweep, double old, double new) {
    double change = fabs(new - old), size = fabs(new);
    sweep->residual = change > sweep->residual ? change : sweep->residual;
    sweep->largest = size > sweep->largest ? size : sweep->largest;
}

static void raise_to(_Atomic uint64_t *maximum, double value) {
    uint64_t bits, now = *maximum;
    memcpy(&bits, &value, sizeof bits);
    while (bits > now && !atomic_compare_exchange_weak(maximum, &now, bits)) {
    }
}

static double maximum_of(const _Atomic uint64_t *maximum) {
    uint64_t bits = *maximum;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void run_range(void *user, int task, int worker) {
    job *j = user;
    int32_t n = j->b->mdp->n_states, begin = (int32_t)task * RANGE;
    reini_sweep found = j->range(j, begin, n - begin > RANGE ? begin + RANGE : n);
    (void)worker;
    raise_to(&j->residual, found.residual);
    raise_to(&j->largest, found.largest);
}

static reini_sweep run(job *j) {
    int tasks = (int)(((int64_t)j->b->mdp->n_states + RANGE - 1) / RANGE);
    rein_pool_run(j->b->pool, tasks, run_range, j);
    return (reini_sweep){maximum_of(&j->residual), maximum_of(&j->largest)};
}

/* ---- best actions -------------------------------------------------------------------------------------- */

/* outcomes of the rows before state `begin` end where the first row from there on begins */
static const int32_t *outcomes_from(const rein_mdp *mdp, int32_t begin) {
    size_t actions = (size_t)mdp->n_actions, row = (size_t)begin * actions;
    size_t rows = (size_t)mdp->n_states * actions;
    while (row < rows && mdp->shape[row] == 0)
        row++;
    return row < rows ? mdp->next + mdp->first[row] : mdp->next;
}

/* A shape of three outcomes at hand, kept from row to row while it stays; id 0 = none. */
typedef struct triple {
    uint32_t id;
    double p0, p1, p2, reward;
} triple;

static inline bool triple_load(triple *t, const rein_mdp *mdp, uint32_t id) {
    const reini_shape *shape = &mdp->shapes[id];
    const double *p = mdp->p + shape->p;
    if (shape->count != 3)
        return false;
    *t = (triple){id, p[0], p[1], p[2], shape->reward};
    return true;
}

static inline double triple_value(const triple *t, const int32_t *next, double gamma, const double *V) {
    return t->reward + gamma * ((t->p0 * V[next[0]] + t->p1 * V[next[1]]) + t->p2 * V[next[2]]);
}

/* The rows of a state stand one after the other from `next` on; returns what comes after them. */
static inline const int32_t *best_in_order(const rein_mdp *mdp, const uint32_t *shape, triple *t,
                                           const int32_t *next, double gamma, const double *V, double *best) {
    for (int32_t a = 0; a < mdp->n_actions; a++) {
        double q;
        if (shape[a] == 0)
            continue;
        if (shape[a] == t->id || triple_load(t, mdp, shape[a])) {
            q = triple_value(t, next, gamma, V);
            next += 3;
        } else {
            const reini_shape *row = &mdp->shapes[shape[a]];
            q = row_value(mdp, row, next, gamma, V);
            next += row->count;
        }
        *best = q > *best ? q : *best;
    }
    return next;
}

static inline double larger(double x, double y) {
    return x > y ? x : y;
}

/* the same for four actions that are alike: the slippery grids */
static inline double best_of_four(const triple *t, const int32_t *next, double gamma, const double *V) {
    double q0 = triple_value(t, next, gamma, V), q1 = triple_value(t, next + 3, gamma, V);
    double q2 = triple_value(t, next + 6, gamma, V), q3 = triple_value(t, next + 9, gamma, V);
    return larger(larger(q0, q1), larger(q2, q3));
}

static inline bool are_four(const uint32_t *shape, uint32_t id) {
    return ((shape[0] ^ id) | (shape[1] ^ id) | (shape[2] ^ id) | (shape[3] ^ id)) == 0;
}

static reini_sweep best_range(job *j, int32_t begin, int32_t end) {
    const rein_mdp *mdp = j->b->mdp;
    const int32_t *next = outcomes_from(mdp, begin);
    const uint32_t *shape = mdp->shape + (size_t)begin * (size_t)mdp->n_actions;
    const double gamma = j->b->gamma, *V = j->V;
    bool four = mdp->n_actions == 4;
    reini_sweep sweep = {0, 0};
    triple t = {0};
    for (int32_t s = begin; s < end; s++, shape += mdp->n_actions) {
        double best = -INFINITY;
        prefetch(next);
        prefetch(shape);
        if (four && t.id != 0 && are_four(shape, t.id)) {
            best = best_of_four(&t, next, gamma, V);
            next += 12;
        } else {
            next = best_in_order(mdp, shape, &t, next, gamma, V, &best);
        }
        double value = best == -INFINITY ? V[s] : best; /* terminal */
        note(&sweep, V[s], value);
        j->out[s] = value;
    }
    return sweep;
}

reini_sweep reini_sweep_best(const reini_bellman *b, const double *V, double *out) {
    job j = {.b = b, .V = V, .out = out, .range = best_range};
    return run(&j);
}

reini_sweep reini_sweep_in_place(const reini_bellman *b, double *V, bool descending) {
    int32_t n = b->mdp->n_states;
    reini_sweep sweep = {0, 0};
    for (int32_t i = 0; i < n; i++) {
        int32_t s = descending ? n - 1 - i : i;
        double value = reini_best(b, V, s);
        note(&sweep, V[s], value);
        V[s] = value;
    }
    return sweep;
}

/* ---- a policy's actions, improvement, lookahead -------------------------------------------------------- */

static reini_sweep policy_range(job *j, int32_t begin, int32_t end) {
    reini_sweep sweep = {0, 0};
    for (int32_t s = begin; s < end; s++) {
        double value = reini_expected(j->b, j->choice, j->V, s);
        note(&sweep, j->V[s], value);
        j->out[s] = value;
    }
    return sweep;
}

reini_sweep reini_sweep_policy(const reini_bellman *b, const reini_choice *choice, const double *V,
                               double *out) {
    job j = {.b = b, .choice = choice, .V = V, .out = out, .range = policy_range};
    return run(&j);
}

static reini_sweep improve_range(job *j, int32_t begin, int32_t end) {
    int64_t changed = 0;
    for (int32_t s = begin; s < end; s++) {
        int32_t a = choose(j->b, j->V, s, j->keep, j->action[s]);
        changed += a != j->action[s];
        j->action[s] = a;
    }
    j->changed += changed;
    return (reini_sweep){0, 0};
}

int64_t reini_improve(const reini_bellman *b, const double *V, double keep, int32_t *action) {
    job j = {.b = b, .V = V, .action = action, .keep = keep, .range = improve_range};
    run(&j);
    return j.changed;
}

static reini_sweep lookahead_range(job *j, int32_t begin, int32_t end) {
    int32_t actions = j->b->mdp->n_actions;
    for (int32_t s = begin; s < end; s++)
        for (int32_t a = 0; a < actions; a++)
            j->out[(size_t)s * (size_t)actions + (size_t)a] =
                j->b->mdp->terminal[s] ? j->V[s] : reini_q(j->b, j->V, s, a);
    return (reini_sweep){0, 0};
}

void reini_lookahead(const reini_bellman *b, const double *V, double *Q) {
    job j = {.b = b, .V = V, .out = Q, .range = lookahead_range};
    run(&j);
}

void reini_values_reset(const rein_mdp *mdp, double *V) {
    for (int32_t s = 0; s < mdp->n_states; s++)
        V[s] = mdp->terminal[s] ? reini_mdp_terminal_value(mdp, s) : 0;
}
