/*
 * reach.c - an environment of your own: a point on a line pushes itself towards a target.
 *
 *     cc -shared -fPIC -O2 -I include examples/plugin/reach.c -o reach.so
 *     rein train ppo --env ./reach.so --steps 1e5 --gamma 0.95
 *     rein eval runs/... --env.friction 0.5
 *
 * It needs Rein's headers and nothing else. docs/environments.md explains every member.
 */
#include <math.h>
#include <rein/env.h>

/* what can be set with --env.NAME; the rows also are the documentation of `rein describe ./reach.so` */
#define REACH_FIELDS(F, E)                                                                                   \
    F(REAL, friction, "0.1", 0, 1, "share of the speed lost in a step")                                      \
    F(REAL, push, "0.05", 0, 1, "change of speed at full thrust")

typedef struct reach_config {
    REIN_FIELDS_STRUCT(REACH_FIELDS)
} reach_config;

#define REIN_FIELD_OWNER reach_config
static const rein_field reach_fields[] = {REIN_FIELDS_TABLE(REACH_FIELDS)};

/* plain data: Rein copies it, saves it in checkpoints and hands it back */
typedef struct reach_state {
    float position, speed, target;
} reach_state;

static void reach_reset(const void *config, void *state, rein_rng *rng) {
    reach_state *s = state;
    s->position = rein_rng_range(rng, -1, 1);
    s->speed = 0;
    s->target = rein_rng_range(rng, -1, 1);
}

static rein_step reach_step(const void *config, void *state, const void *action, rein_rng *rng) {
    const reach_config *c = config;
    reach_state *s = state;
    float thrust = *(const float *)action; /* inside the bounds already */
    s->speed = s->speed * (float)(1 - c->friction) + thrust * (float)c->push;
    s->position += s->speed;
    float distance = fabsf(s->position - s->target);
    /* leaving the line ends the episode; the time limit below only cuts it */
    if (fabsf(s->position) > 2)
        return (rein_step){.reward = -10, .terminated = true};
    return (rein_step){.reward = -distance};
}

static void reach_observe(const void *config, const void *state, void *obs) {
    const reach_state *s = state;
    float *o = obs;
    o[0] = s->position;
    o[1] = s->speed;
    o[2] = s->target;
}

static const float low[1] = {-1}, high[1] = {1};

static const rein_env_type reach = {
    .abi = REIN_ENV_ABI,
    .id = "Reach-v0",
    .doc = "push a point to a target on a line",
    .obs = {.kind = REIN_SPACE_BOX, .size = 3, .shape = {3}},
    .act = {.kind = REIN_SPACE_BOX, .size = 1, .shape = {1}, .low = low, .high = high},
    .horizon = 50,
    .state_size = sizeof(reach_state),
    .config_size = sizeof(reach_config),
    .fields = reach_fields,
    .n_fields = sizeof reach_fields / sizeof *reach_fields,
    .reward_threshold = NAN,
    .reset = reach_reset,
    .step = reach_step,
    .observe = reach_observe,
};

REIN_ENV_PLUGIN(reach)
