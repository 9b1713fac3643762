#!/usr/bin/env python3
"""Records games of the original MinAtar (1.0.15), draw by draw, for tests/golden/test_minatar_*.c.

    python3 minatar_original.py OUTPUT_DIRECTORY

One text file a game. A line `reset H draws...` begins an episode, a line `ACTION REWARD END H draws...` is a frame:
ACTION of the six, H the FNV-1a hash (64 bits) of the observation, channels first. Draws: a number with a point is
uniform in [0, 1), K/N an integer below N. Scripted players get the games further than chance would.
"""
import copy
import pathlib
import random
import sys

import numpy as np
from minatar import Environment

FRAMES = {"breakout": 1500, "space_invaders": 1500, "asterix": 1800, "freeway": 2600, "seaquest": 2200}
NOTHING, LEFT, UP, RIGHT, DOWN, FIRE = range(6)


class Recorder:
    """Stands in for the games' numpy generator and notes every draw."""

    def __init__(self, seed):
        self.generator = np.random.RandomState(seed)
        self.draws = []

    def one(self):
        # five digits that fall on the same side of every threshold the games have
        while True:
            value = round(self.generator.rand(), 5)
            if value < 1 and all(abs(value - edge) > 1e-4 for edge in (0.1, 1 / 3, 0.5)):
                self.draws.append(f"{value:.5f}")
                return value

    def rand(self, count=None):
        return self.one() if count is None else np.array([self.one() for _ in range(count)])

    def randint(self, low, high=None, size=None):
        low, high = (0, low) if high is None else (low, high)
        values = [int(self.generator.randint(low, high)) for _ in range(size or 1)]
        self.draws += [f"{value - low}/{high - low}" for value in values]
        return np.array(values) if size else values[0]

    def take(self):
        taken, self.draws = self.draws, []
        return " ".join(taken)


def toward(game, x, y):
    if game.sub_x != x:
        return LEFT if game.sub_x > x else RIGHT
    return UP if game.sub_y > y else DOWN


def wish_in_seaquest(game):
    if game.oxygen < 40 and game.diver_count > 0 or game.diver_count == 6:
        return UP
    return toward(game, *game.divers[0][:2]) if game.divers else random.randrange(6)


def outlook(game, action, depth):
    """Rewards and end of one imagined future that begins with the action."""
    copied, total = copy.deepcopy(game), 0
    copied.random = np.random.RandomState(random.randrange(2**31))
    for _ in range(depth):
        reward, end = copied.act(action)
        total += reward - 20 * end
        if end:
            break
        action = random.randrange(6)
    return total


def player(name, game):
    """The action with the best outlook, wishes breaking ties; now and then one at random."""
    if random.random() < 0.05:
        return random.randrange(6)
    if name == "freeway":
        return UP
    wish = wish_in_seaquest(game) if name == "seaquest" else random.randrange(6)
    scores = [sum(outlook(game, action, 7) for _ in range(2)) + (action == wish) for action in range(6)]
    return int(np.argmax(scores))


def fingerprint(state):
    value = 0xCBF29CE484222325
    for byte in np.ascontiguousarray(np.transpose(state, (2, 0, 1))).astype(np.uint8).tobytes():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def record(name, frames, out):
    random.seed(1)
    env, draws = Environment(name), Recorder(1)
    env.random = env.env.random = draws

    def reset():
        env.reset()
        env.last_action = 0
        out.write(f"reset {fingerprint(env.state())} {draws.take()}".strip() + "\n")

    reset()
    for _ in range(frames):
        action = player(name, env.env)
        reward, end = env.act(action)
        out.write(f"{action} {int(reward)} {int(end)} {fingerprint(env.state())} {draws.take()}\n")
        if end:
            reset()


def main():
    directory = pathlib.Path(sys.argv[1])
    for name, frames in FRAMES.items():
        with open(directory / f"minatar_{name}.txt", "w") as out:
            record(name, frames, out)


if __name__ == "__main__":
    main()
