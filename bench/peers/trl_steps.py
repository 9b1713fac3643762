#!/usr/bin/env python3
"""Steps of TRL's DPOTrainer or GRPOTrainer on the CPU: what `rein train dpo|grpo` does, one JSON line.

    trl_steps.py dpo|grpo --model DIR --data FILE.jsonl --rows 4 [--length 512] [--new 128] [--group 8] [--steps 3]
                 [--threads 2] [--weights f32|bf16] [--checkpointing]

Model, tokenizer and rows are files that Rein reads too. --weights f32: float32 weights under bf16 autocast (bf16=True, TRL's
way of mixed precision); bf16: the weights, and so AdamW's moments, are bf16 themselves, coarser than what Rein does. DPO's
reference log-probabilities are computed before the steps. GRPO draws exactly --new tokens for every answer (no token ends
one), has no KL term, and its reward is whether the answer holds a "k". Otherwise TRL's defaults, but activations are kept
unless --checkpointing. step is the least of all steps, from a step's beginning (its generation included) to the end of the
optimizer's update. peak_mb is the process's, interpreter and packages (import_mb) included.
"""
import argparse
import json
import os
import resource
import sys
import tempfile
import time
import warnings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "2"
os.environ.update(HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1")
warnings.filterwarnings("ignore")

import torch
import transformers
import trl
from datasets import Dataset, disable_progress_bars
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Watch(TrainerCallback):
    """Wall and processor seconds of every step."""

    def __init__(self):
        self.wall, self.cpu = [], []

    def on_step_begin(self, args, state, control, **kwargs):
        self.at = time.perf_counter(), time.process_time()

    def on_step_end(self, args, state, control, **kwargs):
        self.wall.append(time.perf_counter() - self.at[0])
        self.cpu.append(time.process_time() - self.at[1])


def holds_k(completions, **kwargs):
    return [float("k" in text) for text in completions]


def settings(args, folder, **more):
    return dict(output_dir=folder, max_steps=args.steps, learning_rate=1e-6, report_to=[], use_cpu=True,
                bf16=args.weights == "f32", save_strategy="no", logging_steps=1, disable_tqdm=True, shuffle_dataset=False,
                gradient_checkpointing=args.checkpointing, **more)


def make_dpo(args, folder, common):
    more = settings(args, folder, per_device_train_batch_size=args.rows, max_length=args.length, precompute_ref_log_probs=True)
    del more["shuffle_dataset"]
    return trl.DPOTrainer(args=trl.DPOConfig(**more), **common)


def make_grpo(args, folder, common):
    more = settings(args, folder, per_device_train_batch_size=args.rows * args.group, num_generations=args.group,
                    max_completion_length=args.new)
    trainer = trl.GRPOTrainer(args=trl.GRPOConfig(**more), reward_funcs=holds_k, **common)
    never = [trainer.model.config.vocab_size]  # no token has this id, so that none ends an answer
    trainer.eos_token_ids = never
    trainer.generation_kwargs["eos_token_id"] = trainer.generation_config.eos_token_id = never
    return trainer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=("dpo", "grpo"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    for name, default in (("rows", 4), ("length", 512), ("new", 128), ("group", 8), ("steps", 3), ("threads", 2)):
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--weights", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--checkpointing", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    disable_progress_bars()
    import_mb, watch = peak_mb(), Watch()
    dtype = torch.float32 if args.weights == "f32" else torch.bfloat16
    with open(args.data, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    common = dict(model=AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype, attn_implementation="sdpa"),
                  processing_class=AutoTokenizer.from_pretrained(args.model), train_dataset=Dataset.from_list(rows),
                  callbacks=[watch])
    with tempfile.TemporaryDirectory() as folder:
        trainer = (make_dpo if args.method == "dpo" else make_grpo)(args, folder, common)
        ready_mb = peak_mb()
        trainer.train()
        log = [entry for entry in trainer.state.log_history if "loss" in entry]
    lengths = [entry["completions/mean_length"] for entry in log if "completions/mean_length" in entry]
    print(json.dumps({
        "peer": f"trl {trl.__version__}, torch {torch.__version__}, transformers {transformers.__version__}",
        "weights": args.weights, "checkpointing": args.checkpointing, "step": min(watch.wall), "steps": watch.wall,
        "cpu_s": min(watch.cpu), "loss": log[0]["loss"], "new": lengths, "peak_mb": peak_mb(), "ready_mb": ready_mb,
        "import_mb": import_mb, "parameters": sum(p.numel() for p in trainer.model.parameters()),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
