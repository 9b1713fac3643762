#!/usr/bin/env python3
"""Reference values for A2C, TRPO and REINFORCE updates, computed with PyTorch.

Usage: on_policy_torch.py [--out DIR]      (default: ../golden next to this file)
Run by hand; the tests only read the JSON it writes (a2c_torch_*.json, trpo_torch_*.json,
reinforce_torch.json).

Networks, batches and variants are those of ppo_torch.py: A discrete(3), B diagonal Gaussian, C masked,
D multi-discrete [3, 2]. All inputs are exact float32 numbers, the arithmetic is float64.
"""
import argparse
import pathlib

import numpy
import torch

import ppo_torch
from ppo_torch import ROWS, f32

UPDATES = 5
VARIANTS = {k: dict(v, penalty=False, value_clip=False)
            for k, v in ppo_torch.VARIANTS.items() if k in "ABCD"}


def tensors_of(batch):
    """Arrays as tensors, floats in double."""
    return {k: torch.tensor(v) for k, v in batch.items()}


def policy_terms(spec, params, batch):
    """Network output, log-probability of the actions, entropy."""
    out = ppo_torch.network(params, "actor", batch["obs"])
    if spec["kind"] == "gaussian":
        return (out,) + tuple(ppo_torch.gaussian_terms(out, params["log_std"], batch["actions"]))
    return (out,) + tuple(
        ppo_torch.categorical_terms(spec, out, batch.get("mask"), batch["actions"]))


def leaves(params):
    """Parameters that want gradients."""
    return {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}


def arrays(tensors):
    """Detached copies."""
    return {k: v.detach().numpy().copy() for k, v in tensors.items()}


def actor_names(params):
    """Everything but the value function."""
    return [k for k in params if not k.startswith("critic")]


# ---- A2C ----------------------------------------------------------------------------------------


def a2c(name, spec, folder):
    """Five RMSprop updates on the whole batch, as Stable-Baselines3 makes them."""
    config = {"lr": 7e-4, "eps": 1e-5, "alpha": 0.99, "value_coef": 0.5, "entropy_coef": 0.01,
              "max_grad_norm": 0.5, "normalize": name == "D"}
    rng = numpy.random.default_rng(spec["seed"] + 100)
    initial = ppo_torch.make_parameters(spec, rng)
    arrays_in = ppo_torch.make_batch(spec, initial, rng)
    batch, params = tensors_of(arrays_in), leaves(initial)
    optimizer = torch.optim.RMSprop(list(params.values()), lr=config["lr"], alpha=config["alpha"],
                                    eps=config["eps"])
    updates, first = [], None
    for _ in range(UPDATES):
        _, logp, entropy = policy_terms(spec, params, batch)
        value = ppo_torch.network(params, "critic", batch["obs"]).squeeze(1)
        adv = batch["advantages"]
        if config["normalize"]:
            adv = (adv - adv.mean()) / (adv.std() + 1e-8)
        policy_loss = -(adv * logp).mean()
        value_loss = torch.nn.functional.mse_loss(batch["returns"], value)
        loss = policy_loss + config["value_coef"] * value_loss - config["entropy_coef"] * entropy.mean()
        optimizer.zero_grad()
        loss.backward()
        if first is None:
            first = {k: v.grad.numpy().copy() for k, v in params.items()}
        norm = torch.nn.utils.clip_grad_norm_(list(params.values()), config["max_grad_norm"])
        optimizer.step()
        updates.append({"loss": loss.item(), "policy_loss": policy_loss.item(),
                        "value_loss": value_loss.item(), "entropy": entropy.mean().item(),
                        "grad_norm": float(norm)})
    ppo_torch.write(folder / ("a2c_torch_%s.json" % name), ppo_torch.plain({
        "file": "A2C reference, variant " + name, "torch": torch.__version__, "config": config,
        "parameters": initial, "batch": arrays_in, "updates": updates, "first_gradients": first,
        "final_parameters": arrays(params)}))


# ---- TRPO ---------------------------------------------------------------------------------------


def flat(tensors):
    """One vector of several tensors."""
    return torch.cat([t.reshape(-1) for t in tensors])


def mean_kl(spec, old, new, old_log_std, new_log_std, mask):
    """Mean over rows of KL(old || new)."""
    if spec["kind"] == "gaussian":
        normal = torch.distributions.Normal
        kl = torch.distributions.kl_divergence(
            normal(old, old_log_std.exp().expand_as(old)),
            normal(new, new_log_std.exp().expand_as(new)))
        return kl.sum(1).mean()
    total = 0.0
    heads = zip(ppo_torch.head_log_probs(spec, old, mask), ppo_torch.head_log_probs(spec, new, mask))
    for p, q in heads:
        weight = p.exp()
        total = total + torch.where(weight > 0, weight * (p - q), torch.zeros_like(p)).sum(1)
    return total.mean()


def conjugate_gradient(product, b, steps):
    """Textbook conjugate gradients from 0."""
    x, r, p = torch.zeros_like(b), b.clone(), b.clone()
    rr = r.dot(r)
    for _ in range(steps):
        if rr <= 1e-10:
            break
        q = product(p)
        alpha = rr / p.dot(q)
        x, r = x + alpha * p, r - alpha * q
        before, rr = rr, r.dot(r)
        p = r + rr / before * p
    return x


def trpo(name, spec, folder):
    """Three natural-gradient steps, and ten of Adam on the value function."""
    config = {"target_kl": {"A": 0.01, "B": 0.1, "C": 0.4, "D": 0.4}[name], "cg_steps": 10,
              "damping": {"A": 0.1, "B": 0.01, "C": 0.01, "D": 0.02}[name], "shrink": 0.8, "tries": 10,
              "lr": 1e-3, "eps": 1e-5}
    rng = numpy.random.default_rng(spec["seed"] + 200)
    initial = ppo_torch.make_parameters(spec, rng)
    arrays_in = ppo_torch.make_batch(spec, initial, rng)
    direction = {k: f32(rng.normal(0, 1, initial[k].shape)) for k in actor_names(initial)}
    batch, params = tensors_of(arrays_in), leaves(initial)
    names = actor_names(params)
    actor = [params[k] for k in names]
    adv = batch["advantages"]
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    updates, first = [], {}
    for step in range(3):
        with torch.no_grad():
            old, logp_old, _ = policy_terms(spec, params, batch)
            old, logp_old = old.clone(), logp_old.clone()
            old_log_std = params["log_std"].clone() if "log_std" in params else None

        def objective():
            out, logp, entropy = policy_terms(spec, params, batch)
            kl = mean_kl(spec, old, out, old_log_std, params.get("log_std"), batch.get("mask"))
            return ((logp - logp_old).exp() * adv).mean(), kl, entropy.mean()

        surrogate, kl, entropy = objective()
        g = flat(torch.autograd.grad(surrogate, actor, retain_graph=True))
        kl_gradient = flat(torch.autograd.grad(kl, actor, create_graph=True))

        def fisher(v):
            return flat(torch.autograd.grad(kl_gradient.dot(v), actor, retain_graph=True)).detach()

        def product(v):
            return fisher(v) + config["damping"] * v

        x = conjugate_gradient(product, g, config["cg_steps"])
        scale = torch.sqrt(2 * config["target_kl"] / x.dot(product(x)))
        if step == 0:
            v = flat([torch.tensor(direction[k]) for k in names])
            first = {"gradient": g, "fisher_product": fisher(v), "cg_solution": x, "step": scale * x}
        start = flat(actor).detach().clone()
        fraction = 1.0
        for _ in range(config["tries"]):
            torch.nn.utils.vector_to_parameters(start + fraction * scale * x, actor)
            with torch.no_grad():
                after, kl_after, _ = objective()
            if kl_after <= config["target_kl"] and after > surrogate:
                break
            fraction *= config["shrink"]
        else:
            raise SystemExit("no step")
        updates.append({"surrogate": surrogate.item(), "entropy": entropy.item(),
                        "grad_norm": g.norm().item(), "kl": kl_after.item(), "gain": (after - surrogate).item(),
                        "fraction": fraction,
                        "old_output": f32(old.numpy()), "old_log_prob": f32(logp_old.numpy())})
        print(name, step, "fraction", fraction, "kl", kl_after.item(), "of", config["target_kl"])
    shapes, at, split = [initial[k].shape for k in names], 0, {k: {} for k in first}
    for key, shape in zip(names, shapes):
        count = int(numpy.prod(shape))
        for what in first:
            split[what][key] = first[what][at:at + count].detach().numpy().reshape(shape).copy()
        at += count
    critic = [params[k] for k in params if k.startswith("critic")]
    optimizer, losses = torch.optim.Adam(critic, lr=config["lr"], eps=config["eps"]), []
    for _ in range(10):
        value = ppo_torch.network(params, "critic", batch["obs"]).squeeze(1)
        loss = torch.nn.functional.mse_loss(batch["returns"], value)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    ppo_torch.write(folder / ("trpo_torch_%s.json" % name), ppo_torch.plain({
        "file": "TRPO reference, variant " + name, "torch": torch.__version__, "config": config,
        "definitions": {"fisher_product": "Hessian of mean KL(old || new) times direction",
                        "cg_solution": "(F + damping)^-1 gradient after cg_steps"},
        "parameters": initial, "batch": arrays_in, "direction": direction, "updates": updates,
        "gradient": split["gradient"], "fisher_product": split["fisher_product"],
        "cg_solution": split["cg_solution"], "step": split["step"],
        "value_loss": sum(losses) / len(losses), "final_parameters": arrays(params)}))


# ---- REINFORCE ----------------------------------------------------------------------------------


def reinforce(folder):
    """Weights, gradient and its variance in every mode; five Adam updates in one."""
    spec, lengths, gamma = VARIANTS["A"], [20, 7, 25, 12], 0.97
    config = {"gamma": gamma, "lr": 3e-3, "eps": 1e-5, "entropy_coef": 0.02, "lengths": lengths}
    rng = numpy.random.default_rng(5)
    initial = ppo_torch.make_parameters(spec, rng)
    arrays_in = ppo_torch.make_batch(spec, initial, rng)
    arrays_in["rewards"] = f32(rng.normal(0.5, 1, ROWS))
    batch = tensors_of(arrays_in)
    ends = numpy.cumsum(lengths)
    spans = [range(end - n, end) for end, n in zip(ends, lengths)]
    to_go = numpy.zeros(ROWS)
    for span in spans:
        total = 0.0
        for i in reversed(span):
            total = arrays_in["rewards"][i] + gamma * total
            to_go[i] = total
    values = arrays_in["old_values"]

    def weights(returns, baseline):
        w = to_go.copy()
        for span in spans:
            if returns == "total":
                w[span] = to_go[span[0]]
        result = w.copy()
        for k, span in enumerate(spans):
            if baseline == "learned":
                result[span] -= values[span[0]] if returns == "total" else values[span]
            if baseline == "mean":
                others = [s for j, s in enumerate(spans) if j != k]
                pool = ([w[s[0]] for s in others] if returns == "total" else
                        numpy.concatenate([w[s] for s in others]))
                result[span] -= numpy.mean(pool)
        return result

    def loss_of(params, w, span, price):
        _, logp, entropy = policy_terms(spec, params, {**batch})
        rows = list(span)
        return -(logp[rows] * torch.tensor(w[rows]) + price * entropy[rows]).sum()

    modes = {}
    for returns in ("total", "to_go"):
        for baseline in ("none", "mean", "learned"):
            w = weights(returns, baseline)
            params = leaves(initial)
            actor = [params[k] for k in actor_names(params)]
            parts = torch.stack(
                [flat(torch.autograd.grad(loss_of(params, w, s, 0.0), actor)) for s in spans])
            mean = parts.mean(0)
            variance = ((parts - mean) ** 2).sum() / (len(spans) * (len(spans) - 1))
            modes[returns + " " + baseline] = {"weights": w, "variance": variance.item(),
                                               "grad_norm": mean.norm().item()}
    params = leaves(initial)
    actor = {k: params[k] for k in actor_names(params)}
    optimizer = torch.optim.Adam(list(actor.values()), lr=config["lr"], eps=config["eps"])
    w, updates, first = weights("to_go", "learned"), [], None
    for _ in range(UPDATES):
        loss = loss_of(params, w, range(ROWS), config["entropy_coef"]) / len(spans)
        optimizer.zero_grad()
        loss.backward()
        if first is None:
            first = {k: v.grad.numpy().copy() for k, v in actor.items()}
        norm = flat([v.grad for v in actor.values()]).norm()
        optimizer.step()
        updates.append({"loss": loss.item(), "grad_norm": norm.item()})
    ppo_torch.write(folder / "reinforce_torch.json", ppo_torch.plain({
        "file": "REINFORCE reference", "torch": torch.__version__, "config": config,
        "parameters": initial, "batch": arrays_in, "returns_to_go": to_go, "modes": modes,
        "updates": updates, "first_gradients": first, "final_parameters": arrays(actor)}))


def main():
    """Write all files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--out", type=pathlib.Path, default=here.parent / "golden")
    folder = parser.parse_args().out
    torch.set_num_threads(1)
    for name, spec in VARIANTS.items():
        a2c(name, spec, folder)
        trpo(name, spec, folder)
    reinforce(folder)


if __name__ == "__main__":
    main()
