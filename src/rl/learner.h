/*
 * learner.h - the optimizer of an algorithm: its settings, its making, its checkpoint.
 */
#ifndef REINI_LEARNER_H
#define REINI_LEARNER_H

#include <string.h>
#include <rein/optim.h>
#include "base/archive.h"

/* The same settings in every algorithm that takes gradient steps. */
#define REINI_OPTIM_FIELDS(F, E)                                                                             \
    F(REAL, max_grad_norm, "0.5", 0, 1e9, "global gradient norm clip, 0 = off")                              \
    E(optimizer, "adam", "adam|adamw|sgd|rmsprop", "optimizer")                                              \
    F(REAL, adam_eps, "1e-5", 0, 1, "epsilon beside the root in Adam and RMSprop")                           \
    F(REAL, weight_decay, "0", 0, 10, "AdamW's decoupled decay, SGD's L2 term")                              \
    F(REAL, momentum, "0.9", 0, 1, "SGD's momentum")

typedef struct reini_optim_settings {
    REIN_FIELDS_STRUCT(REINI_OPTIM_FIELDS)
} reini_optim_settings;

/* groups: parameter groups to train, NULL = all. */
rein_status reini_optim_make(const reini_optim_settings *settings, rein_layout *layout, const char *groups,
                             rein_optim **out);
/* Moments and step count under `name`. */
rein_status reini_optim_visit(rein_optim *optim, const char *name, reini_archive *archive);

/* Copies the members that a list of fields names from one struct to another that has them too. */
#define REINI_COPY_FIELD(kind, name, initial, low, high, doc)                                                \
    memcpy(&copied.name, &from->name, sizeof copied.name);
#define REINI_COPY_FIELD_ENUM(name, initial, choices, doc) copied.name = from->name;
#define REINI_COPY_FIELDS(LIST)                            LIST(REINI_COPY_FIELD, REINI_COPY_FIELD_ENUM)

#endif
