#!/usr/bin/env python3
"""Golden data of the transformer: logits, loss and every gradient of tiny models of all families, from Transformers.

    python tests/reference/transformer_hf.py      writes tests/golden/lm_transformer/

Needs torch, transformers and safetensors. Weights are not stored: both sides compute them from each parameter's name (the
library's names, see lm_folders.py) and the place of each number. Three documents, one longer than a block of keys; the loss
is the mean over all tokens that have one before them.
"""
import json
import pathlib
import shutil

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

from lm_folders import parameters

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "lm_transformer"
DOCUMENTS = [13, 70, 5]
VOCABULARY = 67


def configs():
    common = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
    rope = {**common, "num_hidden_layers": 2, "max_position_embeddings": 96}
    llama3 = {"rope_type": "llama3", "rope_theta": 100.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 48}
    return {
        "gpt2": transformers.GPT2Config(**common, n_embd=20, n_layer=2, n_head=5, n_inner=28, n_positions=72),
        "llama": transformers.LlamaConfig(
            **rope, hidden_size=21, intermediate_size=27, num_attention_heads=3, num_key_value_heads=1, head_dim=10,
            attention_bias=True, mlp_bias=True, rope_parameters=llama3, tie_word_embeddings=True),
        "llama_linear": transformers.LlamaConfig(
            **rope, hidden_size=24, intermediate_size=32, num_attention_heads=4, num_key_value_heads=2,
            rope_parameters={"rope_type": "linear", "rope_theta": 500.0, "factor": 2.5}, tie_word_embeddings=False),
        "qwen2": transformers.Qwen2Config(
            **rope, hidden_size=24, intermediate_size=33, num_attention_heads=4, num_key_value_heads=2,
            rope_parameters={"rope_type": "default", "rope_theta": 1000.0}, tie_word_embeddings=True),
        "qwen3": transformers.Qwen3Config(
            **rope, hidden_size=20, intermediate_size=25, num_attention_heads=4, num_key_value_heads=2, head_dim=14,
            rope_parameters={"rope_type": "default", "rope_theta": 1000.0}, tie_word_embeddings=False),
    }


def words(name, n):
    """n random words that depend on the name and on their places."""
    key = 2166136261
    for byte in name.encode():
        key = (key ^ byte) * 16777619 % 2**32
    x = (np.arange(n, dtype=np.uint64) * 0x9E3779B9 + key) % 2**32
    for factor in (0x7FEB352D, 0x846CA68B):
        x ^= x >> np.uint64(15)
        x = x * factor % 2**32
    return x ^ (x >> np.uint64(16))


def fill(name, x):
    u = torch.from_numpy((words(name, x.numel()).astype(np.float64) / 2**31 - 1).reshape(x.shape))
    norm = name.endswith("norm.weight") or name.endswith("layernorm.weight")
    return (1 + 0.3 * u if norm else 0.2 * u if x.ndim == 1 else 0.5 * u).float()


def main():
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir(parents=True)
    for name, config in configs().items():
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
        with torch.no_grad():
            # the views that parameters() gives: q, k, v apart, [out, in]
            for part, x in parameters(model).items():
                x.copy_(fill(part, x))
            fill_gpt2(model)
        ids = torch.from_numpy(words("tokens", sum(DOCUMENTS)).astype(np.int64) % VOCABULARY)
        logits, loss, at = [], 0, 0
        for n in DOCUMENTS:
            logits.append(model(ids[at : at + n][None]).logits[0])
            loss = loss + torch.nn.functional.cross_entropy(logits[-1][:-1], ids[at + 1 : at + n], reduction="sum")
            at += n
        loss = loss / (sum(DOCUMENTS) - len(DOCUMENTS))
        loss.backward()
        out = {"logits": torch.cat(logits).detach().contiguous(), "loss": loss.detach().reshape(1)}
        out |= {f"gradient.{k}": x.clone().contiguous() for k, x in gradients(model).items()}
        save_file(out, GOLDEN / f"{name}.safetensors")
        config.architectures = [type(model).__name__]
        (GOLDEN / f"{name}.json").write_text(json.dumps(config.to_dict(), indent=1) + "\n")
        print(name, float(loss))


def fill_gpt2(model):
    """parameters() copies GPT-2's matrices, which it transposes."""
    if model.config.model_type != "gpt2":
        return
    for i, block in enumerate(model.transformer.h):
        prefix = f"model.layers.{i}."

        def wanted(part, n, m):
            return fill(f"{prefix}{part}.weight", torch.empty(n, m)).T

        h, inner = model.config.n_embd, model.config.n_inner
        for j, part in enumerate("qkv"):
            block.attn.c_attn.weight[:, j * h : (j + 1) * h] = wanted(f"self_attn.{part}_proj", h, h)
        block.attn.c_proj.weight.copy_(wanted("self_attn.o_proj", h, h))
        block.mlp.c_fc.weight.copy_(wanted("mlp.up_proj", inner, h))
        block.mlp.c_proj.weight.copy_(wanted("mlp.down_proj", h, inner))


def gradients(model):
    """The gradients under the library's names: parameters() of a model whose values they are."""
    with torch.no_grad():
        for x in model.parameters():
            x.copy_(x.grad)
    return parameters(model)


if __name__ == "__main__":
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    main()
