/*
 * lm_source.h - what every training of a language model does with what it reads: the reader of its rows, whether rows and
 * model belong together, and whether a resumed run still has the rows it began with.
 */
#ifndef REINI_LM_SOURCE_H
#define REINI_LM_SOURCE_H

#include "algo/language/lm_settings.h"
#include "base/archive.h"
#include "data/lm_encode.h"
#include "lm/lm_shape.h"
#include "lm/packing.h"

/* Tokens of a probe, at most. */
enum { REINI_PROBE_TOKENS = 64 };

/* Are there rows, a tokenizer and something to do? For methods that learn from given rows. */
rein_status reini_lm_source_check(const reini_lm_settings *settings);
/* Folder of the tokenizer: its own, else the model's; NULL where there is none. */
const char *reini_lm_source_tokenizer(const reini_lm_settings *settings);
/* Opens the reader of the settings' tokenizer and chat template, *out (reini_lm_reader_free it). REIN_MISMATCH when it has
 * ids that the model's embedding has not. */
rein_status reini_lm_source_open(const reini_lm_settings *settings, const reini_lm_shape *shape,
                                 reini_lm_reader **out);
/* Tokens of a row: max_length of the settings, at most the model's context; says so when it is the context. */
int reini_lm_source_length(const reini_lm_settings *settings, const reini_lm_shape *shape);
/* The beginning of a text, which a saved model is tried on (reini_lm_learner_save); reini_packed_free it. */
rein_status reini_lm_source_probe(const int32_t *token, int64_t n, reini_packed **out);
/* Saves the digest of the rows at path, or fails when it is not the saved one; what: "data" or "prompts". */
rein_status reini_lm_source_visit(const uint8_t digest[32], const char *path, const char *what,
                                  reini_archive *archive);

#endif
