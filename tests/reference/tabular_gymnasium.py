#!/usr/bin/env python3
"""Records Gymnasium's toy-text environments for tests/golden/test_tabular_golden.c.

Usage: tabular_gymnasium.py [output directory, default tests/golden beside this folder]
Needs gymnasium (written with 1.4.0). Run by hand; the tests read only the files it writes.

tabular_<name>.txt holds transition tables, one environment after another, as lines of words:
    env <id> <states> <actions> <horizon, 0 = none> <threshold, nan = none> [<setting>=<value>...]
    map <row>...                      the map, where the environment was given one
    start <state> <probability>...    the distribution of first states
    masks <bits>...                   Gymnasium's action_mask of every state, where it has one
    row <next> <probability> <reward> <terminated>...
Rows come in the order of (state, action); outcomes that are the same in all but the probability are one.

tabular_blackjack.txt holds hands:
    rules <natural> <sab> <0 or 1: the defaults of the id>
    deal <the dealer's 2 cards> <the player's 2> <observation>
    play <action> <reward> <terminated> <observation> <cards drawn...>
"""
import math
import os
import sys

import gymnasium
from gymnasium.envs.toy_text import blackjack

LAKE = ["SFFHF", "FHFFS", "FFFFG"]

TABLES = {
    "lake": [
        ("FrozenLake-v1", {}, {}),
        ("FrozenLake-v1", {"is_slippery": False}, {"is_slippery": "false"}),
        ("FrozenLake-v1", {"map_name": "8x8", "success_rate": 0.7}, {"map": "8x8", "success_rate": "0.7"}),
        ("FrozenLake-v1", {"desc": LAKE, "reward_schedule": (5, -2, -0.25)},
         {"reward_goal": "5", "reward_hole": "-2", "reward_frozen": "-0.25"}),
        ("FrozenLake-v1", {"success_rate": 1.0}, {"success_rate": "1"}),
        ("FrozenLake-v1", {"success_rate": 0.0}, {"success_rate": "0"}),
        ("FrozenLake8x8-v1", {}, {}),
    ],
    "cliff": [
        ("CliffWalking-v1", {}, {}),
        ("CliffWalking-v1", {"is_slippery": True}, {"is_slippery": "true"}),
        ("CliffWalkingSlippery-v1", {}, {}),
    ],
    "taxi": [("Taxi-v4", {}, {})],
    "taxi_rain": [("Taxi-v4", {"is_rainy": True}, {"is_rainy": "true"})],
    "taxi_storm": [("Taxi-v4", {"is_rainy": True, "rainy_probability": 0.35},
                    {"is_rainy": "true", "rainy_probability": "0.35"})],
}


def number(x):
    x = float(x)
    return str(int(x)) if math.isfinite(x) and x == int(x) else repr(x)


def row(outcomes):
    """The outcomes of one state and action, equal ones merged, impossible ones left out."""
    merged = {}
    for p, s, r, t in outcomes:
        key = (int(s), float(r), bool(t))
        merged[key] = merged.get(key, 0.0) + float(p)
    words = ["row"]
    for (s, r, t), p in merged.items():
        if p > 0:
            words += [str(s), number(p), number(r), str(int(t))]
    return " ".join(words)


def write_table(f, name, arguments, settings):
    env = gymnasium.make(name, **arguments)
    inner, spec = env.unwrapped, env.spec
    n_states, n_actions = int(env.observation_space.n), int(env.action_space.n)
    threshold = math.nan if spec.reward_threshold is None else spec.reward_threshold
    print("env", name, n_states, n_actions, spec.max_episode_steps or 0, number(threshold),
          *[f"{k}={v}" for k, v in settings.items()], file=f)
    if "desc" in arguments:
        print("map", *arguments["desc"], file=f)
    starts = [(s, p) for s, p in enumerate(inner.initial_state_distrib) if p > 0]
    print("start", *[f"{s} {number(p)}" for s, p in starts], file=f)
    if hasattr(inner, "action_mask"):
        print("masks", *["".join(str(int(b)) for b in inner.action_mask(s)) for s in range(n_states)], file=f)
    for s in range(n_states):
        for a in range(n_actions):
            print(row(inner.P[s][a]), file=f)


class Cards:
    """Stands for draw_card: gives the cards that are laid out, then Gymnasium's, and remembers those given."""

    def __init__(self):
        self.draw_card = blackjack.draw_card
        self.laid_out, self.given = [], []

    def __call__(self, np_random):
        card = self.laid_out.pop(0) if self.laid_out else self.draw_card(np_random)
        self.given.append(card)
        return card


def write_hand(f, env, cards, actions, **options):
    cards.given = []
    obs, _ = env.reset(**options)
    print("deal", *cards.given, *[int(x) for x in obs], file=f)
    terminated = False
    while not terminated:
        cards.given = []
        action = next(actions)
        obs, reward, terminated, _, _ = env.step(action)
        print("play", action, number(reward), int(terminated), *[int(x) for x in obs], *cards.given, file=f)


# cards dealt, then drawn: naturals and other 21s, soft and hard hands, the edges of 17 and 21
PLAYERS = [(1, 10), (10, 1), (5, 6, 10), (1, 5, 5), (1, 1, 9), (1, 6, 5), (10, 10), (2, 2)]
DEALERS = [(1, 10), (10, 1), (10, 6, 5), (1, 5, 5), (1, 6), (1, 5, 10, 1), (10, 10), (10, 6, 10), (8, 8, 1)]


def write_hands(f, arguments, seed, n_hands):
    env = gymnasium.make("Blackjack-v1", **arguments).unwrapped
    blackjack.draw_card = cards = Cards()
    print("rules", int(env.natural), int(env.sab), int(not arguments), file=f)
    env.action_space.seed(seed)
    random = iter(lambda: int(env.action_space.sample()), None)
    for hand in range(n_hands):
        write_hand(f, env, cards, random, seed=seed if hand == 0 else None)
    for player in PLAYERS:
        for dealer in DEALERS:
            cards.laid_out = [*dealer[:2], *player, *dealer[2:]]
            write_hand(f, env, cards, iter([1] * len(player[2:]) + [0]))
    blackjack.draw_card = cards.draw_card


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "golden")
    for name, cases in TABLES.items():
        with open(os.path.join(out, f"tabular_{name}.txt"), "w") as f:
            for case in cases:
                write_table(f, *case)
    with open(os.path.join(out, "tabular_blackjack.txt"), "w") as f:
        write_hands(f, {}, 1, 900)
        write_hands(f, {"sab": False}, 2, 900)
        write_hands(f, {"sab": False, "natural": True}, 3, 900)
        write_hands(f, {"sab": True, "natural": True}, 4, 500)


if __name__ == "__main__":
    main()
