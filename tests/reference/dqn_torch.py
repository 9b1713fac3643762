#!/usr/bin/env python3
"""Reference values for the first updates of DQN, computed with PyTorch.

Usage: dqn_torch.py [--out DIR]      (default: ../golden next to this file)
Run by hand; the tests only read the JSON it writes (dqn_torch_{A,B,C,D}.json).

A memory of 48 steps of one environment (obs 4, actions 3) with terminated and truncated episodes, online
and target networks [16, 16] with different weights, three updates on 32 transitions each, the target
network following after the second. Variants:
  A  plain: Huber loss, hard copy of the target
  B  double + duelling: squared loss, soft target, gradient clipped
  C  three-step returns, prioritised: importance weights from the errors of earlier updates, double
  D  masked actions, two-step returns
All inputs are exact float32 numbers. The arithmetic is float64; "float32_check" holds the largest
difference to the same run in float32, as a hint for tolerances. Numbers are printed with nine
significant digits, which identifies a float32.
"""
import argparse
import json
import pathlib

import numpy
import torch

STEPS = 48
BATCH = 32
OBS = 4
ACTIONS = 3
HIDDEN = 16
UPDATES = 3
FOLLOW_AFTER = 2
SMALLEST_ERROR = 1e-6

VARIANTS = {
    "A": dict(double=False, dueling=False, n_step=1, prioritized=False, mask=False, loss="huber",
              tau=1.0, max_grad_norm=10.0, lr=1e-3, seed=11),
    "B": dict(double=True, dueling=True, n_step=1, prioritized=False, mask=False, loss="mse",
              tau=0.25, max_grad_norm=0.5, lr=1e-3, seed=22),
    "C": dict(double=True, dueling=False, n_step=3, prioritized=True, mask=False, loss="huber",
              tau=1.0, max_grad_norm=10.0, lr=3e-3, seed=33),
    "D": dict(double=False, dueling=False, n_step=2, prioritized=False, mask=True, loss="huber",
              tau=1.0, max_grad_norm=10.0, lr=1e-3, seed=44),
}
GAMMA = 0.97
ALPHA = 0.6
BETA = 0.5
ADAM_EPS = 1e-8


def f32(array):
    """Round to float32 and return as a float64 array."""
    return numpy.asarray(array, dtype=numpy.float32).astype(numpy.float64)


def make_parameters(spec, rng):
    """Random weights in [in, out] layout, keyed as the layers are named."""
    layers = [("actor.0", OBS, HIDDEN), ("actor.1", HIDDEN, HIDDEN)]
    if spec["dueling"]:
        layers += [("advantage.0", HIDDEN, ACTIONS), ("value.0", HIDDEN, 1)]
    else:
        layers += [("actor.2", HIDDEN, ACTIONS)]
    params = {}
    for name, inputs, outputs in layers:
        scale = 1.5 / numpy.sqrt(inputs)
        params[name + ".weight"] = f32(rng.normal(0, scale, (inputs, outputs)))
        params[name + ".bias"] = f32(rng.normal(0, 0.2, outputs))
    return params


def make_memory(spec, rng):
    """48 steps; next_obs is the final observation where an episode ended, and next_mask its mask."""
    end = rng.random(STEPS)
    memory = dict(
        obs=f32(rng.normal(0, 1, (STEPS, OBS))),
        next_obs=f32(rng.normal(0, 1, (STEPS, OBS))),
        action=rng.integers(0, ACTIONS, STEPS),
        reward=f32(rng.normal(0, 1.5, STEPS)),
        terminated=(end < 0.1).astype(numpy.int64),
        truncated=((end >= 0.05) & (end < 0.2)).astype(numpy.int64),
    )
    mask = (rng.random((STEPS + 1, ACTIONS)) < 0.5).astype(numpy.int64)
    mask[numpy.arange(STEPS + 1), rng.integers(0, ACTIONS, STEPS + 1)] = 1
    if not spec["mask"]:
        mask[:] = 1
    for t in range(STEPS - 1):
        if not memory["terminated"][t] and not memory["truncated"][t]:
            memory["next_obs"][t] = memory["obs"][t + 1]
    memory["first_mask"] = mask[0]
    memory["mask_after"] = mask[1:]  # of the observation that is acted on next
    final_mask = mask[rng.permutation(STEPS)]
    done = (memory["terminated"] | memory["truncated"])[:, None]
    memory["next_mask"] = numpy.where(done, final_mask, mask[1:])  # of next_obs
    return memory


def n_step_batch(memory, index, n):
    """Return, discount, next observation and its mask for each transition."""
    rewards, discounts, nexts, masks = [], [], [], []
    for t in index:
        total, factor = 0.0, 1.0
        for k in range(n):
            at = t + k
            total += factor * memory["reward"][at]
            factor *= GAMMA
            done = memory["terminated"][at] or memory["truncated"][at]
            if done or at == STEPS - 1:
                break
        rewards.append(total)
        discounts.append(0.0 if memory["terminated"][at] else factor)
        nexts.append(memory["next_obs"][at])
        masks.append(memory["next_mask"][at])
    return (numpy.array(rewards), numpy.array(discounts), numpy.array(nexts), numpy.array(masks))


def network(params, x, dueling):
    x = torch.relu(x @ params["actor.0.weight"] + params["actor.0.bias"])
    x = torch.relu(x @ params["actor.1.weight"] + params["actor.1.bias"])
    if not dueling:
        return x @ params["actor.2.weight"] + params["actor.2.bias"]
    advantage = x @ params["advantage.0.weight"] + params["advantage.0.bias"]
    value = x @ params["value.0.weight"] + params["value.0.bias"]
    return value + advantage - advantage.mean(1, keepdim=True)


def run(spec, memory, online, target, batches, dtype):
    """Three updates; everything that the test compares."""
    def tensor(array):
        return torch.tensor(numpy.asarray(array), dtype=dtype)
    online = {k: tensor(v).requires_grad_() for k, v in online.items()}
    target = {k: tensor(v) for k, v in target.items()}
    optimizer = torch.optim.Adam(online.values(), lr=spec["lr"], eps=ADAM_EPS)
    priority = numpy.ones(STEPS)
    updates, gradients = [], None
    for number, index in enumerate(batches):
        reward, discount, next_obs, mask = n_step_batch(memory, index, spec["n_step"])
        weight = (priority[index].min() / priority[index]) ** (BETA if spec["prioritized"] else 0)
        action = torch.tensor(memory["action"][index])[:, None]
        with torch.no_grad():
            old = network(target, tensor(next_obs), spec["dueling"])
            chooser = network(online, tensor(next_obs), spec["dueling"]) if spec["double"] else old
            best = chooser.masked_fill(torch.tensor(mask) == 0, -torch.inf).argmax(1, keepdim=True)
            y = tensor(reward) + tensor(discount) * old.gather(1, best)[:, 0]
        q = network(online, tensor(memory["obs"][index]), spec["dueling"]).gather(1, action)[:, 0]
        if spec["loss"] == "huber":
            each = torch.nn.functional.smooth_l1_loss(q, y, reduction="none")
        else:
            each = torch.nn.functional.mse_loss(q, y, reduction="none")
        loss = (tensor(weight) * each).mean()
        optimizer.zero_grad()
        loss.backward()
        if gradients is None:
            gradients = {k: v.grad.detach().clone().numpy() for k, v in online.items()}
        norm = torch.nn.utils.clip_grad_norm_(online.values(), spec["max_grad_norm"])
        optimizer.step()
        error = (y - q).detach().numpy().astype(numpy.float64)
        if spec["prioritized"]:
            priority[index] = (numpy.abs(error) + SMALLEST_ERROR) ** ALPHA
        updates.append(dict(loss=loss.item(), q_mean=q.mean().item(), grad_norm=norm.item(),
                            td_error=float(numpy.abs(error).mean()), error=error, weight=weight))
        if number + 1 == FOLLOW_AFTER:
            for k in target:
                target[k] += spec["tau"] * (online[k].detach() - target[k])
    return dict(updates=updates, first_gradients=gradients,
                final_parameters={k: v.detach().numpy() for k, v in online.items()},
                final_target={k: v.numpy() for k, v in target.items()}, priority=priority)


def numbers(value):
    """Nested lists with nine significant digits."""
    if isinstance(value, dict):
        return {k: numbers(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [numbers(v) for v in value]
    if isinstance(value, numpy.ndarray):
        return numbers(value.tolist())
    return float("%.9g" % value) if isinstance(value, float) else value


def largest_difference(a, b):
    if isinstance(a, dict):
        return max(largest_difference(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return max(largest_difference(x, y) for x, y in zip(a, b))
    return float(numpy.abs(numpy.asarray(a) - numpy.asarray(b)).max())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent / "golden")
    out = parser.parse_args().out
    for name, spec in VARIANTS.items():
        rng = numpy.random.default_rng(spec["seed"])
        online, target = make_parameters(spec, rng), make_parameters(spec, rng)
        memory = make_memory(spec, rng)
        # without the same transition twice: which priority counts then is no matter of the method
        batches = [numpy.sort(rng.permutation(STEPS)[:BATCH]) for _ in range(UPDATES)]
        result = run(spec, memory, online, target, batches, torch.float64)
        check = run(spec, memory, online, target, batches, torch.float32)
        text = dict(
            source="dqn_torch.py %s, PyTorch %s" % (name, torch.__version__),
            config=dict(spec, gamma=GAMMA, alpha=ALPHA, beta=BETA, adam_eps=ADAM_EPS, steps=STEPS,
                        batch=BATCH, follow_after=FOLLOW_AFTER),
            memory=memory, parameters=online, target=target, batches=batches, **result,
            float32_check=largest_difference(result, check))
        path = out / ("dqn_torch_%s.json" % name)
        path.write_text(json.dumps(numbers(text), separators=(",", ":")).replace("],", "],\n") + "\n")
        print(path.name, path.stat().st_size, "bytes, float32 differs by %.2g" % text["float32_check"],
              "losses", [round(u["loss"], 4) for u in result["updates"]],
              "norms", [round(u["grad_norm"], 3) for u in result["updates"]])


if __name__ == "__main__":
    main()
