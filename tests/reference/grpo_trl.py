#!/usr/bin/env python3
"""Updates of GRPO and RLOO from fixed answers by TRL's own losses, for tests/golden/test_grpo_golden.c.

The model, tokenizer and prompts are those of tests/golden/sft_trl (sft_trl.py). Answers, old and reference
log-probabilities and rewards are drawn here and written to tests/golden/grpo_trl.json with advantages, and loss, gradient
norm and some weights after each of three updates from the same answers.

    python3 tests/reference/grpo_trl.py      needs torch, transformers, trl, datasets
"""
import json
import os
import pathlib
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch
from datasets import Dataset
from transformers import AutoTokenizer, LlamaForCausalLM
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
MODEL = GOLDEN / "sft_trl" / "model"
GROUP, PROMPTS, LONGEST, UPDATES, TEMPERATURE = 4, 3, 7, 3, 0.9
ADAM = dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-5, weight_decay=0.0)


def draw():
    g = torch.Generator().manual_seed(4)
    answers = []
    for i in range(PROMPTS * GROUP):
        n = int(torch.randint(1, LONGEST + 1, (1,), generator=g))
        ids = torch.randint(1, 288, (n,), generator=g).tolist()
        ended = n < LONGEST or i % 2 == 0
        if ended:
            ids[-1] = 0
        answers.append({"ids": ids, "ended": ended})
    rewards = torch.randn(PROMPTS * GROUP, generator=g).double()
    rewards[GROUP:2 * GROUP] = 0.3  # a group that teaches nothing
    noise = [torch.randn(LONGEST, generator=g) * 0.3 for _ in range(2 * PROMPTS * GROUP)]
    return answers, rewards, noise


def batch_of(tokenizer, answers):
    prompts = [json.loads(x)["prompt"] for x in (GOLDEN / "sft_trl" / "data.jsonl").read_text().splitlines()]
    prompts = [tokenizer(p)["input_ids"] for p in prompts[:PROMPTS] for _ in range(GROUP)]
    width = max(map(len, prompts))
    left = lambda x: [0] * (width - len(x)) + x
    right = lambda x: x + [0] * (LONGEST - len(x))
    ids = [a["ids"] for a in answers]
    t = torch.tensor
    return {"prompt_ids": t([left(p) for p in prompts]), "prompt_mask": t([left([1] * len(p)) for p in prompts]),
            "completion_ids": t([right(c) for c in ids]), "completion_mask": t([right([1] * len(c)) for c in ids])}


def settings(kind, folder, **more):
    return kind(output_dir=folder, report_to=[], bf16=False, fp16=False, use_cpu=True, gradient_checkpointing=False,
                num_generations=GROUP, per_device_train_batch_size=GROUP * PROMPTS, max_completion_length=LONGEST,
                temperature=TEMPERATURE, **more)


def trainer_of(kind, config, tokenizer, folder, **more):
    model = LlamaForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    return kind(model=model, args=settings(config, folder, **more), processing_class=tokenizer,
                reward_funcs=lambda completions, **_: [0.0] * len(completions),
                train_dataset=Dataset.from_list([{"prompt": "x"}] * 4))


def logps(model, batch):
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    with torch.no_grad():
        z = model(input_ids=ids, attention_mask=mask).logits[:, -LONGEST - 1:-1] / TEMPERATURE
    return z.log_softmax(-1).gather(-1, batch["completion_ids"][..., None])[..., 0]


def probes(model):
    return {k: [float(x) for x in v.detach().flatten()[::211].double()] for k, v in sorted(model.state_dict().items())}


def learn(trainer, inputs):
    model = trainer.model
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), **ADAM)
    out = {"loss": [], "norm": [], "weights": None}
    for _ in range(UPDATES):
        optimizer.zero_grad()
        loss = trainer._compute_loss(model, inputs)
        loss.backward()
        out["norm"].append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)))
        out["loss"].append(float(loss))
        optimizer.step()
    out["weights"] = probes(model)
    return out


def group_advantages(rewards, scale):
    """grpo_trainer.py, the lines after "advantages = rewards - mean_grouped_rewards"."""
    grouped = rewards.view(-1, GROUP)
    mean = grouped.mean(1).repeat_interleave(GROUP)
    std = {"group": grouped.std(1).repeat_interleave(GROUP), "batch": rewards.std().expand_as(rewards)}.get(scale)
    return rewards - mean if std is None else (rewards - mean) / (std + 1e-4)


CASES = {
    "grpo": dict(loss_type="grpo", scale_rewards="group", beta=0.04),
    "bnpo": dict(loss_type="bnpo", scale_rewards="batch", beta=0.0, epsilon_high=0.28),
    "dr_grpo": dict(loss_type="dr_grpo", scale_rewards="none", beta=0.1),
    "dapo": dict(loss_type="dapo", scale_rewards="group", beta=0.0, epsilon=0.1),
    "masked": dict(loss_type="dapo", scale_rewards="group", beta=0.04, mask_truncated_completions=True),
    "cispo": dict(loss_type="cispo", scale_rewards="group", beta=0.0, epsilon_high=1.1),
}


def main():
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    answers, rewards, noise = draw()
    batch = batch_of(tokenizer, answers)
    first = logps(LlamaForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval(), batch)
    old = first + torch.stack(noise[:len(answers)])
    ref = first + torch.stack(noise[len(answers):])
    golden = {"answers": answers, "rewards": rewards.tolist(), "old": old.double().tolist(),
              "ref": ref.double().tolist(), "cases": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name, more in CASES.items():
            trainer = trainer_of(GRPOTrainer, GRPOConfig, tokenizer, folder, **more)
            trainer.current_gradient_accumulation_steps = 1
            mask = batch["completion_mask"].clone()
            if more.get("mask_truncated_completions"):
                mask *= torch.tensor([[int(a["ended"])] for a in answers])
            adv = group_advantages(rewards, more["scale_rewards"])
            inputs = {**batch, "completion_mask": mask, "advantages": adv.float(), "old_per_token_logps": old,
                      "ref_per_token_logps": ref, "num_items_in_batch": mask.sum()}
            golden["cases"][name] = {"advantages": adv.tolist(), **learn(trainer, inputs)}
        # RLOO: the price out of the reward, leave-one-out baselines, ratios of whole answers
        trainer = trainer_of(RLOOTrainer, RLOOConfig, tokenizer, folder, beta=0.05)
        trainer.current_gradient_accumulation_steps = 1
        mask = batch["completion_mask"]
        paid = rewards - 0.05 * ((old - ref) * mask).double().sum(1)
        grouped = paid.view(-1, GROUP)
        adv = (grouped - (grouped.sum(1, keepdim=True) - grouped) / (GROUP - 1)).flatten()
        inputs = {**batch, "advantages": adv.float(), "old_logps": (old * mask).sum(1)}
        golden["cases"]["rloo"] = {"advantages": adv.tolist(), **learn(trainer, inputs)}
    (GOLDEN / "grpo_trl.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
