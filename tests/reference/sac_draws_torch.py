#!/usr/bin/env python3
"""Reference values for the first updates of SAC, computed with PyTorch.

Usage: sac_draws_torch.py [--out DIR]      (default: ../golden next to this file)
Run by hand; the tests only read the JSON it writes (sac_draws_torch_{A,B,C,D}.json).

A memory of 24 steps of one environment (obs 3, actions 2) with terminated and truncated episodes, an
actor and two critics [8, 8], targets with weights of their own, three updates on 6 transitions each.
Transitions are drawn and noise is made as the engine does it: words of Philox 4x32-10 keyed by seed,
stream, number of the update and row; noise by Box-Muller. Variants:
  A  price learned
  B  price learned, three-step returns, gradients clipped, some deviations at their upper limit
  C  price fixed, critics learn twice as fast
  D  price fixed, three-step returns, tanh layers
All inputs are exact float32 numbers. The arithmetic is float64; "float32_check" holds the largest
difference to the same run in float32, as a hint for tolerances. Numbers are printed with nine
significant digits, which identifies a float32.
"""
import argparse
import json
import math
import pathlib

import numpy
import torch

STEPS = 24
BATCH = 6
OBS = 3
ACTIONS = 2
HIDDEN = 8
UPDATES = 3
GAMMA = 0.97
ADAM_EPS = 1e-8
LOG_STD = (-20.0, 2.0)
TARGET_STREAM, ACTOR_STREAM, SAMPLE_STREAM = 1, 2, 0x5245504C

VARIANTS = {
    "A": dict(auto=True, n_step=1, ent_coef=0.4, target_entropy=-2.0, tau=0.25, max_grad_norm=0.0,
              lr=1e-3, critic_rate=1.0, activation="relu", seed=11, wide=-1.0),
    "B": dict(auto=True, n_step=3, ent_coef=0.2, target_entropy=0.5, tau=0.1, max_grad_norm=0.5,
              lr=3e-3, critic_rate=1.0, activation="relu", seed=0x123456789ABC, wide=3.0),
    "C": dict(auto=False, n_step=1, ent_coef=0.3, target_entropy=-2.0, tau=0.005, max_grad_norm=0.0,
              lr=1e-3, critic_rate=2.0, activation="relu", seed=33, wide=-1.0),
    "D": dict(auto=False, n_step=3, ent_coef=0.7, target_entropy=-2.0, tau=1.0, max_grad_norm=0.0,
              lr=1e-3, critic_rate=1.0, activation="tanh", seed=44, wide=-1.0),
}


def f32(array):
    """Round to float32 and return as a float64 array."""
    return numpy.asarray(array, dtype=numpy.float32).astype(numpy.float64)


# ---- random numbers ------------------------------------------------------------------------------------


def philox(key, low, high):
    """Four words of Philox 4x32-10."""
    c = [low & 0xFFFFFFFF, low >> 32, high & 0xFFFFFFFF, high >> 32]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(q >> 32) ^ c[1] ^ k[0], q & 0xFFFFFFFF, (p >> 32) ^ c[3] ^ k[1], p & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def normals(seed, stream, step):
    """Noise for every row and action: pairs by Box and Muller (1958)."""
    noise = numpy.empty((BATCH, ACTIONS))
    for row in range(BATCH):
        word = philox(seed, row << 32, step | stream << 48)
        radius = math.sqrt(-2 * math.log(((word[0] >> 8) + 1) / 2**24))
        angle = 2 * math.pi * (word[1] >> 8) / 2**24
        noise[row] = radius * math.cos(angle), radius * math.sin(angle)
    return noise


def draw(seed, step):
    """Transitions of an update, uniform over the memory."""
    index = []
    for i in range(BATCH):
        word = philox(seed, i // 2, step | SAMPLE_STREAM << 32)
        low, high = word[2 * (i % 2)], word[2 * (i % 2) + 1]
        index.append((low | high << 32) * STEPS >> 64)
    return index


# ---- inputs --------------------------------------------------------------------------------------------


def make_parameters(names, inputs, outputs, rng):
    """Random weights in [in, out] layout, keyed as the layers are named."""
    params = {}
    for name in names:
        sizes = [inputs, HIDDEN, HIDDEN, outputs]
        for k in range(3):
            scale = 1.2 / numpy.sqrt(sizes[k])
            params["%s.%d.weight" % (name, k)] = f32(rng.normal(0, scale, (sizes[k], sizes[k + 1])))
            params["%s.%d.bias" % (name, k)] = f32(rng.normal(0, 0.2, sizes[k + 1]))
    return params


def make_memory(rng):
    """24 steps; next_obs is the final observation where an episode ended."""
    end = rng.random(STEPS)
    memory = dict(
        obs=f32(rng.normal(0, 1, (STEPS, OBS))),
        next_obs=f32(rng.normal(0, 1, (STEPS, OBS))),
        action=f32(rng.uniform(-1, 1, (STEPS, ACTIONS))),
        reward=f32(rng.normal(0, 1.5, STEPS)),
        terminated=(end < 0.3).astype(numpy.int64),
        truncated=((end >= 0.25) & (end < 0.4)).astype(numpy.int64),
    )
    for t in range(STEPS - 1):
        if not memory["terminated"][t] and not memory["truncated"][t]:
            memory["next_obs"][t] = memory["obs"][t + 1]
    return memory


def n_step_batch(memory, index, n):
    """Return, discount and next observation for each transition."""
    rewards, discounts, nexts = [], [], []
    for t in index:
        total, factor = 0.0, 1.0
        for k in range(n):
            at = t + k
            total += factor * memory["reward"][at]
            factor *= GAMMA
            if memory["terminated"][at] or memory["truncated"][at] or at == STEPS - 1:
                break
        rewards.append(total)
        discounts.append(0.0 if memory["terminated"][at] else factor)
        nexts.append(memory["next_obs"][at])
    return numpy.array(rewards), numpy.array(discounts), numpy.array(nexts)


# ---- the method ----------------------------------------------------------------------------------------


def network(params, name, x, activation):
    f = torch.relu if activation == "relu" else torch.tanh
    for k in range(2):
        x = f(x @ params["%s.%d.weight" % (name, k)] + params["%s.%d.bias" % (name, k)])
    return x @ params[name + ".2.weight"] + params[name + ".2.bias"]


def sample(actor, obs, noise, activation):
    """Action and log-density: torch's own squashed normal, evaluated where it was drawn."""
    mean, log_std = network(actor, "actor", obs, activation).chunk(2, dim=1)
    log_std = log_std.clamp(*LOG_STD)
    base = torch.distributions.Normal(mean, log_std.exp())
    u = mean + log_std.exp() * noise
    squash = torch.distributions.transforms.TanhTransform()
    action = squash(u)
    logp = base.log_prob(u) - squash.log_abs_det_jacobian(u, action)
    return action, logp.sum(1), log_std


def critics(params, obs, action, activation):
    x = torch.cat([obs, action], 1)
    return [network(params, name, x, activation)[:, 0] for name in ("q0", "q1")]


def descend(loss, params, optimizer, clip):
    """One step; gradients before the clip, and their norm."""
    optimizer.zero_grad()
    loss.backward()
    gradients = {k: v.grad.detach().clone().numpy() for k, v in params.items()}
    norm = torch.nn.utils.clip_grad_norm_(params.values(), clip if clip > 0 else math.inf).item()
    optimizer.step()
    return gradients, norm


def snapshot(params):
    return {k: v.detach().clone().numpy() for k, v in params.items()}


def run(spec, memory, actor, online, target, dtype):
    """Three updates; everything that the test compares."""
    def tensor(array):
        return torch.tensor(numpy.asarray(array), dtype=dtype)
    actor = {k: tensor(v).requires_grad_() for k, v in actor.items()}
    online = {k: tensor(v).requires_grad_() for k, v in online.items()}
    target = {k: tensor(v) for k, v in target.items()}
    log_alpha = tensor(math.log(spec["ent_coef"])).requires_grad_()
    rate, kind = spec["lr"], spec["activation"]
    actor_adam = torch.optim.Adam(actor.values(), lr=rate, eps=ADAM_EPS)
    critic_adam = torch.optim.Adam(online.values(), lr=rate * spec["critic_rate"], eps=ADAM_EPS)
    price_adam = torch.optim.Adam([log_alpha], lr=rate, eps=ADAM_EPS)
    updates, limited = [], 0
    for number in range(UPDATES):
        index = draw(spec["seed"], number)
        reward, discount, next_obs = n_step_batch(memory, index, spec["n_step"])
        obs, action = tensor(memory["obs"][index]), tensor(memory["action"][index])
        alpha = log_alpha.exp().detach()
        with torch.no_grad():
            noise = tensor(normals(spec["seed"], TARGET_STREAM, number))
            drawn, next_logp, log_std = sample(actor, tensor(next_obs), noise, kind)
            follows = torch.minimum(*critics(target, tensor(next_obs), drawn, kind))
            y = tensor(reward) + tensor(discount) * (follows - alpha * next_logp)
            limited += int((log_std == LOG_STD[1]).sum())
        q = critics(online, obs, action, kind)
        critic_loss = 0.5 * sum(torch.nn.functional.mse_loss(each, y) for each in q)
        critic_grads, critic_norm = descend(critic_loss, online, critic_adam, spec["max_grad_norm"])
        mine, logp, _ = sample(actor, obs, tensor(normals(spec["seed"], ACTOR_STREAM, number)), kind)
        actor_loss = (alpha * logp - torch.minimum(*critics(online, obs, mine, kind))).mean()
        actor_grads, actor_norm = descend(actor_loss, actor, actor_adam, spec["max_grad_norm"])
        if spec["auto"]:
            price_adam.zero_grad()
            (-log_alpha * (logp.detach().mean() + spec["target_entropy"])).backward()
            price_adam.step()
        for k in target:
            target[k] += spec["tau"] * (online[k].detach() - target[k])
        updates.append(dict(
            index=index, discount=discount, next_action=drawn.numpy(), next_logp=next_logp.numpy(),
            y=y.numpy(), critic_loss=critic_loss.item(), actor_loss=actor_loss.item(),
            q_mean=((q[0] + q[1]) / 2).mean().item(), entropy=-logp.mean().item(),
            critic_norm=critic_norm, actor_norm=actor_norm, log_alpha=log_alpha.item(),
            actor=snapshot(actor), online=snapshot(online), target=snapshot(target)))
        if number == 0:
            first = dict(first_critic_gradients=critic_grads, first_actor_gradients=actor_grads)
    ends = sum(int((u["discount"] == 0).sum()) for u in updates)
    assert 2 <= ends <= 12, "too few or too many ends in the batches: %d" % ends
    assert (limited > 0) == (spec["wide"] > 0), "deviations at their limit: %d" % limited
    return dict(updates=updates, **first)


# ---- output --------------------------------------------------------------------------------------------


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
    return float(numpy.max(numpy.abs(numpy.asarray(a, dtype=float) - numpy.asarray(b, dtype=float))))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent / "golden")
    out = parser.parse_args().out
    for name, spec in VARIANTS.items():
        rng = numpy.random.default_rng(spec["seed"])
        actor = make_parameters(["actor"], OBS, 2 * ACTIONS, rng)
        actor["actor.2.bias"][ACTIONS] += spec["wide"]
        online = make_parameters(["q0", "q1"], OBS + ACTIONS, 1, rng)
        target = make_parameters(["q0", "q1"], OBS + ACTIONS, 1, rng)
        memory = make_memory(rng)
        result = run(spec, memory, actor, online, target, torch.float64)
        check = run(spec, memory, actor, online, target, torch.float32)
        text = dict(
            source="sac_draws_torch.py %s, PyTorch %s" % (name, torch.__version__),
            config=dict(spec, gamma=GAMMA, adam_eps=ADAM_EPS), memory=memory, actor=actor, online=online,
            target=target, **result, float32_check=largest_difference(result, check))
        path = out / ("sac_draws_torch_%s.json" % name)
        path.write_text(json.dumps(numbers(text), separators=(",", ":")).replace("],", "],\n") + "\n")
        print(path.name, path.stat().st_size, "bytes, float32 differs by %.2g" % text["float32_check"],
              "losses", [round(u["critic_loss"], 4) for u in result["updates"]],
              [round(u["actor_loss"], 4) for u in result["updates"]],
              "norms", [round(u["critic_norm"], 3) for u in result["updates"]],
              [round(u["actor_norm"], 3) for u in result["updates"]])


if __name__ == "__main__":
    main()
