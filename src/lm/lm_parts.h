/*
 * lm_parts.h - the table REINI_LM_PARTS at run time, and the tensors of a model's files in its terms.
 */
#ifndef REINI_LM_PARTS_H
#define REINI_LM_PARTS_H

#include "lm/lm_weights.h"

enum { REINI_LM_NAME = 96 }; /* bytes of a tensor's name with its 0 */

typedef struct reini_lm_part_info {
    const char *text; /* name, in a layer or of the whole model */
    bool per_layer, matrix, there;
    int rows, columns; /* rows is 1 for vectors */
} reini_lm_part_info;
reini_lm_part_info reini_lm_part_of(const reini_lm_shape *shape, reini_lm_part part);
/* "model.layers.3.self_attn.q_proj.weight" */
void reini_lm_part_name(const reini_lm_shape *shape, reini_lm_part part, int layer, char out[REINI_LM_NAME]);

/* Weights of zeros. frozen: see lm_weights.h. */
rein_status reini_lm_weights_new(const reini_lm_shape *shape, rein_dtype products, bool frozen,
                                 reini_lm_weights **out);
/* Elements of the layout from its first to the end of its last matrix: vectors lie behind them all. */
int64_t reini_lm_matrix_end(const reini_lm_weights *w);

/* A tensor of a file: one part, or several joined along their rows. */
typedef struct reini_lm_entry {
    char name[REINI_LM_NAME];
    int n_parts, layer;
    reini_lm_part part[3];
    bool transposed; /* the file holds [in, out] */
    int ndim;
    int64_t shape[2]; /* in the file */
} reini_lm_entry;

/* All tensors of a model's files, in the order of the model; the caller frees the list (reini_free). */
rein_status reini_lm_entries(const reini_lm_shape *shape, reini_lm_entry **list, int *n);
/* The prefix that files of the bare network leave out: "model." or "transformer.". */
const char *reini_lm_prefix(const reini_lm_shape *shape);

#endif
