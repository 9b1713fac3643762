#!/usr/bin/env python3
"""What methods with limits on costs reach on CostGrid-v1, beside the best that is possible there.

    bench/constrained.py [REIN] [RESULTS]

Five seeds a command. Returns are those of the trained policies over 4000 episodes with drawn actions (a best policy
under a limit mixes its actions); costs are means over the episodes that ended in the last tenth of training. `best` is
the optimum of the linear program (tests/reference/cost_grid_lp.py, its results in tests/golden/cost_grid_lp.txt).
Writes one JSON object a line to RESULTS/constrained.jsonl and prints them.
"""
import csv
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SEEDS = 5
EPISODES = 4000
ENV = "CostGrid-v1"
RUNS = [
    ("ppo", "1,inf", []),
    ("ppo", "1,inf", ["--multiplier", "gradient", "--multiplier_lr", "3e-4"]),
    ("ppo", "0.5,0.25", []),
    ("cpo", "1,inf", []),
    ("cpo", "0.5,0.25", []),
]


def best_returns():
    """Limits without a discount -> the best return under them."""
    best = {}
    for line in open(HERE.parent / "tests/golden/cost_grid_lp.txt"):
        word = line.split()
        if word[0] == "limits" and float(word[1]) == 1:
            best[float(word[2]), float(word[3])] = float(word[4])
    return best


def last_line(command):
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def costs_of(run):
    """Means over the last tenth of the rows; a row holds the means over the episodes of one iteration."""
    rows = list(csv.DictReader(open(run / "metrics.csv")))
    rows = rows[-max(1, len(rows) // 10):]
    names = [name for name in rows[0] if name.startswith("cost/episode_")]
    return [sum(float(row[name]) for row in rows) / len(rows) for name in names]


def interval(values):
    draw = random.Random(0)
    means = sorted(sum(draw.choices(values, k=len(values))) / len(values) for _ in range(10000))
    return means[249], means[9749]


def measure(rein, scratch, algo, limit, extra, best):
    out = scratch / "run"
    command = ["train", algo, "--env", ENV, "--cost_limit", limit, *extra, "--seeds", str(SEEDS)]
    trained = last_line([rein, *command, "--threads", "1", "--out", out, "--force", "--quiet", "--json"])
    runs = [out / f"seed-{seed}" for seed in range(SEEDS)]
    returns = [last_line([rein, "eval", run, "--sample", "--episodes", str(EPISODES), "--json"])["return_mean"]
               for run in runs]
    costs = [costs_of(run) for run in runs]
    low, high = interval(returns)
    limits = [float(text) for text in limit.split(",")]
    return {
        "command": " ".join(["rein", *command]),
        "env_steps": trained["env_steps"] // SEEDS,
        "seconds_a_seed": round(trained["wall_s"] / SEEDS, 2),
        "limits": [None if math.isinf(x) else x for x in limits],
        "best_return": best[tuple(limits)],
        "return_mean": round(sum(returns) / SEEDS, 4),
        "return_low": round(low, 4),
        "return_high": round(high, 4),
        "cost_mean": [round(sum(column) / SEEDS, 3) for column in zip(*costs)],
        "cost_max": [round(max(column), 3) for column in zip(*costs)],
    }


def main():
    rein = str(pathlib.Path(sys.argv[1]).resolve()) if len(sys.argv) > 1 else str(HERE.parent / "build/rein")
    results = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "results"
    best = best_returns()
    with tempfile.TemporaryDirectory() as scratch, open(results / "constrained.jsonl", "w") as out:
        for algo, limit, extra in RUNS:
            row = json.dumps(measure(rein, pathlib.Path(scratch), algo, limit, extra, best))
            print(row)
            out.write(row + "\n")
            out.flush()


if __name__ == "__main__":
    main()
