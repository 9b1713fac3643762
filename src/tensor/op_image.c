/*
 * op_image.c - images: convolution and pooling over rows that are (height x width x channels).
 *
 * Forward y[p] = act(window_p(x) W + b) for every place p, W (kernel x kernel x channels) x out. With z the gradient
 * before the activation:
 *     dx = sum over p of z[p] W' at window p,  dW = sum over rows and places of window_p(x)' z[p],
 *     db = sum over rows and places of z.
 * A window's lines lie side by side in x, so none is ever copied: the kernels multiply runs of x in place. Padding is
 * a copy with a border of zeros, whose gradient is the copy without it.
 *
 * Max pooling y = max over a window, the first of equals: with v = x it is the pool, and with v = a direction its
 * derivative along that direction.
 */
#include <rein/tensor.h>
#include "tensor/graph.h"

/* attributes of CONV */
enum { CHANNELS, HEIGHT, WIDTH, OUT, KERNEL, STRIDE, ACT, BIAS };
/* those of PAD and CROP, and of MAX_POOL, after the three sides */
enum { BORDER = 3 };
enum { SIZE = 3, POOL_STRIDE, PADDING, WIDE };

static bool is_image(const rein_tensor *x) {
    return x->ndim == 3 && x->extent != REIN_STATIC;
}

static reini_shape image_shape(int extent, int height, int width, int channels) {
    return (reini_shape){.extent = extent, .ndim = 3, .dims = {height, width, channels}};
}

rein_tensor *rein_image(rein_tensor *x, int channels, int height, int width, double factor) {
    if (x->dtype != REIN_U8 || x->extent == REIN_STATIC || x->width != (int64_t)channels * height * width)
        return reini_mistake(x->g, "image: needs rows of %d x %d x %d bytes, found %s", channels, height,
                             width, reini_shape_text(x));
    int32_t k[8] = {channels, height, width};
    double p[2] = {factor, 0};
    return reini_node(x->g, REINI_IMAGE, x->g->real, image_shape(x->extent, height, width, channels), 1, &x,
                      k, p);
}

/* ---- padding ------------------------------------------------------------------------------------------- */

static rein_tensor *pad(rein_tensor *x, int border) {
    int32_t k[8] = {x->dims[2], x->dims[0], x->dims[1], border};
    reini_shape shape = image_shape(x->extent, x->dims[0] + 2 * border, x->dims[1] + 2 * border, x->dims[2]);
    return border == 0 ? x : reini_node(x->g, REINI_PAD, x->dtype, shape, 1, &x, k, NULL);
}

static rein_tensor *crop(rein_tensor *x, const int32_t *k) {
    reini_shape shape = image_shape(x->extent, k[HEIGHT], k[WIDTH], k[CHANNELS]);
    return reini_node(x->g, REINI_CROP, x->dtype, shape, 1, &x, k, NULL);
}

static rein_tensor *back_pad(rein_tensor *y, rein_tensor *dy, int i) {
    return crop(reini_expand(dy, y), y->k);
}

static rein_tensor *pad_like(rein_tensor *y, rein_tensor *x) {
    return reini_node(y->g, REINI_PAD, y->dtype, reini_shape_of(y), 1, &x, y->k, NULL);
}

static rein_tensor *forward_pad(rein_tensor *y, rein_tensor *const *t) {
    return pad_like(y, reini_expand(t[0], y->in[0]));
}

static rein_tensor *back_crop(rein_tensor *y, rein_tensor *dy, int i) {
    rein_tensor *full = reini_expand(dy, y);
    return reini_node(y->g, REINI_PAD, y->dtype, reini_shape_of(y->in[0]), 1, &full, y->k, NULL);
}

static rein_tensor *forward_crop(rein_tensor *y, rein_tensor *const *t) {
    return crop(reini_expand(t[0], y->in[0]), y->k);
}

/* ---- convolution --------------------------------------------------------------------------------------- */

static int places(int side, int kernel, int stride) {
    return (side - kernel) / stride + 1;
}

/* of operands that fit, already padded */
static rein_tensor *convolve(rein_tensor *x, rein_tensor *weight, rein_tensor *bias, const int32_t *like) {
    int32_t k[8] = {like[CHANNELS], like[HEIGHT], like[WIDTH], like[OUT],
                    like[KERNEL],   like[STRIDE], like[ACT],   bias != NULL};
    reini_shape shape = image_shape(x->extent, places(k[HEIGHT], k[KERNEL], k[STRIDE]),
                                    places(k[WIDTH], k[KERNEL], k[STRIDE]), k[OUT]);
    rein_tensor *in[3] = {x, weight, bias};
    return reini_node(x->g, REINI_CONV, x->dtype, shape, bias != NULL ? 3 : 2, in, k, NULL);
}

static rein_tensor *conv_mistake(const rein_tensor *x, const rein_tensor *weight, const rein_tensor *bias,
                                 int kernel, int stride, int padding) {
    rein_graph *g = x->g;
    if (!is_image(x) || !reini_is_real(x))
        return reini_mistake(g, "conv2d: the input must be real rows (height x width x channels), found %s",
                             reini_shape_text(x));
    if (kernel < 1 || stride < 1 || padding < 0 || padding >= kernel)
        return reini_mistake(g, "conv2d: kernel %d, stride %d, padding %d: the padding is 0 to kernel - 1",
                             kernel, stride, padding);
    if (x->dims[0] + 2 * padding < kernel || x->dims[1] + 2 * padding < kernel)
        return reini_mistake(g, "conv2d: a %d x %d kernel does not fit into %s with padding %d", kernel,
                             kernel, reini_shape_text(x), padding);
    if (weight->extent != REIN_STATIC || weight->ndim != 2 || weight->dims[0] != kernel * kernel * x->dims[2])
        return reini_mistake(g, "conv2d: the weight of a %d x %d kernel over %s must be (%d x out), found %s",
                             kernel, kernel, reini_shape_text(x), kernel * kernel * x->dims[2],
                             reini_shape_text(weight));
    if (bias != NULL && (bias->extent != REIN_STATIC || bias->width != weight->dims[1]))
        return reini_mistake(g, "conv2d: bias %s does not fit weight %s", reini_shape_text(bias),
                             reini_shape_text(weight));
    return NULL;
}

rein_tensor *rein_conv2d(rein_tensor *x, rein_tensor *weight, rein_tensor *bias, int kernel, int stride,
                         int padding, rein_activation act) {
    rein_tensor *mistake = conv_mistake(x, weight, bias, kernel, stride, padding);
    if (mistake != NULL)
        return mistake;
    bool fused = act != REIN_ACT_SILU && act != REIN_ACT_GELU;
    x = pad(x, padding);
    int32_t k[8] = {x->dims[2],
                    x->dims[0],
                    x->dims[1],
                    weight->dims[1],
                    kernel,
                    stride,
                    (int32_t)(fused ? act : REIN_ACT_IDENTITY)};
    rein_tensor *y = convolve(x, weight, bias, k);
    return fused ? y : act == REIN_ACT_SILU ? rein_silu(y) : rein_gelu(y);
}

/* (depth x out) to (out x depth), with k of a dense layer */
static rein_tensor *transpose(rein_tensor *w, int rows, int columns) {
    int32_t k[8] = {rows, columns, 1};
    reini_shape shape = {.extent = REIN_STATIC, .ndim = 2, .dims = {columns, rows}};
    return reini_node(w->g, REINI_TRANSPOSE, w->dtype, shape, 1, &w, k, NULL);
}

static rein_tensor *conv_dw(rein_tensor *x, rein_tensor *z, const int32_t *k) {
    reini_shape shape = {
        .extent = REIN_STATIC, .ndim = 2, .dims = {k[KERNEL] * k[KERNEL] * k[CHANNELS], k[OUT]}};
    rein_tensor *in[2] = {x, z};
    return reini_node(x->g, REINI_CONV_DW, x->dtype, shape, 2, in, k, NULL);
}

static rein_tensor *conv_dx(rein_tensor *z, rein_tensor *transposed, reini_shape shape, const int32_t *k) {
    rein_tensor *in[2] = {z, transposed};
    return reini_node(z->g, REINI_CONV_DX, z->dtype, shape, 2, in, k, NULL);
}

static rein_tensor *back_conv(rein_tensor *y, rein_tensor *dy, int i) {
    rein_tensor *z = reini_before_activation(y, dy, (rein_activation)y->k[ACT]), *w = y->in[1];
    if (i == 0)
        return conv_dx(z, transpose(w, w->dims[0], w->dims[1]), reini_shape_of(y->in[0]), y->k);
    if (i == 1)
        return conv_dw(y->in[0], z, y->k);
    return reini_node(y->g, REINI_SUM_PLACES, y->dtype, reini_shape_of(y->in[2]), 1, &z, NULL, NULL);
}

/* d act(x W + b) = act' (dx W + x dW + db) */
static rein_tensor *forward_conv(rein_tensor *y, rein_tensor *const *t) {
    rein_tensor *sum = NULL;
    int32_t k[8];
    for (int i = 0; i < 8; i++)
        k[i] = y->k[i];
    k[ACT] = REIN_ACT_IDENTITY;
    if (t[0] != NULL)
        sum = convolve(reini_expand(t[0], y->in[0]), y->in[1], NULL, k);
    bool biased = y->n_in == 3 && t[2] != NULL;
    if (t[1] != NULL || biased) {
        rein_tensor *dw = reini_expand(t[1] != NULL ? t[1] : rein_constant(y->g, 0), y->in[1]);
        rein_tensor *db = biased ? reini_expand(t[2], y->in[2]) : NULL;
        rein_tensor *part = convolve(y->in[0], dw, db, k);
        sum = sum != NULL ? rein_add(sum, part) : part;
    }
    return reini_before_activation(y, sum, (rein_activation)y->k[ACT]);
}

/* the gradient for x is bilinear in z and W: enough for a second derivative */
static rein_tensor *back_conv_dx(rein_tensor *y, rein_tensor *d, int i) {
    rein_tensor *z = y->in[0], *weight = y->in[1]->in[0];
    int32_t k[8];
    for (int j = 0; j < 8; j++)
        k[j] = y->k[j];
    k[ACT] = REIN_ACT_IDENTITY;
    d = reini_expand(d, y);
    if (i == 0)
        return convolve(d, weight, NULL, k);
    return transpose(conv_dw(d, z, k), weight->dims[0], weight->dims[1]);
}

static rein_tensor *forward_conv_dx(rein_tensor *y, rein_tensor *const *t) {
    rein_tensor *sum = NULL;
    for (int i = 0; i < 2; i++) {
        if (t[i] == NULL)
            continue;
        rein_tensor *direction = reini_expand(t[i], y->in[i]);
        rein_tensor *part =
            conv_dx(i == 0 ? direction : y->in[0], i == 1 ? direction : y->in[1], reini_shape_of(y), y->k);
        sum = sum != NULL ? rein_add(sum, part) : part;
    }
    return sum;
}

/* ---- pooling ------------------------------------------------------------------------------------------- */

rein_tensor *rein_max_pool2d(rein_tensor *x, int size, int stride, int padding) {
    if (!is_image(x) || !reini_is_real(x))
        return reini_mistake(x->g,
                             "max_pool2d: the input must be real rows (height x width x channels), found %s",
                             reini_shape_text(x));
    if (size < 1 || stride < 1 || padding < 0 || padding >= size || x->dims[0] + 2 * padding < size ||
        x->dims[1] + 2 * padding < size)
        return reini_mistake(
            x->g, "max_pool2d: size %d, stride %d, padding %d do not fit %s; the padding is below the size",
            size, stride, padding, reini_shape_text(x));
    int high = places(x->dims[0] + 2 * padding, size, stride);
    int wide = places(x->dims[1] + 2 * padding, size, stride);
    int32_t k[8] = {x->dims[2], x->dims[0], x->dims[1], size, stride, padding, wide};
    rein_tensor *in[2] = {x, x};
    return reini_node(x->g, REINI_MAX_POOL, x->dtype, image_shape(x->extent, high, wide, x->dims[2]), 2, in,
                      k, NULL);
}

/* The largest's own gradient; that it is chosen by x as well is piecewise constant. */
static rein_tensor *back_pool(rein_tensor *y, rein_tensor *dy, int i) {
    if (i == 0)
        return NULL;
    rein_tensor *in[2] = {reini_expand(dy, y), y->in[0]};
    return reini_node(y->g, REINI_MAX_POOL_GRAD, y->dtype, reini_shape_of(y->in[1]), 2, in, y->k, NULL);
}

static rein_tensor *forward_pool(rein_tensor *y, rein_tensor *const *t) {
    if (t[1] == NULL)
        return NULL;
    rein_tensor *in[2] = {y->in[0], reini_expand(t[1], y->in[1])};
    return reini_node(y->g, REINI_MAX_POOL, y->dtype, reini_shape_of(y), 2, in, y->k, NULL);
}

static rein_tensor *back_pool_grad(rein_tensor *y, rein_tensor *d, int i) {
    if (i != 0)
        return NULL;
    rein_tensor *in[2] = {y->in[1], reini_expand(d, y)};
    return reini_node(y->g, REINI_MAX_POOL, y->dtype, reini_shape_of(y->in[0]), 2, in, y->k, NULL);
}

static rein_tensor *forward_pool_grad(rein_tensor *y, rein_tensor *const *t) {
    if (t[0] == NULL)
        return NULL;
    rein_tensor *in[2] = {reini_expand(t[0], y->in[0]), y->in[1]};
    return reini_node(y->g, REINI_MAX_POOL_GRAD, y->dtype, reini_shape_of(y), 2, in, y->k, NULL);
}

const reini_rule reini_rules_image[] = {
    {REINI_PAD, back_pad, forward_pad},
    {REINI_CROP, back_crop, forward_crop},
    {REINI_CONV, back_conv, forward_conv},
    {REINI_CONV_DX, back_conv_dx, forward_conv_dx},
    {REINI_MAX_POOL, back_pool, forward_pool},
    {REINI_MAX_POOL_GRAD, back_pool_grad, forward_pool_grad},
    {REINI_OP_COUNT, NULL, NULL},
};
