#!/usr/bin/env python3
"""Reference values of activations and action distributions, computed with PyTorch in float64.

Usage: act_torch.py [--out FILE]     (default: ../golden/act_torch.json next to this file)
Run by hand. All inputs are exact float32 numbers.
"""
import argparse
import json
import pathlib

import numpy
import torch
from torch.distributions import Categorical, Normal, TransformedDistribution, kl_divergence
from torch.distributions.transforms import TanhTransform

POSITIVE = [
    1e-30, 1e-12, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9,
    1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.5, 8.0, 10.0, 15.0, 20.0, 50.0, 88.0, 100.0,
]

SOFTMAX_ROWS = [
    [0.0, 0.0, 0.0, 0.0],
    [1.0, 2.0, 3.0, 4.0],
    [-1.5, 0.25, 0.125, -0.75],
    [1000.0, 999.0, -1000.0, 0.0],
    [-1000.0, -1001.0, -1002.0, -1003.0],
    [1e-4, -1e-4, 2e-4, 0.0],
    [50.0, -50.0, 49.0, 0.5],
    [-1e8, 0.5, -1e8, 1.5],
]

CATEGORICAL = [
    ([0.0, 0.0, 0.0], [0.5, -0.5, 0.25]),
    ([1.5, -0.5, 0.25], [1.25, -0.25, 0.5]),
    ([10.0, -10.0, 0.0], [0.0, 1.0, 2.0]),
    ([-0.1, 0.3, 0.7], [-0.1, 0.3, 0.7]),
    ([30.0, 0.0, -30.0], [29.0, 1.0, -28.0]),
]

# mean, log_std, sample, mean of the second distribution, log_std of the second distribution
NORMAL = [
    ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, -2.0], [0.1, -0.2, 0.0], [0.1, 0.0, -0.1]),
    ([0.5, -1.0, 2.0], [-0.3, 0.5, -1.5], [0.25, -3.0, 2.1], [0.75, -1.5, 1.9], [-0.2, 0.4, -1.0]),
    ([-3.0, 4.0, 0.125], [1.0, -2.0, 0.25], [1.0, 4.25, -0.5],
     [-3.0, 4.0, 0.125], [1.0, -2.0, 0.25]),
    ([10.0, -10.0, 0.0], [2.0, -5.0, -4.0], [25.0, -10.01, 0.05],
     [9.0, -10.02, 0.01], [2.0, -4.5, -4.0]),
]

# mean, log_std, value before the squashing
SQUASHED = [
    ([0.0, 0.0], [0.0, 0.0], [0.0, 0.0]),
    ([0.3, -0.6], [-0.5, 0.25], [0.1, -0.9]),
    ([1.0, -2.0], [-1.0, -1.5], [1.4, -2.2]),
    ([3.0, -4.0], [0.5, 0.5], [4.0, -5.5]),
    ([8.0, -9.0], [0.0, 1.0], [9.0, -12.0]),
    ([1e-3, -1e-3], [-4.0, -5.0], [0.02, 0.005]),
]


def exact(values):
    """The nearest float32 numbers, as Python floats."""
    return numpy.asarray(values, dtype=numpy.float32).astype(float).tolist()


def tensor(values):
    return torch.tensor(exact(values), dtype=torch.float64)


def softplus(x):
    """log(1 + e^x) without torch's linear shortcut above 20."""
    return torch.logaddexp(x, torch.zeros_like(x))


ACTIVATIONS = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": softplus,
    "silu": torch.nn.functional.silu,
    "gelu_erf": lambda x: torch.nn.functional.gelu(x, approximate="none"),
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
}


def activations():
    """Values and derivatives on the grid."""
    grid = exact([-v for v in reversed(POSITIVE)] + [0.0] + POSITIVE)
    result = {"x": grid}
    for name, function in ACTIVATIONS.items():
        x = torch.tensor(grid, dtype=torch.float64, requires_grad=True)
        y = function(x)
        y.sum().backward()
        result[name] = y.detach().tolist()
        result["d_" + name] = x.grad.tolist()
    return result


def categorical_rows():
    rows = []
    for logits, other in CATEGORICAL:
        p, q = Categorical(logits=tensor(logits)), Categorical(logits=tensor(other))
        rows.append({
            "logits": exact(logits),
            "other_logits": exact(other),
            "log_prob": p.logits.tolist(),
            "entropy": float(p.entropy()),
            "kl_to_other": float(kl_divergence(p, q)),
        })
    return rows


def normal_rows():
    rows = []
    for mean, log_std, x, mean2, log_std2 in NORMAL:
        p = Normal(tensor(mean), tensor(log_std).exp())
        q = Normal(tensor(mean2), tensor(log_std2).exp())
        rows.append({
            "mean": exact(mean),
            "log_std": exact(log_std),
            "x": exact(x),
            "other_mean": exact(mean2),
            "other_log_std": exact(log_std2),
            "log_prob": float(p.log_prob(tensor(x)).sum()),
            "entropy": float(p.entropy().sum()),
            "kl_to_other": float(kl_divergence(p, q).sum()),
        })
    return rows


def squashed_rows():
    rows = []
    for mean, log_std, x in SQUASHED:
        squash = TanhTransform(cache_size=1)
        base = Normal(tensor(mean), tensor(log_std).exp())
        dist = TransformedDistribution(base, [squash])
        pre = tensor(x)
        action = squash(pre)
        rows.append({
            "mean": exact(mean),
            "log_std": exact(log_std),
            "pre_tanh": exact(x),
            "action": action.tolist(),
            "log_prob": float(dist.log_prob(action).sum()),
            "log_prob_base": float(base.log_prob(pre).sum()),
            "entropy_base": float(base.entropy().sum()),
        })
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--out", type=pathlib.Path, default=here.parent / "golden/act_torch.json")
    path = parser.parse_args().out

    notes = {
        "precision": "inputs are exact float32; arithmetic and results float64",
        "gelu_erf": "x * Phi(x) with the exact error function",
        "gelu_tanh": "0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))",
        "d_": "derivative with respect to x at the same points",
        "categorical": "log_prob lists every action; kl_to_other is KL(logits || other_logits)",
        "normal": "diagonal; log_prob, entropy and kl are sums over the dimensions",
        "tanh_normal": "action = tanh(pre_tanh); log_prob is that of the action, summed: the base "
                       "log_prob minus sum of log(1 - tanh(pre_tanh)^2), computed as "
                       "2 (log 2 - u - softplus(-2u)); no epsilon; entropy_base is that of the "
                       "normal before the squashing",
    }
    log_softmax = [
        {"x": exact(row), "log_softmax": torch.log_softmax(tensor(row), dim=0).tolist()}
        for row in SOFTMAX_ROWS
    ]

    def block(rows):
        return "[\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n]"

    grid = activations()
    lines = [
        '"torch": ' + json.dumps(torch.__version__),
        '"notes": {\n' + ",\n".join(
            "  %s: %s" % (json.dumps(k), json.dumps(v)) for k, v in notes.items()) + "\n}",
        '"activations": {\n' + ",\n".join(
            "  %s: %s" % (json.dumps(k), json.dumps(v)) for k, v in grid.items()) + "\n}",
        '"log_softmax": ' + block(log_softmax),
        '"categorical": ' + block(categorical_rows()),
        '"normal": ' + block(normal_rows()),
        '"tanh_normal": ' + block(squashed_rows()),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    json.loads(path.read_text(), parse_constant=lambda s: 1 / 0)
    print(path.name, path.stat().st_size, "bytes;", len(grid["x"]), "grid points")


if __name__ == "__main__":
    main()
