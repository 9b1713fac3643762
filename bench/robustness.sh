#!/usr/bin/env bash
# How trained policies hold up when the world is not the one they were trained in: five seeds of three presets, then
# sweeps over physical constants and noise on observations, 100 greedy episodes of every policy in each condition.
#   bench/robustness.sh [REIN] [RESULTS]
# Writes RESULTS/robustness_*.csv and prints the same as tables. Policies are trained anew in a scratch directory.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rein=${1:-$here/../build/rein}
results=${2:-$here/results}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

train() { # algorithm environment
    "$rein" train "$1" --env "$2" --seeds 5 --log_every 1000 --out "$scratch/$1-$2" --quiet
}
sweep() { # algorithm environment name option...
    "$rein" eval "$scratch/$1-$2" --out "$results/robustness_$3.csv" "${@:4}"
}

train ppo CartPole-v1
sweep ppo CartPole-v1 cartpole_physics --sweep length=0.05,0.1,0.25,0.5,1,2,4 --sweep gravity=4.9,9.8,19.6,39.2
sweep ppo CartPole-v1 cartpole_push --sweep force_mag=2.5,5,10,20,40 --sweep masscart=0.5,1,2,4
sweep ppo CartPole-v1 cartpole_noise --sweep obs_noise=0,0.05,0.1,0.2,0.4
train sac Pendulum-v1
sweep sac Pendulum-v1 pendulum_physics --sweep g=5,7.5,10,12.5,15 --sweep m=0.5,0.75,1,1.25,1.5
sweep sac Pendulum-v1 pendulum_noise --sweep obs_noise=0,0.01,0.02,0.05,0.1,0.2 --obs_noise_relative
train ppo Acrobot-v1
sweep ppo Acrobot-v1 acrobot_physics --sweep link_mass_2=0.5,0.75,1,1.25,1.5 --sweep torque=0.5,0.75,1,1.5
sweep ppo Acrobot-v1 acrobot_noise --sweep obs_noise=0,0.1,0.2,0.5,1 --obs_noise_relative
