/*
 * op_dense.c - fully connected layers, one or an ensemble at a time.
 *
 * Forward y = act(x W + b). With z the gradient before the activation:
 *     dx = z W',  dW = x' z,  db = sum over rows of z.
 * tanh, relu and sigmoid have derivatives in terms of y, so they are fused; silu and gelu need the value before
 * the activation and become a separate op.
 */
#include <rein/tensor.h>
#include "tensor/graph.h"

enum { IN, OUT, ENSEMBLE, SPLIT, ACT, BIAS, /* ... */ WHOLE = 7 };

/* Weights of so many elements are not transposed for DENSE_DX: the copy would cost more than the product. */
enum { LARGE = 1 << 19, LARGE_OUT = 1024 };

static bool fusable(rein_activation act) {
    return act != REIN_ACT_SILU && act != REIN_ACT_GELU;
}

static rein_tensor *dense(rein_tensor *x, rein_tensor *weight, rein_tensor *bias, rein_activation act) {
    rein_graph *g = x->g;
    bool ensemble = weight->ndim == 3;
    int32_t k[8] = {0};
    k[IN] = weight->dims[ensemble ? 1 : 0];
    k[OUT] = weight->dims[ensemble ? 2 : 1];
    k[ENSEMBLE] = ensemble ? weight->dims[0] : 1;
    k[SPLIT] = ensemble && x->width == (int64_t)k[ENSEMBLE] * k[IN] && x->ndim > 1;
    k[ACT] = (int32_t)act;
    k[BIAS] = bias != NULL;
    if (x->width != (int64_t)k[IN] * (k[SPLIT] ? k[ENSEMBLE] : 1))
        return reini_mistake(g, "dense: input %s does not fit weight %s", reini_shape_text(x),
                             reini_shape_text(weight));
    if (bias != NULL && (bias->extent != REIN_STATIC || bias->width != (int64_t)k[OUT] * k[ENSEMBLE]))
        return reini_mistake(g, "dense: bias %s does not fit weight %s", reini_shape_text(bias),
                             reini_shape_text(weight));
    reini_shape shape = {.extent = x->extent, .ndim = 1, .dims = {k[OUT]}};
    if (ensemble) {
        shape.ndim = 2;
        shape.dims[0] = k[ENSEMBLE];
        shape.dims[1] = k[OUT];
    }
    rein_tensor *in[3] = {x, weight, bias};
    return reini_node(g, REINI_DENSE, g->real, shape, bias != NULL ? 3 : 2, in, k, NULL);
}

rein_tensor *rein_dense(rein_tensor *x, rein_tensor *weight, rein_tensor *bias, rein_activation act) {
    if (!reini_is_real(x) || x->extent == REIN_STATIC)
        return reini_mistake(x->g, "dense: the input must be real and have rows, found %s",
                             reini_shape_text(x));
    if (weight->extent != REIN_STATIC || weight->ndim < 2 || weight->ndim > 3)
        return reini_mistake(x->g,
                             "dense: the weight must be static (in x out) or (ensemble x in x out), found %s",
                             reini_shape_text(weight));
    if (fusable(act))
        return dense(x, weight, bias, act);
    rein_tensor *y = dense(x, weight, bias, REIN_ACT_IDENTITY);
    return act == REIN_ACT_SILU ? rein_silu(y) : rein_gelu(y);
}

rein_tensor *reini_before_activation(rein_tensor *y, rein_tensor *dy, rein_activation act) {
    static const int grad_op[] = {[REIN_ACT_TANH] = REINI_TANH_GRAD,
                                  [REIN_ACT_RELU] = REINI_RELU_GRAD,
                                  [REIN_ACT_SIGMOID] = REINI_SIGMOID_GRAD};
    rein_tensor *in[2] = {reini_expand(dy, y), y};
    if (act == REIN_ACT_IDENTITY)
        return in[0];
    return reini_node(y->g, (reini_op)grad_op[act], y->dtype, reini_shape_of(y), 2, in, NULL, NULL);
}

static rein_tensor *before_activation(rein_tensor *y, rein_tensor *dy) {
    return reini_before_activation(y, dy, (rein_activation)y->k[ACT]);
}

static rein_tensor *dense_dx(rein_tensor *y, rein_tensor *z, rein_tensor *weight, reini_shape shape) {
    if (weight->ndim == 2 && weight->width >= LARGE && weight->dims[1] <= LARGE_OUT) {
        int32_t k[8] = {y->k[IN], y->k[OUT], 1};
        k[WHOLE] = 1;
        return reini_node(y->g, REINI_DENSE_DX, y->dtype, shape, 2, (rein_tensor *[]){z, weight}, k, NULL);
    }
    reini_shape flipped = reini_shape_of(weight);
    int last = weight->ndim - 1;
    flipped.dims[last] = weight->dims[last - 1];
    flipped.dims[last - 1] = weight->dims[last];
    rein_tensor *wt = reini_node(y->g, REINI_TRANSPOSE, y->dtype, flipped, 1, &weight, y->k, NULL);
    rein_tensor *in[2] = {z, wt};
    return reini_node(y->g, REINI_DENSE_DX, y->dtype, shape, 2, in, y->k, NULL);
}

static rein_tensor *dense_dw(rein_tensor *x, rein_tensor *z, const rein_tensor *y, reini_shape shape) {
    rein_tensor *in[2] = {x, z};
    return reini_node(x->g, REINI_DENSE_DW, x->dtype, shape, 2, in, y->k, NULL);
}

static rein_tensor *back_dense(rein_tensor *y, rein_tensor *dy, int i) {
    rein_tensor *z = before_activation(y, dy);
    if (i == 0)
        return dense_dx(y, z, y->in[1], reini_shape_of(y->in[0]));
    if (i == 1)
        return dense_dw(y->in[0], z, y, reini_shape_of(y->in[1]));
    rein_tensor *db = rein_sum_rows(z);
    return rein_reshape(db, y->in[2]->ndim, y->in[2]->dims);
}

/* d act(x W + b) = act' (dx W + x dW + db) */
static rein_tensor *forward_dense(rein_tensor *y, rein_tensor *const *t) {
    rein_tensor *sum = NULL;
    if (t[0] != NULL)
        sum = dense(reini_expand(t[0], y->in[0]), y->in[1], NULL, REIN_ACT_IDENTITY);
    if (t[1] != NULL || (y->n_in == 3 && t[2] != NULL)) {
        rein_tensor *weight =
            t[1] != NULL ? reini_expand(t[1], y->in[1]) : reini_expand(rein_constant(y->g, 0), y->in[1]);
        rein_tensor *bias = y->n_in == 3 && t[2] != NULL ? reini_expand(t[2], y->in[2]) : NULL;
        rein_tensor *part = dense(y->in[0], weight, bias, REIN_ACT_IDENTITY);
        sum = sum != NULL ? rein_add(sum, part) : part;
    }
    return before_activation(y, sum);
}

/* the dense gradients are bilinear in (z, W) and (x, z): enough for a second derivative */
static rein_tensor *back_dense_dx(rein_tensor *y, rein_tensor *d, int i) {
    rein_tensor *z = y->in[0], *weight = y->k[WHOLE] ? y->in[1] : y->in[1]->in[0];
    d = reini_expand(d, y);
    if (i == 0)
        return dense(d, weight, NULL, REIN_ACT_IDENTITY);
    if (y->k[WHOLE])
        return dense_dw(d, z, y, reini_shape_of(weight));
    /* gradient for the transposed weight: z' d */
    int32_t k[8] = {y->k[OUT], y->k[IN], y->k[ENSEMBLE], 1};
    rein_tensor *in[2] = {z, d};
    return reini_node(y->g, REINI_DENSE_DW, y->dtype, reini_shape_of(y->in[1]), 2, in, k, NULL);
}

static rein_tensor *back_transpose(rein_tensor *y, rein_tensor *d, int i) {
    int32_t k[8] = {y->k[OUT], y->k[IN], y->k[ENSEMBLE]};
    d = reini_expand(d, y);
    return reini_node(y->g, REINI_TRANSPOSE, y->dtype, reini_shape_of(y->in[0]), 1, &d, k, NULL);
}

static rein_tensor *forward_transpose(rein_tensor *y, rein_tensor *const *t) {
    rein_tensor *full = reini_expand(t[0], y->in[0]);
    return reini_node(y->g, REINI_TRANSPOSE, y->dtype, reini_shape_of(y), 1, &full, y->k, NULL);
}

const reini_rule reini_rules_dense[] = {
    {REINI_DENSE, back_dense, forward_dense},
    {REINI_DENSE_DX, back_dense_dx, NULL},
    {REINI_TRANSPOSE, back_transpose, forward_transpose},
    {REINI_OP_COUNT, NULL, NULL},
};
