#!/usr/bin/env python3
"""Reference values for one PPO minibatch update, computed with PyTorch.

Usage: ppo_torch.py [--out DIR]      (default: ../golden next to this file)
Run by hand; the tests only read the JSON it writes (ppo_torch_{A,B,C,D,E}.json).

Separate tanh networks [16, 16] for actor and critic, a batch of 64 rows, five updates that each use
all 64 rows. Variants:
  A  discrete(3), obs 4, value clipping on
  B  diagonal Gaussian, 2 actions, obs 3, free log_std (one per dimension), value clipping on
  C  discrete(3) with an action mask, obs 4, value clipping off
  D  multi-discrete [3, 2], obs 4, value clipping off
  E  as A, but the KL-penalty loss instead of the clipped one, value clipping off
All inputs are exact float32 numbers. The arithmetic is float64; "float32_check" holds the largest
difference to the same run in float32, as a hint for tolerances. Numbers are printed with nine
significant digits, which identifies a float32.
"""
import argparse
import json
import pathlib

import numpy
import torch

ROWS = 64
HIDDEN = 16
UPDATES = 5
CLIP = 0.2
VALUE_CLIP = 0.2
VALUE_COEF = 0.5
ENTROPY_COEF = 0.01
MAX_GRAD_NORM = 0.5
LR = 3e-4
ADAM_EPS = 1e-5
BETA = 0.7
MASKED_LOGIT = -1e8

VARIANTS = {
    "A": dict(kind="discrete", obs=4, heads=[3], value_clip=True, penalty=False, seed=11),
    "B": dict(kind="gaussian", obs=3, actions=2, value_clip=True, penalty=False, seed=22),
    "C": dict(kind="discrete", obs=4, heads=[3], value_clip=False, penalty=False, seed=33,
              mask=True),
    "D": dict(kind="discrete", obs=4, heads=[3, 2], value_clip=False, penalty=False, seed=44),
    "E": dict(kind="discrete", obs=4, heads=[3], value_clip=False, penalty=True, seed=55),
}


def f32(array):
    """Round to float32 and return as a float64 array."""
    return numpy.asarray(array, dtype=numpy.float32).astype(numpy.float64)


def make_parameters(spec, rng):
    """Random weights in [in, out] layout, keyed actor.0.weight ... critic.2.bias (and log_std)."""
    out = spec["actions"] if spec["kind"] == "gaussian" else sum(spec["heads"])
    params = {}
    for name, last in (("actor", out), ("critic", 1)):
        sizes = [spec["obs"], HIDDEN, HIDDEN, last]
        for i in range(3):
            scale = 1.0 / numpy.sqrt(sizes[i])
            params["%s.%d.weight" % (name, i)] = f32(rng.normal(0, scale, (sizes[i], sizes[i + 1])))
            params["%s.%d.bias" % (name, i)] = f32(rng.normal(0, 0.1, sizes[i + 1]))
    if spec["kind"] == "gaussian":
        params["log_std"] = f32(numpy.full(out, -0.3))
    return params


def network(params, name, x):
    """tanh MLP; weights are [in, out], so y = x W + b."""
    x = torch.tanh(x @ params[name + ".0.weight"] + params[name + ".0.bias"])
    x = torch.tanh(x @ params[name + ".1.weight"] + params[name + ".1.bias"])
    return x @ params[name + ".2.weight"] + params[name + ".2.bias"]


def head_log_probs(spec, logits, mask):
    """Log-softmax per head; masked logits are replaced by MASKED_LOGIT first."""
    if mask is not None:
        logits = torch.where(mask, logits, torch.full_like(logits, MASKED_LOGIT))
    return [torch.log_softmax(part, dim=1) for part in torch.split(logits, spec["heads"], dim=1)]


def categorical_terms(spec, logits, mask, actions):
    """Sum over the heads of log-prob and entropy (0 log 0 counts as 0)."""
    logp, entropy = 0.0, 0.0
    for i, lp in enumerate(head_log_probs(spec, logits, mask)):
        p = lp.exp()
        logp = logp + lp.gather(1, actions[:, i : i + 1]).squeeze(1)
        entropy = entropy - torch.where(p > 0, p * lp, torch.zeros_like(p)).sum(1)
    return logp, entropy


def gaussian_terms(mean, log_std, actions):
    """Diagonal Gaussian log-prob and entropy, summed over the dimensions."""
    dist = torch.distributions.Normal(mean, log_std.exp().expand_as(mean))
    return dist.log_prob(actions).sum(1), dist.entropy().sum(1)


def make_batch(spec, params, rng):
    """Random rows; the old policy is the new one with perturbed outputs (ratios differ from 1)."""
    tensors = {k: torch.tensor(v) for k, v in params.items()}
    batch = {"obs": f32(rng.normal(0, 1, (ROWS, spec["obs"])))}
    obs = torch.tensor(batch["obs"])
    out = network(tensors, "actor", obs).numpy()
    if spec["kind"] == "gaussian":
        batch["old_mean"] = f32(out + rng.normal(0, 0.15, out.shape))
        batch["old_log_std"] = f32(params["log_std"] + rng.normal(0, 0.05, out.shape[1]))
        std = numpy.exp(batch["old_log_std"])
        batch["actions"] = f32(batch["old_mean"] + std * rng.normal(0, 1, out.shape))
        old = gaussian_terms(
            torch.tensor(batch["old_mean"]),
            torch.tensor(batch["old_log_std"]),
            torch.tensor(batch["actions"]),
        )[0]
    else:
        batch["old_logits"] = f32(out + rng.normal(0, 0.3, out.shape))
        mask = None
        if spec.get("mask"):
            table = rng.random(out.shape) < 0.6
            table[:4] = True
            table[4:8] = False
            for row in range(ROWS):
                if not table[row].any():
                    table[row, rng.integers(3)] = True
            batch["mask"] = table
            mask = torch.tensor(table)
        probs = [lp.exp().numpy() for lp in
                 head_log_probs(spec, torch.tensor(batch["old_logits"]), mask)]
        draws = [[rng.choice(p.shape[1], p=p[r] / p[r].sum()) for r in range(ROWS)] for p in probs]
        batch["actions"] = numpy.stack(draws, axis=1)
        old = categorical_terms(
            spec, torch.tensor(batch["old_logits"]), mask, torch.tensor(batch["actions"])
        )[0]
    batch["old_log_prob"] = f32(old.numpy())
    values = network(tensors, "critic", obs).squeeze(1).numpy()
    batch["old_values"] = f32(values + rng.normal(0, 0.2, ROWS))
    # Variant C stays close to its values so that the gradient norm is below the clipping limit.
    spread = 0.3 if spec.get("mask") else 1.5
    batch["returns"] = f32(values + rng.normal(0, spread, ROWS))
    batch["advantages"] = f32(rng.normal(0.3, 2.0, ROWS))
    return batch


def losses(spec, params, batch):
    """All loss terms of one minibatch as tensors."""
    value = network(params, "critic", batch["obs"]).squeeze(1)
    out = network(params, "actor", batch["obs"])
    if spec["kind"] == "gaussian":
        logp, entropy = gaussian_terms(out, params["log_std"], batch["actions"])
    else:
        logp, entropy = categorical_terms(spec, out, batch.get("mask"), batch["actions"])
    adv = batch["advantages"]
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    log_ratio = logp - batch["old_log_prob"]
    ratio = log_ratio.exp()
    result = {}
    if spec["penalty"]:
        policy = -(ratio * adv).mean()
        old = torch.log_softmax(batch["old_logits"], dim=1)
        kl = (old.exp() * (old - torch.log_softmax(out, dim=1))).sum(1).mean()
        result["kl"] = kl
    else:
        policy = -torch.min(ratio * adv, ratio.clamp(1 - CLIP, 1 + CLIP) * adv).mean()
        kl = None
    predicted = value
    if spec["value_clip"]:
        old_v = batch["old_values"]
        predicted = old_v + (value - old_v).clamp(-VALUE_CLIP, VALUE_CLIP)
    value_loss = torch.nn.functional.mse_loss(batch["returns"], predicted)
    total = policy + VALUE_COEF * value_loss - ENTROPY_COEF * entropy.mean()
    if kl is not None:
        total = total + BETA * kl
    result.update(
        total_loss=total,
        policy_loss=policy,
        value_loss=value_loss,
        entropy=entropy.mean(),
        approx_kl=((ratio - 1) - log_ratio).mean(),
        clip_fraction=((ratio - 1).abs() > CLIP).to(ratio.dtype).mean(),
    )
    rows = {"actor_output": out, "value": value, "log_prob": logp, "entropy": entropy,
            "ratio": ratio, "advantage_normalised": adv}
    return result, rows


def run(spec, params, batch, dtype):
    """Five updates; returns per-update scalars, rows and gradients of the first, final weights."""
    params = {k: torch.tensor(v, dtype=dtype, requires_grad=True) for k, v in params.items()}
    tensors = {}
    for key, array in batch.items():
        kind = dtype if array.dtype == numpy.float64 else None
        tensors[key] = torch.tensor(array, dtype=kind)
    optimizer = torch.optim.Adam(list(params.values()), lr=LR, eps=ADAM_EPS)
    updates = []
    for step in range(UPDATES):
        terms, rows = losses(spec, params, tensors)
        optimizer.zero_grad()
        terms["total_loss"].backward()
        if step == 0:
            first_rows = {k: v.detach().double().numpy().copy() for k, v in rows.items()}
            grads = {k: v.grad.double().numpy().copy() for k, v in params.items()}
        norm = torch.nn.utils.clip_grad_norm_(list(params.values()), MAX_GRAD_NORM)
        optimizer.step()
        scalars = {k: float(v.detach()) for k, v in terms.items()}
        scalars["grad_norm"] = float(norm)
        updates.append(scalars)
    final = {k: v.detach().double().numpy().copy() for k, v in params.items()}
    return updates, first_rows, grads, final


def plain(value):
    """Arrays to nested lists, floats rounded to nine significant digits."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, numpy.ndarray):
        if value.dtype == bool:
            return plain(value.astype(int).tolist())
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return float("%.9g" % value)
    return value


def write(path, data):
    """JSON with one line per key of the top level, and per entry of the groups below it."""
    lines = []
    for key, value in data.items():
        if isinstance(value, dict):
            inner = ",\n".join(
                "  %s: %s" % (json.dumps(k), json.dumps(v)) for k, v in value.items()
            )
            lines.append("%s: {\n%s\n}" % (json.dumps(key), inner))
        elif key == "updates":
            inner = ",\n".join("  " + json.dumps(v) for v in value)
            lines.append("%s: [\n%s\n]" % (json.dumps(key), inner))
        else:
            lines.append("%s: %s" % (json.dumps(key), json.dumps(value)))
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def difference(a, b):
    """Largest absolute difference over two dictionaries of arrays."""
    return max(float(numpy.abs(a[k] - b[k]).max()) for k in a)


def make(name, spec, folder):
    """Compute and write one variant."""
    rng = numpy.random.default_rng(spec["seed"])
    params = make_parameters(spec, rng)
    batch = make_batch(spec, params, rng)
    updates, rows, grads, final = run(spec, params, batch, torch.float64)
    updates32, rows32, grads32, final32 = run(spec, params, batch, torch.float32)
    action_space = {"discrete": "multi_discrete" if len(spec.get("heads", [])) > 1 else "discrete",
                    "gaussian": "box"}[spec["kind"]]
    loss = "policy + value_coef * value - entropy_coef * entropy"
    if spec["penalty"]:
        policy = "-mean(ratio * adv)"
        loss += " + beta * kl, kl = mean over rows of KL(old || new), full distributions"
    else:
        policy = "-mean(min(ratio * adv, clip(ratio, 1 - clip, 1 + clip) * adv))"
    if spec["value_clip"]:
        value = "mean((returns - (old_values + clamp(v - old_values, -value_clip, value_clip)))^2)"
    else:
        value = "mean((returns - v)^2)"
    info = {
        "file": "PPO reference, variant " + name,
        "torch": torch.__version__,
        "layout": "weights are [in][out] (PyTorch's own are [out][in]): y = x W + b; "
                  "layers 0 and 1 are followed by tanh, layer 2 is linear",
        "precision": "inputs are exact float32; arithmetic float64; nine significant digits",
        "shapes": {
            "obs": spec["obs"], "hidden": [HIDDEN, HIDDEN], "rows": ROWS,
            "action_space": action_space,
            "actor_out": spec["actions"] if spec["kind"] == "gaussian" else sum(spec["heads"]),
            "heads": spec.get("heads", []),
            "action_dim": spec.get("actions", len(spec.get("heads", []))),
            "masked": bool(spec.get("mask")),
        },
        "config": {
            "loss": "penalty" if spec["penalty"] else "clip",
            "clip": CLIP, "value_coef": VALUE_COEF, "entropy_coef": ENTROPY_COEF,
            "value_clip": VALUE_CLIP if spec["value_clip"] else None,
            "beta": BETA if spec["penalty"] else None,
            "max_grad_norm": MAX_GRAD_NORM, "lr": LR,
            "adam_beta1": 0.9, "adam_beta2": 0.999, "adam_eps": ADAM_EPS,
            "updates": UPDATES, "rows_per_update": ROWS,
        },
        "definitions": {
            "total_loss": loss,
            "policy_loss": policy,
            "value_loss": value,
            "adv": "(a - mean(a)) / (std(a) + 1e-8), std divides by n - 1",
            "entropy": "mean over rows, summed over heads or dimensions",
            "approx_kl": "mean((ratio - 1) - log ratio)",
            "clip_fraction": "share of rows with |ratio - 1| > clip",
            "grad_norm": "2-norm over all parameters before clipping; then every gradient is "
                         "scaled by min(1, max_grad_norm / (grad_norm + 1e-6))",
            "adam": "p -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)",
            "mask": "1 = allowed; masked logits are replaced by -1e8 before the softmax",
            "actions": "discrete: one index per head; box: raw action",
            "each_update": "scalars are those of the forward pass before that update's step; "
                           "first_rows and first_gradients (unclipped) belong to update 1, "
                           "final_parameters follow update %d" % UPDATES,
        },
        "float32_check": {
            "scalars": max(abs(a[k] - b[k]) for a, b in zip(updates, updates32) for k in a),
            "first_gradients": difference(grads, grads32),
            "first_rows": difference(rows, rows32),
            "final_parameters": difference(final, final32),
        },
        "parameters": params,
        "batch": batch,
        "updates": updates,
        "first_rows": rows,
        "first_gradients": grads,
        "final_parameters": final,
    }
    path = folder / ("ppo_torch_%s.json" % name)
    write(path, plain(info))
    print(name, path.stat().st_size, "bytes;", {k: round(v, 5) for k, v in updates[0].items()},
          {k: "%.1e" % v for k, v in info["float32_check"].items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--out", type=pathlib.Path, default=here.parent / "golden")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name, spec in VARIANTS.items():
        make(name, spec, folder)


if __name__ == "__main__":
    main()
