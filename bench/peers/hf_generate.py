#!/usr/bin/env python3
"""Tokens a second of Transformers' generate on the CPU, random weights: one JSON line a batch size.

    hf_generate.py [--batch 1,16] [--new 256] [--prompt 16] [--dtype bf16|f32] [--threads 2] [--shape smollm2|qwen2.5]
    hf_generate.py --model DIR --text PROMPT [--dtype ...] [--threads 2]    time from process start to the first token's text

The same work as bench_generate: sampling at temperature 1 from the whole vocabulary, no token ends an answer. ms_step is
of decoding alone: the time of all tokens minus that of the first.
"""
import time

started = time.time()
import argparse
import json

import torch
import transformers

imported = time.time()

SHAPES = {
    "smollm2": dict(
        cls="LlamaConfig", vocab_size=49152, hidden_size=576, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, intermediate_size=1536, max_position_embeddings=8192, tie_word_embeddings=True,
    ),
    "qwen2.5": dict(
        cls="Qwen2Config", vocab_size=151936, hidden_size=896, num_hidden_layers=24, num_attention_heads=14,
        num_key_value_heads=2, intermediate_size=4864, max_position_embeddings=32768, tie_word_embeddings=True,
    ),
}  # fmt: skip


def build(args, dtype):
    if args.model:
        return transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype).eval()
    shape = dict(SHAPES[args.shape])
    config = getattr(transformers, shape.pop("cls"))(**shape)
    return transformers.AutoModelForCausalLM.from_config(config).to(dtype).eval()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", default="1,16")
    parser.add_argument("--new", type=int, default=256)
    parser.add_argument("--prompt", type=int, default=16)
    parser.add_argument("--dtype", default="bf16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shape", default="smollm2", choices=list(SHAPES))
    parser.add_argument("--model")
    parser.add_argument("--text", default="The")
    parser.add_argument("--repeat", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = build(args, torch.bfloat16 if args.dtype == "bf16" else torch.float32)

    def run(batch, new):
        ids = torch.arange(100, 100 + args.prompt).repeat(batch, 1)
        start = time.perf_counter()
        model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
            max_new_tokens=new, min_new_tokens=new, pad_token_id=0, eos_token_id=None,
        )  # fmt: skip
        return time.perf_counter() - start

    if args.model:
        tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
        answer = model.generate(**tokenizer(args.text, return_tensors="pt"), do_sample=False, max_new_tokens=1)
        text = tokenizer.decode(answer[0])
        print(json.dumps({"first_token_s": time.time() - started, "import_s": imported - started, "text": text}))
        return
    for batch in (int(b) for b in args.batch.split(",")):
        run(batch, 2)
        first = min(run(batch, 1) for _ in range(args.repeat))
        whole = min(run(batch, args.new) for _ in range(args.repeat))
        step = (whole - first) / (args.new - 1)
        print(json.dumps({
            "peer": "transformers " + transformers.__version__ + ", torch " + torch.__version__, "dtype": args.dtype,
            "batch": batch, "tokens_per_s": batch / step, "ms_step": 1e3 * step, "prompt_ms": 1e3 * first,
        }))  # fmt: skip


if __name__ == "__main__":
    main()
