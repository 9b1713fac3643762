/*
 * lm_source.c - the reader of a run's rows, and whether they are the model's and the run's.
 */
#include "algo/language/lm_source.h"
#include <string.h>

rein_status reini_lm_source_check(const reini_lm_settings *s) {
    if (reini_lm_given(s->init) && !reini_lm_given(s->tokenizer))
        return reini_fail(REIN_USAGE, "init: random weights have no tokenizer: name the folder of one with "
                                      "--tokenizer");
    if (!reini_lm_given(s->data))
        return reini_fail(REIN_USAGE, "no data: give a file of JSON lines with --data");
    if (reini_lm_given(s->eval_data) && s->validation_split > 0)
        return reini_fail(REIN_USAGE, "eval_data and validation_split: one of them, not both");
    if (s->max_steps < 0 && s->num_train_epochs <= 0)
        return reini_fail(REIN_USAGE, "num_train_epochs is 0 and max_steps is not given: nothing to do");
    return REIN_OK;
}

const char *reini_lm_source_tokenizer(const reini_lm_settings *s) {
    return reini_lm_given(s->tokenizer) ? s->tokenizer : reini_lm_given(s->model) ? s->model : NULL;
}

rein_status reini_lm_source_open(const reini_lm_settings *s, const reini_lm_shape *shape,
                                 reini_lm_reader **out) {
    const char *template = reini_lm_given(s->chat_template) ? s->chat_template : NULL;
    REINI_TRY(reini_lm_reader_open(reini_lm_source_tokenizer(s), template, out));
    int ids = reini_tokenizer_size(reini_lm_reader_tokenizer(*out));
    if (ids <= shape->vocabulary)
        return REIN_OK;
    reini_lm_reader_free(*out);
    *out = NULL;
    return reini_fail(REIN_MISMATCH,
                      "the tokenizer has ids up to %d and the model's embedding %d rows: they do not belong "
                      "together",
                      ids - 1, shape->vocabulary);
}

int reini_lm_source_length(const reini_lm_settings *s, const reini_lm_shape *shape) {
    if (shape->context <= 0 || s->max_length <= shape->context)
        return (int)s->max_length;
    reini_log(REIN_LOG_INFO, "max_length: %d, the context of the model", shape->context);
    return shape->context;
}

rein_status reini_lm_source_probe(const int32_t *token, int64_t n, reini_packed **out) {
    const uint8_t scored[REINI_PROBE_TOKENS] = {0};
    REINI_TRY(reini_packed_new(REINI_PROBE_TOKENS, 1, out));
    reini_packed_add(*out, token, scored, n < REINI_PROBE_TOKENS ? (int)n : REINI_PROBE_TOKENS);
    return REIN_OK;
}

rein_status reini_lm_source_visit(const uint8_t digest[32], const char *path, const char *what,
                                  reini_archive *ar) {
    uint8_t saved[32];
    memcpy(saved, digest, sizeof saved);
    REINI_TRY(reini_archive_bytes(ar, "data.digest", saved, sizeof saved));
    if (memcmp(saved, digest, sizeof saved) == 0)
        return REIN_OK;
    return reini_fail(REIN_MISMATCH,
                      "%s: not the %s that the run began with, or not its tokenizer or template; put them "
                      "back, or start a new run",
                      path, what);
}
