/*
 * encode.c - image observations as networks see them.
 */
#include "rl/encode.h"

rein_status reini_encode_init(reini_encode *e, const rein_space *obs, int encoder, double image_scale) {
    *e = (reini_encode){.image = obs->kind == REIN_SPACE_IMAGE};
    if (!e->image)
        return REIN_OK;
    rein_status status = rein_encoder_choose(obs, (rein_encoder)encoder, &e->encoder);
    e->channels = obs->shape[0];
    e->height = obs->shape[1];
    e->width = obs->shape[2];
    double automatic = e->encoder == REIN_ENCODER_MINATAR ? 1 : 1.0 / 255;
    e->scale = image_scale > 0 ? image_scale : automatic;
    return status;
}

rein_tensor *reini_encode_image(const reini_encode *e, rein_tensor *obs) {
    return rein_image(obs, e->channels, e->height, e->width, e->scale);
}

rein_tensor *reini_encode_features(const reini_encode *e, int slot, const char *name, rein_tensor *image,
                                   rein_init init) {
    return rein_cnn(image, slot, name, e->encoder, init);
}
