/*
 * preset_games.c - settings known to work on grid games seen as pixels.
 *
 * MinAtar's own DQN (Young & Tian 2019, arXiv 1903.03176): one convolution and one hidden layer, batches of 32, an
 * update a step, targets renewed every 1000 updates, RMSprop.
 */
#include "run/presets.h"

#define DQN_MINATAR                                                                                          \
    "steps=1e6 batch_size=32 buffer_size=1e5 learning_starts=5000 gamma=0.99 target_update_interval=1000 "   \
    "train_freq=1 gradient_steps=1 learning_rate=2.5e-4 exploration_fraction=0.1 exploration_final_eps=0.1"

const rein_preset reini_presets_games[] = {
    {"dqn", "MinAtar/Breakout-*", "tuned", "MinAtar's own recipe with Adam", DQN_MINATAR},
    {"dqn", "MinAtar/Breakout-*", "quick", "300k steps, with three-step returns and double Q",
     DQN_MINATAR " steps=3e5 exploration_fraction=0.33333 n_step=3 double_q=true"},
    {"dqn", "MinAtar/SpaceInvaders-*", "tuned", "MinAtar's own recipe with Adam", DQN_MINATAR},
    {0},
};
