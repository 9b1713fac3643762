#!/usr/bin/env python3
"""Training steps of PyTorch + Transformers, or PEFT with --lora, on the CPU: what bench_lm does, one JSON line.

    torch_lm.py [--shape smollm2-135m|qwen2.5-0.5b|gpt2] [--model DIR] [--dtype bf16|f32] [--documents 8] [--length 512]
                [--steps 2] [--threads 2] [--lora RANK] [--layers N]

Weights are float32 and random from a config, or, with --model, those of a folder. bf16 is autocast, as the Trainer's bf16=True;
with --lora the base itself is bf16 and the adapters stay float32, PEFT's default. The loss is the model's own (labels = the
ids), attention is sdpa, dropout 0, no checkpointing; AdamW is torch's fused one, the gradient is clipped to length 1. step is
the least of all steps: a step is gradient to zero, forward, backward, clip, update. peak_mb is the process's
(interpreter and imports, import_mb, included).
"""
import argparse
import contextlib
import json
import os
import resource
import sys
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "2"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers

ROTARY = dict(max_position_embeddings=8192, tie_word_embeddings=True, attention_dropout=0.0)
SHAPES = {
    "smollm2-135m": ("LlamaConfig", dict(ROTARY, vocab_size=49152, hidden_size=576, num_hidden_layers=30,
                                         num_attention_heads=9, num_key_value_heads=3, intermediate_size=1536)),
    "qwen2.5-0.5b": ("Qwen2Config", dict(ROTARY, vocab_size=151936, hidden_size=896, num_hidden_layers=24,
                                         num_attention_heads=14, num_key_value_heads=2, intermediate_size=4864)),
    "gpt2": ("GPT2Config", dict(vocab_size=50257, n_embd=768, n_layer=12, n_head=12, n_positions=1024, resid_pdrop=0.0,
                                embd_pdrop=0.0, attn_pdrop=0.0)),
}  # fmt: skip


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def build(args):
    narrow = torch.bfloat16 if args.lora and args.dtype == "bf16" else torch.float32
    if args.model:
        model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=narrow, attn_implementation="sdpa")
    else:
        name, shape = SHAPES[args.shape]
        config = getattr(transformers, name)(**shape)
        if args.layers:
            config.num_hidden_layers = args.layers
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").to(narrow)
    if args.lora:
        import peft

        model = peft.get_peft_model(model, peft.LoraConfig(r=args.lora, lora_alpha=2 * args.lora, lora_dropout=0.0,
                                                           target_modules="all-linear", task_type="CAUSAL_LM"))
    return model.train()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="smollm2-135m", choices=list(SHAPES))
    parser.add_argument("--model")
    parser.add_argument("--dtype", default="bf16", choices=("bf16", "f32"))
    parser.add_argument("--documents", type=int, default=8)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--lora", type=int, default=0)
    parser.add_argument("--layers", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    import_mb = peak_mb()
    model = build(args)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    ids = torch.randint(model.config.vocab_size, (args.documents, args.length))
    mask = torch.ones_like(ids)
    best, loss = float("inf"), None
    for _ in range(args.steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        narrow = torch.autocast("cpu", torch.bfloat16) if args.dtype == "bf16" else contextlib.nullcontext()
        with narrow:
            loss = model(input_ids=ids, attention_mask=mask, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        loss = loss.item()
        best = min(best, time.perf_counter() - start)
    version = f"torch {torch.__version__}, transformers {transformers.__version__}"
    if args.lora:
        import peft

        version += f", peft {peft.__version__}"
    print(json.dumps({
        "peer": version, "dtype": args.dtype, "lora": args.lora, "documents": args.documents, "length": args.length,
        "parameters": sum(p.numel() for p in model.parameters()), "trained": sum(p.numel() for p in trained),
        "loss": loss, "step": best, "tokens_per_second": ids.numel() / best, "peak_mb": peak_mb(), "import_mb": import_mb,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
