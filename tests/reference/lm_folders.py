#!/usr/bin/env python3
"""Tiny model folders and adapters of every family, from Transformers and PEFT, and what has to be read from them.

    python tests/reference/lm_folders.py              writes tests/golden/lm_folders/
    python tests/reference/lm_folders.py check A B    compares two model folders: parameters and logits, bit by bit
    python tests/reference/lm_folders.py adapters BASE A B    compares what two adapters make of a base (<= 1e-6)

Needs torch, transformers, safetensors and peft. expected.json names each parameter as the library does ([out, in], q, k
and v apart, names of the Llama family) with its shape, its sum, its sum weighted by place (so that no two numbers can be
exchanged unnoticed) and its last number.
"""
import json
import pathlib
import shutil
import sys

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "lm_folders"
GPT2 = {"wte": "model.embed_tokens", "wpe": "model.embed_positions", "ln_f": "model.norm"}
GPT2_LAYER = {"ln_1": "input_layernorm", "ln_2": "post_attention_layernorm", "attn.c_proj": "self_attn.o_proj",
              "mlp.c_fc": "mlp.up_proj", "mlp.c_proj": "mlp.down_proj"}


def parameters(model):
    """{name: tensor} under the library's names."""
    out = {}
    for name, x in model.named_parameters():
        x = x.detach().float()
        if not name.startswith("transformer."):
            out[name] = x
            continue
        name = name.removeprefix("transformer.")
        module, kind = name.rsplit(".", 1)
        if not module.startswith("h."):
            out[f"{GPT2[module]}.{kind}"] = x
            continue
        _, layer, module = module.split(".", 2)
        x = x.T.contiguous() if x.ndim == 2 else x  # Conv1D is [in, out]
        prefix = f"model.layers.{layer}."
        if module == "attn.c_attn":
            for part, piece in zip("qkv", x.chunk(3, 0)):
                out[f"{prefix}self_attn.{part}_proj.{kind}"] = piece
        else:
            out[f"{prefix}{GPT2_LAYER[module]}.{kind}"] = x
    return out


def facts(x):
    flat = x.double().flatten()
    place = torch.arange(flat.numel(), dtype=torch.float64) % 1009 + 1
    return {"shape": list(x.shape), "sum": float(flat.sum()), "by_place": float((flat * place).sum()),
            "last": float(flat[-1])}


def describe(model):
    return {name: facts(x) for name, x in parameters(model).items()}


def build(kind, classifier=False, **keys):
    torch.manual_seed(len(kind) + len(keys))
    config = getattr(transformers, kind + "Config")(**keys)
    suffix = "ForSequenceClassification" if classifier else "LMHeadModel" if kind == "GPT2" else "ForCausalLM"
    model = getattr(transformers, kind + suffix)(config).eval()
    with torch.no_grad():
        for x in model.parameters():  # biases and norms too, which start as constants
            x.add_(torch.randn_like(x) * 0.05)
    return model


def edit(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config, indent=2) + "\n")


def old_keys(config):
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope["rope_theta"]
    config["rope_scaling"] = {"type": "linear", "factor": rope["factor"]}
    config["torch_dtype"] = config.pop("dtype")


def with_leftovers(folder):
    """What old releases saved along: rotary buffers, and a head beside a tied embedding; in three shards."""
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(path)
        path.unlink()
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    names = sorted(tensors)
    shards = {f"model-{i + 1:05d}-of-00003.safetensors": names[i::3] for i in range(3)}
    for file, part in shards.items():
        save_file({n: tensors[n] for n in part}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {n: f for f, part in shards.items() for n in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def hub_gpt2(folder):
    """As on the hub: without the prefix, with the masks."""
    path = folder / "model.safetensors"
    tensors = {n.removeprefix("transformer."): x for n, x in load_file(path).items()}
    for layer in range(2):
        tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 8, 8).tril()
        tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(tensors, path, metadata={"format": "pt"})


def save(name, model, dtype, **keys):
    folder = GOLDEN / name
    model = model.to(dtype)
    model.save_pretrained(folder, **keys)
    return folder, describe(model)


def folders():
    expected = {}
    rotary = dict(vocab_size=53, intermediate_size=36, num_hidden_layers=2, max_position_embeddings=64, pad_token_id=3,
                  bos_token_id=1, eos_token_id=2)
    gpt2 = dict(vocab_size=47, n_embd=18, n_layer=2, n_head=3, n_positions=20, n_inner=26, bos_token_id=5,
                eos_token_id=5)
    model = build("GPT2", **gpt2)
    _, expected["gpt2"] = save("gpt2", model, torch.float32)
    folder, expected["gpt2_hub"] = save("gpt2_hub", model, torch.float16)
    hub_gpt2(folder)
    _, expected["llama"] = save("llama", build(
        "Llama", hidden_size=24, num_attention_heads=4, num_key_value_heads=2, head_dim=10, attention_bias=True,
        mlp_bias=True, rope_parameters=dict(rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0,
                                            high_freq_factor=4.0, original_max_position_embeddings=32),
        **rotary), torch.bfloat16)
    folder, expected["llama_old"] = save("llama_old", build(
        "Llama", hidden_size=24, num_attention_heads=3, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=2.0), **rotary), torch.float32)
    edit(folder, old_keys)
    with_leftovers(folder)
    _, expected["qwen2"] = save("qwen2", build(
        "Qwen2", hidden_size=20, num_attention_heads=5, num_key_value_heads=1, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="default", rope_theta=1e6), **(rotary | {"eos_token_id": [2, 7]})),
        torch.float16)
    _, expected["qwen3"] = save("qwen3", build(
        "Qwen3", hidden_size=20, num_attention_heads=4, num_key_value_heads=2, head_dim=6, **rotary), torch.bfloat16,
        max_shard_size="6KB")
    _, expected["qwen2_rm"] = save("qwen2_rm", build(
        "Qwen2", True, hidden_size=20, num_attention_heads=5, num_key_value_heads=1, num_labels=1, **rotary),
        torch.float32)
    return expected


def load(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = transformers.AutoModelForSequenceClassification if "Classif" in config.architectures[0] \
        else transformers.AutoModelForCausalLM
    return kind.from_pretrained(folder, dtype=torch.float32).eval()


def adapter(name, base, expected, **keys):
    model = load(GOLDEN / base)
    task = "SEQ_CLS" if "rm" in base else "CAUSAL_LM"
    model = peft.get_peft_model(model, peft.LoraConfig(r=3, lora_alpha=7, task_type=task, **keys))
    torch.manual_seed(5)
    with torch.no_grad():
        for n, x in model.named_parameters():
            if "lora_B" in n or "modules_to_save" in n:
                x.copy_(torch.randn_like(x) * 0.2)
    model.save_pretrained(GOLDEN / name)
    (GOLDEN / name / "README.md").unlink(missing_ok=True)
    edit_adapter(GOLDEN / name, base)
    expected[name] = describe(model.merge_and_unload())


def edit_adapter(folder, base):
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = base
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # the order of a set changes from run to run
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def write():
    shutil.rmtree(GOLDEN, ignore_errors=True)
    expected = folders()
    adapter("lora_llama", "llama", expected, target_modules="all-linear", use_rslora=True, lora_dropout=0.1)
    adapter("lora_llama_layer", "llama", expected, target_modules=["q_proj", "down_proj"], layers_to_transform=[1])
    adapter("lora_gpt2", "gpt2", expected, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)
    adapter("lora_qwen2_rm", "qwen2_rm", expected, target_modules=["q_proj", "v_proj"])
    (GOLDEN / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")
    print(sum(p.stat().st_size for p in GOLDEN.rglob("*") if p.is_file()), "bytes")


def logits(model):
    ids = torch.arange(0, 17).unsqueeze(0) % min(40, model.config.vocab_size)
    with torch.no_grad():
        return model(ids).logits


def check(a, b):
    x, y = load(a), load(b)
    px, py = dict(x.named_parameters()), dict(y.named_parameters())
    assert px.keys() == py.keys(), px.keys() ^ py.keys()
    for name in px:
        assert torch.equal(px[name], py[name]), name
    assert torch.equal(logits(x), logits(y)), "logits differ"
    assert x.config.architectures == y.config.architectures
    print(a, "=", b, ":", len(px), "parameters and the logits are equal")


def adapters(base, a, b):
    x = peft.PeftModel.from_pretrained(load(base), a).eval()
    y = peft.PeftModel.from_pretrained(load(base), b).eval()
    gap = float((logits(x) - logits(y)).abs().max())
    plain = float((logits(x) - logits(load(base))).abs().max())
    assert gap <= 1e-6 and plain > 1e-3, (gap, plain)
    print(a, "=", b, ": logits differ by", gap, "(the adapter itself moves them by", plain, ")")


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        check(*sys.argv[2:])
    elif sys.argv[1:2] == ["adapters"]:
        adapters(*sys.argv[2:])
    else:
        write()
