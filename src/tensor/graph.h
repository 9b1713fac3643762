/*
 * graph.h - the graph as a list of nodes in topological order, and what op files say about their gradients.
 *
 * A node is a rein_tensor. Its id is its place in the list; operands come before it. Equal nodes (same op,
 * operands and attributes) are made once.
 */
#ifndef REINI_GRAPH_H
#define REINI_GRAPH_H

#include <stdatomic.h>
#include <rein/tensor.h>
#include "base/base.h"
#include "tensor/kernels.h"

struct rein_tensor {
    rein_graph *g;
    int id;
    reini_op op;
    rein_dtype dtype;  /* the graph's real type, REIN_I32 or REIN_U8 */
    int extent;        /* REIN_STATIC or an extent's id */
    int ndim, dims[4]; /* row shape; product = width */
    int64_t width;
    rein_tensor *in[REINI_OPERANDS];
    int n_in;
    int32_t k[8];
    double p[2];
    char name[64];   /* leaves and outputs; "" otherwise */
    int slot, param; /* PARAM: which parameter of which slot */
    int branch;      /* see rein_branch */
    bool output;     /* readable after a run */
};

typedef struct reini_extent {
    char name[32];
    int64_t capacity;
} reini_extent;

/* One call of rein_gradient: target[i] is written to parameter param[i] of a store bound at run time. */
typedef struct reini_gradient_set {
    int slot, count;
    int *param;
    rein_tensor **target;
} reini_gradient_set;

#define REINI_EXTENTS   8
#define REINI_SLOTS     16
#define REINI_GRADIENTS 16

struct rein_graph {
    rein_dtype real;
    rein_status status; /* first mistake */
    char error[512];
    rein_tensor **node;
    int n_nodes, capacity;
    reini_extent extent[REINI_EXTENTS];
    int n_extents;
    rein_layout *slot[REINI_SLOTS];
    int n_slots;
    reini_gradient_set gradient[REINI_GRADIENTS];
    int n_gradients;
    int branch; /* of the nodes made next */
    bool fresh; /* next node is made even when an equal one exists */
};

/* A shape to give a new node. */
typedef struct reini_shape {
    int extent, ndim, dims[4];
} reini_shape;
reini_shape reini_shape_of(const rein_tensor *x);
reini_shape reini_shape_row(int extent, int64_t width); /* one dimension */

/* Makes (or finds) a node. k and p may be NULL. Never NULL: a sick graph yields a dummy. */
rein_tensor *reini_node(rein_graph *g, reini_op op, rein_dtype dtype, reini_shape shape, int n_in,
                        rein_tensor *const *in, const int32_t *k, const double *p);
rein_tensor *reini_leaf(rein_graph *g, reini_op op, rein_dtype dtype, reini_shape shape, const char *name);
/* Records a graph's first mistake. Returns a dummy tensor. */
rein_tensor *reini_mistake(rein_graph *g, const char *format, ...) REIN_PRINTF(2, 3);
/* The same for memory that ran out: REIN_NOMEM. */
rein_tensor *reini_no_memory(rein_graph *g);
bool reini_is_real(const rein_tensor *x);
/* "(rows x 4)" into a static thread-local buffer; for sentences. */
const char *reini_shape_text(const rein_tensor *x);

/* Does x read any row of an operand, rather than its own? Such a table is complete before x runs. */
static inline bool reini_reads_table(const rein_tensor *x, int operand) {
    bool may = x->op == REINI_GATHER || x->op == REINI_GRU || x->op == REINI_GRU_GRAD || x->op == REINI_STEPS;
    return may && x->in[operand]->extent != REIN_STATIC && x->in[operand]->extent != x->extent;
}

/* x repeated to the shape of like, when it is smaller. */
rein_tensor *reini_expand(rein_tensor *x, const rein_tensor *like);
bool reini_same_shape(const rein_tensor *a, const rein_tensor *b);

/* ---- differentiation rules ----------------------------------------------------------------------------- */

/* What an op file says about one op. Rules may be absent: no gradient passes then. */
typedef struct reini_rule {
    reini_op op;
    /* Gradient for operand i given dy, the gradient for y. Both dy and the result may be smaller than the shape
     * they stand for (static or of width 1), meaning repetition. MAP ops return it in y's shape. */
    rein_tensor *(*backward)(rein_tensor *y, rein_tensor *dy, int i);
    /* Derivative of y along the directions t[i] of its operands, NULL where zero. Absent for MAP ops, whose
     * backward rule serves. */
    rein_tensor *(*forward)(rein_tensor *y, rein_tensor *const *t);
} reini_rule;

/* Tables end with op = REINI_OP_COUNT. */
extern const reini_rule reini_rules_map[], reini_rules_dense[], reini_rules_image[], reini_rules_row[],
    reini_rules_rows[], reini_rules_gru[];
/* dy, the gradient for y = act(z), as the gradient for z, in y's full shape. act: one whose derivative y tells. */
rein_tensor *reini_before_activation(rein_tensor *y, rein_tensor *dy, rein_activation act);

/* ---- parameters ---------------------------------------------------------------------------------------- */

typedef struct reini_param {
    char name[64];
    int group_length; /* of the part of the name before the first dot */
    int ndim, dims[4];
    int64_t count, offset;
    rein_init init;
} reini_param;

struct rein_layout {
    reini_param *param;
    int count, capacity;
    int64_t size;          /* elements of a store, parameters start at multiples of 16 */
    atomic_bool sealed;    /* a store exists */
    atomic_int references; /* the creator, graphs and stores; stores may be made by several threads */
};

struct rein_store {
    rein_layout *layout;
    rein_dtype real;
    void *data;
};

rein_layout *reini_layout_hold(rein_layout *layout);
/* rein_store_blend, shared among a pool's workers. */
void reini_store_blend(rein_store *to, const rein_store *from, double rate, rein_pool *pool);
/* Is the parameter's group in the list "actor,log_std"? NULL lists all. */
bool reini_param_in_groups(const reini_param *param, const char *groups);

#endif
