#!/usr/bin/env python3
"""Trains a tiny random Llama on preferences with TRL, for tests/golden/test_preference_losses_golden.c.

Starts from tests/golden/sft_trl/model (tests/reference/sft_trl.py). Writes tests/golden/preference_trl/: data files, a
chat template, rows.json (what TRL makes of rows: ids of prompts and answers) and trl.json: loss, rewards, log-probabilities
and gradient norms of every update of DPO (50 updates of the sigmoid loss; a few of every other loss, divergence and
option), of a reward model and of KTO, and the loss of RRHF by its published formula. Everything in fp32, rows in order.

    python3 tests/reference/preference_trl.py      needs torch, transformers, trl, peft, datasets
"""
import json
import os
import pathlib
import random
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
warnings.filterwarnings("ignore")

import torch
import transformers.trainer
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, LlamaForCausalLM, LlamaForSequenceClassification
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer

HERE = pathlib.Path(__file__).resolve().parent.parent / "golden" / "preference_trl"
MODEL = HERE.parent / "sft_trl" / "model"

# the log rounds losses to some digits; the tests want them whole
transformers.trainer.round = lambda x, n=None: x

WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()


def questions(n, seed):
    """Small sums in words: a prompt, a right and a wrong answer of different lengths."""
    rng = random.Random(seed)
    for _ in range(n):
        a, b = rng.randrange(7), rng.randrange(6)
        question = rng.choice(["What is {} plus {}?", "Add {} and {}.", "{} + {} ="]).format(WORDS[a], WORDS[b])
        forms = [" {}", " It is {}.", " The sum of the two numbers is {}, I think."]
        wrong = rng.choice([w for w in WORDS if w != WORDS[a + b]])
        yield question, rng.choice(forms).format(WORDS[a + b]), rng.choice(forms).format(wrong), rng


def write(name, rows):
    (HERE / name).write_text("".join(json.dumps(r) + "\n" for r in rows))
    return rows


def policy():
    return LlamaForCausalLM.from_pretrained(MODEL, dtype=torch.float32)


def common(folder, steps, **more):
    return dict(
        output_dir=folder, max_steps=steps, per_device_train_batch_size=4, learning_rate=1e-3,
        lr_scheduler_type="linear", weight_decay=0.0, max_grad_norm=1.0, logging_steps=1, save_strategy="no",
        report_to=[], bf16=False, fp16=False, use_cpu=True, gradient_checkpointing=False,
        train_sampling_strategy="sequential", seed=1, optim="adamw_torch", disable_tqdm=True, max_length=40) | more


def history(trainer):
    trainer.train()
    rows = [h for h in trainer.state.log_history if "loss" in h]
    keys = [k for k in rows[0] if k not in ("epoch", "step")]
    return {k: [float(h[k]) for h in rows if k in h] for k in keys}


def dpo(data, tokenizer, steps, **more):
    with tempfile.TemporaryDirectory() as folder:
        args = DPOConfig(**common(folder, steps, **more))
        trainer = DPOTrainer(model=policy(), args=args, train_dataset=Dataset.from_list(data),
                             processing_class=tokenizer)
        return history(trainer)


def dpo_cases():
    same = {k: {"loss_type": [k]} for k in [
        "hinge", "ipo", "nca_pair", "bco_pair", "sppo_hard", "aot_unpaired", "apo_zero", "apo_down", "discopop", "sft",
        "sigmoid_norm", "aot"]}
    smooth = {k: {"loss_type": [k], "label_smoothing": 0.1} for k in ["exo_pair", "robust"]}
    smooth["aot_smooth"] = {"loss_type": ["aot"], "label_smoothing": 0.2}
    divergences = {k: {"f_divergence_type": k} for k in ["forward_kl", "js_divergence", "alpha_divergence"]}
    divergences["ipo_forward_kl"] = {"loss_type": ["ipo"], "f_divergence_type": "forward_kl"}
    return same | smooth | divergences | {
        "mpo": {"loss_type": ["sigmoid", "bco_pair", "sft"], "loss_weights": [0.8, 0.2, 1.0]},
        "ld_alpha": {"ld_alpha": 0.3}, "ld_alpha_sft": {"ld_alpha": 0.3, "loss_type": ["sft", "sigmoid"]},
        "weighted": {"use_weighting": True}, "beta": {"beta": 0.5, "learning_rate": 3e-3},
        "follows": {"sync_ref_model": True, "ref_model_sync_steps": 2, "ref_model_mixup_alpha": 0.6}}


CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def say(*contents):
    return [{"role": ["user", "assistant"][i % 2], "content": c} for i, c in enumerate(contents)]


def prepared(tokenizer):
    """What TRL makes of rows of every kind: ids of the prompt, of chosen and of rejected."""
    tokenizer.chat_template = CHATML
    explicit = [{"prompt": p, "chosen": c, "rejected": r} for p, c, r in [
        ("What is one", " plus two?", " and three?"), ("Add", "ing three.", " four."), ("", "It is six.", "six"),
        ("two ", "three", "four and five<|endoftext|>")]]
    implicit = [{"chosen": c, "rejected": r} for c, r in [
        ("one plus two is three", "one plus two is four"), ("The sum is nine", "The sum is nine."),
        ("a b", "a c"), ("\u00e4\u00f6\u00fc \u4f60\u597d", "\u00e4\u00f6\u00fc \u4f60\u4e0d"), ("ab", "ad")]]
    talks = [{"prompt": say("Add one and two."), "chosen": [say("", "It is three.")[1]],
              "rejected": [say("", "four")[1]]}]
    hidden = [{"chosen": say("one?", "two", "three?", "four."), "rejected": say("one?", "two", "three?", "nine")},
              {"chosen": say("six + one =", "seven"), "rejected": say("six + one =", "no")}]
    out = {}
    for name, data in {"explicit": explicit, "implicit": implicit, "talks": talks, "hidden": hidden}.items():
        with tempfile.TemporaryDirectory() as folder:
            trainer = DPOTrainer(model=policy(), processing_class=tokenizer, train_dataset=Dataset.from_list(data),
                                 args=DPOConfig(**common(folder, 1, max_length=200)))
        out[name] = {"jsonl": "".join(json.dumps(r) + "\n" for r in data),
                     "rows": [[r["prompt_ids"], r["chosen_ids"], r["rejected_ids"]] for r in trainer.train_dataset]}
    return out


def classifier():
    torch.manual_seed(7)
    model = LlamaForSequenceClassification.from_pretrained(MODEL, dtype=torch.float32, num_labels=1)
    return model


def reward(data, tokenizer, steps, **more):
    with tempfile.TemporaryDirectory() as folder:
        # a pad token that no row holds: were it the end-of-text token, the token before the last would be read
        args = RewardConfig(**common(folder, steps, pad_token="\u0143", **more))
        trainer = RewardTrainer(model=LlamaForSequenceClassification.from_pretrained(
            HERE / "classifier", dtype=torch.float32), args=args, train_dataset=Dataset.from_list(data),
            processing_class=tokenizer)
        return history(trainer)


def reward_adapter(data, tokenizer, steps):
    """The same by an adapter; PEFT trains the score head beside it."""
    torch.manual_seed(3)
    base = LlamaForSequenceClassification.from_pretrained(HERE / "classifier", dtype=torch.float32)
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=["q_proj", "v_proj"],
                                            task_type="SEQ_CLS", modules_to_save=["score"]))
    model.save_pretrained(HERE / "adapter")
    (HERE / "adapter" / "README.md").unlink()
    path = HERE / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": "model"}, indent=2) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        args = RewardConfig(**common(folder, steps, pad_token="\u0143"))
        return history(RewardTrainer(model=model, args=args, train_dataset=Dataset.from_list(data),
                                     processing_class=tokenizer))


def kto(data, tokenizer, steps, **more):
    with tempfile.TemporaryDirectory() as folder:
        args = KTOConfig(**common(folder, steps, **more))
        trainer = KTOTrainer(model=policy(), args=args, train_dataset=Dataset.from_list(data),
                             processing_class=tokenizer)
        return history(trainer)


def rrhf(data, tokenizer, steps, penalty=1.0, weight=1.0):
    """p_i, the ranking loss and the token mean of the best answer's NLL, one query an update, plain SGD-free AdamW."""
    model = policy()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    out = {"loss": [], "rank_loss": [], "sft_loss": [], "grad_norm": []}
    for row in data[:steps]:
        p, nll = [], []
        for response in row["responses"]:
            n = len(tokenizer(row["query"])["input_ids"])
            ids = torch.tensor(tokenizer(row["query"] + response + tokenizer.eos_token)["input_ids"])[None]
            logp = model(ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])[n - 1:, 0]
            p.append(logp.sum() / len(logp) ** penalty)
            nll.append(-logp.mean())
        scores = row["scores"]
        rank = sum((torch.relu(p[i] - p[j]) for i in range(len(p)) for j in range(len(p)) if scores[j] > scores[i]),
                   torch.tensor(0.0))
        sft = nll[max(range(len(p)), key=lambda i: scores[i])]
        loss = weight * rank + sft
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        for k, v in zip(out, [loss, rank, sft, norm]):
            out[k].append(float(v))
    return out


def main():
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    rows = list(questions(200, 5))
    pairs = write("pairs.jsonl", [{"prompt": q, "chosen": c, "rejected": r} for q, c, r, _ in rows])
    write("few.jsonl", pairs[:24])
    margins = write("margins.jsonl", [{"prompt": q, "chosen": c, "rejected": r, "margin": round(i % 5 * 0.3, 1)}
                                      for i, (q, c, r, _) in enumerate(rows[:24])])
    unpaired = write("unpaired.jsonl", [{"prompt": q, "completion": c if i % 3 else r, "label": bool(i % 3)}
                                        for i, (q, c, r, _) in enumerate(rows[:40])])
    rng = random.Random(9)
    ranked = write("ranked.jsonl", [
        {"query": q, "responses": [c, r, f" Is it {rng.choice(WORDS)}?", " no"],
         "scores": [3.5, rng.choice([0.5, 1.0]), 1.0, -1.0]} for q, c, r, _ in rows[:12]])
    (HERE / "chatml.jinja").write_text(CHATML)
    classifier().save_pretrained(HERE / "classifier")
    tokenizer.save_pretrained(HERE / "classifier")
    (HERE / "rows.json").write_text(json.dumps(prepared(AutoTokenizer.from_pretrained(MODEL)), separators=(",", ":")))
    out = {"dpo": dpo(pairs, tokenizer, 50)}
    for name, more in dpo_cases().items():
        out[name] = dpo(pairs[:24], tokenizer, 5 if name == "follows" else 3, **more)
    out["reward"] = reward(pairs, tokenizer, 20)
    out["reward_margin"] = reward(margins, tokenizer, 5, center_rewards_coefficient=0.01)
    out["reward_adapter"] = reward_adapter(pairs[:40], tokenizer, 8)
    out["rrhf"] = rrhf(ranked, tokenizer, 8)
    out["rrhf_penalty"] = rrhf(ranked, tokenizer, 4, penalty=0.5, weight=2.0)
    out["kto"] = kto(unpaired, tokenizer, 10)
    out["kto_weights"] = kto(unpaired, tokenizer, 4, desirable_weight=1.5, undesirable_weight=0.7, beta=0.4)
    out["kto_apo"] = kto(unpaired, tokenizer, 4, loss_type="apo_zero_unpaired")
    (HERE / "trl.json").write_text(json.dumps(out))
    for name, run in out.items():
        print(name, sorted(run), run["loss"][:2], run["loss"][-1], run["grad_norm"][:2])


if __name__ == "__main__":
    main()
