#!/usr/bin/env python3
"""Reference values for state-dependent exploration (gSDE), computed with PyTorch and Stable-Baselines3.

Usage: sde_torch.py [--out DIR]      (default: ../golden next to this file)
Run by hand; the tests only read the JSON it writes:
  sde_dist_torch.json   log-densities, entropies and gradients of StateDependentNoiseDistribution
  sde_ppo_torch.json    five updates of PPO as in ppo_torch.py's variant B
  sde_a2c_torch.json    five updates of A2C as in on_policy_torch.py's variant B, deviations by expln
  sde_sac_torch.json    three updates of SAC as in sac_draws_torch.py

Mean and deviation of every action are those of Stable-Baselines3's own distribution object. SAC's squashed
densities are torch's, which are exact near +-1, and its actions are drawn from the marginal for each row, where
Stable-Baselines3 draws one noise for a batch. All inputs are exact float32 numbers, the arithmetic is float64.
"""
import argparse
import json
import math
import pathlib

import numpy
import torch
from stable_baselines3.common.distributions import StateDependentNoiseDistribution

import ppo_torch
import sac_draws_torch
from ppo_torch import HIDDEN, ROWS, UPDATES, f32

ACTIONS = 2


def distribution(mean, log_std, latent, expln=False, learn_features=False):
    """Stable-Baselines3's object, with values in it."""
    dist = StateDependentNoiseDistribution(mean.shape[1], use_expln=expln, learn_features=learn_features)
    dist.latent_sde_dim = latent.shape[1]
    return dist.proba_distribution(mean, log_std, latent)


def leaves(arrays):
    return {k: torch.tensor(v, requires_grad=True) for k, v in arrays.items()}


def arrays(tensors):
    return {k: v.detach().numpy().copy() for k, v in tensors.items()}


# ---- densities ---------------------------------------------------------------------------------------------


def density(expln, learn_features, seed):
    """Values for 16 rows and the gradient of a weighted sum of them."""
    rng = numpy.random.default_rng(seed)
    given = {"mean": f32(rng.normal(0, 1, (16, 3))), "latent": f32(rng.normal(0, 1, (16, 5))),
             "log_std": f32(rng.normal(-0.5 if not expln else 0.2, 1, (5, 3)))}
    given["latent"][0] = 0  # the smallest variance there can be
    given["mean"][0] = 0
    action = f32(given["mean"] + rng.normal(0, 1, (16, 3)))
    action[0] = f32([1e-3, -5e-4, 2e-3])
    weight = f32(rng.normal(0, 1, 16))
    x = leaves(given)
    dist = distribution(x["mean"], x["log_std"], x["latent"], expln, learn_features)
    logp, entropy = dist.log_prob(torch.tensor(action)), dist.entropy()
    (torch.tensor(weight) * (logp + 0.3 * entropy)).sum().backward()
    gradients = {k: (v.grad if v.grad is not None else torch.zeros_like(v)).numpy() for k, v in x.items()}
    return dict(expln=expln, learn_features=learn_features, **given, action=action, weight=weight,
                log_prob=logp.detach().numpy(), entropy=entropy.detach().numpy(),
                deviation=dist.distribution.stddev.detach().numpy(), gradients=gradients)


# ---- PPO and A2C -------------------------------------------------------------------------------------------


def on_policy_parameters(rng, level):
    """As ppo_torch.make_parameters, with a layer `mean` over the last hidden one and its deviations."""
    params = ppo_torch.make_parameters(dict(kind="gaussian", obs=3, actions=ACTIONS), rng)
    params["mean.0.weight"] = params.pop("actor.2.weight")
    params["mean.0.bias"] = params.pop("actor.2.bias")
    params["log_std"] = f32(rng.normal(level, 0.4, (HIDDEN, ACTIONS)))
    return params


def heads(params, obs, expln):
    """Distribution and value."""
    z = obs
    for k in range(2):
        z = torch.tanh(z @ params["actor.%d.weight" % k] + params["actor.%d.bias" % k])
    mean = z @ params["mean.0.weight"] + params["mean.0.bias"]
    return (distribution(mean, params["log_std"], z, expln),
            ppo_torch.network(params, "critic", obs).squeeze(1))


def on_policy_batch(params, rng, expln):
    """Random rows; the old policy is a perturbed new one."""
    obs = f32(rng.normal(0, 1, (ROWS, 3)))
    with torch.no_grad():
        old = {k: torch.tensor(v) for k, v in params.items()}
        old["mean.0.bias"] += torch.tensor([0.1, -0.15])
        old["log_std"] += 0.04
        dist, value = heads(old, torch.tensor(obs), expln)
        drawn = dist.distribution.mean.numpy() + dist.distribution.stddev.numpy() * rng.normal(0, 1, (ROWS, 2))
        actions = f32(drawn)
        logp = f32(dist.log_prob(torch.tensor(actions)).numpy())
    return dict(obs=obs, actions=actions, old_log_prob=logp,
                old_values=f32(value.numpy() + rng.normal(0, 0.2, ROWS)),
                returns=f32(value.numpy() + rng.normal(0, 1.5, ROWS)),
                advantages=f32(rng.normal(0.3, 2.0, ROWS)))


def ppo_terms(dist, value, batch):
    adv = batch["advantages"]
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    log_ratio = dist.log_prob(batch["actions"]) - batch["old_log_prob"]
    ratio, clip = log_ratio.exp(), ppo_torch.CLIP
    policy = -torch.min(ratio * adv, ratio.clamp(1 - clip, 1 + clip) * adv).mean()
    return policy, dict(approx_kl=((ratio - 1) - log_ratio).mean(),
                        clip_fraction=((ratio - 1).abs() > clip).to(ratio.dtype).mean())


def a2c_terms(dist, value, batch):
    return -(batch["advantages"] * dist.log_prob(batch["actions"])).mean(), {}


def on_policy(algo, expln, level, seed):
    """Five updates on the whole batch."""
    rng = numpy.random.default_rng(seed)
    initial = on_policy_parameters(rng, level)
    given = on_policy_batch(initial, rng, expln)
    batch, params = {k: torch.tensor(v) for k, v in given.items()}, leaves(initial)
    if algo == "ppo":
        config = dict(lr=ppo_torch.LR, adam_eps=ppo_torch.ADAM_EPS, clip=ppo_torch.CLIP, value_clip=None,
                      beta=None, rows_per_update=ROWS)
        optimizer = torch.optim.Adam(params.values(), lr=config["lr"], eps=config["adam_eps"])
    else:
        config = dict(lr=7e-4, eps=1e-5, normalize=False)
        optimizer = torch.optim.RMSprop(params.values(), lr=config["lr"], alpha=0.99, eps=config["eps"])
    config.update(value_coef=0.5, entropy_coef=0.01, max_grad_norm=0.5, sde=True, expln=expln)
    updates = []
    for number in range(UPDATES):
        dist, value = heads(params, batch["obs"], expln)
        policy, terms = (ppo_terms if algo == "ppo" else a2c_terms)(dist, value, batch)
        entropy = dist.entropy().mean()
        value_loss = torch.nn.functional.mse_loss(batch["returns"], value)
        loss = policy + 0.5 * value_loss - 0.01 * entropy
        optimizer.zero_grad()
        loss.backward()
        if number == 0:
            gradients = {k: v.grad.numpy().copy() for k, v in params.items()}
            first_value = value.detach().numpy().copy()
        norm = torch.nn.utils.clip_grad_norm_(list(params.values()), 0.5)
        optimizer.step()
        terms.update(loss=loss, total_loss=loss, policy_loss=policy, value_loss=value_loss, entropy=entropy,
                     grad_norm=norm)
        updates.append({k: float(torch.as_tensor(v).detach()) for k, v in terms.items()})
    assert (initial["log_std"] > 0).any() == expln
    return dict(config=config, parameters=initial, batch=given, updates=updates,
                first_rows={"value": first_value}, first_gradients=gradients, final_parameters=arrays(params))


# ---- SAC ---------------------------------------------------------------------------------------------------

clipped = [0]  # means at their limit so far


def sac_sample(actor, obs, noise, activation):
    """sac_draws_torch.sample with Stable-Baselines3's mean and deviation."""
    f = torch.relu if activation == "relu" else torch.tanh
    z = obs
    for k in range(2):
        z = f(z @ actor["actor.%d.weight" % k] + actor["actor.%d.bias" % k])
    mean = torch.nn.functional.hardtanh(z @ actor["mean.0.weight"] + actor["mean.0.bias"], -2.0, 2.0)
    clipped[0] += int((mean.abs() == 2).sum())
    base = distribution(mean, actor["log_std"], z, learn_features=True).distribution
    u = base.mean + base.stddev * noise
    squash = torch.distributions.transforms.TanhTransform()
    action = squash(u)
    logp = base.log_prob(u) - squash.log_abs_det_jacobian(u, action)
    return action, logp.sum(1), base.stddev.log()


def sac():
    spec = dict(sac_draws_torch.VARIANTS["A"], sde=True, seed=77)
    rng = numpy.random.default_rng(spec["seed"])
    actor = sac_draws_torch.make_parameters(["actor"], sac_draws_torch.OBS, ACTIONS, rng)
    actor["mean.0.weight"] = f32(2 * actor.pop("actor.2.weight"))
    actor["mean.0.bias"] = actor.pop("actor.2.bias")
    actor["log_std"] = f32(rng.normal(-1.2, 0.5, (sac_draws_torch.HIDDEN, ACTIONS)))
    online = sac_draws_torch.make_parameters(["q0", "q1"], sac_draws_torch.OBS + ACTIONS, 1, rng)
    target = sac_draws_torch.make_parameters(["q0", "q1"], sac_draws_torch.OBS + ACTIONS, 1, rng)
    memory = sac_draws_torch.make_memory(rng)
    sac_draws_torch.sample = sac_sample
    result = sac_draws_torch.run(spec, memory, actor, online, target, torch.float64)
    assert 0 < clipped[0] < 3 * 24, "means at their limit: %d" % clipped[0]
    return dict(config=dict(spec, gamma=sac_draws_torch.GAMMA, adam_eps=sac_draws_torch.ADAM_EPS),
                memory=memory, actor=actor, online=online, target=target, **result)


# ---- output ------------------------------------------------------------------------------------------------


def write(folder, name, content):
    source = dict(source="sde_torch.py, PyTorch %s, Stable-Baselines3's distribution" % torch.__version__)
    text = json.dumps(sac_draws_torch.numbers({**source, **content}), separators=(",", ":"))
    path = folder / name
    path.write_text(text.replace("],", "],\n") + "\n")
    print(name, path.stat().st_size, "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--out", type=pathlib.Path, default=here.parent / "golden")
    folder = parser.parse_args().out
    torch.set_num_threads(1)
    write(folder, "sde_dist_torch.json", {"cases": [density(False, False, 1), density(False, True, 2),
                                                    density(True, False, 3), density(True, True, 4)]})
    write(folder, "sde_ppo_torch.json", on_policy("ppo", False, -1.5, 5))
    write(folder, "sde_a2c_torch.json", on_policy("a2c", True, -0.4, 6))
    write(folder, "sde_sac_torch.json", sac())


if __name__ == "__main__":
    main()
