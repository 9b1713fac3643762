#!/usr/bin/env python3
"""Reference values for constrained policy optimization and for PPO with prices on costs, computed with PyTorch.

Usage: constrained_torch.py [--out DIR]      (default: ../golden next to this file)
Run by hand; the tests only read the JSON it writes (cpo_torch_*.json, ppo_costs_torch.json). Needs scipy.

Networks, batches and variants are those of ppo_torch.py. Inputs are exact float32 numbers, the arithmetic is float64. The
dual is solved by a numerical optimizer over the multipliers, not by cases:

    minimise over nu >= 0:   sqrt(2 delta (q - 2 nu'r + nu'S nu)) - nu'c      with lambda = sqrt(that root's inside / 2 delta)
"""
import argparse
import pathlib

import numpy
import torch
from scipy.optimize import minimize

import on_policy_torch as base
import ppo_torch
from ppo_torch import ROWS, f32

# variant: limits, mean costs of an episode, its mean length
CASES = {
    "A": {"limits": [25.0, 10.0], "episode": [26.0, 8.0], "length": 50.0, "target_kl": 0.01, "damping": 0.1},
    "B": {"limits": [3.0, 5.0], "episode": [7.4, 4.4], "length": 40.0, "target_kl": 0.1, "damping": 0.05},
    "C": {"limits": [1.0, 5.0], "episode": [21.0, 1.0], "length": 20.0, "target_kl": 0.05, "damping": 0.01},
    "D": {"limits": [400.0, 900.0], "episode": [2.0, 4.0], "length": 20.0, "target_kl": 0.05, "damping": 0.02},
}
CG_STEPS, SHRINK, TRIES = 40, 0.8, 10


def solve_dual(q, r, S, c, delta):
    """lambda and nu by a bounded quasi-Newton method, polished by Newton steps on the binding set."""
    def value(nu):
        inside = max(q - 2 * nu @ r + nu @ S @ nu, 1e-300)
        root = numpy.sqrt(2 * delta * inside)
        return root - nu @ c, 2 * delta * (S @ nu - r) / root - c

    best = None
    for start in (numpy.zeros(len(c)), numpy.ones(len(c)), 10 * numpy.ones(len(c))):
        found = minimize(value, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(c),
                         options={"ftol": 1e-16, "gtol": 1e-13, "maxiter": 10000})
        if best is None or found.fun < best.fun:
            best = found
    nu = best.x
    bind = [i for i in range(len(c)) if nu[i] > 1e-6]
    for _ in range(50 if bind else 0):
        inside = q - 2 * nu @ r + nu @ S @ nu
        lam = numpy.sqrt(inside / (2 * delta))
        gradient = ((S @ nu - r) / lam - c)[bind]
        slope = (S @ nu - r)[bind]
        hessian = S[numpy.ix_(bind, bind)] / lam - numpy.outer(slope, slope) / (2 * delta * lam ** 3)
        nu[bind] -= numpy.linalg.solve(hessian, gradient)
    return float(numpy.sqrt((q - 2 * nu @ r + nu @ S @ nu) / (2 * delta))), nu


def shortest(S, c):
    """mu >= 0 of the shortest step that keeps c - S mu <= 0."""
    found = minimize(lambda m: (0.5 * m @ S @ m - m @ c, S @ m - c), numpy.zeros(len(c)), jac=True,
                     method="L-BFGS-B", bounds=[(0, None)] * len(c), options={"ftol": 1e-16, "gtol": 1e-13})
    return found.x


def cpo(name, spec, case, folder):
    """One step of CPO."""
    rng = numpy.random.default_rng(spec["seed"] + 300)
    initial = ppo_torch.make_parameters(spec, rng)
    arrays_in = ppo_torch.make_batch(spec, initial, rng)
    arrays_in["cost_advantages"] = f32(rng.normal(0.2, 1.0, (2, ROWS)))
    batch, params = base.tensors_of(arrays_in), base.leaves(initial)
    names = base.actor_names(params)
    actor = [params[k] for k in names]
    adv = batch["advantages"]
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    cost_adv = batch["cost_advantages"]
    cost_adv = cost_adv - cost_adv.mean(1, keepdim=True)
    with torch.no_grad():
        old, logp_old, _ = base.policy_terms(spec, params, batch)
        old, logp_old = old.clone(), logp_old.clone()
        old_log_std = params["log_std"].clone() if "log_std" in params else None

    def objective():
        out, logp, _ = base.policy_terms(spec, params, batch)
        kl = base.mean_kl(spec, old, out, old_log_std, params.get("log_std"), batch.get("mask"))
        ratio = (logp - logp_old).exp()
        return (ratio * adv).mean(), kl, [(ratio * a).mean() for a in cost_adv]

    surrogate, kl, costs = objective()
    g = base.flat(torch.autograd.grad(surrogate, actor, retain_graph=True))
    b = [base.flat(torch.autograd.grad(k, actor, retain_graph=True)) for k in costs]
    kl_gradient = base.flat(torch.autograd.grad(kl, actor, create_graph=True))

    def product(v):
        f = base.flat(torch.autograd.grad(kl_gradient.dot(v), actor, retain_graph=True)).detach()
        return f + case["damping"] * v

    def invert(v):
        return base.conjugate_gradient(product, v / v.norm(), CG_STEPS) * v.norm()

    delta = case["target_kl"]
    gain, loss = invert(g), [invert(v) for v in b]
    q = float(g @ gain)
    r = numpy.array([float(v @ gain) for v in b])
    S = numpy.array([[float(v @ w) for w in loss] for v in b])
    c = (numpy.array(case["episode"]) - numpy.array(case["limits"])) / case["length"]
    mu = shortest(S, c)
    if mu @ S @ mu > 2 * delta:
        kind, lam, nu = 2, 0.0, numpy.zeros(2)
        x = -numpy.sqrt(2 * delta / (mu @ S @ mu)) * sum(m * w for m, w in zip(mu, loss))
    else:
        lam, nu = solve_dual(q, r, S, c, delta)
        nu = numpy.where(nu > 1e-6, nu, 0)
        kind = int(nu.any())
        x = (gain - sum(n * w for n, w in zip(nu, loss))) / lam
    start, fraction = base.flat(actor).detach().clone(), 1.0
    before = [k.item() for k in costs]
    for _ in range(TRIES):
        torch.nn.utils.vector_to_parameters(start + fraction * x, actor)
        with torch.no_grad():
            after, kl_after, costs_after = objective()
        kept = all(float(k) - old_k <= max(0, -limit) for k, old_k, limit in zip(costs_after, before, c))
        if kl_after <= delta and kept and (after > surrogate or (c > 0).any()):
            break
        fraction *= SHRINK
    else:
        raise SystemExit("no step")
    print(name, "case", kind, "lambda", lam, "nu", nu, "fraction", fraction, "c", c)
    parts = {"cg_gain": gain, "cg_loss_0": loss[0], "cg_loss_1": loss[1], "step": x}
    split, at = {what: {} for what in parts}, 0
    for key in names:
        count = int(numpy.prod(initial[key].shape))
        for what, vector in parts.items():
            split[what][key] = vector[at:at + count].detach().numpy().reshape(initial[key].shape).copy()
        at += count
    ppo_torch.write(folder / ("cpo_torch_%s.json" % name), ppo_torch.plain({
        "file": "CPO reference, variant " + name, "torch": torch.__version__,
        "config": {**case, "cg_steps": CG_STEPS, "shrink": SHRINK, "tries": TRIES},
        "definitions": {"cg_gain": "(F + damping)^-1 g", "cg_loss_i": "(F + damping)^-1 b_i"},
        "parameters": initial, "batch": arrays_in,
        "old_output": f32(old.numpy()), "old_log_prob": f32(logp_old.numpy()),
        "excess": c, "q": q, "r": r, "s": S, "case": kind, "lambda": lam, "nu": nu, "fraction": fraction,
        "kl": float(kl_after), "surrogate_gain": (after - surrogate).item(), **split,
        "final_parameters": base.arrays({k: params[k] for k in names})}))


def ppo(folder):
    """Three updates of PPO whose advantages pay for two costs, with a price on the distance from a reference policy;
    and ten of the costs' value functions."""
    spec, beta = dict(base.VARIANTS["A"]), 0.4
    pid = {"kp": 0.5, "ki": 0.1, "kd": 2.0, "smoothing": 0.5, "init": 0.2}
    measured, limits = [[6.0, 0.2], [8.0, 0.9], [7.0, 0.3]], [5.0, 0.5]
    rng = numpy.random.default_rng(909)
    initial, reference = ppo_torch.make_parameters(spec, rng), ppo_torch.make_parameters(spec, rng)
    reference = {k: v for k, v in reference.items() if k.startswith("actor")}
    critics = {}
    for i in range(2):
        other = ppo_torch.make_parameters(spec, rng)
        critics.update({k.replace("critic", "cost%d" % i): v for k, v in other.items()
                        if k.startswith("critic")})
    arrays_in = ppo_torch.make_batch(spec, initial, rng)
    arrays_in["cost_advantages"] = f32(rng.normal(0.2, 1.0, (2, ROWS)))
    arrays_in["cost_returns"] = f32(rng.normal(1.0, 2.0, (2, ROWS)))
    batch, params = base.tensors_of(arrays_in), base.leaves(initial)
    fixed = {k: torch.tensor(v) for k, v in reference.items()}
    optimizer = torch.optim.Adam(list(params.values()), lr=ppo_torch.LR, eps=ppo_torch.ADAM_EPS)
    state = [{"integral": pid["init"], "excess": None, "cost": None} for _ in limits]
    updates, first = [], None
    for costs in measured:
        prices = []
        for s, cost, limit in zip(state, costs, limits):
            e, w = cost - limit, pid["smoothing"]
            before = cost if s["cost"] is None else s["cost"]
            s["integral"] = max(0, s["integral"] + pid["ki"] * e)
            s["excess"] = e if s["excess"] is None else w * s["excess"] + (1 - w) * e
            s["cost"] = cost if s["cost"] is None else w * s["cost"] + (1 - w) * cost
            prices.append(max(0, pid["kp"] * s["excess"] + s["integral"] + pid["kd"] * max(0, s["cost"] - before)))
        adv = batch["advantages"] - sum(p * a for p, a in zip(prices, batch["cost_advantages"]))
        mixed = dict(batch, advantages=adv / (1 + sum(prices)))
        terms, _ = ppo_torch.losses(spec, params, mixed)
        now = torch.log_softmax(ppo_torch.network(params, "actor", batch["obs"]), dim=1)
        there = torch.log_softmax(ppo_torch.network(fixed, "actor", batch["obs"]), dim=1)
        kl = (now.exp() * (now - there)).sum(1).mean()
        loss = terms["total_loss"] + beta * kl
        optimizer.zero_grad()
        loss.backward()
        if first is None:
            first = {k: v.grad.numpy().copy() for k, v in params.items()}
        norm = torch.nn.utils.clip_grad_norm_(list(params.values()), ppo_torch.MAX_GRAD_NORM)
        optimizer.step()
        updates.append({"costs": costs, "prices": prices, "loss": loss.item(), "reference_kl": kl.item(),
                        "grad_norm": float(norm)})
    values = base.leaves(critics)
    optimizer, total = torch.optim.Adam(list(values.values()), lr=ppo_torch.LR, eps=ppo_torch.ADAM_EPS), []
    for step in range(10):
        loss = sum(torch.nn.functional.mse_loss(
            batch["cost_returns"][i], ppo_torch.network(values, "cost%d" % i, batch["obs"]).squeeze(1))
            for i in range(2))
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            cost_gradients = {k: v.grad.numpy().copy() for k, v in values.items()}
        torch.nn.utils.clip_grad_norm_(list(values.values()), ppo_torch.MAX_GRAD_NORM)
        optimizer.step()
        total.append(loss.item())
    ppo_torch.write(folder / "ppo_costs_torch.json", ppo_torch.plain({
        "file": "PPO with prices on costs and on the distance from a reference", "torch": torch.__version__,
        "config": {"beta": beta, "limits": limits, **pid, "lr": ppo_torch.LR, "eps": ppo_torch.ADAM_EPS,
                   "clip": ppo_torch.CLIP, "value_coef": ppo_torch.VALUE_COEF,
                   "entropy_coef": ppo_torch.ENTROPY_COEF, "max_grad_norm": ppo_torch.MAX_GRAD_NORM},
        "parameters": initial, "reference": reference, "critics": critics, "batch": arrays_in,
        "updates": updates, "first_gradients": first, "final_parameters": base.arrays(params),
        "cost_losses": total, "cost_gradients": cost_gradients, "final_critics": base.arrays(values)}))


def main():
    """Write all files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--out", type=pathlib.Path, default=here.parent / "golden")
    folder = parser.parse_args().out
    torch.set_num_threads(1)
    for name, spec in base.VARIANTS.items():
        cpo(name, spec, CASES[name], folder)
    ppo(folder)


if __name__ == "__main__":
    main()
