#!/usr/bin/env python3
"""Steps a second of SAC in PyTorch: one JSON line {"sps", "update_ms", "wall_s", "return"}.

    torch_sac.py [--peer cleanrl|sb3] [--env HalfCheetah-v4] [--steps 2000] [--warm-up 500] [--threads 2]
                 [--policy-frequency 2] [--seed 0]

"cleanrl" is a plain loop with the settings of CleanRL's sac_continuous_action.py: actor and twin critics of 256 x 256 with
relu, batches of 256, Adam, step sizes 3e-4 and 1e-3, a learned entropy price, the log standard deviation through tanh into
[-5, 2]; critics and targets every step; actor and price every policy_frequency-th step, policy_frequency times in a row, which
comes to one update of each a step. "sb3" is Stable-Baselines3's SAC with its defaults. One update per environment step in
both; environment, acting, memory and update are timed together, after `--warm-up` steps with updates.
"""
import argparse
import json
import time

import gymnasium
import numpy
import torch
from torch import nn
from torch.nn import functional


class Actor(nn.Module):
    def __init__(self, obs, act):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(obs, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
        self.mean, self.spread = nn.Linear(256, act), nn.Linear(256, act)

    def forward(self, obs):
        """A squashed Gaussian action and the logarithm of its density."""
        hidden = self.body(obs)
        mean, log_std = self.mean(hidden), torch.tanh(self.spread(hidden))
        log_std = -5 + 3.5 * (log_std + 1)
        normal = torch.distributions.Normal(mean, log_std.exp())
        drawn = normal.rsample()
        action = torch.tanh(drawn)
        logp = normal.log_prob(drawn) - torch.log(1 - action.pow(2) + 1e-6)
        return action, logp.sum(1, keepdim=True)


class Critic(nn.Module):
    def __init__(self, obs, act):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(obs + act, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1))

    def forward(self, obs, action):
        return self.body(torch.cat([obs, action], 1))


class Memory:
    """A ring of transitions; samples as tensors."""

    def __init__(self, capacity, obs, act):
        self.obs, self.next = (numpy.zeros((capacity, obs), numpy.float32) for _ in range(2))
        self.action = numpy.zeros((capacity, act), numpy.float32)
        self.reward, self.ended = (numpy.zeros((capacity, 1), numpy.float32) for _ in range(2))
        self.count = 0

    def add(self, *row):
        i = self.count % len(self.obs)
        for array, value in zip((self.obs, self.action, self.next, self.reward, self.ended), row):
            array[i] = value
        self.count += 1

    def sample(self, n):
        i = numpy.random.randint(0, min(self.count, len(self.obs)), n)
        return [torch.from_numpy(a[i]) for a in (self.obs, self.action, self.next, self.reward, self.ended)]


class Learner:
    GAMMA, TAU, BATCH = 0.99, 0.005, 256

    def __init__(self, obs, act, policy_frequency):
        self.frequency, self.updates, self.goal = policy_frequency, 0, -float(act)
        self.actor = Actor(obs, act)
        self.critics = [Critic(obs, act) for _ in range(2)]
        self.targets = [Critic(obs, act) for _ in range(2)]
        for target, critic in zip(self.targets, self.critics):
            target.load_state_dict(critic.state_dict())
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.judge = torch.optim.Adam([p for c in self.critics for p in c.parameters()], lr=1e-3)
        self.improve = torch.optim.Adam(self.actor.parameters(), lr=3e-4)
        self.price = torch.optim.Adam([self.log_alpha], lr=1e-3)
        self.memory = Memory(100_000, obs, act)

    def step(self, optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def update(self):
        obs, action, following, reward, ended = self.memory.sample(self.BATCH)
        alpha = self.log_alpha.exp().item()
        with torch.no_grad():
            drawn, logp = self.actor(following)
            value = torch.min(*(t(following, drawn) for t in self.targets)) - alpha * logp
            goal = reward + (1 - ended) * self.GAMMA * value
        self.step(self.judge, sum(functional.mse_loss(c(obs, action), goal) for c in self.critics))
        self.updates += 1
        for _ in range(self.frequency if self.updates % self.frequency == 0 else 0):
            drawn, logp = self.actor(obs)
            worth = torch.min(*(c(obs, drawn) for c in self.critics))
            self.step(self.improve, (alpha * logp - worth).mean())
            with torch.no_grad():
                _, logp = self.actor(obs)
            self.step(self.price, (-self.log_alpha.exp() * (logp + self.goal)).mean())
            alpha = self.log_alpha.exp().item()
        with torch.no_grad():
            for target, critic in zip(self.targets, self.critics):
                for slow, fast in zip(target.parameters(), critic.parameters()):
                    slow.copy_(self.TAU * fast + (1 - self.TAU) * slow)


def run_cleanrl(args):
    env = gymnasium.make(args.env)
    scale = env.action_space.high
    learner = Learner(env.observation_space.shape[0], env.action_space.shape[0], args.policy_frequency)
    obs, _ = env.reset(seed=args.seed)
    returns, episode, updating, start = [], 0.0, 0.0, 0.0
    first = Learner.BATCH + args.warm_up
    for step in range(first + args.steps):
        if step == first:
            start, updating = time.perf_counter(), 0.0
        if step < Learner.BATCH:
            action = env.action_space.sample() / scale
        else:
            with torch.no_grad():
                action = learner.actor(torch.from_numpy(numpy.float32(obs))[None])[0][0].numpy()
        following, reward, terminated, truncated, _ = env.step(action * scale)
        learner.memory.add(obs, action, following, reward, terminated)
        obs, episode = following, episode + float(reward)
        if terminated or truncated:
            returns.append(episode)
            episode, (obs, _) = 0.0, env.reset()
        if step >= Learner.BATCH:
            before = time.perf_counter()
            learner.update()
            updating += time.perf_counter() - before
    wall = time.perf_counter() - start
    return wall, updating, returns


def run_sb3(args):
    import stable_baselines3
    from stable_baselines3.common.callbacks import BaseCallback

    class Clock(BaseCallback):
        start = None

        def _on_step(self):
            if self.num_timesteps == Learner.BATCH + args.warm_up:
                self.start = time.perf_counter()
            return True

    clock = Clock()
    model = stable_baselines3.SAC("MlpPolicy", args.env, learning_starts=Learner.BATCH, device="cpu", seed=args.seed)
    model.learn(Learner.BATCH + args.warm_up + args.steps, callback=clock)
    return time.perf_counter() - clock.start, None, [e["r"] for e in model.ep_info_buffer]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=["cleanrl", "sb3"], default="cleanrl")
    parser.add_argument("--env", default="HalfCheetah-v4")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--warm-up", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--policy-frequency", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    numpy.random.seed(args.seed)
    wall, updating, returns = run_cleanrl(args) if args.peer == "cleanrl" else run_sb3(args)
    print(json.dumps({
        "peer": args.peer, "env": args.env, "threads": args.threads, "policy_frequency": args.policy_frequency,
        "torch": torch.__version__, "steps": args.steps, "wall_s": wall, "sps": args.steps / wall,
        "update_ms": 1e3 * updating / args.steps if updating is not None else None,
        "return": sum(returns) / len(returns) if returns else None}))


if __name__ == "__main__":
    main()
