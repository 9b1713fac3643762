#!/usr/bin/env bash
# What the presets reach: five seeds each, greedy evaluation over 100 episodes on fresh seeds.
#   bench/learning.sh [REIN] [RESULTS] [ALGORITHM ...]
# Writes one JSON object a line (a run of five seeds with its 95% interval) to RESULTS/ALGORITHM_learning.jsonl, for
# the algorithms named or all, and prints them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rein=${1:-$here/../build/rein}
results=${2:-$here/results}
wanted=" ${*:3} "
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
declare -A begun=()
while read -r algo env preset; do
    [[ $wanted == "  " || $wanted == *" $algo "* ]] || continue
    out=$results/${algo}_learning.jsonl
    [ -n "${begun[$algo]:-}" ] || : >"$out"
    begun[$algo]=1
    "$rein" train "$algo" --env "$env" --preset "$preset" --seeds 5 --threads 1 --log_every 1000 \
        --out "$scratch/$algo-$env-$preset" --quiet --json | tail -n 1 |
        sed -E "s/\"run_dir\": \"[^\"]*\"/\"preset\": \"$preset\"/" | tee -a "$out"
done <<'RUNS'
ppo CartPole-v1 tuned
ppo CartPole-v1 zoo
ppo Acrobot-v1 tuned
ppo MountainCar-v0 tuned
ppo Pendulum-v1 tuned
ppo Pendulum-v1 zoo
ppo MountainCarContinuous-v0 tuned
ppo CartPoleNoVel-v1 tuned
ppo PendulumNoVel-v1 tuned
ppo CostGrid-v1 tuned
a2c CartPole-v1 tuned
a2c Acrobot-v1 tuned
a2c MountainCarContinuous-v0 tuned
a3c CartPole-v1 tuned
trpo CartPole-v1 tuned
trpo Acrobot-v1 tuned
trpo MountainCar-v0 tuned
trpo Pendulum-v1 tuned
cpo CostGrid-v1 tuned
reinforce CartPole-v1 tuned
reinforce Acrobot-v1 tuned
dqn CartPole-v1 tuned
dqn Acrobot-v1 tuned
dqn MountainCar-v0 tuned
sac Pendulum-v1 tuned
sac MountainCarContinuous-v0 tuned
td3 Pendulum-v1 tuned
ddpg Pendulum-v1 tuned
RUNS
