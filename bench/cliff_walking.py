#!/usr/bin/env python3
"""SARSA, Q-learning and expected SARSA on the cliff walk, as in Sutton and Barto's Example 6.6.

    bench/cliff_walking.py [--rein BINARY] [--seeds 100] [--out FILE]

Step size 0.5, epsilon 0.1, no discount, 500 episodes. Runs the command once for each seed with one episode a row of
metrics.csv, and writes the mean on-line return in blocks of episodes, with the interval of the paired difference from
Q-learning, and the return of the greedy paths that arrive. Prints the table of docs/tabular.md.
"""

import argparse
import csv
import json
import math
import pathlib
import statistics
import subprocess
import tempfile

ALGOS = ["sarsa", "q-learning", "expected-sarsa"]
BLOCKS = [(0, 10), (10, 25), (25, 50), (50, 100), (100, 200), (200, 300), (300, 400), (400, 500), (100, 500)]
EPISODES = 500
ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(rein, algo, seed, folder):
    """Returns of the episodes while learning, and that of the greedy path afterwards."""
    out = pathlib.Path(folder) / f"{algo}-{seed}"
    settings = dict(env="CliffWalking-v1", preset="none", steps=int(1e6), episodes=EPISODES, n_episodes=1, gamma=1,
                    learning_rate=0.5, epsilon=0.1, seed=seed, threads=1, eval_episodes=1, out=out)
    command = [rein, "train", algo, "--json", "--quiet"]
    for name, value in settings.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout.strip().splitlines()[-1])
    with open(out / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == EPISODES, f"{len(rows)} rows"
    # return_mean is the mean of the last 100 episodes: differences give each episode's own
    count, returns = 0, []
    for row in rows:
        mean, n = float(row["rollout/return_mean"]), min(count + 1, 100)
        before = sum(returns[-(n - 1):]) if n > 1 else 0
        returns.append(round(mean * n - before))
        count += 1
    return returns, summary["eval_return_mean"]


def interval(values):
    """Mean and half-width of its 95% interval."""
    return statistics.mean(values), 1.96 * statistics.stdev(values) / math.sqrt(len(values))


def figures(online, greedy):
    result = {}
    for algo in ALGOS:
        blocks = {}
        for low, high in BLOCKS:
            means = [statistics.mean(r[low:high]) for r in online[algo]]
            rivals = [statistics.mean(r[low:high]) for r in online["q-learning"]]
            mean, half = interval(means)
            gain, gain_half = interval([a - b for a, b in zip(means, rivals)])
            blocks[f"{low + 1}-{high}"] = dict(mean=mean, half=half, over_q_learning=gain, over_half=gain_half)
        # a constant step size of 0.5 leaves noise in Q: the greedy path of some seeds walks in circles
        arrives = [g for g in greedy[algo] if g > -100]
        result[algo] = dict(online=blocks, greedy_arrives=len(arrives), greedy_mean=statistics.mean(arrives),
                            greedy_optimal=arrives.count(-13))
    return result


def print_table(result):
    print("| episodes | " + " | ".join(ALGOS) + " | sarsa - q-learning |")
    print("|---|" + "---:|" * (len(ALGOS) + 1))
    for low, high in BLOCKS:
        key = f"{low + 1}-{high}"
        cells = [f"{result[a]['online'][key]['mean']:.1f}" for a in ALGOS]
        s = result["sarsa"]["online"][key]
        print(f"| {key} | " + " | ".join(cells) + f" | {s['over_q_learning']:+.1f} ± {s['over_half']:.1f} |")
    cells = [f"{result[a]['greedy_mean']:.1f} ({result[a]['greedy_arrives']} arrive)" for a in ALGOS]
    print("| greedy path | " + " | ".join(cells) + " | |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rein", default=str(ROOT / "build" / "rein"))
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--out", default=str(ROOT / "bench" / "results" / "cliff_walking.json"))
    options = parser.parse_args()
    online, greedy = {a: [] for a in ALGOS}, {a: [] for a in ALGOS}
    with tempfile.TemporaryDirectory() as folder:
        for algo in ALGOS:
            for seed in range(options.seeds):
                returns, path = run(options.rein, algo, seed, folder)
                online[algo].append(returns)
                greedy[algo].append(path)
    result = figures(online, greedy)
    head = dict(env="CliffWalking-v1", episodes=EPISODES, seeds=options.seeds, learning_rate=0.5, epsilon=0.1, gamma=1)
    pathlib.Path(options.out).write_text(json.dumps(dict(head, learners=result), indent=1) + "\n")
    print_table(result)


if __name__ == "__main__":
    main()
