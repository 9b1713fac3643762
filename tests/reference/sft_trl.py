#!/usr/bin/env python3
"""Fine-tunes a tiny random Llama with TRL, whole and by a PEFT adapter, for tests/golden/test_sft_golden.c.

Writes tests/golden/sft_trl/: the model's folder, the adapter as it starts, the data, and trl.json with loss, gradient
norm, step size, accuracy and entropy of every update and sums over the weights at the end. Everything in fp32, rows in
order.

    python3 tests/reference/sft_trl.py      needs torch, transformers, trl, peft, datasets, tokenizers
"""
import json
import os
import pathlib
import random
import shutil
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed
from trl import SFTConfig, SFTTrainer

HERE = pathlib.Path(__file__).resolve().parent.parent / "golden" / "sft_trl"
STEPS = 50


def rows():
    """Small sums in words: prompts and completions of different lengths."""
    words = "zero one two three four five six seven eight nine ten eleven twelve".split()
    rng = random.Random(3)
    out = []
    for _ in range(60):
        a, b = rng.randrange(7), rng.randrange(6)
        question = rng.choice(["What is {} plus {}?", "Add {} and {}.", "{} + {} ="])
        answer = rng.choice([" {}", " It is {}.", " The sum of the two numbers is {}, I think."])
        out.append({"prompt": question.format(words[a], words[b]), "completion": answer.format(words[a + b])})
    return out


def make_tokenizer(data):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=288, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False)
    tokenizer.train_from_iterator([r["prompt"] + r["completion"] for r in data], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>",
                                   bos_token="<|endoftext|>", pad_token="<|endoftext|>")


def settings(folder, **more):
    return SFTConfig(
        output_dir=folder, max_steps=STEPS, per_device_train_batch_size=4, gradient_accumulation_steps=2,
        learning_rate=2e-3, lr_scheduler_type="linear", warmup_steps=5, weight_decay=0.1, max_grad_norm=1.0,
        logging_steps=1, save_strategy="no", report_to=[], bf16=False, fp16=False, use_cpu=True,
        gradient_checkpointing=False, train_sampling_strategy="sequential", seed=1,
        optim="adamw_torch", disable_tqdm=True, dataloader_num_workers=0, **{"max_length": 24, **more})


def train(model, tokenizer, data, **more):
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(model=model, args=settings(folder, **more), train_dataset=Dataset.from_list(data),
                             processing_class=tokenizer)
        trainer.train()
        history = [h for h in trainer.state.log_history if "loss" in h]
    keys = ["loss", "grad_norm", "learning_rate", "mean_token_accuracy", "entropy", "num_tokens"]
    return {k: [float(h[k]) for h in history] for k in keys}


# the log rounds losses to some digits; the tests want them whole
import transformers.trainer
transformers.trainer.round = lambda x, n=None: x


def sums(tensors):
    return {k: [float(v.double().sum()), float(v.double().pow(2).sum())] for k, v in sorted(tensors.items())}


CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}{% else %}"
    "{{ message['content'] + '<|im_end|>' + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def say(*contents):
    roles = ["user", "assistant"]
    return [{"role": roles[i % 2], "content": c} for i, c in enumerate(contents)]


def prepare(tokenizer):
    """What TRL makes of rows of every kind: ids and labels (-100 where nothing is scored)."""
    tokenizer.chat_template = CHATML
    text = [{"text": t} for t in ["What is one plus two?", "It is three.<|endoftext|>", "  spaces\n\nand lines ",
                                  "\u00e4\u00f6\u00fc \U0001f600 \u4f60\u597d", "a" * 40]]
    pairs = [{"prompt": p, "completion": c} for p, c in [
        ("What is one", " plus two?"), ("Add", "ing three and four."), ("two ", "three"), ("", "It is six."),
        ("The sum", " is nine.<|endoftext|>"), ("What is three plus four? The sum of the two numbers", " is seven.")]]
    talks = [say("Add one and two.", "It is three."), say("one?", "two", "three?", "four. five."),
             [{"role": "system", "content": "Be brief."}] + say("six + one =", "seven"),
             say("\u00e4\u4f60", "\u597d\u00df", "again", "no\n\nyes")]
    cases = {
        "text": (text, {}), "text_cut": (text, {"max_length": 6}),
        "pairs": (pairs, {}), "pairs_whole": (pairs, {"completion_only_loss": False}),
        "pairs_cut": (pairs, {"max_length": 14}),
        "messages": ([{"messages": t} for t in talks], {}),
        "messages_assistant": ([{"messages": t} for t in talks], {"assistant_only_loss": True}),
        "conversations": ([{"prompt": t[:-1], "completion": t[-1:]} for t in talks], {}),
        "conversations_assistant": ([{"prompt": t[:1], "completion": t[1:]} for t in talks[:2]],
                                    {"assistant_only_loss": True}),
    }
    out = {}
    for name, (data, more) in cases.items():
        model = LlamaForCausalLM.from_pretrained(HERE / "model", dtype=torch.float32)
        with tempfile.TemporaryDirectory() as folder:
            trainer = SFTTrainer(
                model=model, processing_class=tokenizer, train_dataset=Dataset.from_list(data),
                args=settings(folder, **{"max_length": 256, **more}))
        out[name] = {"jsonl": "".join(json.dumps(r) + "\n" for r in data),
                     "rows": [[r["input_ids"], r["labels"]] for r in trainer.train_dataset]}
    return out


def main():
    data = rows()
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir(parents=True)
    tokenizer = make_tokenizer(data)
    config = LlamaConfig(
        vocab_size=288, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, initializer_range=0.2)
    set_seed(1)
    base = LlamaForCausalLM(config).float()
    base.save_pretrained(HERE / "model")
    tokenizer.save_pretrained(HERE / "model")
    (HERE / "data.jsonl").write_text("".join(json.dumps(r) + "\n" for r in data))
    out = {}
    model = LlamaForCausalLM.from_pretrained(HERE / "model", dtype=torch.float32)
    out["full"] = train(model, tokenizer, data)
    out["full"]["sums"] = sums(model.state_dict())
    for name, more in {"whole_rows": {"completion_only_loss": False}, "dft": {"loss_type": "dft"}}.items():
        model = LlamaForCausalLM.from_pretrained(HERE / "model", dtype=torch.float32)
        out[name] = train(model, tokenizer, data, **more)
    model = LlamaForCausalLM.from_pretrained(HERE / "model", dtype=torch.float32)
    lora = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=["q_proj", "v_proj", "down_proj"],
                      task_type="CAUSAL_LM")
    model = get_peft_model(model, lora)
    model.save_pretrained(HERE / "adapter")
    (HERE / "adapter" / "README.md").unlink()
    path = HERE / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": "model"}, indent=2) + "\n")
    out["lora"] = train(model, tokenizer, data)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        out["lora"]["sums"] = sums(load_file(pathlib.Path(folder) / "adapter_model.safetensors"))
    (HERE / "trl.json").write_text(json.dumps(out))
    prepared = prepare(tokenizer)
    (HERE / "rows.json").write_text(json.dumps(prepared, separators=(",", ":")))
    for name, run in out.items():
        print(name, run["loss"][:3], run["loss"][-1])


if __name__ == "__main__":
    main()
