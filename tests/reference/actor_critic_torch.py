#!/usr/bin/env python3
"""Reference values for the first updates of SAC, TD3 and DDPG, computed with PyTorch.

Usage: actor_critic_torch.py [--out DIR]      (default: ../golden next to this file)
Run by hand; the tests only read the JSON it writes ({sac,sac_fixed,td3,ddpg}_torch.json).

A memory of 20 transitions (obs 3, actions 2), some of them terminated, networks [8, 8], three updates on 8
transitions each with given noise. The arithmetic is float64 on inputs that are exact float32 numbers; printed with
nine significant digits.
"""
import argparse
import json
import math
import pathlib

import numpy
import torch

STEPS, BATCH, OBS, ACTIONS, HIDDEN, UPDATES = 20, 8, 3, 2, 8, 3
GAMMA, TAU, RATE, EPS = 0.97, 0.1, 3e-3, 1e-8
VARIANTS = {
    "sac": dict(auto=True, ent_coef=0.3, critics=2, seed=1),
    "sac_fixed": dict(auto=False, ent_coef=0.2, critics=2, seed=2),
    "td3": dict(critics=2, delay=2, noise=0.2, clip=0.3, seed=3),
    "ddpg": dict(critics=1, delay=1, noise=0.0, clip=0.0, seed=4),
}


def f32(x):
    return numpy.asarray(x, dtype=numpy.float32).astype(numpy.float64)


def network(name, sizes, rng):
    out = {}
    for k, (i, o) in enumerate(zip(sizes[:-1], sizes[1:])):
        out[f"{name}.{k}.weight"] = f32(rng.normal(0, 1.3 / math.sqrt(i), (i, o)))
        out[f"{name}.{k}.bias"] = f32(rng.normal(0, 0.2, o))
    return out


def run_network(p, name, x):
    for k in range(3):
        x = x @ p[f"{name}.{k}.weight"] + p[f"{name}.{k}.bias"]
        x = torch.relu(x) if k < 2 else x
    return x


def q_of(p, count, s, a):
    return torch.stack([run_network(p, f"q{k}", torch.cat([s, a], 1))[:, 0] for k in range(count)], 1)


def squashed(p, s, noise):
    """Action and log-density of tanh(mean + sigma noise), with the change of variables written out."""
    mean, log_std = run_network(p, "actor", s).chunk(2, 1)
    log_std = log_std.clamp(-20, 2)
    u = mean + log_std.exp() * noise
    logp = (-0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(1)
    return torch.tanh(u), logp - torch.log(1 - torch.tanh(u) ** 2).sum(1)


def norm(params):
    return math.sqrt(sum((p.grad**2).sum().item() for p in params))


def step(optimizer, loss, params):
    optimizer.zero_grad()
    grads = torch.autograd.grad(loss, list(params.values()))
    for p, g in zip(params.values(), grads):
        p.grad = g
    size = norm(params.values())
    optimizer.step()
    return size


def blend(target, online):
    for k in target:
        target[k] = target[k] + TAU * (online[k].detach() - target[k])


def sac(spec, actor, critic, memory, batches, noise):
    target = {k: v.detach().clone() for k, v in critic.items()}
    log_alpha = torch.tensor(math.log(spec["ent_coef"]), dtype=torch.float64, requires_grad=True)
    optimizers = [torch.optim.Adam(x, lr=RATE, eps=EPS) for x in (actor.values(), critic.values(), [log_alpha])]
    updates = []
    for index, draws in zip(batches, noise):
        s, a, r, n, end = (m[index] for m in memory)
        alpha = log_alpha.exp().item()
        with torch.no_grad():
            a2, logp2 = squashed(actor, n, draws[0])
            y = r + GAMMA * (1 - end) * (q_of(target, 2, n, a2).min(1).values - alpha * logp2)
        q = q_of(critic, 2, s, a)
        loss = 0.5 * ((q - y[:, None]) ** 2).sum(1).mean()
        critic_norm = step(optimizers[1], loss, critic)
        drawn, logp = squashed(actor, s, draws[1])
        actor_loss = (alpha * logp - q_of(critic, 2, s, drawn).min(1).values).mean()
        actor_norm = step(optimizers[0], actor_loss, actor)
        if spec["auto"]:
            optimizers[2].zero_grad()
            (-(log_alpha * (logp.detach().mean() - ACTIONS))).backward()
            optimizers[2].step()
        blend(target, critic)
        updates.append(dict(critic_loss=loss.item(), actor_loss=actor_loss.item(), q_mean=q.mean().item(),
                            entropy=-logp.mean().item(), critic_norm=critic_norm, actor_norm=actor_norm,
                            log_alpha=log_alpha.item()))
    return dict(updates=updates, final_actor=actor, final_online=critic, final_target=target)


def deterministic(spec, actor, critic, memory, batches, noise):
    target = {k: v.detach().clone() for k, v in critic.items()}
    old = {k: v.detach().clone() for k, v in actor.items()}
    optimizers = [torch.optim.Adam(x, lr=RATE, eps=EPS) for x in (actor.values(), critic.values())]
    updates = []
    for number, (index, draws) in enumerate(zip(batches, noise)):
        s, a, r, n, end = (m[index] for m in memory)
        with torch.no_grad():
            blur = (draws[0] * spec["noise"]).clamp(-spec["clip"], spec["clip"])
            a2 = (torch.tanh(run_network(old, "actor", n)) + blur).clamp(-1, 1)
            y = r + GAMMA * (1 - end) * q_of(target, spec["critics"], n, a2).min(1).values
        q = q_of(critic, spec["critics"], s, a)
        loss = ((q - y[:, None]) ** 2).sum(1).mean()
        record = dict(critic_loss=loss.item(), q_mean=q.mean().item(),
                      critic_norm=step(optimizers[1], loss, critic))
        if (number + 1) % spec["delay"] == 0:
            actor_loss = -q_of(critic, spec["critics"], s, torch.tanh(run_network(actor, "actor", s)))[:, 0].mean()
            record.update(actor_loss=actor_loss.item(), actor_norm=step(optimizers[0], actor_loss, actor))
            blend(target, critic)
            blend(old, actor)
        updates.append(record)
    return dict(updates=updates, final_actor=actor, final_online=critic, final_target=target, final_old=old)


def numbers(value):
    """Nested lists with nine significant digits."""
    if isinstance(value, dict):
        return {k: numbers(v) for k, v in value.items()}
    if isinstance(value, torch.Tensor):
        return numbers(value.detach().numpy().tolist())
    if isinstance(value, numpy.ndarray):
        return numbers(value.tolist())
    if isinstance(value, (list, tuple)):
        return [numbers(v) for v in value]
    return float("%.9g" % value) if isinstance(value, float) else value


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent / "golden")
    out = parser.parse_args().out
    for name, spec in VARIANTS.items():
        rng = numpy.random.default_rng(spec["seed"])
        outputs = 2 * ACTIONS if name.startswith("sac") else ACTIONS
        actor = network("actor", (OBS, HIDDEN, HIDDEN, outputs), rng)
        critic = {}
        for k in range(spec["critics"]):
            critic.update(network(f"q{k}", (OBS + ACTIONS, HIDDEN, HIDDEN, 1), rng))
        memory = [f32(rng.normal(0, 1, (STEPS, OBS))), f32(rng.uniform(-1, 1, (STEPS, ACTIONS))),
                  f32(rng.normal(0, 1.5, STEPS)), f32(rng.normal(0, 1, (STEPS, OBS))),
                  (rng.random(STEPS) < 0.3).astype(float)]
        batches = [rng.integers(0, STEPS, BATCH) for _ in range(UPDATES)]
        noise = f32(rng.normal(0, 1, (UPDATES, 2, BATCH, ACTIONS)))
        tensor = lambda x: torch.tensor(x, dtype=torch.float64)
        learn = sac if name.startswith("sac") else deterministic
        result = learn(spec, {k: tensor(v).requires_grad_() for k, v in actor.items()},
                       {k: tensor(v).requires_grad_() for k, v in critic.items()},
                       [tensor(m) for m in memory], batches, tensor(noise))
        text = dict(source="actor_critic_torch.py %s, PyTorch %s" % (name, torch.__version__),
                    config=dict(spec, gamma=GAMMA, tau=TAU, learning_rate=RATE, adam_eps=EPS),
                    memory=dict(zip(("obs", "action", "reward", "next_obs", "terminated"), memory)),
                    actor=actor, online=critic, batches=batches, noise=noise, **result)
        path = out / f"{name}_torch.json"
        path.write_text(json.dumps(numbers(text), separators=(",", ":")).replace("],", "],\n") + "\n")
        print(path.name, path.stat().st_size, "bytes", result["updates"][-1])


if __name__ == "__main__":
    main()
