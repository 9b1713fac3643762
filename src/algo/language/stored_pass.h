/*
 * stored_pass.h - what was computed with a model before its first update, kept in the run's directory: a run that is
 * continued reads it instead of computing it again.
 *
 * A file is named after a digest of everything that decides its contents, the model's weights included, so that one of
 * another model, other data or other settings is not found rather than wrong.
 */
#ifndef REINI_STORED_PASS_H
#define REINI_STORED_PASS_H

#include "algo/language/lm_learner.h"

enum { REINI_STORED_PATH = 1280 };

/* "DIR/KIND-0123456789abcdef.rein"; more: what decides the contents beside weights and adapter. */
rein_status reini_stored_path(char out[REINI_STORED_PATH], const char *dir, const char *kind,
                              const reini_lm_learner *l, const void *more, size_t n_more);
/* Numbers of such a file. *found false: there is none, or it is damaged, and has to be made. */
rein_status reini_stored_load(const char *path, double *at[], const int64_t n[], int arrays, bool *found);
rein_status reini_stored_save(const char *path, double *at[], const int64_t n[], int arrays);

#endif
