#!/usr/bin/env python3
"""Products of large matrices in PyTorch, whose bf16 and large float products are oneDNN's: the table of bench/bench_matmul.c.

    torch_matmul.py [--threads 2] [--seconds 0.4] [--dtype bf16|f32]

GFLOP/s of y = x w^T (forward), dx = dy w (input), dw = dy^T x (weight; out of place, as autograd computes it), then GB/s of w for few
rows; medians of repetitions.
"""
import argparse
import time

import torch

SHAPES = [(4096, 576, 1536), (4096, 1536, 576), (4096, 576, 576), (4096, 576, 192), (512, 576, 49152), (2048, 896, 4864),
          (2048, 4864, 896)]
FEW = [(49152, 576, 8), (1536, 576, 200), (576, 1536, 200)]


def median(call, seconds):
    call()
    taken, end = [], time.perf_counter() + seconds
    while len(taken) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[len(taken) // 2]


def large(dtype, name, seconds):
    print(f"{name:6} {'m':>6} {'k':>6} {'n':>6} {'forward':>12} {'input':>12} {'weight':>12}   GFLOP/s")
    for m, k, n in SHAPES:
        x, w, dy = (torch.rand(s, dtype=torch.float32).sub_(0.5).to(dtype) for s in ((m, k), (n, k), (m, n)))
        y, dx, dw = (torch.empty(s, dtype=dtype) for s in ((m, n), (m, k), (n, k)))
        calls = (lambda: torch.matmul(x, w.t(), out=y), lambda: torch.matmul(dy, w, out=dx), lambda: torch.matmul(dy.t(), x, out=dw))
        rates = [2e-9 * m * n * k / median(call, seconds) for call in calls]
        print(f"{'':6} {m:6} {k:6} {n:6} " + " ".join(f"{rate:12.0f}" for rate in rates), flush=True)


def few(dtype, name, seconds):
    rows = (1, 2, 4, 8, 16, 32)
    print(f"{name:6} {'k':>6} {'n':>6}   GB/s of w for m = " + " ".join(f"{m:6}" for m in rows))
    for n, k, copies in FEW:
        weights = [torch.rand(n, k).to(dtype) for _ in range(copies)]
        rates = []
        for m in rows:
            x, turn = torch.rand(m, k).to(dtype), iter(range(1 << 30))
            call = lambda: torch.nn.functional.linear(x, weights[next(turn) % copies])
            rates.append(1e-9 * n * k * weights[0].element_size() / median(call, seconds))
        print(f"{'':6} {k:6} {n:6} {'':19}" + " ".join(f"{rate:6.1f}" for rate in rates), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--dtype", choices=("bf16", "f32"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with torch.no_grad():
        for name, dtype in (("bf16", torch.bfloat16), ("f32", torch.float32)):
            if args.dtype in (None, name):
                large(dtype, name, args.seconds)
                few(dtype, name, args.seconds)


if __name__ == "__main__":
    main()
