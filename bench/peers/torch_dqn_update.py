#!/usr/bin/env python3
"""PyTorch peer: one DQN update on CartPole's spaces and on images, microseconds.

Usage: torch_dqn_update.py [--updates N] [--sb3] [--threads N, default 1] [--images]
Needs: torch; with --sb3 also stable-baselines3 and gymnasium. A replay of 20,000 random transitions lies
in tensors; an update draws a batch by index, takes the target network's largest value, the Huber loss,
its gradient, the clip of the norm and a step of Adam. Variants: eager with torch's fused Adam, the same
compiled where torch.compile works, and (--sb3) Stable-Baselines3's DQN.train. The best of five rounds is
printed as one JSON line. --images: only batches of 32 images, as bytes, for the encoders of MinAtar
(4 x 10 x 10) and of Mnih et al. 2015 (4 x 84 x 84), each also with channels-last memory.
"""
import argparse
import json
import time

import torch

STEPS = 20_000
CASES = [([64, 64], 64), ([256, 256], 64), ([256, 256], 128)]


def network(hidden):
    sizes = [4] + hidden
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(hidden[-1], 2))


def encoder(kind):
    """Network and side of its images."""
    conv, relu = torch.nn.Conv2d, torch.nn.ReLU
    if kind == "minatar":
        layers = [conv(4, 16, 3), relu(), torch.nn.Flatten(), torch.nn.Linear(1024, 128), relu()]
        return torch.nn.Sequential(*layers, torch.nn.Linear(128, 6)), 10
    layers = [conv(4, 32, 8, 4), relu(), conv(32, 64, 4, 2), relu(), conv(64, 64, 3), relu(), torch.nn.Flatten()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(3136, 512), relu(), torch.nn.Linear(512, 6)), 84


def best_of_five(update, updates):
    times = []
    for _ in range(6):  # the first one warms up
        start = time.perf_counter()
        for _ in range(updates):
            update()
        times.append((time.perf_counter() - start) / updates)
    return round(1e6 * min(times[1:]), 1)


def time_images(kind, updates, compiled, last):
    torch.manual_seed(0)
    (online, side), (target, _) = encoder(kind), encoder(kind)
    steps, (scale, most) = 2000, (1.0, 1) if kind == "minatar" else (1 / 255, 255)
    obs, following = (torch.randint(0, most + 1, (steps, 4, side, side), dtype=torch.uint8) for _ in range(2))
    layout = torch.channels_last if last else torch.contiguous_format
    online, target = online.to(memory_format=layout), target.to(memory_format=layout)
    take = lambda images, index: (images[index].float() * scale).contiguous(memory_format=layout)
    return time_update(online, target, obs, following, take, 6, 32, updates, compiled)


def time_torch(hidden, batch, updates, compiled):
    torch.manual_seed(0)
    obs, following = torch.randn(STEPS, 4), torch.randn(STEPS, 4)
    return time_update(network(hidden), network(hidden), obs, following, lambda rows, index: rows[index], 2, batch,
                       updates, compiled)


def time_update(online, target, obs, following, take, actions, batch, updates, compiled):
    target.load_state_dict(online.state_dict())
    optimizer = torch.optim.Adam(online.parameters(), lr=1e-4, fused=True)
    steps = len(obs)
    action = torch.randint(0, actions, (steps, 1))
    reward, going_on = torch.ones(steps), (torch.rand(steps) > 0.05).float()

    def loss_of(index):
        with torch.no_grad():
            y = reward[index] + 0.99 * going_on[index] * target(take(following, index)).max(1).values
        q = online(take(obs, index)).gather(1, action[index])[:, 0]
        return torch.nn.functional.smooth_l1_loss(q, y)

    if compiled:
        loss_of = torch.compile(loss_of)

    def update():
        loss = loss_of(torch.randint(0, steps, (batch,)))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(online.parameters(), 10.0)
        optimizer.step()

    return best_of_five(update, updates)


def time_sb3(hidden, batch, updates):
    from stable_baselines3 import DQN

    model = DQN("MlpPolicy", "CartPole-v1", batch_size=batch, buffer_size=50_000, learning_starts=STEPS,
                policy_kwargs=dict(net_arch=hidden), device="cpu", seed=0)
    model.learn(STEPS)
    return best_of_five(lambda: model.train(gradient_steps=1, batch_size=batch), updates)


def image_row(kind, updates):
    row = {"encoder": kind, "batch": 32}
    for name, compiled in (("eager", False), ("compiled", True)):
        for layout, last in (("", False), ("_channels_last", True)):
            try:
                row[f"{name}{layout}_us"] = time_images(kind, updates, compiled, last)
            except Exception as error:  # no compiler on this machine
                row["compile_error"] = str(error).splitlines()[0][:80]
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--sb3", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.images:
        rows = [image_row(kind, updates) for kind, updates in (("minatar", args.updates), ("nature", args.updates // 50))]
        print(json.dumps({"torch": torch.__version__, "threads": args.threads, "updates": rows}))
        return
    rows = []
    for hidden, batch in CASES:
        row = {"hidden": hidden, "batch": batch}
        row["eager_us"] = time_torch(hidden, batch, args.updates, False)
        try:
            row["compiled_us"] = time_torch(hidden, batch, args.updates, True)
        except Exception as error:  # no compiler on this machine
            row["compiled_us"] = None
            row["compile_error"] = str(error).splitlines()[0][:80]
        if args.sb3:
            row["sb3_us"] = time_sb3(hidden, batch, args.updates)
        rows.append(row)
    print(json.dumps({"torch": torch.__version__, "updates": rows}))


if __name__ == "__main__":
    main()
