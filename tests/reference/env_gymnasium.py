#!/usr/bin/env python3
"""Records transitions of Gymnasium's classic-control environments for tests/golden/test_env_*.c.

Usage: env_gymnasium.py [output directory, default tests/golden beside this folder]
Needs gymnasium and numpy. Run by hand when an environment is added; the tests read only the files it writes.

One file per environment, lines of words:
    env <id> <state size> <action size> <observation size>
    run <seed> <policy>                      a fresh environment; steps follow, episodes after one another
    <elapsed> <flags> <reward> <action...> <state before...> <observation after...>
elapsed counts the steps of the episode, this one included; flags are 1 terminated + 2 truncated (time limit).
The state is Gymnasium's own, to 17 digits at steps 1, 251, ... of an episode, where a free run is put back,
and to 8 elsewhere: a balanced pole is unstable, and over 500 steps a difference in the last bit grows too large.
"""
import os
import sys

import gymnasium
import numpy as np

RESEAT = 250


def random_discrete(env, rng, state):
    return int(rng.integers(env.action_space.n))


def random_box(env, rng, state):
    low, high = env.action_space.low, env.action_space.high
    return rng.uniform(low, high).astype(np.float32)


def random_box_beyond(env, rng, state):
    """A third of these lie outside the bounds, to be clipped."""
    return (1.5 * random_box(env, rng, state)).astype(np.float32)


def balance(env, rng, state):
    """Keeps the pole up until the time limit."""
    x, x_dot, theta, theta_dot = state
    return int(0.05 * x + 0.2 * x_dot + 3 * theta + theta_dot > 0)


def pump_discrete(env, rng, state):
    return 2 if state[1] >= 0 else 0


def pump_box(env, rng, state):
    size = rng.uniform(0.7, 1.0)
    return np.array([size if state[1] >= 0 else -size], dtype=np.float32)


def swing(env, rng, state):
    """Drives a pendulum round and round, so that the speed meets its limit."""
    return np.array([rng.uniform(1.0, 2.0)], dtype=np.float32)


def pump_elbow(env, rng, state):
    """Swings the acrobot up in about a hundred steps."""
    if rng.random() < 0.1:
        return int(rng.integers(3))
    return 2 if state[3] - state[2] * 0.5 > 0 else 0


# id, then (policy, steps) of seeds 0, 1, 2, ...
PLANS = {
    "CartPole-v1": [(random_discrete, 500), (random_discrete, 500), (balance, 520)],
    "MountainCar-v0": [(random_discrete, 500), (random_discrete, 500), (pump_discrete, 500)],
    "MountainCarContinuous-v0": [(random_box, 1010), (random_box, 500), (pump_box, 500)],
    "Pendulum-v1": [(random_box, 500), (random_box_beyond, 500), (swing, 500)],
    "Acrobot-v1": [(random_discrete, 510), (random_discrete, 500), (pump_elbow, 500)],
}


def words(values, digits):
    return " ".join("%.*g" % (digits, value) for value in np.atleast_1d(np.asarray(values, dtype=np.float64)))


def record_run(out, env, seed, policy, steps, ends):
    out.write("run %d %s\n" % (seed, policy.__name__))
    rng = np.random.default_rng(1000 + seed)
    env.reset(seed=seed)
    elapsed = 0
    for _ in range(steps):
        state = np.array(env.unwrapped.state, dtype=np.float64)
        action = policy(env, rng, state)
        obs, reward, terminated, truncated, _ = env.step(action)
        elapsed += 1
        flags = int(terminated) + 2 * int(truncated)
        out.write("%d %d %s %s %s %s\n" % (elapsed, flags, words(reward, 9), words(action, 9),
                                           words(state, 17 if elapsed % RESEAT == 1 else 8), words(obs, 7)))
        ends[flags] += 1
        if flags:
            env.reset()
            elapsed = 0


def record(directory, name, plan):
    env = gymnasium.make(name, disable_env_checker=True)
    env.reset(seed=0)
    sizes = (len(env.unwrapped.state), int(np.prod(env.action_space.shape)), env.observation_space.shape[0])
    path = os.path.join(directory, "env_%s.txt" % name.lower().replace("-", "_"))
    ends = [0, 0, 0, 0]
    with open(path, "w", encoding="ascii") as out:
        out.write("# Gymnasium %s, NumPy %s\n" % (gymnasium.__version__, np.__version__))
        out.write("env %s %d %d %d\n" % ((name,) + sizes))
        for seed, (policy, steps) in enumerate(plan):
            record_run(out, env, seed, policy, steps, ends)
    env.close()
    print("%s: %d steps, %d terminated, %d truncated, %d both, %d bytes"
          % (name, sum(ends), ends[1], ends[2], ends[3], os.path.getsize(path)))


def main():
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden")
    directory = sys.argv[1] if len(sys.argv) > 1 else default
    os.makedirs(directory, exist_ok=True)
    for name, plan in PLANS.items():
        record(directory, name, plan)


if __name__ == "__main__":
    main()
