#!/usr/bin/env python3
"""MinAtar peer: frames per second of the original games with random actions, no learner.

Usage: minatar_sps.py [--game breakout ...] [--seconds 1]
Needs: MinAtar (1.0.15), numpy. Timed: act(), state() and reset() where a game ends; actions are drawn beforehand. The best
of five runs of a fifth of the time, as in bench_env. Prints one JSON line, frames per second by game.
"""
import argparse
import json
import logging
import time

import numpy

logging.disable(logging.WARNING)  # MinAtar's, about drawing
from minatar import Environment  # noqa: E402

GAMES = ("asterix", "breakout", "freeway", "seaquest", "space_invaders")


def measure(name, seconds):
    env = Environment(name)
    env.seed(1)
    actions = [int(a) for a in numpy.random.RandomState(2).choice(env.minimal_action_set(), 4096)]
    best = 0.0
    for _ in range(5):
        frames, start = 0, time.perf_counter()
        while True:
            for action in actions[:256]:
                _, ended = env.act(action)
                env.state()
                if ended:
                    env.reset()
                    env.state()
            actions = actions[256:] + actions[:256]
            frames += 256
            wall = time.perf_counter() - start
            if wall >= seconds / 5:
                break
        best = max(best, frames / wall)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--game", choices=GAMES, action="append")
    parser.add_argument("--seconds", type=float, default=1.0)
    args = parser.parse_args()
    print(json.dumps({name: round(measure(name, args.seconds)) for name in args.game or GAMES}))


if __name__ == "__main__":
    main()
