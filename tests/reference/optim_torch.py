#!/usr/bin/env python3
"""Reference trajectories of the optimizers, computed with torch.optim in float64.

Usage: optim_torch.py [--out FILE]   (default: ../golden/optim_torch.json next to this file)
Run by hand. One parameter of seven elements, six fixed gradients (exact float32 numbers with large,
tiny and zero entries); the parameter after every step for each optimizer.
"""
import argparse
import json
import pathlib

import numpy
import torch

START = [0.5, -1.25, 0.0, 2.0, -0.03125, 10.0, -3.5]
GRADIENTS = [
    [0.1, -0.2, 0.0, 1.0, 1e-6, -100.0, 0.5],
    [0.2, -0.1, 0.0, -1.0, -1e-6, 50.0, 0.25],
    [-0.3, 0.05, 0.01, 0.5, 3e-7, 0.0, 0.125],
    [0.05, 0.0, -0.02, 0.0, 0.0, 1000.0, -0.0625],
    [0.0, 0.4, 0.03, -0.25, 1e-8, -3.0, 0.03125],
    [0.7, -0.6, 0.0, 0.125, -2e-5, 1.0, -4.0],
]

CASES = {
    "adam": (torch.optim.Adam, dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-8)),
    "adam_eps_1e-5": (torch.optim.Adam, dict(lr=3e-4, betas=(0.9, 0.999), eps=1e-5)),
    "adam_betas": (torch.optim.Adam, dict(lr=1e-2, betas=(0.8, 0.95), eps=1e-8)),
    "adamw": (torch.optim.AdamW, dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)),
    "sgd": (torch.optim.SGD, dict(lr=1e-2)),
    "sgd_momentum": (torch.optim.SGD, dict(lr=1e-2, momentum=0.9)),
    "sgd_nesterov": (torch.optim.SGD, dict(lr=1e-2, momentum=0.9, nesterov=True)),
    "sgd_weight_decay": (torch.optim.SGD, dict(lr=1e-2, momentum=0.9, weight_decay=0.01)),
    "rmsprop": (
        torch.optim.RMSprop, dict(lr=1e-2, alpha=0.99, eps=1e-5, centered=False, momentum=0.0)
    ),
}

FORMULAS = {
    "adam": "m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; "
            "p -= lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps), t from 1",
    "adamw": "p -= lr * weight_decay * p first, then the adam step",
    "sgd": "g += weight_decay * p; buf = g on the first step, else momentum * buf + g; "
           "p -= lr * buf; nesterov: p -= lr * (g + momentum * buf)",
    "rmsprop": "v = alpha v + (1-alpha) g^2; p -= lr * g / (sqrt(v) + eps)",
}


def exact(values):
    """The nearest float32 numbers, as Python floats."""
    return numpy.asarray(values, dtype=numpy.float32).astype(float).tolist()


def trajectory(kind, config):
    """Parameter after each step."""
    param = torch.tensor(exact(START), dtype=torch.float64, requires_grad=True)
    optimizer = kind([param], **config)
    steps = []
    for grad in GRADIENTS:
        param.grad = torch.tensor(exact(grad), dtype=torch.float64)
        optimizer.step()
        steps.append(param.detach().tolist())
    return steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--out", type=pathlib.Path, default=here.parent / "golden/optim_torch.json")
    path = parser.parse_args().out
    lines = [
        '"torch": ' + json.dumps(torch.__version__),
        '"precision": "start and gradients are exact float32; arithmetic and results float64"',
        '"formulas": ' + json.dumps(FORMULAS),
        '"start": ' + json.dumps(exact(START)),
        '"gradients": [\n' + ",\n".join("  " + json.dumps(exact(g)) for g in GRADIENTS) + "\n]",
    ]
    cases = []
    for name, (kind, config) in CASES.items():
        steps = ",\n".join("    " + json.dumps(s) for s in trajectory(kind, config))
        cases.append(
            '  %s: {"kind": %s, "config": %s, "after_step": [\n%s\n  ]}'
            % (json.dumps(name), json.dumps(kind.__name__), json.dumps(config), steps)
        )
    lines.append('"cases": {\n' + ",\n".join(cases) + "\n}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    json.loads(path.read_text())
    print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
