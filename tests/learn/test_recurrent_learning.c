/*
 * test_recurrent_learning.c - a corridor that only a memory gets right: what must be done at its end is shown at its
 * beginning, and nowhere else (the T-maze of Bakker, Reinforcement Learning with Long Short-Term Memory, NIPS 2001,
 * with the walking left out). PPO and A2C learn it with a memory, and without one do no better than a coin.
 */
#include "support/learn_rig.h"

/* Observation: the sign (+1 or -1; 0 after the first step), and whether this is the junction. At the junction the action
 * that the sign named earns 1, the other -1; before it the third action is forbidden and others do nothing. */
enum { CORRIDOR = 6 };

typedef struct maze {
    int32_t sign, steps;
} maze;

static void maze_reset(const void *config, void *state, rein_rng *rng) {
    maze *s = state;
    s->sign = rein_rng_below(rng, 2) ? 1 : -1;
    s->steps = 0;
}

static rein_step maze_step(const void *config, void *state, const void *action, rein_rng *rng) {
    maze *s = state;
    bool junction = s->steps++ == CORRIDOR;
    int32_t right = s->sign > 0 ? 2 : 0;
    return (rein_step){.reward = !junction                           ? 0.0f
                                 : *(const int32_t *)action == right ? 1.0f
                                                                     : -1.0f,
                       .terminated = junction};
}

static void maze_observe(const void *config, const void *state, void *obs) {
    const maze *s = state;
    ((float *)obs)[0] = s->steps == 0 ? (float)s->sign : 0.0f;
    ((float *)obs)[1] = s->steps == CORRIDOR;
}

static void maze_mask(const void *config, const void *state, uint8_t *allowed) {
    bool junction = ((const maze *)state)->steps == CORRIDOR;
    allowed[0] = 1;
    allowed[1] = !junction;
    allowed[2] = junction;
}

static const rein_env_type mazes = {
    .abi = REIN_ENV_ABI,
    .id = "test/TMaze-v0",
    .doc = "remember a sign",
    .obs = {.kind = REIN_SPACE_BOX, .size = 2, .shape = {2}},
    .act = {REIN_SPACE_DISCRETE, 1, {3}},
    .horizon = 20,
    .state_size = sizeof(maze),
    .reset = maze_reset,
    .step = maze_step,
    .observe = maze_observe,
    .mask = maze_mask,
};

#define MAZE LEARN_ALONE "gamma=0.95 hidden=16 eval_episodes=200 n_envs=16"

static void remembers(const char *algo, const char *settings) {
    learn_by_seeds(algo, mazes.id, "none", MAZE, settings, 0.95);
}

static void forgets(const char *algo, const char *settings) {
    assert_true(learn(algo, mazes.id, "none", MAZE, settings).eval_return_mean < 0.3);
}

#define PPO "steps=60k n_steps=32 batch_size=128 n_epochs=8 learning_rate=5e-3 gae_lambda=0.95 "
#define A2C "steps=150k n_steps=14 learning_rate=3e-3 gae_lambda=0.95 ent_coef=0.01 "

static void test_ppo(void **state) {
    remembers("ppo", PPO "gru=16 sequence=16");
    remembers("ppo", PPO "gru=16 shared=true norm_obs=running objective=penalty");
    forgets("ppo", PPO);
}

static void test_a2c(void **state) {
    remembers("a2c", A2C "gru=16");
    forgets("a2c", A2C);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ppo), cmocka_unit_test(test_a2c)};
    return rein_env_register(&mazes) != REIN_OK
               ? 1
               : cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
