/*
 * learner.c - optimizers from settings, and in checkpoints.
 */
#include "rl/learner.h"

rein_status reini_optim_make(const reini_optim_settings *settings, rein_layout *layout, const char *groups,
                             rein_optim **out) {
    rein_optim_config config = rein_optim_config_default();
    config.kind = settings->optimizer;
    config.eps = settings->adam_eps;
    config.weight_decay = settings->weight_decay;
    config.momentum = settings->momentum;
    config.max_grad_norm = settings->max_grad_norm;
    config.groups = groups;
    return rein_optim_new(&config, layout, out);
}

rein_status reini_optim_visit(rein_optim *optim, const char *name, reini_archive *archive) {
    size_t size = rein_optim_save_size(optim);
    void *state = reini_new(size);
    if (state == NULL)
        return reini_fail_memory(size, "a checkpoint");
    rein_optim_save(optim, state);
    rein_status status = reini_archive_bytes(archive, name, state, size);
    if (status == REIN_OK && reini_archive_loading(archive))
        status = rein_optim_load(optim, state, size);
    reini_free(state);
    return status;
}
