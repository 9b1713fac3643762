/*
 * op_map.c - elementwise ops: shapes with repetition, and their derivatives.
 */
#include <rein/tensor.h>
#include "tensor/graph.h"

/* ---- building ------------------------------------------------------------------------------------------ */

/* Common shape of n operands: the extent that any has, the width that any wider than 1 has. */
static bool common_shape(rein_graph *g, reini_op op, int n, rein_tensor *const *x, reini_shape *shape) {
    const rein_tensor *widest = x[0];
    int extent = REIN_STATIC;
    for (int i = 0; i < n; i++) {
        if (x[i]->width > widest->width)
            widest = x[i];
        if (x[i]->extent == REIN_STATIC)
            continue;
        if (extent != REIN_STATIC && extent != x[i]->extent) {
            reini_mistake(g, "%s: rows of %s meet rows of %s", reini_op_name(op), g->extent[extent].name,
                          g->extent[x[i]->extent].name);
            return false;
        }
        extent = x[i]->extent;
    }
    for (int i = 0; i < n; i++)
        if (x[i]->width != widest->width && x[i]->width != 1) {
            reini_mistake(g, "%s: shapes %s and %s do not fit", reini_op_name(op), reini_shape_text(widest),
                          reini_shape_text(x[i]));
            return false;
        }
    *shape = reini_shape_of(widest);
    shape->extent = extent;
    return true;
}

static rein_tensor *map(reini_op op, int n, rein_tensor *const *x, const int32_t *k, const double *p) {
    rein_graph *g = x[0]->g;
    reini_shape shape;
    for (int i = 0; i < n; i++)
        if (!reini_is_real(x[i]) && op != REINI_TO_REAL && !(op == REINI_WHERE && i == 0))
            return reini_mistake(g, "%s: operand %d must be real (see rein_to_real)", reini_op_name(op),
                                 i + 1);
    if (!common_shape(g, op, n, x, &shape))
        return x[0];
    return reini_node(g, op, g->real, shape, n, x, k, p);
}

static rein_tensor *map1(reini_op op, rein_tensor *a) {
    return map(op, 1, (rein_tensor *[]){a}, NULL, NULL);
}

static rein_tensor *map2(reini_op op, rein_tensor *a, rein_tensor *b) {
    return map(op, 2, (rein_tensor *[]){a, b}, NULL, NULL);
}

static rein_tensor *map3(reini_op op, rein_tensor *a, rein_tensor *b, rein_tensor *c) {
    return map(op, 3, (rein_tensor *[]){a, b, c}, NULL, NULL);
}

static rein_tensor *affine(rein_tensor *x, double factor, double term) {
    double p[2] = {factor, term};
    return map(REINI_AFFINE, 1, (rein_tensor *[]){x}, NULL, p);
}

static bool is_constant(const rein_tensor *x, double value) {
    return x->op == REINI_CONSTANT && x->p[0] == value;
}

rein_tensor *rein_add(rein_tensor *a, rein_tensor *b) {
    return map2(REINI_ADD, a, b);
}

rein_tensor *rein_sub(rein_tensor *a, rein_tensor *b) {
    return map2(REINI_SUB, a, b);
}

rein_tensor *rein_mul(rein_tensor *a, rein_tensor *b) {
    /* gradients start from the constant 1 */
    if (is_constant(a, 1) && reini_is_real(b))
        return b;
    if (is_constant(b, 1) && reini_is_real(a))
        return a;
    return map2(REINI_MUL, a, b);
}

rein_tensor *rein_div(rein_tensor *a, rein_tensor *b) {
    return map2(REINI_DIV, a, b);
}

rein_tensor *rein_min(rein_tensor *a, rein_tensor *b) {
    return map2(REINI_MIN, a, b);
}

rein_tensor *rein_max(rein_tensor *a, rein_tensor *b) {
    return map2(REINI_MAX, a, b);
}

rein_tensor *rein_less(rein_tensor *a, rein_tensor *b) {
    return map2(REINI_LESS, a, b);
}

rein_tensor *rein_where(rein_tensor *condition, rein_tensor *a, rein_tensor *b) {
    int32_t k[8] = {(int32_t)condition->dtype};
    if (condition->dtype == REIN_I32)
        return reini_mistake(condition->g, "where: the condition must be U8 or real");
    return map(REINI_WHERE, 3, (rein_tensor *[]){condition, a, b}, k, NULL);
}

rein_tensor *rein_clamp(rein_tensor *x, rein_tensor *low, rein_tensor *high) {
    return map3(REINI_CLAMP, x, low, high);
}

rein_tensor *rein_scale(rein_tensor *x, double factor) {
    return affine(x, factor, 0);
}

rein_tensor *rein_offset(rein_tensor *x, double term) {
    return affine(x, 1, term);
}

rein_tensor *rein_neg(rein_tensor *x) {
    return affine(x, -1, 0);
}

rein_tensor *rein_exp(rein_tensor *x) {
    return map1(REINI_EXP, x);
}

rein_tensor *rein_log(rein_tensor *x) {
    return map1(REINI_LOG, x);
}

rein_tensor *rein_tanh(rein_tensor *x) {
    return map1(REINI_TANH, x);
}

rein_tensor *rein_sigmoid(rein_tensor *x) {
    return map1(REINI_SIGMOID, x);
}

rein_tensor *rein_softplus(rein_tensor *x) {
    return map1(REINI_SOFTPLUS, x);
}

rein_tensor *rein_relu(rein_tensor *x) {
    return map1(REINI_RELU, x);
}

rein_tensor *rein_silu(rein_tensor *x) {
    return map1(REINI_SILU, x);
}

rein_tensor *rein_gelu(rein_tensor *x) {
    return map1(REINI_GELU, x);
}

rein_tensor *rein_square(rein_tensor *x) {
    return map1(REINI_SQUARE, x);
}

rein_tensor *rein_sqrt(rein_tensor *x) {
    return map1(REINI_SQRT, x);
}

rein_tensor *rein_abs(rein_tensor *x) {
    return map1(REINI_ABS, x);
}

rein_tensor *rein_to_real(rein_tensor *x, double factor) {
    if (reini_is_real(x))
        return rein_scale(x, factor);
    int32_t k[8] = {(int32_t)x->dtype};
    double p[2] = {factor, 0};
    return map(REINI_TO_REAL, 1, (rein_tensor *[]){x}, k, p);
}

rein_tensor *rein_standardize(rein_tensor *x, rein_tensor *mean, rein_tensor *scale, double limit) {
    if (mean->extent != REIN_STATIC || scale->extent != REIN_STATIC)
        return reini_mistake(x->g, "standardize: mean and scale must be static");
    double p[2] = {limit, 0};
    return map(REINI_STANDARDIZE, 3, (rein_tensor *[]){x, mean, scale}, NULL, p);
}

rein_tensor *reini_expand(rein_tensor *x, const rein_tensor *like) {
    if (reini_same_shape(x, like))
        return x;
    return reini_node(x->g, REINI_EXPAND, x->dtype, reini_shape_of(like), 1, &x, NULL, NULL);
}

/* ---- derivatives --------------------------------------------------------------------------------------- */

static rein_tensor *back_add(rein_tensor *y, rein_tensor *dy, int i) {
    return dy;
}

static rein_tensor *back_sub(rein_tensor *y, rein_tensor *dy, int i) {
    return i == 0 ? dy : rein_neg(dy);
}

static rein_tensor *back_mul(rein_tensor *y, rein_tensor *dy, int i) {
    return rein_mul(dy, y->in[1 - i]);
}

static rein_tensor *back_div(rein_tensor *y, rein_tensor *dy, int i) {
    rein_tensor *quotient = rein_div(dy, y->in[1]);
    return i == 0 ? quotient : rein_neg(rein_mul(quotient, y));
}

static rein_tensor *back_min(rein_tensor *y, rein_tensor *dy, int i) {
    return map3(i == 0 ? REINI_GATE_LE : REINI_GATE_GT, dy, y->in[0], y->in[1]);
}

static rein_tensor *back_max(rein_tensor *y, rein_tensor *dy, int i) {
    return map3(i == 0 ? REINI_GATE_GE : REINI_GATE_LT, dy, y->in[0], y->in[1]);
}

static rein_tensor *back_where(rein_tensor *y, rein_tensor *dy, int i) {
    rein_tensor *zero = rein_constant(y->g, 0);
    if (i == 0)
        return NULL;
    return i == 1 ? rein_where(y->in[0], dy, zero) : rein_where(y->in[0], zero, dy);
}

static rein_tensor *back_clamp(rein_tensor *y, rein_tensor *dy, int i) {
    if (i == 0)
        return map(REINI_GATE_IN, 4, (rein_tensor *[]){dy, y->in[0], y->in[1], y->in[2]}, NULL, NULL);
    /* the bound that holds receives the gradient */
    if (i == 1)
        return map3(REINI_GATE_LT, dy, y->in[0], y->in[1]);
    return map3(REINI_GATE_GT, dy, y->in[0], y->in[2]);
}

static rein_tensor *back_affine(rein_tensor *y, rein_tensor *dy, int i) {
    return rein_scale(dy, y->p[0]);
}

static rein_tensor *back_expand(rein_tensor *y, rein_tensor *dy, int i) {
    return dy;
}

static rein_tensor *back_exp(rein_tensor *y, rein_tensor *dy, int i) {
    return rein_mul(dy, y);
}

static rein_tensor *back_log(rein_tensor *y, rein_tensor *dy, int i) {
    return rein_div(dy, y->in[0]);
}

static rein_tensor *back_tanh(rein_tensor *y, rein_tensor *dy, int i) {
    return map2(REINI_TANH_GRAD, dy, y);
}

static rein_tensor *back_sigmoid(rein_tensor *y, rein_tensor *dy, int i) {
    return map2(REINI_SIGMOID_GRAD, dy, y);
}

static rein_tensor *back_softplus(rein_tensor *y, rein_tensor *dy, int i) {
    return rein_mul(dy, rein_sigmoid(y->in[0]));
}

static rein_tensor *back_relu(rein_tensor *y, rein_tensor *dy, int i) {
    return map2(REINI_RELU_GRAD, dy, y);
}

static rein_tensor *back_silu(rein_tensor *y, rein_tensor *dy, int i) {
    return map2(REINI_SILU_GRAD, dy, y->in[0]);
}

static rein_tensor *back_gelu(rein_tensor *y, rein_tensor *dy, int i) {
    return map2(REINI_GELU_GRAD, dy, y->in[0]);
}

static rein_tensor *back_square(rein_tensor *y, rein_tensor *dy, int i) {
    return rein_mul(dy, rein_scale(y->in[0], 2));
}

static rein_tensor *back_sqrt(rein_tensor *y, rein_tensor *dy, int i) {
    return rein_div(rein_scale(dy, 0.5), y);
}

static rein_tensor *back_abs(rein_tensor *y, rein_tensor *dy, int i) {
    return map2(REINI_ABS_GRAD, dy, y->in[0]);
}

static rein_tensor *back_standardize(rein_tensor *y, rein_tensor *dy, int i) {
    if (i != 0)
        return NULL;
    return map(REINI_STANDARDIZE_GRAD, 4, (rein_tensor *[]){dy, y->in[0], y->in[1], y->in[2]}, NULL, y->p);
}

/* ops of first derivatives that graphs differentiate again (Fisher products): linear in dy */
static rein_tensor *back_tanh_grad(rein_tensor *y, rein_tensor *d, int i) {
    rein_tensor *dy = y->in[0], *value = y->in[1];
    if (i == 0)
        return map2(REINI_TANH_GRAD, d, value);
    return rein_scale(rein_mul(rein_mul(d, dy), value), -2);
}

static rein_tensor *back_relu_grad(rein_tensor *y, rein_tensor *d, int i) {
    return i == 0 ? map2(REINI_RELU_GRAD, d, y->in[1]) : NULL;
}

static rein_tensor *back_sigmoid_grad(rein_tensor *y, rein_tensor *d, int i) {
    rein_tensor *dy = y->in[0], *value = y->in[1];
    if (i == 0)
        return map2(REINI_SIGMOID_GRAD, d, value);
    return rein_mul(rein_mul(d, dy), rein_offset(rein_scale(value, -2), 1));
}

static rein_tensor *back_gate(rein_tensor *y, rein_tensor *d, int i) {
    if (i != 0)
        return NULL;
    rein_tensor *in[REINI_OPERANDS] = {d, y->in[1], y->in[2], y->in[3]};
    return map(y->op, y->n_in, in, NULL, y->p);
}

const reini_rule reini_rules_map[] = {
    {REINI_ADD, back_add, NULL},
    {REINI_SUB, back_sub, NULL},
    {REINI_MUL, back_mul, NULL},
    {REINI_DIV, back_div, NULL},
    {REINI_MIN, back_min, NULL},
    {REINI_MAX, back_max, NULL},
    {REINI_WHERE, back_where, NULL},
    {REINI_CLAMP, back_clamp, NULL},
    {REINI_AFFINE, back_affine, NULL},
    {REINI_EXPAND, back_expand, NULL},
    {REINI_EXP, back_exp, NULL},
    {REINI_LOG, back_log, NULL},
    {REINI_TANH, back_tanh, NULL},
    {REINI_SIGMOID, back_sigmoid, NULL},
    {REINI_SOFTPLUS, back_softplus, NULL},
    {REINI_RELU, back_relu, NULL},
    {REINI_SILU, back_silu, NULL},
    {REINI_GELU, back_gelu, NULL},
    {REINI_SQUARE, back_square, NULL},
    {REINI_SQRT, back_sqrt, NULL},
    {REINI_ABS, back_abs, NULL},
    {REINI_STANDARDIZE, back_standardize, NULL},
    {REINI_TANH_GRAD, back_tanh_grad, NULL},
    {REINI_RELU_GRAD, back_relu_grad, NULL},
    {REINI_SIGMOID_GRAD, back_sigmoid_grad, NULL},
    {REINI_GATE_LE, back_gate, NULL},
    {REINI_GATE_GE, back_gate, NULL},
    {REINI_GATE_LT, back_gate, NULL},
    {REINI_GATE_GT, back_gate, NULL},
    {REINI_GATE_IN, back_gate, NULL},
    {REINI_STANDARDIZE_GRAD, back_gate, NULL},
    {REINI_OP_COUNT, NULL, NULL},
};
