#!/usr/bin/env python3
"""Rein's language models beside their peers, in one call: alternating runs, medians, ratios, bars.

    bench/compare_lm.py [--rein build/rein] [--python PYTHON] [--only ROW,...] [--runs 2] [--steps 2] [--new 256]
                        [--threads 2] [--layers N] [--variants] [--tokenizer DIR --text FILE] [--llmc BINARY]
                        [--out bench/results/lm.json]

--python (or REIN_PEER_LM_PYTHON, else REIN_PEER_PYTHON) is an interpreter with torch and transformers, for lora-bf16 also peft,
for tokenizer also tokenizers, for dpo-bf16 and grpo-bf16 also trl and datasets. What is missing there is said and its column
stays empty; --variants measures TRL in other settings, too. The benchmark programs lie beside rein (`cmake --build build
--target benchmarks`). Models have random weights; --layers makes them shallower, to try the script. --out keeps the rows that
a file has already, beside those of this call. Standard library only.
"""
import argparse
import json
import os
import re
import sys
import tempfile
import time

from compare import ROOT, has_amx, machine, median, run
import lm_alignment
from lm_common import (QWEN25, SMOLLM2, Skip, bar, last_json, make_tokenizer, program, python, race, ratio, write_model,
                       write_text)

LLM_C = 42.0  # tokens/s of llm.c's CPU trainer, GPT-2 124M, 4 x 64, measured on two Sapphire Rapids cores; without --llmc


# ---- training ----------------------------------------------------------------------------------------------------

def train_words(args, shape, dtype, documents, length, *more):
    words = ["--shape", shape, "--dtype", dtype, "--documents", str(documents), "--length", str(length),
             "--steps", str(args.steps), "--threads", str(args.threads), *more]
    return words + (["--layers", str(args.layers)] if args.layers else [])


def training(args, words, *modules, ours=()):
    bench = program(args, "bench_lm")
    keys = ("tokens_per_second", "step", "peak_mb", "peer", "loss", "import_mb", "network_mb", "parameters", "trained")

    def kept(record):
        return {key: record[key] for key in keys if key in record}

    result = race(args, lambda: kept(last_json(run([bench, *words, *ours])[1])),
                  lambda: kept(last_json(python(args, "torch_lm.py", *words)[1])), "torch", "transformers", *modules)
    return result


def sft_bf16(args):
    """Full step (forward, backward, AdamW), SmolLM2-135M shape, bf16, 8 x 512 tokens; peer: bf16 autocast."""
    result = training(args, train_words(args, "smollm2-135m", "bf16", 8, 512))
    bar(result, "tokens/s, ours / peer's", ratio(result, "tokens_per_second"), least=1.5)
    bar(result, "peak memory, ours / peer's", ratio(result, "peak_mb"), most=0.5)
    bar(result, "tokens/s", median(result["runs"]["rein"], "tokens_per_second"), least=1000 if has_amx() else None)
    return result


def sft_f32(args):
    """The same in fp32, 2 x 512 tokens."""
    result = training(args, train_words(args, "smollm2-135m", "f32", 2, 512))
    bar(result, "tokens/s, ours / peer's", ratio(result, "tokens_per_second"))
    bar(result, "peak memory, ours / peer's", ratio(result, "peak_mb"))
    return result


def gpt2_f32(args):
    """Full step, GPT-2 124M, fp32, 4 x 64 tokens."""
    result = training(args, train_words(args, "gpt2", "f32", 4, 64))
    bar(result, "tokens/s, ours / peer's", ratio(result, "tokens_per_second"))
    ours = median(result["runs"]["rein"], "tokens_per_second")
    if not args.llmc:
        bar(result, f"tokens/s, ours / llm.c's {LLM_C:g} (measured elsewhere)", ours / LLM_C, least=6)
        return result
    words = ["--binary", args.llmc, "--steps", str(args.steps), "--threads", str(args.threads)]
    peer = last_json(python(args, "llmc_gpt2.py", *words)[1])
    result["runs"]["llm.c"] = [{"tokens_per_second": peer["tokens_per_s"], "peer": "llm.c"}]
    bar(result, "tokens/s, ours / llm.c's", ours / peer["tokens_per_s"], least=6)
    return result


def lora_bf16(args):
    """LoRA step, r=16 on all linear layers, Qwen2.5-0.5B shape, frozen bf16 base, 4 x 512 tokens, our layers computed twice
    (gradient_checkpointing) for the memory; peer: PEFT, which keeps everything."""
    with tempfile.TemporaryDirectory() as folder:
        base_mb = write_model(folder, QWEN25, args.layers) / 2**20
        words = train_words(args, "qwen2.5-0.5b", "bf16", 4, 512, "--lora", "16", "--model", folder)
        result = training(args, words, "peft", ours=["--recompute"])
    result["base_mb"] = base_mb
    bar(result, "tokens/s, ours / peer's", ratio(result, "tokens_per_second"), least=1.5)
    bar(result, f"peak memory beyond the base's {base_mb:.0f} MB, in MB",
        median(result["runs"]["rein"], "peak_mb") - base_mb, most=1e9 / 2**20)
    bar(result, "peak memory, ours / peer's", ratio(result, "peak_mb"))
    return result


# ---- generation --------------------------------------------------------------------------------------------------

def decode(args, batch):
    bench = program(args, "bench_generate")
    words = ["--batch", str(batch), "--new", str(args.new), "--prompt", "64", "--dtype", "bf16",
             "--threads", str(args.threads)]
    line = re.compile(r"batch +\d+: +([0-9.]+) tokens/s, +([0-9.]+) ms a step; reading its ([0-9.]+) MB takes ([0-9.]+) ms "
                      r"\(([0-9.]+) GB/s\)")

    def ours():
        found = line.search(run([bench, *words, "--rounds", "2"])[1])
        rate, step, _, floor, speed = (float(x) for x in found.groups())
        return {"tokens_per_second": rate, "ms_step": step, "read_ms": floor, "read_gb_s": speed, "share": floor / step}

    def theirs():
        s = last_json(python(args, "hf_generate.py", *words, "--repeat", "1")[1])
        return {"tokens_per_second": s["tokens_per_s"], "ms_step": s["ms_step"], "prompt_ms": s["prompt_ms"], "peer": s["peer"]}

    return race(args, ours, theirs, "torch", "transformers")


def decode_1(args):
    """Decoding, SmolLM2-135M shape, bf16, batch 1, 64-token prompt; share of a read of the same memory's bytes."""
    result = decode(args, 1)
    bar(result, "share of a same-size memory read", median(result["runs"]["rein"], "share"), least=0.7)
    bar(result, "tokens/s, ours / peer's", ratio(result, "tokens_per_second"))
    return result


def decode_16(args):
    """The same, batch 16."""
    result = decode(args, 16)
    bar(result, "share of a same-size memory read", median(result["runs"]["rein"], "share"))
    bar(result, "tokens/s, ours / peer's", ratio(result, "tokens_per_second"), least=3)
    return result


def first_token(args):
    """Process start to first token's text, 135M-shape folder in the disk cache; peer: Transformers, its imports apart."""
    with tempfile.TemporaryDirectory() as folder:
        write_model(folder, SMOLLM2, args.layers, make_tokenizer(args, folder, "smollm2", 4096))
        prompt = "The capital of France is"

        def ours():
            wall, text = run([args.rein, "generate", "--model", folder, "--prompt", prompt, "--max_new_tokens", "1",
                              "--dtype", "bf16", "--temperature", "0", "--threads", str(args.threads), "--quiet"])
            return {"s": wall, "work_s": wall, "text": text[:80]}

        def theirs():
            words = ["--model", folder, "--text", prompt, "--threads", str(args.threads)]
            wall, text = python(args, "hf_generate.py", *words)
            s = last_json(text)
            return {"s": wall, "import_s": s["import_s"], "work_s": s["first_token_s"] - s["import_s"], "text": s["text"]}

        ours()  # the folder's pages into the cache
        args.runs, runs = max(3, args.runs), args.runs
        result = race(args, ours, theirs, "torch", "transformers")
        args.runs = runs
    bar(result, "seconds, peer's without imports / ours", ratio(result, "work_s", "peer", "rein"), least=5)
    bar(result, "seconds, peer's process / ours", ratio(result, "s", "peer", "rein"))
    return result


# ---- tokenizer ---------------------------------------------------------------------------------------------------

def tokenizer(args):
    """Encoding, one thread, pieces of 4 kB; peer: Hugging Face tokenizers, its quicker call of two."""
    bench = program(args, "bench_tokenizer")
    with tempfile.TemporaryDirectory() as folder:
        path, text = args.tokenizer, args.text
        if not (path and text):
            make_tokenizer(args, folder, "qwen2", 16384)
            path, text = folder, os.path.join(folder, "text.txt")
            write_text(text, 4 << 20)

        def ours():
            out = run([bench, path, text, "3"])[1]
            return {"mb_s": float(re.search(r"([0-9.]+) MB/s", out).group(1)), "ids": re.search(r"ids (\w+)", out).group(1)}

        def theirs():
            out = python(args, "tokenizer_hf.py", path, text, "3")[1]
            encode, batch = (float(x) for x in re.findall(r"([0-9.]+) MB/s", out))
            return {"mb_s": max(encode, batch), "encode_mb_s": encode, "batch_mb_s": batch, "peer": out.split(":")[0],
                    "ids": re.search(r"ids (\w+)", out).group(1)}

        result = race(args, ours, theirs, "tokenizers")
    digests = {record["ids"] for records in result["runs"].values() for record in records}
    if len(digests) > 1:
        raise SystemExit(f"tokenizer: the two sides' ids differ: {digests}")
    bar(result, "MB/s, ours / peer's", ratio(result, "mb_s"), least=1)
    return result


ROWS = {"sft-bf16": sft_bf16, "sft-f32": sft_f32, "gpt2-f32": gpt2_f32, "lora-bf16": lora_bf16, "decode-1": decode_1,
        "decode-16": decode_16, "tokenizer": tokenizer, "first-token": first_token, **lm_alignment.ROWS}
SHOWN = ("tokens_per_second", "step", "peak_mb", "ms_step", "share", "mb_s", "s", "import_s", "work_s")


# ---- report ------------------------------------------------------------------------------------------------------

def report(name, result):
    print(f"\n{name}: {' '.join(ROWS[name].__doc__.split())}")
    for key in ("skipped", "failed", "peer_skipped"):
        if key in result:
            print(f"  {key.replace('_', ' ')}: {result[key]}")
    for side, records in result.get("runs", {}).items():
        values = [f"{key} {median(records, key):.4g}" for key in SHOWN if key in records[0]]
        print(f"  {records[0].get('peer', side)}: {', '.join(values)}")
    for entry in result.get("bars", []):
        value = "not measured" if entry["value"] is None else f"{entry['value']:.3g}"
        met = {True: "met", False: "MISSED", None: "open"}[entry.get("met")]
        print(f"  {entry['what']}: {value}" + (f" ({entry['sense']} {entry['bar']:.4g}: {met})" if "bar" in entry else ""))
    sys.stdout.flush()


def measure(args, name):
    start = time.perf_counter()
    try:
        result = ROWS[name](args)
    except Skip as why:
        result = {"skipped": str(why)}
    except SystemExit as why:  # a program of the row failed: the other rows still run
        result = {"failed": str(why)}
    result["row_s"] = time.perf_counter() - start
    return result


def kept_rows(path):
    """What an earlier call wrote; its rows stay until they are measured again."""
    if not path or not os.path.exists(path):
        return {"results": {}}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rein", default=os.path.join(ROOT, "build", "rein"))
    parser.add_argument("--python", default=os.environ.get("REIN_PEER_LM_PYTHON") or os.environ.get("REIN_PEER_PYTHON"))
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--new", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int, default=0)
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--tokenizer", help="folder or tokenizer.json; with --text, in place of one learned here")
    parser.add_argument("--text")
    parser.add_argument("--llmc", default=os.environ.get("REIN_PEER_LLMC"), help="train_gpt2 of llm.c, for gpt2-f32")
    parser.add_argument("--only", default=",".join(ROWS), help="rows: " + ", ".join(ROWS))
    parser.add_argument("--out")
    args = parser.parse_args()
    names = args.only.split(",")
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if not os.access(args.rein, os.X_OK):
        parser.error(f"{args.rein} is not there: build it, or name another with --rein")
    for name in ("rein", "tokenizer", "text", "out", "llmc"):
        if getattr(args, name):
            setattr(args, name, os.path.abspath(getattr(args, name)))
    settings = {key: getattr(args, key) for key in ("runs", "steps", "new", "threads", "layers")}
    record = kept_rows(args.out)
    record.update({"machine": machine(), "amx": has_amx(), "settings": settings})
    for name in names:
        record["results"][name] = dict(measure(args, name), settings=settings)
        report(name, record["results"][name])
        if args.out:  # after each row: an interrupted call keeps what it has
            with open(args.out, "w", encoding="utf-8") as file:
                json.dump(record, file, indent=1)
                file.write("\n")
    return 1 if any("failed" in result for result in (record["results"][name] for name in names)) else 0


if __name__ == "__main__":
    sys.exit(main())
