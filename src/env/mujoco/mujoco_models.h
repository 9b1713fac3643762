/*
 * mujoco_models.h - the MJCF texts of models/, compiled into the library (cmake/ReinModels.cmake writes the table).
 */
#ifndef REINI_MUJOCO_MODELS_H
#define REINI_MUJOCO_MODELS_H

typedef struct reini_mujoco_model {
    const char *name; /* of the file, without .xml */
    const char *text;
} reini_mujoco_model;

/* Ends with a row whose name is NULL. */
extern const reini_mujoco_model reini_mujoco_models[];

#endif
