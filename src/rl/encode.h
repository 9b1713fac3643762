/*
 * encode.h - image observations as networks see them: scaled bytes, and the convolutional encoder that takes the place
 * of the hidden layers.
 */
#ifndef REINI_ENCODE_H
#define REINI_ENCODE_H

#include <rein/nn.h>

/* The same text fields in every algorithm that takes images. */
#define REINI_ENCODE_FIELDS(F, E)                                                                            \
    E(encoder, "auto", "auto|nature|impala|minatar",                                                         \
      "network of image observations, in place of the hidden layers; auto chooses by their size")            \
    F(REAL, image_scale, "0", 0, 1e6,                                                                        \
      "factor on image bytes; 0 = 1 for minatar, whose bytes are 0 and 1, else 1/255")

typedef struct reini_encode {
    bool image; /* observations are images; else nothing here matters */
    rein_encoder encoder;
    int channels, height, width;
    double scale;
} reini_encode;

/* encoder, image_scale: the fields. */
rein_status reini_encode_init(reini_encode *e, const rein_space *obs, int encoder, double image_scale);
/* Scaled bytes (rows x height x width x channels). */
rein_tensor *reini_encode_image(const reini_encode *e, rein_tensor *obs);
/* Features of such an image; parameters in the group `name`. */
rein_tensor *reini_encode_features(const reini_encode *e, int slot, const char *name, rein_tensor *image,
                                   rein_init init);

#endif
