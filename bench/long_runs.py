#!/usr/bin/env python3
"""Runs that take minutes to hours: MuJoCo's robots and pixel games, several seeds each.

    bench/long_runs.py [--rein PATH] [--work DIR] [--jobs N] [ALGORITHM] [ENVIRONMENT]

Runs the rows below that fit, a process a seed, and writes bench/results/long/ALGORITHM-ENVIRONMENT.json: the settings,
the curve of every seed, the final greedy evaluation and its 95% bootstrap interval over seeds. Stopped at any time, the
same command goes on where it was: finished seeds are kept, others resume from their checkpoint.
"""
import argparse
import concurrent.futures
import csv
import itertools
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

# algorithm, environment, steps, seeds, other settings: presets where nothing else is said
ROBOTS = ["HalfCheetah-v4", "Hopper-v4", "Walker2d-v4"]
ROWS = (
    [(algo, env, 300_000, 3, ["--dtype=bf16"]) for algo in ("sac", "td3") for env in ROBOTS]
    + [(algo, env, 1_000_000, 3, []) for algo in ("ppo", "trpo") for env in ROBOTS]
    + [("dqn", "MinAtar/" + game, 1_000_000, 2, []) for game in ("Breakout-v1", "SpaceInvaders-v1")]
    + [("dqn", "MinAtar/Breakout-v1", 300_000, 2, ["--preset=quick"])]
    + [("sac", "HalfCheetah-v4", 1_000_000, 1, ["--dtype=bf16"])]
)


def name_of(row):
    algo, env, steps, _, _ = row
    return f"{algo}-{env.replace('/', '-')}-{steps // 1000}k"


def run_seed(rein, work, row, seed):
    """One seed, from the start, from its checkpoint, or not at all when it is done."""
    algo, env, steps, _, settings = row
    out = work / name_of(row) / f"seed-{seed}"
    if (out / "summary.json").exists():
        return out
    if (out / "checkpoint.rein").exists():
        command = [rein, "train", "--resume", out]
    else:
        every = max(steps // 20, 1)
        command = [rein, "train", algo, "--env", env, f"--steps={steps}", f"--seed={seed}", "--threads=1",
                   f"--eval_every={every}", "--eval_every_episodes=10", "--log_every=1000", *settings,
                   "--out", out, "--force"]
    out.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([*map(str, command), "--quiet"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return out


def curve_of(out):
    with open(out / "metrics.csv", newline="") as file:
        rows = [(row["step"], row["eval/return_mean"]) for row in csv.DictReader(file)]
    return [[int(step), round(float(value), 2)] for step, value in rows if value not in ("", "nan")]


def interval(means):
    """Exact 95% percentile bootstrap of the mean: every resample of so few seeds."""
    resampled = sorted(statistics.mean(pick) for pick in itertools.product(means, repeat=len(means)))
    cut = int(0.025 * len(resampled))
    return resampled[cut], resampled[len(resampled) - 1 - cut]


def summarise(row, outs, results):
    algo, env, steps, _, settings = row
    summaries = [json.loads((out / "summary.json").read_text()) for out in outs]
    means = [summary["eval_return_mean"] for summary in summaries]
    low, high = interval(means) if len(means) > 1 else (None, None)
    record = {
        "algo": algo, "env": env, "steps": steps, "settings": settings,
        "config": json.loads((outs[0] / "config.json").read_text()),
        "return_mean": statistics.mean(means), "return_low": low, "return_high": high,
        "returns": means, "episodes_each": summaries[0]["eval_episodes"],
        "seconds": [round(summary["wall_s"], 1) for summary in summaries],
        "curves": [curve_of(out) for out in outs],
    }
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{name_of(row)}.json").write_text(json.dumps(record, indent=1) + "\n")
    spread = "" if low is None else f" [{low:.0f}, {high:.0f}]"
    print(f"{name_of(row)}: {record['return_mean']:.1f}{spread} of {', '.join(f'{m:.1f}' for m in means)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rein", default=HERE.parent / "build" / "rein")
    parser.add_argument("--work", default=HERE.parent / "runs" / "long", type=pathlib.Path)
    parser.add_argument("--results", default=HERE / "results" / "long", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=2, help="seeds at a time")
    parser.add_argument("algo", nargs="?")
    parser.add_argument("env", nargs="?")
    args = parser.parse_args()
    rows = [row for row in ROWS if args.algo in (None, row[0]) and args.env in (None, row[1])]
    if not rows:
        sys.exit(f"no row is for {args.algo} on {args.env}; there are: {', '.join(map(name_of, ROWS))}")
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        runs = [(row, [pool.submit(run_seed, args.rein, args.work, row, seed) for seed in range(row[3])])
                for row in rows]
        for row, seeds in runs:
            summarise(row, [seed.result() for seed in seeds], args.results)


if __name__ == "__main__":
    main()
