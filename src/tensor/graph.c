/*
 * graph.c - building graphs: nodes, leaves, shapes, the first mistake.
 */
#include "tensor/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

size_t rein_dtype_size(rein_dtype dtype) {
    switch (dtype) {
    case REIN_F64:
        return 8;
    case REIN_BF16:
        return 2;
    case REIN_U8:
        return 1;
    default:
        return 4;
    }
}

rein_graph *rein_graph_new(rein_dtype real) {
    rein_graph *g = REINI_NEW(rein_graph);
    if (g == NULL)
        return NULL;
    g->real = real == REIN_F64 ? REIN_F64 : REIN_F32;
    return g;
}

void rein_graph_free(rein_graph *g) {
    if (g == NULL)
        return;
    for (int i = 0; i < g->n_nodes; i++)
        reini_free(g->node[i]);
    for (int i = 0; i < g->n_slots; i++)
        rein_layout_free(g->slot[i]);
    for (int i = 0; i < g->n_gradients; i++) {
        reini_free(g->gradient[i].param);
        reini_free(g->gradient[i].target);
    }
    reini_free(g->node);
    reini_free(g);
}

static rein_tensor *dummy(rein_graph *g) {
    /* any node will do: the graph does not compile any more */
    static rein_tensor nothing;
    if (g != NULL && g->n_nodes > 0)
        return g->node[0];
    static _Thread_local rein_tensor copy;
    copy = nothing;
    copy.g = g;
    copy.extent = REIN_STATIC;
    copy.ndim = 1;
    copy.dims[0] = 1;
    copy.width = 1;
    copy.op = REINI_CONSTANT;
    return &copy;
}

rein_tensor *reini_mistake(rein_graph *g, const char *format, ...) {
    if (g != NULL && g->status == REIN_OK) {
        va_list args;
        va_start(args, format);
        vsnprintf(g->error, sizeof g->error, format, args);
        va_end(args);
        g->status = REIN_USAGE;
    }
    return dummy(g);
}

rein_tensor *reini_no_memory(rein_graph *g) {
    bool first = g->status == REIN_OK;
    rein_tensor *nothing = reini_mistake(g, "out of memory while building a graph");
    if (first)
        g->status = REIN_NOMEM;
    return nothing;
}

bool reini_is_real(const rein_tensor *x) {
    return x->dtype == REIN_F32 || x->dtype == REIN_F64;
}

const char *reini_shape_text(const rein_tensor *x) {
    static _Thread_local char text[4][96];
    static _Thread_local int turn;
    char *out = text[turn++ & 3];
    int used = 0;
    if (x->extent == REIN_STATIC)
        used = snprintf(out, sizeof text[0], "(");
    else
        used = snprintf(out, sizeof text[0], "(%s x ", x->g->extent[x->extent].name);
    for (int i = 0; i < x->ndim; i++)
        used += snprintf(out + used, sizeof text[0] - (size_t)used, "%s%d", i ? " x " : "", x->dims[i]);
    snprintf(out + used, sizeof text[0] - (size_t)used, ")");
    return out;
}

reini_shape reini_shape_of(const rein_tensor *x) {
    reini_shape shape = {.extent = x->extent, .ndim = x->ndim};
    memcpy(shape.dims, x->dims, sizeof shape.dims);
    return shape;
}

reini_shape reini_shape_row(int extent, int64_t width) {
    reini_shape shape = {.extent = extent, .ndim = 1, .dims = {(int)width}};
    return shape;
}

bool reini_same_shape(const rein_tensor *a, const rein_tensor *b) {
    return a->extent == b->extent && a->width == b->width;
}

int64_t rein_tensor_width(const rein_tensor *x) {
    return x->width;
}

rein_graph *rein_tensor_graph(const rein_tensor *x) {
    return x->g;
}

int rein_tensor_shape(const rein_tensor *x, int dims[4]) {
    memcpy(dims, x->dims, sizeof x->dims);
    return x->ndim;
}

int rein_extent(rein_graph *g, const char *name, int64_t capacity) {
    if (g->n_extents == REINI_EXTENTS || capacity < 1) {
        reini_mistake(g, "extent %s: a graph has at most %d extents of capacity 1 or more", name,
                      REINI_EXTENTS);
        return 0;
    }
    reini_extent *extent = &g->extent[g->n_extents];
    snprintf(extent->name, sizeof extent->name, "%s", name);
    extent->capacity = capacity;
    return g->n_extents++;
}

int rein_branch(rein_graph *g, int branch) {
    int former = g->branch;
    g->branch = branch;
    return former;
}

/* ---- nodes --------------------------------------------------------------------------------------------- */

static bool equal(const rein_tensor *a, const rein_tensor *b) {
    if (a->op != b->op || a->dtype != b->dtype || a->extent != b->extent || a->n_in != b->n_in ||
        a->width != b->width || a->ndim != b->ndim)
        return false;
    return memcmp(a->in, b->in, sizeof a->in) == 0 && memcmp(a->k, b->k, sizeof a->k) == 0 &&
           memcmp(a->p, b->p, sizeof a->p) == 0 && memcmp(a->dims, b->dims, sizeof a->dims) == 0;
}

static bool is_leaf(reini_op op) {
    return op >= REINI_OP_COUNT && op != REINI_ALIAS;
}

/* random nodes with one key must draw the same numbers only when they are the same node */
static rein_tensor *find_equal(rein_graph *g, const rein_tensor *wanted) {
    for (int i = g->n_nodes - 1; i >= 0; i--)
        if (equal(g->node[i], wanted))
            return g->node[i];
    return NULL;
}

static rein_tensor *append(rein_graph *g, const rein_tensor *wanted) {
    if (g->n_nodes == g->capacity) {
        int capacity = g->capacity ? 2 * g->capacity : 64;
        rein_tensor **grown =
            reini_grow(g->node, (size_t)g->capacity * sizeof *grown, (size_t)capacity * sizeof *grown);
        if (grown == NULL)
            return reini_no_memory(g);
        g->node = grown;
        g->capacity = capacity;
    }
    rein_tensor *node = REINI_NEW(rein_tensor);
    if (node == NULL)
        return reini_no_memory(g);
    *node = *wanted;
    node->id = g->n_nodes;
    g->node[g->n_nodes++] = node;
    return node;
}

static bool fill_shape(rein_tensor *node, reini_shape shape) {
    node->extent = shape.extent;
    node->ndim = shape.ndim;
    node->width = 1;
    for (int i = 0; i < shape.ndim; i++) {
        node->dims[i] = shape.dims[i];
        node->width *= shape.dims[i];
        if (shape.dims[i] < 1)
            return false;
    }
    return shape.ndim >= 1 && shape.ndim <= 4;
}

rein_tensor *reini_node(rein_graph *g, reini_op op, rein_dtype dtype, reini_shape shape, int n_in,
                        rein_tensor *const *in, const int32_t *k, const double *p) {
    if (g->status != REIN_OK)
        return dummy(g);
    rein_tensor node = {
        .g = g, .op = op, .dtype = dtype, .n_in = n_in, .slot = -1, .param = -1, .branch = g->branch};
    if (!fill_shape(&node, shape))
        return reini_mistake(g, "%s: a row shape has 1 to 4 dimensions of at least 1", reini_op_name(op));
    for (int i = 0; i < n_in; i++) {
        if (in[i]->g != g)
            return reini_mistake(g, "%s: operands belong to different graphs", reini_op_name(op));
        node.in[i] = in[i];
    }
    if (k != NULL)
        memcpy(node.k, k, sizeof node.k);
    if (p != NULL)
        memcpy(node.p, p, sizeof node.p);
    rein_tensor *same = g->fresh ? NULL : find_equal(g, &node);
    g->fresh = false;
    return same != NULL ? same : append(g, &node);
}

rein_tensor *reini_leaf(rein_graph *g, reini_op op, rein_dtype dtype, reini_shape shape, const char *name) {
    if (g->status != REIN_OK)
        return dummy(g);
    rein_tensor node = {.g = g, .op = op, .dtype = dtype, .slot = -1, .param = -1};
    if (!fill_shape(&node, shape))
        return reini_mistake(g, "%s: a row shape has 1 to 4 dimensions of at least 1", name);
    snprintf(node.name, sizeof node.name, "%s", name);
    return append(g, &node);
}

/* ---- leaves -------------------------------------------------------------------------------------------- */

rein_tensor *rein_input(rein_graph *g, const char *name, rein_dtype dtype, int extent, int ndim,
                        const int *dims) {
    if (dtype == REIN_F32 || dtype == REIN_F64)
        dtype = g->real;
    else if (dtype != REIN_I32 && dtype != REIN_U8)
        return reini_mistake(g, "input %s: inputs are F32, I32 or U8", name);
    if (extent != REIN_STATIC && (extent < 0 || extent >= g->n_extents))
        return reini_mistake(g, "input %s: no extent %d in this graph", name, extent);
    if (ndim < 1 || ndim > 4)
        return reini_mistake(g, "input %s: a row shape has 1 to 4 dimensions", name);
    reini_shape shape = {.extent = extent, .ndim = ndim};
    for (int i = 0; i < ndim; i++)
        shape.dims[i] = dims[i];
    return reini_leaf(g, REINI_INPUT, dtype, shape, name);
}

rein_tensor *rein_uniform(rein_graph *g, const char *name, double initial) {
    rein_tensor *u = reini_leaf(g, REINI_UNIFORM, g->real, reini_shape_row(REIN_STATIC, 1), name);
    u->p[0] = initial;
    return u;
}

rein_tensor *rein_key(rein_graph *g, const char *name) {
    return reini_leaf(g, REINI_KEY, REIN_I32, reini_shape_row(REIN_STATIC, (int64_t)sizeof(reini_key) / 4),
                      name);
}

rein_tensor *rein_constant(rein_graph *g, double value) {
    double p[2] = {value, 0};
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i]->op == REINI_CONSTANT && memcmp(&g->node[i]->p[0], &value, sizeof value) == 0)
            return g->node[i];
    rein_tensor *c = reini_leaf(g, REINI_CONSTANT, g->real, reini_shape_row(REIN_STATIC, 1), "");
    memcpy(c->p, p, sizeof c->p);
    return c;
}

rein_tensor *rein_output(rein_tensor *x, const char *name) {
    rein_graph *g = x->g;
    /* leaves and aliases have no memory of their own */
    if (is_leaf(x->op) || x->op == REINI_ALIAS || x->output) {
        g->fresh = true;
        if (!reini_is_real(x))
            return reini_mistake(g, "output %s: only computed tensors can be integer outputs", name);
        double p[2] = {1, 0};
        x = reini_node(g, REINI_AFFINE, x->dtype, reini_shape_of(x), 1, &x, NULL, p);
    }
    x->output = true;
    snprintf(x->name, sizeof x->name, "%s", name);
    return x;
}

rein_tensor *rein_stop_gradient(rein_tensor *x) {
    int32_t k[8] = {1};
    return reini_node(x->g, REINI_ALIAS, x->dtype, reini_shape_of(x), 1, &x, k, NULL);
}

rein_tensor *rein_reshape(rein_tensor *x, int ndim, const int *dims) {
    reini_shape shape = {.extent = x->extent, .ndim = ndim};
    int64_t width = 1;
    for (int i = 0; i < ndim && i < 4; i++) {
        shape.dims[i] = dims[i];
        width *= dims[i];
    }
    if (ndim < 1 || ndim > 4 || width != x->width)
        return reini_mistake(x->g, "reshape of %s: the new shape must have %lld elements",
                             reini_shape_text(x), (long long)x->width);
    return reini_node(x->g, REINI_ALIAS, x->dtype, shape, 1, &x, NULL, NULL);
}
