/*
 * preset_mujoco.c - settings known to work on MuJoCo's robots, of either version.
 *
 * SAC as in its paper (Haarnoja et al. 2018) with 10,000 random steps first; TD3 as in its own (Fujimoto et al. 2018),
 * which knows two ways: with 1,000 random steps where a robot can fall, else with 10,000, here on larger batches. PPO and
 * TRPO with standardised observations and rewards, in the manner of Tianshou's benchmark.
 */
#include "run/presets.h"

#define SAC_MUJOCO                                                                                           \
    "steps=3e5 hidden=256,256 batch_size=256 learning_rate=3e-4 learning_starts=10000 buffer_size=1e6"
#define TD3_RUNS                                                                                             \
    "steps=3e5 hidden=256,256 batch_size=256 learning_rate=3e-4 learning_starts=10000 buffer_size=1e6"
#define TD3_FALLS                                                                                            \
    "steps=3e5 hidden=400,300 batch_size=100 learning_rate=1e-3 learning_starts=1000 buffer_size=1e6"
#define PPO_MUJOCO                                                                                           \
    "steps=1e6 n_envs=8 n_steps=256 batch_size=64 n_epochs=10 hidden=64,64 gamma=0.99 gae_lambda=0.95 "      \
    "learning_rate=lin_3e-4 clip_range=0.2 ent_coef=0 vf_coef=0.25 norm_obs=running norm_reward=true"
/* a smaller deviation at the start: three times HalfCheetah's return, and a bad seed in three on Hopper */
#define PPO_CALM PPO_MUJOCO " log_std_init=-1"
#define TRPO_MUJOCO                                                                                          \
    "steps=1e6 n_envs=8 n_steps=256 gamma=0.99 gae_lambda=0.95 n_critic_updates=20 norm_obs=running "        \
    "norm_reward=true"

#define ROBOT(name, ppo, td3, td3_doc)                                                                       \
    {"sac", name "-*", "tuned", "the paper's networks and rates", SAC_MUJOCO},                               \
        {"td3", name "-*", "tuned", td3_doc, td3},                                                           \
        {"ppo", name "-*", "tuned", "standardised observations and rewards, a falling step size", ppo}, {    \
        "trpo", name "-*", "tuned", "standardised observations and rewards", TRPO_MUJOCO                     \
    }

const rein_preset reini_presets_mujoco[] = {
    ROBOT("HalfCheetah", PPO_CALM, TD3_RUNS, "the paper's method, networks of 256 units"),
    ROBOT("Hopper", PPO_MUJOCO, TD3_FALLS, "the paper's networks, batches and rates"),
    ROBOT("Walker2d", PPO_CALM, TD3_FALLS, "the paper's networks, batches and rates"),
    {0},
};
