#!/usr/bin/env python3
"""Golden data of generation, from Transformers: which tokens its logits processors keep and with what probabilities, and
what tiny random models of every family generate: as ids, and for one with a tokenizer and a chat template as text.

    python tests/reference/generate_hf.py      writes tests/golden/sampling_hf.json and tests/golden/generate_hf/

Needs torch and transformers. The models' weights are drawn wide (standard deviation 0.35), so that the likeliest token
is far ahead of the next one and float rounding cannot change what is generated; the script checks that.
"""
import json
import pathlib

import tokenizers
import torch
import transformers
from transformers.generation import logits_process as lp

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"


# ---- cuts ------------------------------------------------------------------------------------------------------------


def kept(logits, history, s):
    """Probabilities after the processors, in the order of generation/utils.py."""
    row = torch.tensor([logits], dtype=torch.float32)
    ids = torch.tensor([history], dtype=torch.long)
    steps = []
    if s["repetition_penalty"] != 1 and history:
        steps.append(lp.RepetitionPenaltyLogitsProcessor(s["repetition_penalty"]))
    if s["temperature"] != 1:
        steps.append(lp.TemperatureLogitsWarper(s["temperature"]))
    if s["top_k"]:
        steps.append(lp.TopKLogitsWarper(s["top_k"]))
    if s["top_p"] < 1:
        steps.append(lp.TopPLogitsWarper(s["top_p"]))
    if s["min_p"]:
        steps.append(lp.MinPLogitsWarper(s["min_p"]))
    for step in steps:
        row = step(ids, row)
    p = torch.softmax(row[0].double(), -1)
    index = [i for i in range(len(logits)) if row[0, i] > -float("inf")]
    return index, [round(float(p[i]), 8) for i in index]


def cut_cases():
    rng = torch.Generator().manual_seed(7)

    def draw(n, low, high):
        return low + (high - low) * torch.rand(n, generator=rng)

    cases = []
    for case in range(72):
        n = [5, 17, 64, 130][case % 4]
        logits = torch.randn(n, generator=rng) * float(draw(1, 0.5, 4))
        # every third row has many ties
        logits = [round(float(x), 1 if case % 3 == 0 else 4) for x in logits]
        history = torch.randint(0, n, (6,), generator=rng).tolist() if case % 5 == 0 else []
        s = {
            "temperature": [1, 0.7, 1.6][case % 3],
            "top_k": [0, 1, 3, 10, 200][int(draw(1, 0, 5))],
            "top_p": [1, 0.1, 0.5, 0.8, 0.95][int(draw(1, 0, 5))],
            "min_p": [0, 0, 0.02, 0.2, 0.9][int(draw(1, 0, 5))],
            "repetition_penalty": 1.3 if history and case % 2 == 0 else 0.8 if history else 1,
        }
        cases.append((logits, history, s))
    plain = {"temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0, "repetition_penalty": 1}
    # equal logits at the border: all of them, a half, a quarter
    for p in (0.5, 0.75, 0.25, 0.6, 0.01):
        cases.append(([1.5] * 8, [], {**plain, "top_p": p}))
    cases.append(([3.0, 1.0, 1.0, 1.0, -2.0], [], {**plain, "top_k": 2}))
    cases.append(([3.0, 1.0, 1.0, 1.0, -2.0], [], {**plain, "top_k": 2, "top_p": 0.9}))
    cases.append(([0.0, 0.0, -1.0, 2.0], [0, 2, 2, 3], {**plain, "repetition_penalty": 2.0}))
    return cases


def write_cuts():
    out = []
    for logits, history, s in cut_cases():
        index, p = kept(logits, history, s)
        out.append({**s, "logits": logits, "history": history, "kept": index, "p": p})
    (GOLDEN / "sampling_hf.json").write_text(
        '{"transformers": "%s", "cases": [\n%s\n]}\n'
        % (transformers.__version__, ",\n".join(json.dumps(c) for c in out))
    )


# ---- models ----------------------------------------------------------------------------------------------------------

COMMON = {"vocab_size": 61, "bos_token_id": 0, "eos_token_id": 60, "pad_token_id": 60}


def configs():
    rope = {**COMMON, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "max_position_embeddings": 96}
    return {
        "gpt2": transformers.GPT2Config(**COMMON, n_embd=18, n_layer=2, n_head=3, n_positions=96),
        "llama": transformers.LlamaConfig(**rope, num_attention_heads=3, num_key_value_heads=1, tie_word_embeddings=True),
        "qwen2": transformers.Qwen2Config(**rope, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False),
        "qwen3": transformers.Qwen3Config(
            **rope, num_attention_heads=4, num_key_value_heads=2, head_dim=10, tie_word_embeddings=True
        ),
    }


PROMPTS = [[0, 7, 7, 12], [33], [5, 4, 3, 2, 1, 58, 20, 19, 18, 17, 40, 41, 42], [9, 59] * 9]
NEW = 24


def make(name, config, seed):
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for key, value in model.named_parameters():
            if value.dim() > 1:
                value.normal_(0, 0.35)
            elif key.endswith("bias"):
                value.normal_(0, 0.1)
            else:
                value.uniform_(0.7, 1.3)
    return model


def margin(model, ids, n_prompt, penalty):
    """Least lead of the likeliest token over the next one."""
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    least = float("inf")
    for t in range(n_prompt, len(ids)):
        row = logits[t - 1 : t]
        if penalty != 1:
            row = lp.RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([ids[:t]]), row.clone())
        top = torch.topk(row[0], 2).values
        least = min(least, float(top[0] - top[1]))
    return least


def generate(model, prompt, penalty, eos):
    ids = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=False,
        max_new_tokens=NEW,
        repetition_penalty=penalty,
        eos_token_id=eos,
        pad_token_id=60,
    )[0].tolist()
    with torch.no_grad():
        logp = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1)
    new = ids[len(prompt) :]
    return new, [round(float(logp[len(prompt) - 1 + i, t]), 7) for i, t in enumerate(new)]


def write_models():
    folder = GOLDEN / "generate_hf"
    cases = []
    for name, config in configs().items():
        # a seed with clear winners everywhere
        for seed in range(100):
            model = make(name, config, seed)
            rows = []
            for prompt in PROMPTS:
                for penalty in (1, 1.4):
                    new, logp = generate(model, prompt, penalty, [60])
                    rows.append({"prompt": prompt, "repetition_penalty": penalty, "eos": [60], "ids": new, "logp": logp})
            # ends in the middle: the tokens that came 5th and 9th count as end
            stops = [rows[0]["ids"][8], rows[0]["ids"][4]]
            new, logp = generate(model, PROMPTS[0], 1, stops)
            rows.append({"prompt": PROMPTS[0], "repetition_penalty": 1, "eos": stops, "ids": new, "logp": logp})
            varied = len({tuple(r["ids"]) for r in rows}) > 5
            least = min(margin(model, r["prompt"] + r["ids"], len(r["prompt"]), r["repetition_penalty"]) for r in rows)
            if varied and least > 2e-3:
                break
        else:
            raise SystemExit(f"{name}: no seed leaves a margin")
        model.save_pretrained(folder / name)
        print(name, "seed", seed, "margin", least)
        cases += [{"model": name, **r} for r in rows]
    (folder / "expected.json").write_text(
        '{"transformers": "%s", "new": %d, "cases": [\n%s\n]}\n'
        % (transformers.__version__, NEW, ",\n".join(json.dumps(c) for c in cases))
    )


# ---- text ------------------------------------------------------------------------------------------------------------

TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LEARNED = ["The quick brown fox jumps over the lazy dog. Grüße aus Köln: 5 € and 10 €! 😀😀 naïve café"] * 3


def tokenizer_of(folder):
    """Byte-level BPE as GPT-2's, with a few merges."""
    t = tokenizers.Tokenizer(tokenizers.models.BPE())
    t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = tokenizers.decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    t.train_from_iterator(LEARNED, trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=t, eos_token="<|im_end|>", bos_token="<|endoftext|>", pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    return fast


def text_case(model, tokenizer, prompt, new, penalty):
    if isinstance(prompt, str):
        ids = tokenizer(prompt)["input_ids"]
    else:
        text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    out = model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
        max_new_tokens=new, repetition_penalty=penalty,
    )[0].tolist()  # fmt: skip
    answer = out[len(ids) :]
    return {
        "prompt": prompt, "repetition_penalty": penalty, "new": new, "ids": answer,
        "text": tokenizer.decode(answer, skip_special_tokens=True), "all": out,
    }  # fmt: skip


def write_text():
    folder = GOLDEN / "generate_hf" / "chat"
    tokenizer = tokenizer_of(folder)
    config = transformers.LlamaConfig(
        vocab_size=304, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=128, tie_word_embeddings=True, bos_token_id=0,
        eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    prompts = [
        "The quick brown",
        "Grüße 😀",
        [{"role": "user", "content": "Where is Köln?"}],
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "Two."},
            {"role": "user", "content": "Three?"},
        ],
    ]
    for seed in range(400):
        model = make("chat", config, seed)
        # rows that the tokenizer does not have never win
        with torch.no_grad():
            model.model.embed_tokens.weight[len(tokenizer) :] = 0
        rows = [text_case(model, tokenizer, p, 40, k) for p in prompts for k in (1.0, 1.3)]
        least = min(margin(model, r["all"], len(r["all"]) - len(r["ids"]), r["repetition_penalty"]) for r in rows)
        ended = sum(r["ids"][-1] == 2 for r in rows)
        broken = sum("\ufffd" in r["text"] for r in rows)
        if least > 2e-3 and 1 <= ended < len(rows) and 1 <= broken < len(rows):
            break
    else:
        raise SystemExit("chat: no seed leaves a margin")
    print("chat seed", seed, "margin", least, "ended", ended)
    model.save_pretrained(folder)
    for r in rows:
        del r["all"]
    (GOLDEN / "generate_hf" / "text.json").write_text(
        '{"transformers": "%s", "cases": [\n%s\n]}\n'
        % (transformers.__version__, ",\n".join(json.dumps(r) for r in rows))
    )


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    write_cuts()
    write_models()
    write_text()
