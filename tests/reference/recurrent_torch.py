#!/usr/bin/env python3
"""Reference values for updates of recurrent PPO and A2C, computed with PyTorch's nn.GRU.

Usage: recurrent_torch.py [--out DIR]      (default: ../golden next to this file)
Run by hand; the tests only read the JSON it writes (recurrent_torch_{A,B,C}.json).

A rollout of 8 steps of 8 environments (time-major rows), cut into sequences of 4 steps that begin with
given states; episodes end inside them, and the next step starts from a zero state. Three updates that
each use all rows:
  A  PPO, discrete(3) with masks, obs 4 standardised, actor and critic with a GRU each, value clipping
  B  PPO, diagonal Gaussian, 2 actions, obs 3, one GRU for both
  C  A2C, discrete(3), obs 4, actor and critic with a GRU each, sequences of the whole 8 steps
Inputs are exact float32 numbers; arithmetic is float64. Weights are written in [in][out] layout, gates in
PyTorch's order r, z, n.
"""
import argparse
import json
import pathlib

import numpy
import torch

T, N, HIDDEN, GRU, UPDATES = 8, 8, 6, 5, 3
ROWS = T * N
CLIP, VALUE_CLIP, VALUE_COEF, ENTROPY_COEF = 0.2, 0.2, 0.5, 0.01
MAX_GRAD_NORM, LR, EPS = 0.5, 1e-3, 1e-5

VARIANTS = {
    "A": dict(loss="ppo", obs=4, out=3, mask=True, norm=True, shared=False, length=4, value_clip=True, seed=5),
    "B": dict(loss="ppo", obs=3, out=2, box=True, shared=True, length=4, seed=6),
    "C": dict(loss="a2c", obs=4, out=3, shared=False, length=8, seed=7),
}


def f32(array):
    """Round to float32 and return as a float64 array."""
    return numpy.asarray(array, dtype=numpy.float32).astype(numpy.float64)


class Net(torch.nn.Module):
    """A hidden tanh layer and a GRU for every trunk, and linear heads."""

    def __init__(self, spec):
        super().__init__()
        self.shared = spec["shared"]
        trunks = ["shared"] if self.shared else ["actor", "critic"]
        self.hidden = torch.nn.ModuleDict({t: torch.nn.Linear(spec["obs"], HIDDEN) for t in trunks})
        self.gru = torch.nn.ModuleDict({t: torch.nn.GRU(HIDDEN, GRU) for t in trunks})
        self.head = torch.nn.ModuleDict({"actor": torch.nn.Linear(GRU, spec["out"]),
                                         "critic": torch.nn.Linear(GRU, 1)})
        if spec.get("box"):
            self.log_std = torch.nn.Parameter(torch.full((spec["out"],), -0.3))
        self.double()

    def named(self):
        """(our name, parameter, is it a matrix to be turned?)"""
        for t, layer in self.hidden.items():
            yield t + ".0.weight", layer.weight, True
            yield t + ".0.bias", layer.bias, False
        for t, layer in self.gru.items():
            yield t + ".gru.input.weight", layer.weight_ih_l0, True
            yield t + ".gru.input.bias", layer.bias_ih_l0, False
            yield t + ".gru.state.weight", layer.weight_hh_l0, True
            yield t + ".gru.state.bias", layer.bias_hh_l0, False
        for name, layer in self.head.items():
            yield name + ".head.0.weight", layer.weight, True
            yield name + ".head.0.bias", layer.bias, False
        if hasattr(self, "log_std"):
            yield "log_std", self.log_std, False

    def trunk(self, name, obs, states, start, length):
        """Outputs of all steps (T x N x GRU); states (T x N x GRU) are read where sequences begin."""
        x, rows, h = torch.tanh(self.hidden[name](obs)), [], None
        for t in range(T):
            if t % length == 0:
                h = states[t]
            h = torch.where(start[t].unsqueeze(1), torch.zeros_like(h), h)
            y, last = self.gru[name](x[t].unsqueeze(0), h.unsqueeze(0).contiguous())
            h = last[0]
            rows.append(y[0])
        return torch.stack(rows)

    def forward(self, batch, length):
        states = batch["state"]
        if self.shared:
            actor = critic = self.trunk("shared", batch["seen"], states, batch["start"], length)
        else:
            actor = self.trunk("actor", batch["seen"], states[..., :GRU], batch["start"], length)
            critic = self.trunk("critic", batch["seen"], states[..., GRU:], batch["start"], length)
        out = self.head["actor"](actor).reshape(ROWS, -1)
        return out, self.head["critic"](critic).reshape(ROWS)


def distribution(net, spec, out, batch):
    if spec.get("box"):
        return torch.distributions.Independent(torch.distributions.Normal(out, net.log_std.exp()), 1)
    if spec.get("mask"):
        out = torch.where(batch["mask"], out, torch.full_like(out, -1e8))
    return torch.distributions.Categorical(logits=out)


def losses(net, spec, batch):
    out, value = net(batch, spec["length"])
    dist = distribution(net, spec, out, batch)
    actions = batch["actions"] if spec.get("box") else batch["actions"][:, 0]
    logp, entropy = dist.log_prob(actions), dist.entropy().mean()
    adv, returns = batch["advantages"], batch["returns"]
    result = {}
    if spec["loss"] == "ppo":
        adv = (adv - adv.mean()) / (adv.std() + 1e-8)
        log_ratio = logp - batch["old_log_prob"]
        ratio = log_ratio.exp()
        policy = -torch.min(ratio * adv, ratio.clamp(1 - CLIP, 1 + CLIP) * adv).mean()
        result["approx_kl"] = ((ratio - 1) - log_ratio).mean()
    else:
        policy = -(logp * adv).mean()
    if spec.get("value_clip"):
        old = batch["old_values"]
        value = old + (value - old).clamp(-VALUE_CLIP, VALUE_CLIP)
    value_loss = ((returns - value) ** 2).mean()
    result.update(policy_loss=policy, value_loss=value_loss, entropy=entropy,
                  loss=policy + VALUE_COEF * value_loss - ENTROPY_COEF * entropy)
    return result


def make_batch(net, spec, rng):
    """Random rows; the policy that acted is the net's with a shift in its log-probabilities."""
    size = GRU * (1 if spec["shared"] else 2)
    arrays = {"obs": f32(rng.normal(0.3, 1.2, (ROWS, spec["obs"]))),
              "state": f32(rng.normal(0, 0.5, (ROWS, size))),
              "start": rng.random(ROWS) < 0.2,
              "returns": f32(rng.normal(0, 1, ROWS)), "advantages": f32(rng.normal(0.3, 2, ROWS))}
    if spec.get("mask"):
        arrays["mask"] = rng.random((ROWS, spec["out"])) < 0.6
        arrays["mask"][~arrays["mask"].any(1), 1] = True
    if spec.get("norm"):
        arrays["mean"] = f32(rng.normal(0, 0.4, spec["obs"]))
        arrays["scale"] = f32(rng.uniform(0.5, 1.5, spec["obs"]))
    batch = {k: torch.tensor(v) for k, v in arrays.items()}
    batch["seen"] = batch["obs"]
    if spec.get("norm"):
        batch["seen"] = ((batch["obs"] - batch["mean"]) * batch["scale"]).clamp(-10, 10)
    batch["seen"] = batch["seen"].reshape(T, N, -1)
    batch["state"] = batch["state"].reshape(T, N, -1)
    batch["start"] = batch["start"].reshape(T, N)
    with torch.no_grad():
        out, value = net(batch, spec["length"])
        dist = distribution(net, spec, out, batch)
        torch.manual_seed(spec["seed"])
        actions = dist.sample()
        actions = torch.tensor(f32(actions.numpy())) if spec.get("box") else actions
        arrays["old_log_prob"] = f32(dist.log_prob(actions).numpy() + rng.normal(0, 0.2, ROWS))
        arrays["old_values"] = f32(value.numpy() + rng.normal(0, 0.2, ROWS))
        arrays["actions"] = actions.reshape(ROWS, -1).numpy()
    for name in ("old_log_prob", "old_values", "actions"):
        batch[name] = torch.tensor(arrays[name])
    return arrays, batch


def collect(net, what):
    """Arrays by our names and in our layout."""
    found = {}
    for name, p, turned in net.named():
        value = what(p).detach().numpy().copy()
        found[name] = value.T if turned else value
    return found


def plain(value):
    """Arrays to flat lists, floats rounded to nine significant digits."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, numpy.ndarray):
        value = value.astype(int) if value.dtype == bool else value
        return [plain(v) for v in value.ravel().tolist()]
    if isinstance(value, list):
        return [plain(v) for v in value]
    return float("%.9g" % value) if isinstance(value, float) else value


def make(name, spec, folder):
    rng = numpy.random.default_rng(spec["seed"])
    torch.manual_seed(spec["seed"])
    net = Net(spec)
    with torch.no_grad():
        for _, p, _ in net.named():
            p.copy_(torch.tensor(f32(rng.normal(0, 0.5, tuple(p.shape)))))
    arrays, batch = make_batch(net, spec, rng)
    parameters = collect(net, lambda p: p)
    optimizer = torch.optim.Adam(net.parameters(), lr=LR, eps=EPS)
    if spec["loss"] == "a2c":
        optimizer = torch.optim.RMSprop(net.parameters(), lr=LR, eps=EPS, alpha=0.99)
    updates = []
    for update in range(UPDATES):
        terms = losses(net, spec, batch)
        optimizer.zero_grad()
        terms["loss"].backward()
        if update == 0:
            gradients = collect(net, lambda p: p.grad)
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), MAX_GRAD_NORM)
        optimizer.step()
        updates.append({**{k: float(v.detach()) for k, v in terms.items()}, "grad_norm": float(norm)})
    data = {"file": "recurrent reference, variant " + name, "torch": torch.__version__,
            "config": {"length": spec["length"], "hidden": HIDDEN, "gru": GRU, "shared": spec["shared"],
                       "lr": LR, "eps": EPS, "value_coef": VALUE_COEF, "entropy_coef": ENTROPY_COEF,
                       "max_grad_norm": MAX_GRAD_NORM, "clip": CLIP,
                       "value_clip": VALUE_CLIP if spec.get("value_clip") else None},
            "parameters": parameters, "batch": arrays, "updates": updates,
            "first_gradients": gradients, "final_parameters": collect(net, lambda p: p)}
    path = folder / ("recurrent_torch_%s.json" % name)
    lines = ["%s: %s" % (json.dumps(k), json.dumps(v)) for k, v in plain(data).items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(name, path.stat().st_size, "bytes;", updates[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--out", type=pathlib.Path, default=here.parent / "golden")
    folder = parser.parse_args().out
    for name, spec in VARIANTS.items():
        make(name, spec, folder)


if __name__ == "__main__":
    main()
