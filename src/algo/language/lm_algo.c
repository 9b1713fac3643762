/*
 * lm_algo.c - states of methods that train a language model.
 */
#include "algo/language/lm_algo.h"
#include "base/base.h"

rein_status reini_language_new(const reini_language *method, const void *config,
                               const reini_lm_context *context, void **self) {
    void *state = reini_new(method->state_size);
    if (!state)
        return reini_fail_memory(method->state_size, "the state of the method");
    rein_status status = method->set_up(state, config, context);
    if (status != REIN_OK) {
        reini_language_free(method, state);
        return status;
    }
    *self = state;
    return REIN_OK;
}

void reini_language_free(const reini_language *method, void *self) {
    if (!self)
        return;
    method->release(self);
    reini_free(self);
}
