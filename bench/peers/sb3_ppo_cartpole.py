#!/usr/bin/env python3
"""Stable-Baselines3 peer: PPO on CartPole-v1 with the rl-zoo recipe, one torch thread.

Usage: sb3_ppo_cartpole.py [--seed N] [--steps N] [--episodes N]
Needs: stable-baselines3, gymnasium, torch. Prints one JSON line:
  import_s   time to import the libraries
  setup_s    time to build the environments and the model
  wall_s     time of model.learn() alone
  eval_s     time of the final evaluation
  total_s    everything after the imports (setup + training + evaluation)
  eval_mean, eval_std   return of the greedy policy over --episodes episodes (cap 500)
"""
import argparse
import json
import time

T_START = time.perf_counter()

import gymnasium
import numpy
import torch
import stable_baselines3
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.monitor import Monitor

T_IMPORTED = time.perf_counter()


def make_envs(count):
    """DummyVecEnv of CartPole-v1, each wrapped in Monitor as the zoo does."""
    return DummyVecEnv([lambda: Monitor(gymnasium.make("CartPole-v1")) for _ in range(count)])


def linear(start):
    """Schedule from start to 0 over training (SB3 passes the remaining fraction)."""
    return lambda remaining: start * remaining


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--episodes", type=int, default=100)
    args = parser.parse_args()

    torch.set_num_threads(1)
    envs = make_envs(8)
    model = PPO(
        "MlpPolicy",
        envs,
        n_steps=32,
        batch_size=256,
        n_epochs=20,
        gamma=0.98,
        gae_lambda=0.8,
        ent_coef=0.0,
        learning_rate=linear(1e-3),
        clip_range=linear(0.2),
        seed=args.seed,
        device="cpu",
        verbose=0,
    )
    t_ready = time.perf_counter()
    model.learn(total_timesteps=args.steps)
    t_trained = time.perf_counter()

    test = make_envs(8)
    test.seed(10_000 + args.seed)
    returns, _ = evaluate_policy(
        model, test, n_eval_episodes=args.episodes, deterministic=True, return_episode_rewards=True
    )
    t_end = time.perf_counter()

    print(json.dumps({
        "seed": args.seed,
        "steps": model.num_timesteps,
        "wall_s": round(t_trained - t_ready, 4),
        "total_s": round(t_end - T_IMPORTED, 4),
        "import_s": round(T_IMPORTED - T_START, 4),
        "setup_s": round(t_ready - T_IMPORTED, 4),
        "eval_s": round(t_end - t_trained, 4),
        "eval_mean": float(numpy.mean(returns)),
        "eval_std": float(numpy.std(returns)),
        "steps_per_s": round(model.num_timesteps / (t_trained - t_ready), 1),
        "threads": torch.get_num_threads(),
        "versions": {
            "stable_baselines3": stable_baselines3.__version__,
            "torch": torch.__version__,
            "gymnasium": gymnasium.__version__,
            "numpy": numpy.__version__,
        },
    }))


if __name__ == "__main__":
    main()
