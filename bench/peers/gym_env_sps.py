#!/usr/bin/env python3
"""Gymnasium peer: environment steps per second with random actions, no learner.

Usage: gym_env_sps.py [--envs 64] [--seconds 3]
Needs: gymnasium[classic-control]. For CartPole-v1 and Pendulum-v1 it times SyncVectorEnv, the
environment's own vectorised implementation where there is one, and one scalar environment.
Actions are drawn beforehand, so only step() and the autoreset are timed. Prints one JSON line;
"sps" counts single-environment steps.
"""
import argparse
import json
import time

import gymnasium
import numpy


def time_vector(env, seconds):
    """Steps per second of a vector environment."""
    count = env.num_envs
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(256)]
    env.reset(seed=0)
    for action in actions:
        env.step(action)
    steps = 0
    start = time.perf_counter()
    while True:
        for action in actions:
            env.step(action)
        steps += len(actions)
        wall = time.perf_counter() - start
        if wall >= seconds:
            break
    env.close()
    return {"envs": count, "sps": round(steps * count / wall), "wall_s": round(wall, 3)}


def time_scalar(env, seconds):
    """Steps per second of one environment, reset by hand when an episode ends."""
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(1024)]
    env.reset(seed=0)
    steps = 0
    start = time.perf_counter()
    while True:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        steps += len(actions)
        wall = time.perf_counter() - start
        if wall >= seconds:
            break
    env.close()
    return {"envs": 1, "sps": round(steps / wall), "wall_s": round(wall, 3)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--envs", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()

    result = {}
    for name in ("CartPole-v1", "Pendulum-v1"):
        rows = {"scalar": time_scalar(gymnasium.make(name), args.seconds)}
        rows["sync"] = time_vector(
            gymnasium.make_vec(name, num_envs=args.envs, vectorization_mode="sync"), args.seconds
        )
        if gymnasium.spec(name).vector_entry_point is not None:
            for count in (args.envs, 4096):
                env = gymnasium.make_vec(
                    name, num_envs=count, vectorization_mode="vector_entry_point"
                )
                rows["native_%d" % count] = time_vector(env, args.seconds)
        else:
            rows["native"] = None
        result[name] = rows
    result["versions"] = {"gymnasium": gymnasium.__version__, "numpy": numpy.__version__}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
