#!/usr/bin/env python3
"""pymdptoolbox peer: seconds a sweep of value iteration on the slippery grid of bench_planning.

Usage: mdptoolbox_vi.py [--side 1000] [--sweeps 10]
Needs: pymdptoolbox, scipy. Transitions are scipy CSR matrices, one an action; rewards are an array (S, A). Only
ValueIteration.run is timed, for a given number of iterations. Left out are its bound on their number, which takes
time in proportion to S^2, and its check of the matrices, which takes as much memory. Prints one JSON line.
"""
import argparse
import json
import time

import mdptoolbox.mdp
import mdptoolbox.util
import numpy
import scipy.sparse


def neighbours(side):
    """(4, S): where left, down, right and up lead."""
    row, column = numpy.divmod(numpy.arange(side * side), side)
    left = row * side + numpy.maximum(column - 1, 0)
    down = numpy.minimum(row + 1, side - 1) * side + column
    right = row * side + numpy.minimum(column + 1, side - 1)
    up = numpy.maximum(row - 1, 0) * side + column
    return numpy.stack([left, down, right, up])


def slippery_grid(side):
    """Transition matrices and rewards; the goal, the last cell, leads to itself for nothing."""
    states = side * side
    to = neighbours(side)
    to[:, -1] = states - 1
    source = numpy.tile(numpy.arange(states), 3)
    third = numpy.full(3 * states, 1 / 3)
    matrices, rewards = [], []
    for action in range(4):
        ways = [to[(action + k) % 4] for k in (-1, 0, 1)]
        next_state = numpy.concatenate(ways)
        matrices.append(scipy.sparse.csr_matrix((third, (source, next_state)), shape=(states, states)))
        reward = sum((way == states - 1) / 3 for way in ways)
        reward[-1] = 0
        rewards.append(reward)
    return matrices, numpy.stack(rewards, axis=1)


class Solver(mdptoolbox.mdp.ValueIteration):
    """Runs for the given number of iterations."""

    def _boundIter(self, epsilon):
        pass


def run(matrices, rewards, sweeps):
    """Seconds of so many sweeps, and the values."""
    solver = Solver(matrices, rewards, 0.99, epsilon=1e-300, max_iter=sweeps)
    start = time.perf_counter()
    solver.run()
    return time.perf_counter() - start, solver.V


def main():
    """Times a few runs and prints the best."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=1000)
    parser.add_argument("--sweeps", type=int, default=10)
    options = parser.parse_args()
    mdptoolbox.util.check = lambda transitions, reward: None
    matrices, rewards = slippery_grid(options.side)
    runs = [run(matrices, rewards, options.sweeps) for _ in range(3)]
    best = min(seconds for seconds, _ in runs) / options.sweeps
    print(
        json.dumps(
            {
                "peer": "pymdptoolbox",
                "states": options.side**2,
                "sweeps": options.sweeps,
                "ms_per_sweep": 1e3 * best,
                "backups_per_s": options.side**2 / best,
                "checksum": float(numpy.sum(runs[0][1])),
            }
        )
    )


if __name__ == "__main__":
    main()
