#!/usr/bin/env bash
# What the presets reach: five seeds each, greedy evaluation over 100 episodes on fresh seeds.
#   bench/learning.sh [REIN] [RESULTS]
# Writes one JSON object a line (a run of five seeds with its 95% interval) and prints a table.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rein=${1:-$here/../build/rein}
results=${2:-$here/results/ppo_learning.jsonl}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
: >"$results"
while read -r env preset; do
    "$rein" train ppo --env "$env" --preset "$preset" --seeds 5 --threads 1 --log_every 1000 \
        --out "$scratch/$env-$preset" --quiet --json | tail -n 1 |
        sed -E "s/\"run_dir\": \"[^\"]*\"/\"preset\": \"$preset\"/" | tee -a "$results"
done <<'RUNS'
CartPole-v1 tuned
CartPole-v1 zoo
Acrobot-v1 tuned
MountainCar-v0 tuned
Pendulum-v1 tuned
Pendulum-v1 zoo
MountainCarContinuous-v0 tuned
RUNS
