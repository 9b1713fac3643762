#!/usr/bin/env python3
"""Rein beside its peers, in one call: alternating runs, medians, ratios.

    bench/compare.py [--rein build/rein] [--rltools BINARY] [--rltools-mkl BINARY] [--python PYTHON]
                     [--rltools-sac BINARY] [--rltools-td3 BINARY] [--mdp-python PYTHON] [--aitoolbox BINARY]
                     [--minatar] [--runs 5] [--only NAME,...] [--out bench/results/compare.json]

--rltools is RLtools' zoo binary for PPO on Pendulum-v1, built with its benchmark define, --rltools-sac and
--rltools-td3 those for SAC and TD3; --python an interpreter with stable-baselines3, torch and gymnasium, with
--minatar also the original games, --mdp-python one with pymdptoolbox; --aitoolbox the program of peers/aitoolbox_vi.cpp. Without them the peer's columns stay empty. Standard library only.
"""
import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)


def run(command, **extra):
    """Runs a command; returns (wall seconds, standard output). OpenBLAS and friends get one thread."""
    env = dict(os.environ, OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_NUM_THREADS="1")
    env.update(extra)
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, cwd=scratch, env=env)
        wall = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nfailed: {done.stderr[-2000:]}")
    return wall, done.stdout


def rein(args, *words, algo="ppo"):
    with tempfile.TemporaryDirectory() as out:
        command = [args.rein, "train", algo, *words, "--out", os.path.join(out, "run"), "--quiet", "--json"]
        wall, text = run(command)
        summary = json.loads(text.strip().splitlines()[-1])
        summary["process_s"] = wall
        return summary


def alternate(runs, variants):
    """variants: name -> function() -> record. Every round runs each once; the order turns round by round."""
    records = {name: [] for name in variants}
    names = list(variants)
    for r in range(runs):
        for name in names[r % len(names):] + names[:r % len(names)]:
            records[name].append(variants[name]())
            print(f"  {name}: {records[name][-1]}", file=sys.stderr, flush=True)
    return records


def median(records, key):
    values = [r[key] for r in records if r.get(key) is not None]
    return statistics.median(values) if values else None


def has_amx():
    """bf16 products need it; without them the bf16 rows stay away."""
    try:
        return "amx_bf16" in open("/proc/cpuinfo", encoding="utf-8").read()
    except OSError:
        return False


def pendulum(args):
    """Whole process, RLtools' recipe, 10M steps; greedy return of three seeds over 2000 episodes each."""
    def ours(threads, *more):
        def once():
            s = rein(args, "--env", "Pendulum-v1", "--preset", "rltools", "--threads", str(threads),
                     "--seed", str(once.seed), "--log_every", "100", "--eval_episodes", "2000", *more)
            once.seed = (once.seed + 1) % 3
            return {"s": s["process_s"], "train_s": s["wall_s"], "return": s["eval_return_mean"]}
        once.seed = 0
        return once

    def theirs(binary):
        def once():
            wall, text = run([binary, str(once.seed)])
            once.seed = (once.seed + 1) % 3
            time_s = float(re.search(r"Time: ([0-9.]+)s", text).group(1))
            value = float(re.search(r"Mean return: (-?[0-9.]+)", text).group(1))
            return {"s": wall, "train_s": time_s, "return": value}
        once.seed = 0
        return once

    variants = {"rein 1 thread": ours(1), "rein 2 threads": ours(2)}
    if args.bf16 and has_amx():
        variants["rein bf16 1 thread"] = ours(1, "--dtype", "bf16")
        variants["rein bf16 2 threads"] = ours(2, "--dtype", "bf16")
    if args.rltools:
        variants["RLtools OpenBLAS"] = theirs(args.rltools)
    if args.rltools_mkl:
        variants["RLtools MKL"] = theirs(args.rltools_mkl)
    return alternate(args.runs, variants)


def cartpole_zoo(args):
    """Training time, rl-zoo's recipe, 100k steps, one thread."""
    def ours():
        s = rein(args, "--env", "CartPole-v1", "--preset", "zoo", "--threads", "1")
        return {"s": s["process_s"], "train_s": s["wall_s"], "return": s["eval_return_mean"]}

    def theirs():
        _, text = run([args.python, os.path.join(HERE, "peers", "sb3_ppo_cartpole.py"), "--seed", "0"])
        s = json.loads(text.strip().splitlines()[-1])
        return {"s": s["total_s"], "train_s": s["wall_s"], "return": s["eval_mean"]}

    variants = {"rein 1 thread": ours}
    if args.python:
        variants["Stable-Baselines3"] = theirs
    return alternate(min(args.runs, 3) if args.python else args.runs, variants)


def cartpole_default(args):
    """Process start to finish, default preset, two threads, ten seeds."""
    def ours():
        s = rein(args, "--env", "CartPole-v1", "--threads", "2", "--seed", str(ours.seed))
        ours.seed += 1
        return {"s": s["process_s"], "train_s": s["wall_s"], "return": s["eval_return_mean"]}
    ours.seed = 0
    return alternate(10, {"rein 2 threads": ours})


def with_memory(args, algo, peer):
    def ours(*more):
        def once():
            s = rein(args, "--env", "Pendulum-v1", "--preset", "rltools", "--seed", str(once.seed),
                     "--eval_episodes", "2000", *more, algo=algo)
            once.seed = (once.seed + 1) % 5
            return {"s": s["process_s"], "train_s": s["wall_s"], "return": s["eval_return_mean"]}
        once.seed = 0
        return once

    def theirs():
        wall, text = run([peer, str(theirs.seed)])
        theirs.seed = (theirs.seed + 1) % 5
        return {"s": wall, "train_s": float(re.search(r"Time: ([0-9.]+)s", text).group(1)),
                "return": float(re.search(r"Mean return: (-?[0-9.]+)", text).group(1))}
    theirs.seed = 0
    variants = {"rein 1 thread": ours("--threads", "1"), "rein 2 threads": ours("--threads", "2")}
    if args.bf16 and has_amx():
        variants["rein bf16 1 thread"] = ours("--threads", "1", "--dtype", "bf16")
        variants["rein bf16 2 threads"] = ours("--threads", "2", "--dtype", "bf16")
    if peer:
        variants["RLtools OpenBLAS"] = theirs
    return alternate(args.runs, variants)


def pendulum_sac(args):
    """SAC on Pendulum-v1, RLtools' recipe: 20k steps, an update each, [64,64], batch 100."""
    return with_memory(args, "sac", args.rltools_sac)


def pendulum_td3(args):
    """TD3 on Pendulum-v1, the same."""
    return with_memory(args, "td3", args.rltools_td3)


def halfcheetah_sac(args):
    """SAC on HalfCheetah-v4: 256x256, batches of 256, an update a step; two threads on both sides."""
    steps = 4000

    def ours(*more):
        def once():
            s = rein(args, "--env", "HalfCheetah-v4", "--preset", "none", "--steps", str(steps), "--threads", "2",
                     "--eval_episodes", "1", *more, algo="sac")
            return {"s": s["process_s"], "train_s": s["wall_s"], "return": s["eval_return_mean"], "sps": steps / s["wall_s"]}
        return once

    def theirs(peer):
        def once():
            script = os.path.join(HERE, "peers", "torch_sac.py")
            wall, text = run([args.python, script, "--peer", peer, "--threads", "2", "--steps", "1000"],
                             OMP_NUM_THREADS="2", MKL_NUM_THREADS="2")
            s = json.loads(text.strip().splitlines()[-1])
            # times for as many steps as ours; so few steps reach no return to speak of
            return {"s": wall, "train_s": steps / s["sps"], "return": s["return"] or 0.0, "sps": s["sps"]}
        return once

    variants = {"rein 2 threads": ours()}
    if args.bf16 and has_amx():
        variants["rein bf16 2 threads"] = ours("--dtype", "bf16")
    if args.python:
        variants["CleanRL's settings"] = theirs("cleanrl")
        variants["Stable-Baselines3"] = theirs("sb3")
    return alternate(min(args.runs, 3), variants)


def planning(args):
    """Sweeps of value iteration, slippery grid of a million states, against memory and peers."""
    _, text = run([os.path.join(os.path.dirname(args.rein), "bench", "bench_planning")])
    records = {"rein": [{"text": text}]}
    if args.aitoolbox:
        records["AI-Toolbox"] = [{"text": run([args.aitoolbox])[1]}]
    if args.mdp_python:
        peer = os.path.join(HERE, "peers", "mdptoolbox_vi.py")
        records["pymdptoolbox"] = [{"text": run([args.mdp_python, "-W", "ignore", peer])[1]}]
    return records


def q_learning(args):
    """Q-learning on FrozenLake-v1, 1e8 updates, one thread, the whole command."""
    def ours():
        s = rein(args, "--env", "FrozenLake-v1", "--preset", "none", "--steps", "1e8", "--threads", "1",
                 algo="q-learning")
        return {"s": s["process_s"], "train_s": s["wall_s"], "return": s["eval_return_mean"]}
    return alternate(args.runs, {"rein 1 thread": ours})


def environments(args):
    """Environment steps a second, random actions, one thread."""
    _, text = run([os.path.join(os.path.dirname(args.rein), "bench", "bench_env")])
    records = {"rein": [{"text": text}]}
    if args.python:
        _, text = run([args.python, os.path.join(HERE, "peers", "gym_env_sps.py")])
        records["Gymnasium"] = [{"text": text}]
    return records


def minatar(args):
    """Frames a second of MinAtar's games, random actions, one thread; game by game beside the originals."""
    bench = os.path.join(os.path.dirname(args.rein), "bench", "bench_env")
    games = {"asterix": "Asterix", "breakout": "Breakout", "freeway": "Freeway", "seaquest": "Seaquest",
             "space_invaders": "SpaceInvaders"}

    def ours(name):
        _, text = run([bench, "1024", "0.5", f"MinAtar/{games[name]}-v1"])
        return 1e6 * max(float(row.split()[2]) for row in text.splitlines() if row.startswith("MinAtar/"))

    def theirs(name):
        _, text = run([args.python, os.path.join(HERE, "peers", "minatar_sps.py"), "--seconds", "0.5", "--game", name])
        return json.loads(text)[name]

    lines = []
    for name in games:
        ratios, rates = [], []
        for _ in range(max(args.runs, 3)):
            rates.append(ours(name))
            if args.minatar:
                ratios.append(rates[-1] / theirs(name))
        line = f"{name:16s} {statistics.median(rates) / 1e6:7.2f} M frames/s"
        lines.append(line + (f"  {statistics.median(ratios):6.1f} x MinAtar" if ratios else ""))
    return {"rein": [{"text": "\n".join(lines)}]}


def dqn_images(args):
    """One update of DQN on batches of 32 images, one thread, microseconds."""
    records = {"rein": [{"text": run([os.path.join(os.path.dirname(args.rein), "bench", "bench_dqn"), "1000", "images"])[1]}]}
    if args.python:
        peer = os.path.join(HERE, "peers", "torch_dqn_update.py")
        records["PyTorch"] = [{"text": run([args.python, peer, "--images", "--updates", "1000"])[1]}]
    return records


def footprint(args):
    """Peak memory of CartPole training and the time `rein version` takes."""
    starts = [run([args.rein, "version"])[0] for _ in range(20)]
    with tempfile.TemporaryDirectory() as out:
        child = subprocess.Popen([args.rein, "train", "ppo", "--env", "CartPole-v1", "--quiet", "--out", out + "/r"],
                                 stdout=subprocess.DEVNULL)
        _, _, usage = os.wait4(child.pid, 0)
    return {"rein": [{"peak_mb": usage.ru_maxrss / 1024, "version_ms": 1e3 * statistics.median(starts)}]}


BENCHMARKS = {"pendulum": pendulum, "cartpole-zoo": cartpole_zoo, "cartpole-default": cartpole_default,
              "pendulum-sac": pendulum_sac, "pendulum-td3": pendulum_td3,
              "halfcheetah-sac": halfcheetah_sac, "planning": planning,
              "q-learning": q_learning, "environments": environments, "minatar": minatar,
              "dqn-images": dqn_images, "footprint": footprint}


def machine():
    model = "unknown"
    if os.path.exists("/proc/cpuinfo"):
        for line in open("/proc/cpuinfo", encoding="utf-8"):
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform(), "load": os.getloadavg()}


def report(results):
    for name, records in results.items():
        print(f"\n{name}: {BENCHMARKS[name].__doc__}")
        base = None
        for variant, rows in records.items():
            if "text" in rows[0]:
                print(f"{variant}:\n{rows[0]['text']}")
                continue
            if "peak_mb" in rows[0]:
                print(f"{variant}: {rows[0]}")
                continue
            train, whole = median(rows, "train_s"), median(rows, "s")
            values = [r["return"] for r in rows]
            base = train if base is None else base
            print(f"{variant:22s} process {whole:7.3f} s  training {train:7.3f} s  x{train / base:6.2f}  "
                  f"return mean {statistics.mean(values):8.1f} min {min(values):8.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rein", default=os.path.join(ROOT, "build", "rein"))
    parser.add_argument("--rltools", default=os.environ.get("REIN_PEER_RLTOOLS"))
    parser.add_argument("--rltools-mkl", default=os.environ.get("REIN_PEER_RLTOOLS_MKL"))
    parser.add_argument("--python", default=os.environ.get("REIN_PEER_PYTHON"))
    parser.add_argument("--rltools-sac", default=os.environ.get("REIN_PEER_RLTOOLS_SAC"))
    parser.add_argument("--rltools-td3", default=os.environ.get("REIN_PEER_RLTOOLS_TD3"))
    parser.add_argument("--mdp-python", default=os.environ.get("REIN_PEER_MDP_PYTHON"))
    parser.add_argument("--aitoolbox", default=os.environ.get("REIN_PEER_AITOOLBOX"))
    parser.add_argument("--minatar", action="store_true", help="--python has the original MinAtar")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-bf16", dest="bf16", action="store_false")
    parser.add_argument("--only", default=",".join(BENCHMARKS))
    parser.add_argument("--out")
    args = parser.parse_args()
    args.rein = os.path.abspath(args.rein)
    results = {name: BENCHMARKS[name](args) for name in args.only.split(",")}
    report(results)
    if args.out:
        with open(args.out, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
