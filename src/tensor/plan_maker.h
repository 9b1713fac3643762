/*
 * plan_maker.h - a program while it is being made: what plan.c, plan_fuse.c and plan_place.c share.
 */
#ifndef REINI_PLAN_MAKER_H
#define REINI_PLAN_MAKER_H

#include "tensor/plan.h"

typedef struct reini_plan_maker {
    rein_graph *g;
    rein_program *program;
    const reini_kernels *reference, *best, *narrow; /* tables; narrow: bf16 products, else NULL */
    char *live;                                     /* per node: needed */
    int *level;                                     /* per node: when it runs */
    int *ready;    /* per node: first level at which static ops may read it */
    int *last;     /* per node: last place in program->work that reads it */
    int *stage;    /* per node, within its level: how many times branches have met before it */
    int *step;     /* per node: the step that it is part of */
    char *keep;    /* per node: all rows must be kept */
    char *done;    /* per node: already in the work list */
    bool branches; /* run side by side */
} reini_plan_maker;

static inline bool reini_plan_is_op(const rein_tensor *x) {
    return x->op < REINI_OP_COUNT;
}

/* a sum over the rows of an extent */
static inline bool reini_plan_is_sum(const rein_tensor *x) {
    return reini_plan_is_op(x) && reini_op_kind(x->op) == 'S' && x->in[0]->extent != REIN_STATIC;
}

/* a dense product with a step of its own */
bool reini_plan_is_split(const reini_plan_maker *p, const rein_tensor *x);

/* Two ops that are one kernel become one op. */
void reini_plan_fuse(reini_plan_maker *p);
/* Weights of bf16 products are rounded and laid out once a run instead of once a tile, transposes on the way. */
void reini_plan_pack(reini_plan_maker *p);
/* After the steps are made: where every tensor lives, and how much memory that takes. */
rein_status reini_plan_place(reini_plan_maker *p);

#endif
