#!/usr/bin/env python3
"""llm.c peer: its CPU trainer on GPT-2 124M with random weights, 4 rows of 64 tokens, fp32.

Usage: llmc_gpt2.py --binary PATH [--steps 4] [--threads 2]
PATH is train_gpt2.c of karpathy/llm.c, built as its Makefile does with OpenMP (-Ofast -fno-finite-math-only
-march=native -fopenmp -DOMP). Writes the checkpoint and token files it wants into a scratch folder, reads the times it
prints, stops it after some steps; the first warms up. Prints one JSON line: tokens a second, median. Needs numpy.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile

import numpy

VOCAB, PADDED, LAYERS, HEADS, WIDTH, LENGTH = 50257, 50304, 12, 12, 768, 1024


def shapes():
    """The parameters in the order of the checkpoint."""
    c, n = WIDTH, LAYERS
    return [PADDED * c, LENGTH * c, n * c, n * c, n * 3 * c * c, n * 3 * c, n * c * c, n * c, n * c, n * c,
            n * 4 * c * c, n * 4 * c, n * 4 * c * c, n * c, c, c]


def write_model(path):
    rng = numpy.random.default_rng(0)
    header = numpy.zeros(256, numpy.int32)
    header[:8] = 20240326, 3, LENGTH, VOCAB, LAYERS, HEADS, WIDTH, PADDED
    with open(path, "wb") as file:
        file.write(header.tobytes())
        for index, size in enumerate(shapes()):
            norm = index in (2, 8, 14)  # scales of the layer norms
            values = numpy.ones(size) if norm else 0.02 * rng.standard_normal(size)
            file.write(values.astype(numpy.float32).tobytes())


def write_tokens(path, count):
    header = numpy.zeros(256, numpy.int32)
    header[:3] = 20240520, 1, count
    with open(path, "wb") as file:
        file.write(header.tobytes())
        file.write(numpy.random.default_rng(1).integers(0, VOCAB, count).astype(numpy.uint16).tobytes())


def measure(binary, steps, threads, folder):
    data = os.path.join(folder, "dev", "data", "tinyshakespeare")
    os.makedirs(data)
    write_model(os.path.join(folder, "gpt2_124M.bin"))
    for name in ("train", "val"):
        write_tokens(os.path.join(data, f"tiny_shakespeare_{name}.bin"), 32768)
    times = []
    command = ["stdbuf", "-oL", os.path.abspath(binary)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=dict(os.environ, OMP_NUM_THREADS=str(threads))) as child:
        lines = []
        for line in child.stdout:
            lines.append(line)
            found = re.match(r"step \d+: .*took ([0-9.]+) ms", line)
            times += [float(found.group(1)) / 1e3] if found else []
            if len(times) > steps:
                child.kill()
                break
    if len(times) <= steps:
        raise SystemExit("llm.c ended early:\n" + "".join(lines[-20:]))
    return 4 * 64 / statistics.median(times[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rate = measure(args.binary, args.steps, args.threads, folder)
    print(json.dumps({"peer": "llm.c", "tokens_per_s": round(rate, 1), "threads": args.threads}))


if __name__ == "__main__":
    main()
