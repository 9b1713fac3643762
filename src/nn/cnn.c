/*
 * cnn.c - the convolutional encoders of the literature: from an image to a row of features.
 *
 *     nature   V. Mnih et al.: Human-level control through deep reinforcement learning, Nature 518 (2015): 32 filters
 *              8 x 8 stride 4, 64 of 4 x 4 stride 2, 64 of 3 x 3, 512 features
 *     impala   L. Espeholt et al.: IMPALA (arXiv 1802.01561), fig. 3, right, without the LSTM: sections of 16, 32 and 32
 *              channels, each a 3 x 3 convolution, a 3 x 3 pool of stride 2 and two residual blocks
 *              x + conv(relu(conv(relu(x)))); 256 features
 *     minatar  K. Young and T. Tian: MinAtar (arXiv 1903.03176): 16 filters 3 x 3, 128 features
 *
 * Layers are rectified. The features of a last image lie pixel by pixel, channels fastest, when the dense layer reads
 * them; in PyTorch channels count slowest, so that copied weights must be permuted.
 */
#include <stdio.h>
#include <rein/nn.h>
#include "base/base.h"

typedef struct cnn {
    int slot, convolutions; /* made so far */
    const char *name;
    rein_init init;
} cnn;

static rein_tensor *parameter(const cnn *c, rein_tensor *x, const char *part, int ndim, const int *dims,
                              rein_init init) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", c->name, part);
    return rein_param(rein_tensor_graph(x), c->slot, name, ndim, dims, init);
}

static rein_tensor *convolution(cnn *c, rein_tensor *x, int out, int kernel, int stride, int padding,
                                rein_activation act) {
    char part[32];
    int k = c->convolutions++, shape[4], ndim = rein_tensor_shape(x, shape);
    int weight[2] = {kernel * kernel * (ndim > 0 ? shape[ndim - 1] : 1), out};
    snprintf(part, sizeof part, "conv.%d.weight", k);
    rein_tensor *w = parameter(c, x, part, 2, weight, c->init);
    snprintf(part, sizeof part, "conv.%d.bias", k);
    rein_tensor *b = parameter(c, x, part, 1, &out, (rein_init){REIN_INIT_CONSTANT, 0});
    return rein_conv2d(x, w, b, kernel, stride, padding, act);
}

static rein_tensor *features(const cnn *c, rein_tensor *x, int out) {
    int weight[2] = {(int)rein_tensor_width(x), out};
    rein_tensor *flat = rein_reshape(x, 1, weight);
    rein_tensor *w = parameter(c, x, "features.weight", 2, weight, c->init);
    rein_tensor *b = parameter(c, x, "features.bias", 1, &out, (rein_init){REIN_INIT_CONSTANT, 0});
    return rein_dense(flat, w, b, REIN_ACT_RELU);
}

static rein_tensor *nature(cnn *c, rein_tensor *x) {
    x = convolution(c, x, 32, 8, 4, 0, REIN_ACT_RELU);
    x = convolution(c, x, 64, 4, 2, 0, REIN_ACT_RELU);
    x = convolution(c, x, 64, 3, 1, 0, REIN_ACT_RELU);
    return features(c, x, 512);
}

static rein_tensor *residual(cnn *c, rein_tensor *x, int channels) {
    rein_tensor *y = convolution(c, rein_relu(x), channels, 3, 1, 1, REIN_ACT_RELU);
    return rein_add(x, convolution(c, y, channels, 3, 1, 1, REIN_ACT_IDENTITY));
}

static rein_tensor *impala(cnn *c, rein_tensor *x) {
    static const int channels[] = {16, 32, 32};
    for (int section = 0; section < 3; section++) {
        x = rein_max_pool2d(convolution(c, x, channels[section], 3, 1, 1, REIN_ACT_IDENTITY), 3, 2, 1);
        for (int block = 0; block < 2; block++)
            x = residual(c, x, channels[section]);
    }
    return features(c, rein_relu(x), 256);
}

static rein_tensor *minatar(cnn *c, rein_tensor *x) {
    return features(c, convolution(c, x, 16, 3, 1, 0, REIN_ACT_RELU), 128);
}

/* in the order of rein_encoder, from the second on; `least` is the smallest side that leaves something at the end */
static const struct encoder {
    const char *name;
    rein_tensor *(*build)(cnn *c, rein_tensor *x);
    int least;
} encoders[] = {{"nature", nature, 36}, {"impala", impala, 8}, {"minatar", minatar, 3}};

rein_tensor *rein_cnn(rein_tensor *x, int slot, const char *name, rein_encoder encoder, rein_init init) {
    cnn c = {.slot = slot, .name = name, .init = init};
    REINI_ASSERT(encoder != REIN_ENCODER_AUTO);
    return encoders[encoder - 1].build(&c, x);
}

/* below this side auto takes the encoder made for such images, though impala's would fit */
enum { MINATAR_BELOW = 16 };

static rein_encoder fitting(int side) {
    if (side >= encoders[REIN_ENCODER_NATURE - 1].least)
        return REIN_ENCODER_NATURE;
    return side >= MINATAR_BELOW ? REIN_ENCODER_IMPALA : REIN_ENCODER_MINATAR;
}

rein_status rein_encoder_choose(const rein_space *image, rein_encoder wanted, rein_encoder *found) {
    int height = image->shape[1], width = image->shape[2], side = height < width ? height : width;
    if (image->kind != REIN_SPACE_IMAGE)
        return reini_fail(REIN_USAGE, "an encoder needs images");
    if (side < encoders[REIN_ENCODER_MINATAR - 1].least)
        return reini_fail(REIN_USAGE,
                          "images of %d x %d x %d (channels x height x width) are too small for every "
                          "encoder: the smallest, minatar, needs 3 x 3; give them as a box",
                          (int)image->shape[0], height, width);
    *found = wanted == REIN_ENCODER_AUTO ? fitting(side) : wanted;
    const struct encoder *e = &encoders[*found - 1];
    if (side < e->least)
        return reini_fail(REIN_USAGE,
                          "images of %d x %d x %d (channels x height x width) are too small for encoder %s, "
                          "which needs %d x %d; encoder %s fits",
                          (int)image->shape[0], height, width, e->name, e->least, e->least,
                          encoders[fitting(side) - 1].name);
    return REIN_OK;
}
