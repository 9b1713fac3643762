#!/usr/bin/env python3
"""Four updates of PPO on a language model in plain PyTorch, for tests/golden/test_ppo_text_golden.c.

TRL no longer has PPO, so this is written from the formulas at the top of ppo_text.c. Model, answers, old and reference
log-probabilities are those of grpo_trl.py; the critic is the same network with the score head 0.3 sin(j + 1), or
("trunk") that head on the policy's own hidden states: one loss, one network, one backward pass. Writes
tests/golden/ppo_text_torch.json.

    python3 tests/reference/ppo_text_torch.py      needs torch, transformers
"""
import json
import os
import pathlib

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch
from transformers import AutoTokenizer, LlamaForCausalLM, LlamaModel

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
MODEL = GOLDEN / "sft_trl" / "model"
GROUP, TEMPERATURE, EPOCHS, SIZE = 4, 0.9, 2, 6
ADAM = dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-5, weight_decay=0.0)
KL, CLIP, VALUE_CLIP, VF, GAMMA, LAM, MISSING, LIMIT = 0.1, 0.2, 0.15, 0.5, 0.99, 0.9, 0.5, 1.2


def probes(state):
    return {k: [float(x) for x in v.detach().flatten()[::211].double()] for k, v in sorted(state.items())}


def run(golden, prompts, estimator, whiten, shared=False):
    policy = LlamaForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    trunk = policy.model if shared else LlamaModel.from_pretrained(MODEL, dtype=torch.float32)
    head = torch.nn.Parameter(0.3 * torch.sin(torch.arange(trunk.config.hidden_size) + 1.0)[None])
    answers = golden["answers"]

    def logps(i):
        ids = torch.tensor([prompts[i // GROUP] + answers[i]["ids"]])
        n = len(answers[i]["ids"])
        z = policy(input_ids=ids).logits[0, -n - 1:-1] / TEMPERATURE
        return z.log_softmax(-1).gather(-1, ids[0, -n:, None])[:, 0]

    def values(i):
        ids = torch.tensor([prompts[i // GROUP] + answers[i]["ids"]])
        n = len(answers[i]["ids"])
        return (trunk(input_ids=ids).last_hidden_state[0, -n - 1:-1] @ head.T)[:, 0]

    old = [torch.tensor(golden["old"][i][:len(a["ids"])]) for i, a in enumerate(answers)]
    ref = [torch.tensor(golden["ref"][i][:len(a["ids"])]) for i, a in enumerate(answers)]
    with torch.no_grad():
        v_old = [values(i) for i in range(len(answers))]
    rewards = []
    for i, a in enumerate(answers):
        d = ref[i] - old[i]
        r = -KL * (-d if estimator == "k1" else d.exp() - 1 - d)
        score = golden["rewards"][i] - (0 if a["ended"] else MISSING)
        r[-1] += max(-LIMIT, min(LIMIT, score))
        rewards.append(r)
    if whiten:
        every = torch.cat(rewards)
        rewards = [(r - every.mean()) * torch.rsqrt(every.var() + 1e-8) + every.mean() for r in rewards]
    adv, ret = [], []
    for r, v in zip(rewards, v_old):
        out, last = torch.zeros_like(r), 0.0
        for t in reversed(range(len(r))):
            following = v[t + 1] if t + 1 < len(r) else 0.0
            last = out[t] = r[t] + GAMMA * following - v[t] + GAMMA * LAM * last
            last = float(last)
        adv.append(out)
        ret.append(out + v)
    every = torch.cat(adv)
    adv = [(a - every.mean()) * torch.rsqrt(every.var() + 1e-8) for a in adv]
    own = [] if shared else [*trunk.parameters()]
    optimizer = torch.optim.AdamW([*policy.parameters(), *own, head], **ADAM)
    out = {"policy": [], "value": []}
    for _ in range(EPOCHS):
        for first in range(0, len(answers), SIZE):
            which = range(first, first + SIZE)
            cat = lambda x: torch.cat([x[i] for i in which])
            ratio = (torch.cat([logps(i) for i in which]) - cat(old)).exp()
            A, V, R, W = cat(adv), torch.cat([values(i) for i in which]), cat(ret), cat(v_old)
            pg = torch.max(-A * ratio, -A * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
            near = W + (V - W).clamp(-VALUE_CLIP, VALUE_CLIP)
            vf = 0.5 * torch.max((V - R) ** 2, (near - R) ** 2).mean()
            optimizer.zero_grad()
            (pg + VF * vf).backward()
            optimizer.step()
            out["policy"].append(float(pg.detach()))
            out["value"].append(float(vf.detach()))
    out["weights"] = probes(policy.state_dict())
    body = {} if shared else {"model." + k: v for k, v in trunk.state_dict().items()}
    out["critic"] = probes({**body, "score.weight": head})
    out["head"] = [float(x) for x in head.detach().flatten().double()]
    return out


def main():
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    golden = json.loads((GOLDEN / "grpo_trl.json").read_text())
    rows = [json.loads(x) for x in (GOLDEN / "sft_trl" / "data.jsonl").read_text().splitlines()]
    prompts = [tokenizer(r["prompt"])["input_ids"] for r in rows[:len(golden["answers"]) // GROUP]]
    out = {"k1": run(golden, prompts, "k1", False), "k3": run(golden, prompts, "k3", True)}
    out["trunk"] = run(golden, prompts, "k1", False, shared=True)
    (GOLDEN / "ppo_text_torch.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
