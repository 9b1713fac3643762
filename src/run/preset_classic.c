/*
 * preset_classic.c - settings known to work on classic control and in tabular worlds, with and without costs.
 *
 * "zoo" rows are those of RL Baselines3 Zoo (hyperparams, 2026-04); PPO's on MountainCarContinuous has a plain
 * Gaussian where the zoo's has gSDE. "rltools" is RLtools' benchmark recipe for Pendulum; its zoo charges the
 * unclipped action, and with Gymnasium's cost of the clipped one its entropy price of 0.1 would drive the
 * standard deviation away, so the price is smaller.
 */
#include "run/presets.h"

#define ZOO_CARTPOLE                                                                                         \
    "steps=1e5 n_envs=8 n_steps=32 batch_size=256 n_epochs=20 gamma=0.98 gae_lambda=0.8 ent_coef=0 "         \
    "learning_rate=lin_1e-3 clip_range=lin_0.2"
#define ZOO_ACROBOT                                                                                          \
    "steps=1e6 n_envs=16 n_steps=256 batch_size=64 n_epochs=4 gamma=0.99 gae_lambda=0.94 ent_coef=0 "        \
    "norm_obs=running norm_reward=true"
#define ZOO_MOUNTAIN_CAR                                                                                     \
    "steps=1e6 n_envs=16 n_steps=16 batch_size=64 n_epochs=4 gamma=0.99 gae_lambda=0.98 ent_coef=0 "         \
    "norm_obs=running norm_reward=true"
#define ZOO_PENDULUM                                                                                         \
    "steps=1e5 n_envs=4 n_steps=1024 batch_size=64 n_epochs=10 gamma=0.9 gae_lambda=0.95 ent_coef=0 "        \
    "learning_rate=1e-3 clip_range=0.2 use_sde=true sde_sample_freq=4"
#define ZOO_MOUNTAIN_CAR_CONTINUOUS                                                                          \
    "steps=2e4 n_envs=1 n_steps=8 batch_size=8 n_epochs=10 gamma=0.9999 gae_lambda=0.9 ent_coef=0.00429 "    \
    "learning_rate=7.77e-5 clip_range=0.1 max_grad_norm=5 vf_coef=0.19 log_std_init=-3.29 norm_obs=running " \
    "norm_reward=true"

/* hyperparams/sac.yml */
#define SAC_MOUNTAIN_CAR_CONTINUOUS                                                                          \
    "steps=5e4 buffer_size=50000 batch_size=512 auto_ent_coef=false ent_coef=0.1 train_freq=32 "             \
    "gradient_steps=32 gamma=0.9999 tau=0.01 learning_starts=0 use_sde=true log_std_init=-3.67 hidden=64,64"

/* hyperparams/dqn.yml */
#define DQN_CARTPOLE                                                                                         \
    "steps=5e4 learning_rate=2.3e-3 batch_size=64 buffer_size=1e5 learning_starts=1000 gamma=0.99 "          \
    "target_update_interval=10 train_freq=256 gradient_steps=128 exploration_fraction=0.16 "                 \
    "exploration_final_eps=0.04 hidden=256,256"
#define DQN_ACROBOT                                                                                          \
    "steps=1e5 learning_rate=6.3e-4 batch_size=128 buffer_size=5e4 learning_starts=0 gamma=0.99 "            \
    "target_update_interval=250 train_freq=4 gradient_steps=-1 exploration_fraction=0.12 "                   \
    "exploration_final_eps=0.1 hidden=256,256"
#define DQN_MOUNTAIN_CAR                                                                                     \
    "steps=1.2e5 learning_rate=4e-3 batch_size=128 buffer_size=1e4 learning_starts=1000 gamma=0.98 "         \
    "target_update_interval=600 train_freq=16 gradient_steps=8 exploration_fraction=0.2 "                    \
    "exploration_final_eps=0.07 hidden=256,256"

const rein_preset reini_presets_classic[] = {
    {"ppo", "CartPole-v1", "tuned",
     "solved in a fifth of a second: small networks, short rollouts of many environments",
     "steps=6e4 n_envs=32 n_steps=16 batch_size=128 n_epochs=10 hidden=32,32 gamma=0.98 gae_lambda=0.8 "
     "learning_rate=lin_5e-3 clip_range=lin_0.2 ent_coef=0"},
    {"ppo", "CartPole-v1", "zoo", "RL Baselines3 Zoo", ZOO_CARTPOLE},
    {"ppo", "Acrobot-v1", "tuned", "the zoo's recipe", ZOO_ACROBOT},
    {"ppo", "Acrobot-v1", "zoo", "RL Baselines3 Zoo", ZOO_ACROBOT},
    {"ppo", "MountainCar-v0", "tuned", "the zoo's recipe", ZOO_MOUNTAIN_CAR},
    {"ppo", "MountainCar-v0", "zoo", "RL Baselines3 Zoo", ZOO_MOUNTAIN_CAR},
    {"ppo", "Pendulum-v1", "tuned",
     "shorter rollouts of more environments, rewards and actions scaled, the step size falling to 0",
     "steps=1e5 n_envs=8 n_steps=256 batch_size=64 n_epochs=10 gamma=0.9 gae_lambda=0.95 ent_coef=0 "
     "learning_rate=lin_1e-3 clip_range=0.2 norm_reward=true scale_actions=true"},
    {"ppo", "Pendulum-v1", "zoo", "RL Baselines3 Zoo, with gSDE", ZOO_PENDULUM},
    {"ppo", "Pendulum-v1", "rltools", "RLtools' benchmark: two [32,32] networks, 10M steps",
     "steps=1e7 n_envs=64 n_steps=128 batch_size=1024 n_epochs=1 hidden=32,32 activation=tanh init=uniform "
     "gamma=0.9 gae_lambda=0.95 learning_rate=1e-3 clip_range=0.2 ent_coef=0.01 vf_coef=0.5 max_grad_norm=0 "
     "log_std_init=0.6931 scale_actions=true norm_obs=warmup"},
    {"ppo", "MountainCarContinuous-v0", "tuned",
     "a wide Gaussian finds the goal that gSDE finds in the zoo's recipe",
     "steps=2e5 n_envs=8 n_steps=512 batch_size=256 n_epochs=10 gamma=0.9999 gae_lambda=0.9 ent_coef=0.01 "
     "learning_rate=3e-4 log_std_init=0 norm_obs=running norm_reward=true"},
    {"ppo", "MountainCarContinuous-v0", "zoo", "RL Baselines3 Zoo, without gSDE",
     ZOO_MOUNTAIN_CAR_CONTINUOUS},
    {"ppo", "CartPoleNoVel-v1", "tuned", "a recurrent policy: what moves is remembered",
     "steps=1e5 n_envs=8 n_steps=128 batch_size=256 n_epochs=20 hidden=32 gru=32 sequence=32 gamma=0.995 "
     "gae_lambda=0.9 learning_rate=lin_3e-3 clip_range=lin_0.2 norm_obs=running norm_reward=true"},
    {"ppo", "PendulumNoVel-v1", "tuned", "a recurrent policy, rewards and actions scaled",
     "steps=3e5 n_envs=8 n_steps=256 batch_size=256 n_epochs=10 hidden=64 gru=64 sequence=16 gamma=0.9 "
     "gae_lambda=0.95 learning_rate=lin_1e-3 norm_reward=true scale_actions=true"},
    {"ppo", "CostGrid-v1", "tuned", "at most one hazard an episode, kept by a PID price; mud is free",
     "steps=4e5 n_envs=32 n_steps=32 batch_size=1024 n_epochs=5 hidden=64 gamma=1 cost_gamma=1 "
     "learning_rate=lin_3e-3 ent_coef=0.01 cost_limit=1,inf multiplier=pid pid_kp=0.02 pid_ki=1e-3 pid_kd=0 "
     "pid_smoothing=0"},
    {"cpo", "CostGrid-v1", "tuned", "at most one hazard an episode, kept by every step; mud is free",
     "steps=2e5 n_envs=32 n_steps=128 batch_size=1024 hidden=64 gamma=1 cost_gamma=1 learning_rate=3e-3 "
     "cg_damping=0.01 cost_limit=1,inf"},
    {"q-learning", "FrozenLake-v1", "tuned",
     "the best stationary policy, 0.7402: acts at random, so that every state is met; step sizes fall to 0",
     "steps=1e6 epsilon=1 learning_rate=lin_0.05 gamma=0.99"},
    {"q-learning", "FrozenLake8x8-v1", "tuned", "0.8857: hopeful first values lead everywhere",
     "steps=1e7 epsilon=0.3 q_init=1 learning_rate=lin_0.05 gamma=0.999"},
    {"q-learning", "CliffWalking-v1", "tuned", "the shortest path, -13, as in Sutton and Barto's Example 6.6",
     "steps=5e4 epsilon=0.1 learning_rate=0.5 gamma=1"},
    {"q-learning", "Taxi-v3", "tuned",
     "the optimum, 7.93: in a world without chance a step size of 1 is exact",
     "steps=1e6 epsilon=0.1 learning_rate=1 gamma=0.99"},
    {"q-learning", "Taxi-v4", "tuned",
     "the optimum, 7.93: in a world without chance a step size of 1 is exact",
     "steps=1e6 epsilon=0.1 learning_rate=1 gamma=0.99"},
    {"q-learning", "Blackjack-v1", "tuned", "a hand costs 0.044 on average; step sizes fall to 0",
     "steps=1e7 epsilon=0.3 learning_rate=lin_0.01 gamma=1"},
    {"monte-carlo", "Blackjack-v1", "tuned", "on-policy control as in Sutton and Barto, section 5.4",
     "steps=1e7 control=true epsilon=0.1 gamma=1"},
    {"a2c", "CartPole-v1", "tuned", "the zoo's recipe: the defaults on eight environments",
     "steps=5e5 n_envs=8 n_steps=5 gamma=0.99 gae_lambda=1 learning_rate=7e-4 ent_coef=0"},
    {"a2c", "Acrobot-v1", "tuned", "the zoo's recipe",
     "steps=5e5 n_envs=16 n_steps=5 gamma=0.99 gae_lambda=1 learning_rate=7e-4 ent_coef=0 norm_obs=running "
     "norm_reward=true"},
    {"a3c", "CartPole-v1", "tuned", "the defaults: eight workers with an environment each",
     "steps=5e5 workers=8 n_envs=1 n_steps=5 gamma=0.99 gae_lambda=1 learning_rate=7e-4 ent_coef=0"},
    {"a2c", "MountainCarContinuous-v0", "tuned", "the zoo's recipe with a noise that lasts 16 steps",
     "steps=1e5 n_envs=4 n_steps=100 ent_coef=0 norm_obs=running norm_reward=true use_sde=true "
     "sde_sample_freq=16 log_std_init=0"},
    {"trpo", "CartPole-v1", "tuned", "the zoo's recipe",
     "steps=1e5 n_envs=2 n_steps=512 gamma=0.99 gae_lambda=0.98 cg_damping=1e-3 n_critic_updates=20"},
    {"trpo", "Acrobot-v1", "tuned", "the zoo's recipe",
     "steps=1e5 n_envs=2 n_steps=1024 gamma=0.99 gae_lambda=0.95 norm_obs=running norm_reward=true"},
    {"trpo", "MountainCar-v0", "tuned", "the zoo's recipe",
     "steps=1e5 n_envs=2 n_steps=1024 gamma=0.99 gae_lambda=0.95 n_critic_updates=20 norm_obs=running "
     "norm_reward=true"},
    {"trpo", "Pendulum-v1", "tuned", "the zoo's recipe without gSDE",
     "steps=1e5 n_envs=2 n_steps=1024 gamma=0.9 gae_lambda=0.95 n_critic_updates=15"},
    {"reinforce", "CartPole-v1", "tuned", "eight episodes an update, returns to go minus a learned baseline",
     "steps=5e5 n_envs=8 episodes_per_env=1 returns=to_go baseline=learned gamma=0.99 learning_rate=1e-2 "
     "critic_learning_rate=1e-3 n_critic_updates=10"},
    {"reinforce", "Acrobot-v1", "tuned", "the same with a smaller step and standardised observations",
     "steps=5e5 n_envs=8 episodes_per_env=1 returns=to_go baseline=learned gamma=0.99 learning_rate=3e-3 "
     "critic_learning_rate=1e-3 n_critic_updates=10 norm_obs=running"},
    {"dqn", "CartPole-v1", "tuned",
     "twice the zoo's rhythm, small duelling networks, double targets over three steps, a falling step size",
     "steps=5e4 learning_rate=lin_2.3e-3 batch_size=128 buffer_size=5e4 learning_starts=1000 gamma=0.98 "
     "target_update_interval=128 train_freq=128 gradient_steps=128 exploration_fraction=0.16 "
     "exploration_final_eps=0.1 hidden=128,128 activation=tanh double_q=true dueling=true n_step=3"},
    {"dqn", "CartPole-v1", "zoo", "RL Baselines3 Zoo", DQN_CARTPOLE},
    {"dqn", "Acrobot-v1", "tuned",
     "small duelling networks, double targets over three steps, a falling step size",
     "steps=1e5 learning_rate=lin_1e-3 batch_size=128 buffer_size=5e4 learning_starts=1000 gamma=0.99 "
     "target_update_interval=500 train_freq=4 gradient_steps=2 exploration_fraction=0.12 "
     "exploration_final_eps=0.1 hidden=64,64 double_q=true dueling=true n_step=3"},
    {"dqn", "Acrobot-v1", "zoo", "RL Baselines3 Zoo", DQN_ACROBOT},
    {"dqn", "MountainCar-v0", "tuned",
     "the zoo's recipe with small duelling networks, double targets over three steps, a falling step size",
     "steps=1.2e5 learning_rate=lin_4e-3 batch_size=128 buffer_size=1e4 learning_starts=1000 gamma=0.98 "
     "target_update_interval=600 train_freq=16 gradient_steps=8 exploration_fraction=0.2 "
     "exploration_final_eps=0.07 hidden=64,64 activation=tanh double_q=true dueling=true n_step=3"},
    {"dqn", "MountainCar-v0", "zoo", "RL Baselines3 Zoo", DQN_MOUNTAIN_CAR},
    {"td3", "Pendulum-v1", "tuned",
     "small networks, one update a step, an Adam that is careful with small gradients",
     "steps=2e4 hidden=64,64 batch_size=100 buffer_size=2e4 adam_eps=3e-4"},
    {"td3", "Pendulum-v1", "rltools", "RLtools' zoo: the same",
     "steps=2e4 hidden=64,64 batch_size=100 buffer_size=2e4 adam_eps=3e-4"},
    {"ddpg", "Pendulum-v1", "tuned", "TD3's recipe, to compare with it",
     "steps=2e4 hidden=64,64 batch_size=100 buffer_size=2e4 adam_eps=3e-4"},
    {"sac", "Pendulum-v1", "tuned",
     "small networks, one update a step, an Adam that is careful with small gradients",
     "steps=2e4 hidden=64,64 batch_size=100 learning_rate=1e-3 ent_coef=0.5 buffer_size=2e4 adam_eps=3e-4"},
    {"sac", "MountainCarContinuous-v0", "tuned",
     "the zoo's recipe with state-dependent noise and a step size that falls to 0",
     SAC_MOUNTAIN_CAR_CONTINUOUS " learning_rate=lin_3e-4"},
    {"sac", "MountainCarContinuous-v0", "zoo", "RL Baselines3 Zoo",
     SAC_MOUNTAIN_CAR_CONTINUOUS " learning_rate=3e-4"},
    {"sac", "Pendulum-v1", "rltools", "RLtools' zoo: the same",
     "steps=2e4 hidden=64,64 batch_size=100 learning_rate=1e-3 ent_coef=0.5 buffer_size=2e4 adam_eps=3e-4"},
    {0},
};
