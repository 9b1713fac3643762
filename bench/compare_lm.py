#!/usr/bin/env python3
"""Rein's language models beside their peers, in one call: alternating runs, medians, ratios, bars.

    bench/compare_lm.py [--rein build/rein] [--python PYTHON] [--only ROW,...] [--runs 2] [--steps 2] [--new 256]
                        [--threads 2] [--layers N] [--tokenizer DIR --text FILE] [--out bench/results/lm.json]

--python (or REIN_PEER_LM_PYTHON, else REIN_PEER_PYTHON) is an interpreter with torch and transformers, for lora-bf16 also peft, for
tokenizer also tokenizers. What is missing there is said and its column stays empty. The benchmark programs lie beside rein
(`cmake --build build --target benchmarks`). Models have random weights; --layers makes them shallower, to try the script.
Standard library only.
"""
import argparse
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time

from compare import HERE, ROOT, alternate, has_amx, machine, median, run

SMOLLM2 = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 49152, "hidden_size": 576,
           "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
           "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 1e5}
QWEN25 = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 151936, "hidden_size": 896,
          "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
          "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1e6}
LLM_C = 42.0  # tokens/s of llm.c's CPU trainer, GPT-2 124M, 4 x 64, on two Sapphire Rapids cores; not measured here


class Skip(Exception):
    """A row cannot run here, and why."""


# ---- models and texts --------------------------------------------------------------------------------------------

def tensors(config):
    """Name -> shape, as Transformers names them."""
    hidden, inner, head = config["hidden_size"], config["intermediate_size"], 64
    kv = config["num_key_value_heads"] * head
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.norm.weight": [hidden]}
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        for name, rows, columns in (("self_attn.q_proj", hidden, hidden), ("self_attn.k_proj", kv, hidden),
                                    ("self_attn.v_proj", kv, hidden), ("self_attn.o_proj", hidden, hidden),
                                    ("mlp.gate_proj", inner, hidden), ("mlp.up_proj", inner, hidden),
                                    ("mlp.down_proj", hidden, inner)):
            shapes[layer + name + ".weight"] = [rows, columns]
            if config["model_type"] == "qwen2" and name[-6:] in ("q_proj", "k_proj", "v_proj"):
                shapes[layer + name + ".bias"] = [rows]
        shapes[layer + "input_layernorm.weight"] = [hidden]
        shapes[layer + "post_attention_layernorm.weight"] = [hidden]
    return shapes


def random_bf16(count):
    """Bytes of numbers of both signs with sizes between 2^-9 and 2^-6: about the spread of N(0, 0.02^2)."""
    data = bytearray(2 * count)
    data[0::2] = os.urandom(count)
    data[1::2] = os.urandom(count).translate(bytes((0x3B, 0x3C, 0xBB, 0xBC)[i & 3] for i in range(256)))
    return data


def write_model(folder, config, layers, words=None):
    """A model folder with random bf16 weights, tied embedding; returns the weights' bytes. Rows of the embedding from `words`
    on are 0, so that the likeliest token is one that a tokenizer of so many has a text for."""
    config = dict(config, hidden_act="silu", tie_word_embeddings=True, initializer_range=0.02, torch_dtype="bfloat16",
                  attention_bias=False, mlp_bias=False, attention_dropout=0.0, bos_token_id=0, eos_token_id=0)
    if config["model_type"] == "qwen2":
        for key in ("attention_bias", "mlp_bias"):
            del config[key]
    if layers:
        config["num_hidden_layers"] = layers
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    header, at = {"__metadata__": {"format": "pt"}}, 0
    sizes = {}
    for name, shape in tensors(config).items():
        sizes[name] = shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + 2 * sizes[name]]}
        at += 2 * sizes[name]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, size in sizes.items():
            live = words * config["hidden_size"] if words and "embed_tokens" in name else size
            file.write(b"\x80\x3f" * size if "norm" in name else random_bf16(live) + bytes(2 * (size - live)))
    return at


def write_text(path, least=0):
    """The repository's own pages and sources, repeated up to `least` bytes."""
    names = sorted(glob.glob(os.path.join(ROOT, "*.md")) + glob.glob(os.path.join(ROOT, "docs", "*.md")) +
                   glob.glob(os.path.join(ROOT, "src", "**", "*.[ch]"), recursive=True))
    data = b"".join(open(name, "rb").read() for name in names)
    if not data:
        raise Skip("found no texts in the repository: give --tokenizer and --text")
    with open(path, "wb") as file:
        file.write(data * max(1, -(-least // len(data))))


def make_tokenizer(args, folder, family, size):
    """tokenizer.json of a tokenizer learned from the repository's text, in `folder`; returns its tokens' number."""
    text = os.path.join(folder, "learn.txt")
    write_text(text)
    run([args.rein, "tokenizer", "train", "--data", text, "--vocab_size", str(size), "--family", family, "--out", folder])
    with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as file:
        return len(json.load(file)["model"]["vocab"])


# ---- programs ----------------------------------------------------------------------------------------------------

def program(args, name):
    path = os.path.join(os.path.dirname(args.rein), "bench", name)
    if not os.access(path, os.X_OK):
        raise Skip(f"{path} is not there: cmake --build {os.path.dirname(args.rein)} --target benchmarks")
    return path


def peer_lacks(args, *modules):
    """Why the peer cannot run, or None."""
    if not args.python:
        return "no --python and no REIN_PEER_LM_PYTHON"
    code = "import importlib.util as u, sys; print(*[m for m in sys.argv[1:] if u.find_spec(m) is None])"
    try:
        done = subprocess.run([args.python, "-c", code, *modules], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{args.python}: {error.strerror}"
    missing = done.stdout.split()
    if done.returncode != 0:
        return f"{args.python} fails: {done.stderr.strip()[-200:]}"
    return f"{args.python} lacks {', '.join(missing)}" if missing else None


def python(args, script, *words):
    threads = str(args.threads)
    wall, text = run([args.python, "-W", "ignore", os.path.join(HERE, "peers", script), *words], OMP_NUM_THREADS=threads,
                     MKL_NUM_THREADS=threads, HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
    return wall, text


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])


def race(args, ours, theirs, *modules):
    """Alternating runs of both; the peer only where its modules are. Returns what the row's record holds."""
    lacks = peer_lacks(args, *modules)
    variants = {"rein": ours} if lacks else {"rein": ours, "peer": theirs}
    result = {"runs": alternate(args.runs, variants)}
    if lacks:
        result["peer_skipped"] = lacks
    return result


def ratio(result, key, over="rein", under="peer"):
    """Median of one side by the other's, None where one is missing."""
    a, b = (median(result["runs"].get(side, []), key) for side in (over, under))
    return a / b if a and b else None


def bar(result, text, value, least=None, most=None):
    """A line of the row's report: the value and whether it reaches its bar; without a bar just the value."""
    entry = {"what": text, "value": value}
    if least is not None or most is not None:
        entry["bar"] = least if least is not None else most
        entry["sense"] = "at least" if least is not None else "at most"
        entry["met"] = None if value is None else bool(value >= least if least is not None else value <= most)
    result.setdefault("bars", []).append(entry)


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
    bar(result, f"tokens/s, ours / llm.c's {LLM_C:g} (measured elsewhere)",
        median(result["runs"]["rein"], "tokens_per_second") / LLM_C, least=6)
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
        "decode-16": decode_16, "tokenizer": tokenizer, "first-token": first_token}
SHOWN = ("tokens_per_second", "peak_mb", "ms_step", "share", "mb_s", "s", "import_s", "work_s")


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rein", default=os.path.join(ROOT, "build", "rein"))
    parser.add_argument("--python", default=os.environ.get("REIN_PEER_LM_PYTHON") or os.environ.get("REIN_PEER_PYTHON"))
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--new", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int, default=0)
    parser.add_argument("--tokenizer", help="folder or tokenizer.json; with --text, in place of one learned here")
    parser.add_argument("--text")
    parser.add_argument("--only", default=",".join(ROWS), help="rows: " + ", ".join(ROWS))
    parser.add_argument("--out")
    args = parser.parse_args()
    names = args.only.split(",")
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if not os.access(args.rein, os.X_OK):
        parser.error(f"{args.rein} is not there: build it, or name another with --rein")
    for name in ("rein", "tokenizer", "text", "out"):
        if getattr(args, name):
            setattr(args, name, os.path.abspath(getattr(args, name)))
    settings = {key: getattr(args, key) for key in ("runs", "steps", "new", "threads", "layers")}
    record = {"machine": machine(), "amx": has_amx(), "settings": settings, "results": {}}
    for name in names:
        record["results"][name] = measure(args, name)
        report(name, record["results"][name])
        if args.out:  # after each row: an interrupted call keeps what it has
            with open(args.out, "w", encoding="utf-8") as file:
                json.dump(record, file, indent=1)
                file.write("\n")
    return 1 if any("failed" in result for result in record["results"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
