/*
 * mdp_file_env.c - Mdp-v0: the MDP of a JSON file (rein_mdp_read) as an environment.
 *
 * Observations and actions are the numbers of its states and actions; actions without a row are masked out.
 */
#include <math.h>
#include "env/env_types.h"
#include "env/tabular/mdp_env.h"

#define MDP_FIELDS(F, E)                                                                                     \
    F(TEXT, file, "", 0, 0, "the MDP, a JSON file")                                                          \
    F(INT, horizon, "0", 0, 1e9, "time limit in steps, 0 = none")

typedef struct mdp_config {
    REIN_FIELDS_STRUCT(MDP_FIELDS)
} mdp_config;

#define REIN_FIELD_OWNER mdp_config
static const rein_field mdp_fields[] = {REIN_FIELDS_TABLE(MDP_FIELDS)};
#undef REIN_FIELD_OWNER

static rein_status mdp_open(const void *config, rein_env_type *opened) {
    const mdp_config *c = config;
    rein_mdp *mdp = NULL;
    if (c->file[0] == 0)
        return reini_fail(REIN_USAGE,
                          "environment %s needs the file of an MDP: give --mdp file.json, or "
                          "--env.file=file.json",
                          opened->id);
    REINI_TRY(rein_mdp_read(c->file, &mdp));
    opened->horizon = (int32_t)c->horizon;
    return reini_mdp_env_open(REIN_OK, mdp, sizeof(reini_mdp_env), opened);
}

const rein_env_type reini_env_mdp = {
    .abi = REIN_ENV_ABI,
    .id = "Mdp-v0",
    .doc = "the MDP of a JSON file",
    .obs = REINI_DISCRETE(1),
    .act = REINI_DISCRETE(1),
    REINI_ENV_FIELDS(mdp_config, mdp_fields),
    .reward_threshold = NAN,
    REINI_MDP_ENV,
    .open = mdp_open,
};
