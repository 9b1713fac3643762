#!/usr/bin/env python3
"""Reference values for policies on images, computed with PyTorch.

Usage: cnn_torch.py [--out DIR]      (default: ../golden next to this file)
Run by hand; the test only reads the JSON it writes (cnn_torch.json).

Cases: two updates of DQN with the encoders minatar (images 4 x 10 x 10 of zeros and ones) and nature
(4 x 44 x 44), and PPO's loss with the encoder impala (3 x 20 x 20) shared by actor and critic. Weights,
images and numbers are made by a hash of their name and place, here and in the test, so that none is
stored; they are exact float32 numbers. The arithmetic is float64. Of every parameter's gradient the file
holds the sum, the sum of absolute values and 16 entries, and of DQN's parameters those 16 after two steps
of Adam. Weights are [window line, window column, channel, out], a last image is read pixel by pixel.
"""
import argparse
import json
import pathlib

import numpy
import torch
import torch.nn.functional as F

BATCH, PROBES = 32, 16


def words(name, count):
    """Hashes of `count` places under a name."""
    salt = 2166136261
    for byte in name.encode():
        salt = (salt ^ byte) * 16777619 % 2**32
    x = (numpy.arange(count, dtype=numpy.uint64) * 2654435769 + salt) % 2**32
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def numbers(name, count):
    """In [-1, 1), multiples of 2^-23."""
    return torch.tensor((words(name, count) >> 8).astype(numpy.float64) / 2**23 - 1)


def parameter(prefix, name, *shape):
    """Weights within twice 1 / sqrt(fan-in) rounded to a power of two, biases within 1/8."""
    count = int(numpy.prod(shape))
    scale = 0.125
    if len(shape) > 1:
        scale = 2.0
        while 4 * shape[0] > 16 / scale**2:
            scale /= 2
    return (numbers(prefix + name, count) * scale).reshape(shape).requires_grad_()


class Net:
    """Parameters are made on first use; `prefix` tells two networks of one shape apart."""

    def __init__(self, prefix):
        self.prefix, self.params, self.convs = prefix, {}, 0

    def get(self, name, *shape):
        if name not in self.params:
            self.params[name] = parameter(self.prefix, name, *shape)
        return self.params[name]

    def conv(self, x, group, k, out, kernel, stride, padding):
        channels = x.shape[1]
        w = self.get(f"{group}.conv.{k}.weight", kernel * kernel * channels, out)
        b = self.get(f"{group}.conv.{k}.bias", out)
        return F.conv2d(x, w.reshape(kernel, kernel, channels, out).permute(3, 2, 0, 1), b, stride, padding)

    def dense(self, x, name, out):
        return x @ self.get(f"{name}.weight", x.shape[1], out) + self.get(f"{name}.bias", out)

    def features(self, x, group, out):
        return F.relu(self.dense(x.permute(0, 2, 3, 1).reshape(len(x), -1), f"{group}.features", out))

    def minatar(self, x, group):
        return self.features(F.relu(self.conv(x, group, 0, 16, 3, 1, 0)), group, 128)

    def nature(self, x, group):
        for k, (out, kernel, stride) in enumerate(((32, 8, 4), (64, 4, 2), (64, 3, 1))):
            x = F.relu(self.conv(x, group, k, out, kernel, stride, 0))
        return self.features(x, group, 512)

    def impala(self, x, group):
        k = 0
        for channels in (16, 32, 32):
            x = F.max_pool2d(self.conv(x, group, k, channels, 3, 1, 1), 3, 2, 1)
            k += 1
            for _ in range(2):
                y = F.relu(self.conv(F.relu(x), group, k, channels, 3, 1, 1))
                x = x + self.conv(y, group, k + 1, channels, 3, 1, 1)
                k += 2
        return self.features(F.relu(x), group, 256)


def images(name, count, shape, binary):
    size = int(numpy.prod(shape))
    byte = (words(name, count * size) >> 24).astype(numpy.int64)
    data = byte & 1 if binary else byte
    return torch.tensor(data.astype(numpy.float64)).reshape(count, *shape) * (1 if binary else 1 / 255)


def probes(count):
    return [j * 2654435761 % count for j in range(PROBES)]


def summary(params, gradients):
    out = {}
    for (name, p), g in zip(params.items(), gradients):
        flat = g.reshape(-1)
        out[name] = dict(sum=float(flat.sum()), size=float(flat.abs().sum()),
                         probe=[float(flat[i]) for i in probes(flat.numel())])
    return out


def dqn(encoder, shape, actions=6, gamma=0.96875, lr=1e-3):
    online, target = Net("online."), Net("target.")
    x = images("obs", 2 * BATCH, shape, encoder == "minatar")
    action = torch.tensor((words("action", BATCH) % actions).astype(numpy.int64))
    reward = numbers("reward", BATCH) * 2
    going_on = torch.tensor([0.0 if i % 5 == 0 else gamma for i in range(BATCH)], dtype=torch.float64)

    def values(net, rows):
        return net.dense(getattr(net, encoder)(rows, "actor"), "actor.0", actions)

    case, optimizer = dict(losses=[]), None
    for update in range(2):
        now, following = (x[:BATCH], x[BATCH:]) if update == 0 else (x[BATCH:], x[:BATCH])
        with torch.no_grad():
            y = reward + going_on * values(target, following).max(1).values
        q = values(online, now)[torch.arange(BATCH), action]
        loss = F.smooth_l1_loss(q, y)
        params = list(online.params.values())
        gradients = torch.autograd.grad(loss, params)
        case["losses"].append(float(loss.detach()))
        if update == 0:
            case["q"] = [float(v) for v in q.detach()]
            case["tensors"] = summary(online.params, gradients)
            optimizer = torch.optim.Adam(params, lr=lr, eps=1e-4)
        for p, g in zip(params, gradients):
            p.grad = g
        torch.nn.utils.clip_grad_norm_(params, 0.5)
        optimizer.step()
    for name, p in online.params.items():
        flat = p.detach().reshape(-1)
        case["tensors"][name]["after"] = [float(flat[i]) for i in probes(flat.numel())]
    return case


def ppo(shape, actions=5, clip=0.25):
    net = Net("online.")
    x = images("obs", BATCH, shape, False)
    h = net.impala(x, "shared")
    logits, value = net.dense(h, "actor.0", actions), net.dense(h, "critic.0", 1)[:, 0]
    action = torch.tensor((words("action", BATCH) % actions).astype(numpy.int64))
    log_probs = F.log_softmax(logits, 1)
    logp = log_probs[torch.arange(BATCH), action]
    old, advantage, wanted = numbers("old", BATCH) - 2, numbers("advantage", BATCH), numbers("wanted", BATCH)
    ratio = (logp - old).exp()
    gain = torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    entropy = -(log_probs.exp() * log_probs).sum(1)
    loss = (-gain + 0.5 * (value - wanted) ** 2 - 0.015625 * entropy).mean()
    gradients = torch.autograd.grad(loss, list(net.params.values()))
    return dict(losses=[float(loss.detach())], q=[float(v) for v in value.detach()],
                tensors=summary(net.params, gradients))


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.9g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "golden")
    args = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    golden = {"minatar": dqn("minatar", (4, 10, 10)), "nature": dqn("nature", (4, 44, 44)),
              "impala": ppo((3, 20, 20))}
    with open(args.out / "cnn_torch.json", "w", encoding="utf-8") as file:
        json.dump({"torch": torch.__version__, **rounded(golden)}, file, indent=0)


if __name__ == "__main__":
    main()
