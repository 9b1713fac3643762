"""Rows of compare_lm.py that align a model: DPO, GRPO and PPO with `rein train`, and TRL beside them.

Both sides read the same folder (random weights, a tokenizer learned from the repository's text) and the same rows. A step is
what lies between two rows of metrics.csv: start-up, the reference's pass over the data and saving are not in it. Peak
memory is the whole process's, and those are in that.
"""
import csv
import json
import os
import re
import subprocess
import tempfile

from lm_common import (QWEN25, SMOLLM2, bar, last_json, make_tokenizer, median, python, race, ratio, write_model,
                       write_text)

ADAPTER = ("--use_peft", "--lora_r", "16", "--lora_target_modules", "all-linear", "--lora_dropout", "0")
TRL = ("torch", "transformers", "trl", "datasets")


# ---- folders and rows --------------------------------------------------------------------------------------------

def make_folder(args, folder, config, vocabulary=None, ends=True):
    """Model and tokenizer; returns the weights' megabytes in bf16. ends False: no token ends an answer."""
    os.makedirs(folder)
    make_tokenizer(args, folder, "smollm2", 4096)
    size = write_model(folder, dict(config, vocab_size=vocabulary or config["vocab_size"]), args.layers)
    for name, key in (("config.json", "eos_token_id"), ("tokenizer_config.json", "eos_token")):
        path = os.path.join(folder, name)
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        if not ends:
            content.pop(key)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file)
    return size / 2**20


def pieces(folder, count, lengths):
    """`count` rows of consecutive pieces of the repository's text, each of about so many characters, cut between
    words: no token lies across a cut."""
    path = os.path.join(folder, "text.txt")
    write_text(path)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    cut, rows, at = re.compile(r"(?<=[a-z])(?= [a-z])"), [], 0
    for _ in range(count):
        row = []
        for length in lengths:
            end = cut.search(text, at + length).start()
            row.append(text[at:end])
            at = end
        rows.append(row)
    return rows


def write_rows(folder, name, count, **lengths):
    """JSON lines with a column for each name of `lengths`."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        for row in pieces(folder, count, lengths.values()):
            file.write(json.dumps(dict(zip(lengths, row))) + "\n")
    return path


# ---- calls -------------------------------------------------------------------------------------------------------

def train(args, method, folder, data, *words):
    """A run of `rein train`: seconds of its steps, tokens of one, and the process's peak memory, at the end of its last step
    too: saving reads back what it wrote."""
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "run")
        command = [args.rein, "train", method, "--model", folder, "--data", data, "--dtype", "bf16", "--threads",
                   str(args.threads), "--logging_steps", "1", "--save_steps", "0", "--train_sampling_strategy",
                   "sequential", "--out", out, *words]
        log = os.path.join(scratch, "log")
        with open(log, "w", encoding="utf-8") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        with open(log, encoding="utf-8") as file:
            said = file.read()
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(command)}\nfailed: {said[-2000:]}")
        with open(os.path.join(out, "metrics.csv"), encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    at = [0.0] + [float(row["time/seconds"]) for row in rows]
    steps = [after - before for before, after in zip(at, at[1:])]
    return {"step": min(steps), "steps": steps, "peak_mb": usage.ru_maxrss / 1024,
            "steps_peak_mb": float(rows[-1]["memory/peak_mb"]), "tokens": float(rows[-1]["num_tokens"]) / len(rows),
            "new": rows[-1].get("completions/mean_length")}


def trl(args, method, folder, data, *words):
    return last_json(python(args, "trl_steps.py", method, "--model", folder, "--data", data, "--steps", str(args.steps),
                            "--threads", str(args.threads), *words)[1])


# ---- rows --------------------------------------------------------------------------------------------------------

def dpo_bf16(args):
    """DPO step of a whole model (reference precomputed on both sides), SmolLM2-135M shape, 4 pairs x 512 tokens; peer: TRL
    under bf16 autocast; --variants: with bf16 weights, and with checkpointing, its default."""
    with tempfile.TemporaryDirectory() as top:
        folder = os.path.join(top, "model")
        make_folder(args, folder, SMOLLM2)
        data = write_rows(top, "pairs.jsonl", 4, prompt=300, chosen=4000, rejected=4000)
        words = ("--per_device_train_batch_size", "4", "--max_length", "512", "--max_steps", str(args.steps))
        result = race(args, lambda: train(args, "dpo", folder, data, *words),
                      lambda: trl(args, "dpo", folder, data, "--rows", "4", "--length", "512"), *TRL)
        if "peer" in result["runs"] and args.variants:
            result["runs"]["peer, bf16 weights"] = [trl(args, "dpo", folder, data, "--weights", "bf16")]
            result["runs"]["peer, checkpointing"] = [trl(args, "dpo", folder, data, "--checkpointing")]
    bar(result, "seconds a step, peer's / ours", ratio(result, "step", "peer", "rein"), least=2)
    bar(result, "peak memory, ours / peer's", ratio(result, "peak_mb"), most=0.5)
    for name in result["runs"]:
        if name.startswith("peer,"):
            bar(result, f"seconds a step, {name} / ours", ratio(result, "step", name, "rein"))
            bar(result, f"peak memory, ours / {name}", ratio(result, "peak_mb", "rein", name))
    return result


def grpo_bf16(args):
    """GRPO step of a whole model, generation and update, SmolLM2-135M shape, 4 prompts (of 60 tokens or so) x 8 answers x 128
    new tokens; ours with a vocabulary twice as large, too. Peer: TRL under bf16 autocast; --variants: with bf16 weights."""
    words = ("--per_device_train_batch_size", "32", "--num_generations", "8", "--max_completion_length", "128",
             "--generation_slots", "32", "--reward", "regex(k)", "--max_steps", str(args.steps))
    with tempfile.TemporaryDirectory() as top:
        folder, large = os.path.join(top, "model"), os.path.join(top, "large")
        make_folder(args, folder, SMOLLM2, ends=False)
        make_folder(args, large, SMOLLM2, vocabulary=2 * SMOLLM2["vocab_size"], ends=False)
        data = write_rows(top, "prompts.jsonl", 4, prompt=200)
        ends = os.path.join(top, "ends")  # TRL needs a token that ends answers, and is told one that no model draws
        make_folder(args, ends, SMOLLM2)
        result = race(args, lambda: train(args, "grpo", folder, data, *words),
                      lambda: trl(args, "grpo", ends, data, "--rows", "4", "--group", "8", "--new", "128"), *TRL)
        result["runs"]["rein, vocabulary x 2"] = [train(args, "grpo", large, data, *words)]
        if "peer" in result["runs"] and args.variants:
            result["runs"]["peer, bf16 weights"] = [trl(args, "grpo", ends, data, "--weights", "bf16")]
    # a weight: float32 and its bf16 copy, gradient, two moments
    own = SMOLLM2["vocab_size"] * SMOLLM2["hidden_size"] * (4 + 2 + 4 + 8) / 2**20
    peaks = [median(result["runs"][name], "steps_peak_mb") for name in ("rein, vocabulary x 2", "rein")]
    bar(result, "seconds a step, peer's / ours", ratio(result, "step", "peer", "rein"), least=5)
    bar(result, "peak memory, ours / peer's", ratio(result, "peak_mb"))
    bar(result, f"with twice the vocabulary: growth of peak memory beyond the {own:.0f} MB of its weights, gradients and "
        "moments, as a share", (peaks[0] - peaks[1] - own) / peaks[1], most=0.01)
    if "peer, bf16 weights" in result["runs"]:
        bar(result, "seconds a step, peer's with bf16 weights / ours", ratio(result, "step", "peer, bf16 weights", "rein"))
    return result


def ppo_lora(args):
    """PPO with LoRA (r = 16, all linear layers) and all four models, SmolLM2-135M shape, 8 prompts x 128 new tokens; beside GRPO
    of the same policy and batch, which trains one model. The critic is a model of its own, or a head on the policy's network."""
    batch = ("--per_device_train_batch_size", "8", *ADAPTER, "--max_steps", str(args.steps))
    with tempfile.TemporaryDirectory() as top:
        folder, judge = os.path.join(top, "model"), os.path.join(top, "judge")
        base_mb = make_folder(args, folder, SMOLLM2)
        data = write_rows(top, "prompts.jsonl", 8, prompt=200)
        pairs = write_rows(top, "pairs.jsonl", 4, prompt=60, chosen=60, rejected=60)
        make_judge(args, folder, pairs, judge)
        ppo = (*batch, "--response_length", "128", "--reward", f"model({judge}/adapter)")
        runs = {
            "one policy": [train(args, "grpo", folder, data, *batch, "--num_generations", "8", "--max_completion_length",
                                 "128", "--reward", "regex(k)")],
            "rein": [train(args, "ppo", folder, data, *ppo)],
            "rein, value_head trunk": [train(args, "ppo", folder, data, *ppo, "--value_head", "trunk")],
        }
    result = {"runs": runs, "base_mb": base_mb}
    one = median(runs["one policy"], "peak_mb")
    # policy and critic train, reference and reward model are weights that are read
    result["separate_mb"] = 2 * one + 2 * base_mb
    bar(result, "peak memory, four models / one policy in training", ratio(result, "peak_mb", "rein", "one policy"), most=1.5)
    bar(result, "the same with the critic as a head on the policy's network",
        ratio(result, "peak_mb", "rein, value_head trunk", "one policy"))
    bar(result, "four separate copies (estimate: two in training, two of weights alone) / one policy",
        result["separate_mb"] / one)
    return result


def make_judge(args, folder, pairs, out):
    """A reward model: an adapter with a score head, one update old."""
    command = [args.rein, "train", "reward", "--model", folder, "--data", pairs, "--dtype", "bf16", *ADAPTER, "--max_steps",
               "1", "--per_device_train_batch_size", "4", "--threads", str(args.threads), "--quiet", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nfailed: {done.stderr[-2000:]}")


def dpo_qwen(args):
    """DPO with LoRA (r = 16, all linear layers, layers computed twice), Qwen2.5-0.5B shape, 4 pairs x 512 tokens; ours alone."""
    with tempfile.TemporaryDirectory() as top:
        folder = os.path.join(top, "model")
        base_mb = make_folder(args, folder, QWEN25)
        data = write_rows(top, "pairs.jsonl", 4, prompt=300, chosen=4000, rejected=4000)
        one = train(args, "dpo", folder, data, "--per_device_train_batch_size", "4", "--max_length", "512",
                    "--gradient_checkpointing", "--max_steps", str(args.steps), *ADAPTER)
    one["tokens_per_second"] = one["tokens"] / one["step"]
    result = {"runs": {"rein": [one]}, "base_mb": base_mb}
    bar(result, "tokens/s", one["tokens_per_second"])
    bar(result, f"peak memory beyond the base's {base_mb:.0f} MB, in MB", one["peak_mb"] - base_mb)
    return result


ROWS = {"dpo-bf16": dpo_bf16, "grpo-bf16": grpo_bf16, "ppo-lora": ppo_lora, "dpo-lora-qwen": dpo_qwen}
