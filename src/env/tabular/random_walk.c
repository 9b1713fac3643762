/*
 * random_walk.c - RandomWalk-v0: a walk to the left or right until one of the ends, without a choice.
 *
 * Source: Sutton and Barto, "Reinforcement Learning: An Introduction", Example 6.2 (5 states, rewards 0 and 1) and
 * Figure 7.2 (19 states, rewards -1 and 1). States 1 to `states` lie in a row between the terminal states 0 and
 * states+1; the walk starts in the middle (in the left one of two). Without a discount the value of state i is
 * left_reward + (1 - left_reward) i / (states + 1).
 */
#include <math.h>
#include <string.h>
#include "env/env_types.h"
#include "env/tabular/mdp_env.h"

#define RANDOM_WALK_FIELDS(F, E)                                                                             \
    F(INT, states, "5", 1, 1000000, "states between the ends")                                               \
    F(REAL, left_reward, "0", -1e6, 1e6, "reward for leaving at the left end; at the right one it is 1")

typedef struct walk_config {
    REIN_FIELDS_STRUCT(RANDOM_WALK_FIELDS)
} walk_config;

#define REIN_FIELD_OWNER walk_config
static const rein_field walk_fields[] = {REIN_FIELDS_TABLE(RANDOM_WALK_FIELDS)};
#undef REIN_FIELD_OWNER

static rein_status fill(rein_mdp *mdp, const walk_config *c) {
    int32_t end = (int32_t)c->states + 1;
    REINI_TRY(rein_mdp_name_action(mdp, 0, "step", '*'));
    REINI_TRY(rein_mdp_terminal(mdp, 0, 0));
    REINI_TRY(rein_mdp_terminal(mdp, end, 0));
    for (int32_t state = 1; state < end; state++) {
        rein_outcome outcomes[2] = {{state - 1, 0.5, state == 1 ? c->left_reward : 0},
                                    {state + 1, 0.5, state == end - 1 ? 1 : 0}};
        REINI_TRY(rein_mdp_add(mdp, state, 0, 2, outcomes));
    }
    REINI_TRY(rein_mdp_start(mdp, end / 2, 1));
    return reini_add_grid(mdp, "", 1, end + 1, 0, 1, NULL);
}

static rein_status walk_open(const void *config, rein_env_type *opened) {
    const walk_config *c = config;
    rein_mdp *mdp = NULL;
    rein_status status = rein_mdp_new((int32_t)c->states + 2, 1, false, &mdp);
    if (status == REIN_OK)
        status = fill(mdp, c);
    return reini_mdp_env_open(status, mdp, sizeof(reini_mdp_env), opened);
}

const rein_env_type reini_env_random_walk = {
    .abi = REIN_ENV_ABI,
    .id = "RandomWalk-v0",
    .doc = "a walk to the left or right at random until an end; values 1/6 to 5/6, for prediction",
    .obs = REINI_DISCRETE(7),
    .act = REINI_DISCRETE(1),
    REINI_ENV_FIELDS(walk_config, walk_fields),
    .reward_threshold = NAN,
    REINI_MDP_ENV,
    .open = walk_open,
};
