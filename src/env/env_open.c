/*
 * env_open.c - a type together with one configuration.
 *
 * Types whose spaces or tables follow from their settings build a model from them; for all others the model is a
 * copy of the config. Either way the opened type has no settings left, and what it is given as config is its model.
 */
#include <rein/env.h>

#include <string.h>
#include "base/base.h"
#include "env/env_checks.h"
#include "env/env_types.h"

/* the config, or the defaults, in memory of its own */
static rein_status copy_config(const rein_env_type *type, const void *config, void **out) {
    *out = reini_new(type->config_size);
    if (!*out)
        return reini_fail_memory(type->config_size, "an environment's config");
    if (!config) {
        rein_fields_default(type->fields, type->n_fields, *out);
        return REIN_OK;
    }
    memcpy(*out, config, type->config_size);
    rein_status status = rein_fields_check(type->fields, type->n_fields, *out);
    if (status == REIN_OK)
        return REIN_OK;
    reini_free(*out);
    *out = NULL;
    return reini_fail_in(status, "environment %s: ", type->id);
}

static void close_copy(rein_env_type *opened) {
    reini_free(opened->model);
}

static rein_status check_opened(const rein_env_type *opened) {
    const char *flaw = reini_space_flaw(&opened->obs);
    if (!flaw)
        flaw = reini_space_flaw(&opened->act);
    if (flaw)
        return reini_fail(REIN_USAGE, "environment %s, as configured, has a space that %s", opened->id, flaw);
    if ((flaw = reini_costs_flaw(opened)) != NULL)
        return reini_fail(REIN_USAGE, "environment %s, as configured: %s", opened->id, flaw);
    if (opened->mdp && (rein_mdp_states(opened->mdp) != rein_space_count(&opened->obs) ||
                        rein_mdp_actions(opened->mdp) != rein_space_count(&opened->act)))
        return reini_fail(REIN_INTERNAL, "environment %s: its tables do not fit its spaces", opened->id);
    return REIN_OK;
}

rein_status rein_env_open(const rein_env_type *type, const void *config, rein_env_type *opened) {
    void *copy = NULL;
    *opened = *type;
    if (type->config_size == 0 && config)
        return reini_fail(REIN_USAGE, "environment %s has no config", type->id);
    if (type->config_size > 0)
        REINI_TRY(copy_config(type, config, &copy));
    rein_status status = REIN_OK;
    if (type->open) {
        status = type->open(copy, opened);
        reini_free(copy);
    } else if (!type->model) {
        opened->model = copy;
        opened->close = close_copy;
    } else {
        opened->close = NULL; /* opened already: the model stays with its owner */
    }
    opened->open = NULL;
    opened->config_size = 0;
    opened->fields = NULL;
    opened->n_fields = 0;
    if (status == REIN_OK)
        status = check_opened(opened);
    if (status != REIN_OK)
        rein_env_close(opened);
    return status;
}

void rein_env_close(rein_env_type *opened) {
    if (opened->close && opened->model)
        opened->close(opened);
    opened->model = NULL;
    opened->mdp = NULL;
    opened->close = NULL;
}
