/*
 * mdp.h - inside a rein_mdp: the tables, laid out for sweeps.
 *
 * A row (s, a) has a shape, its probabilities and rewards in order, and a list of next states. Shapes are interned:
 * a slippery grid of a million states has a handful, so a transition costs its 4 bytes of `next` and a share of the
 * row's 8; where every row has a shape of its own a transition costs 12 bytes (rewards on (s, a)) or 20 (on
 * (s, a, s')), and a row 32 more.
 *
 * Inside, everything is to be maximised: rewards and terminal values are negated when the MDP has costs, and values
 * (V, Q) are of this orientation everywhere below the public interface and the user's eyes.
 */
#ifndef REINI_MDP_H
#define REINI_MDP_H

#include <rein/mdp.h>
#include "base/base.h"

typedef struct reini_shape {
    int32_t count; /* outcomes, >= 1; shape 0 is "no such action" with count 0 */
    uint32_t p;    /* probabilities are mdp->p[p .. p + count) */
    int64_t r;     /* rewards are mdp->r[r .. r + count), -1 = all are `reward` */
    double reward; /* expected */
} reini_shape;

typedef struct reini_start {
    int32_t state;
    double p;      /* probability */
    double p_upto; /* of this and the earlier ones; the last is 1 */
} reini_start;

typedef struct reini_action_name {
    char name[32];
    char glyph;
} reini_action_name;

struct rein_mdp {
    int32_t n_states, n_actions;
    bool cost, finished;
    uint8_t *terminal;      /* (S) */
    double *terminal_value; /* (S), NULL while all are 0 */
    uint32_t *shape;        /* (S x A) */
    uint32_t *first;        /* (S x A) first outcome in next */
    int32_t *next;          /* (n_transitions), rows in ascending order of (s, a) without gaps */
    int64_t n_transitions;  /* < 2^32 */
    reini_shape *shapes;    /* (n_shapes) */
    uint32_t n_shapes;
    double *p; /* (n_p) */
    double *r; /* (n_r) */
    int64_t n_p, n_r;
    reini_start *starts; /* (n_starts) */
    int32_t n_starts;
    reini_action_name *names; /* (A), their numbers as text unless named */
    rein_panel *panels;       /* (n_panels) */
    int n_panels;
    struct reini_mdp_build *build; /* capacities, the interning table, order; NULL once finished */
};

/* A row, for loops over outcomes: probability p[k], reward r ? r[k] : reward, next[k]; count 0 = no such action. */
typedef struct reini_row {
    int32_t count;
    const int32_t *next;
    const double *p, *r;
    double reward; /* expected */
} reini_row;

static inline reini_row reini_mdp_row(const rein_mdp *mdp, int32_t s, int32_t a) {
    size_t row = (size_t)s * (size_t)mdp->n_actions + (size_t)a;
    const reini_shape *shape = &mdp->shapes[mdp->shape[row]];
    return (reini_row){shape->count, mdp->next + mdp->first[row], mdp->p + shape->p,
                       shape->r < 0 ? NULL : mdp->r + shape->r, shape->reward};
}

static inline double reini_mdp_terminal_value(const rein_mdp *mdp, int32_t s) {
    return mdp->terminal_value != NULL ? mdp->terminal_value[s] : 0;
}

/* A value as the user sees it, and back: costs are negated. */
static inline double reini_mdp_shown(const rein_mdp *mdp, double value) {
    return mdp->cost ? 0 - value : value;
}

#endif
