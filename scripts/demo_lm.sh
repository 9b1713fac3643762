#!/usr/bin/env bash
# A language model from nothing: sentences of a grammar whose entropy is known (examples/grammar.c), a tokenizer learned
# from them, a small Llama trained on them, and what it writes judged by the grammar.
#
#     scripts/demo_lm.sh BUILD DIR
#
# Exit code 1 when the held-out loss is more than 5% above the entropy, or fewer than 95% of the samples are sentences.
set -euo pipefail
build=$1 dir=$2
rein=$build/rein grammar=$build/examples/grammar
rows=40000 samples=500
started=$(date +%s)

rm -rf "$dir"
mkdir -p "$dir/tokenizer"
"$grammar" text 4000 1 >"$dir/text.txt"
"$grammar" jsonl $rows 2 >"$dir/train.jsonl"
"$grammar" jsonl 2000 3 >"$dir/heldout.jsonl"
"$rein" tokenizer train --family gpt2 --vocab_size 400 --data "$dir/text.txt" --out "$dir/tokenizer"

cat >"$dir/config.json" <<'JSON'
{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 400, "hidden_size": 96,
 "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4,
 "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "initializer_range": 0.05,
 "rope_theta": 10000.0, "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "silu"}
JSON

"$rein" train sft --init "$dir/config.json" --tokenizer "$dir/tokenizer" --data "$dir/train.jsonl" \
    --eval_data "$dir/heldout.jsonl" --max_length 128 --per_device_train_batch_size 64 \
    --per_device_eval_batch_size 64 --num_train_epochs 2 --learning_rate 3e-3 --lr_scheduler_type cosine \
    --warmup_steps 40 --weight_decay 0.01 --logging_steps 50 --eval_steps 250 --out "$dir/run"

"$rein" generate --model "$dir/run/model" --prompt '<|endoftext|>' --raw --n $samples --temperature 1 --top_k 0 \
    --top_p 1 --max_new_tokens 120 --seed 1 --out "$dir/samples.jsonl" --quiet >/dev/null

# the last evaluation, by the names of its columns: nats a token x tokens a sentence
read -r loss tokens <<<"$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["eval_loss"] != "" { loss = $at["eval_loss"]; n = $at["eval_num_tokens"] } END { print loss, n }' \
    "$dir/run/metrics.csv")"
entropy=$("$grammar" | awk '/^entropy/ { print $2 }')
read -r good all <<<"$("$grammar" check "$dir/samples.jsonl")"

echo
echo "what it writes:"
"$grammar" completions "$dir/samples.jsonl" | sed -n '1,8s/^/    /p'
awk -v loss="$loss" -v tokens="$tokens" -v entropy="$entropy" -v good="$good" -v all="$all" \
    -v seconds=$(($(date +%s) - started)) 'BEGIN {
    found = loss * tokens / 2000
    printf "\n%-34s %8.3f nats\n%-34s %8.3f nats (%+.1f%%, allowed +5%%)\n%-34s %8.1f%% of %d (at least 95%%)\n%-34s %8d s\n",
        "entropy of a sentence", entropy, "held-out loss of a sentence", found, 100 * (found / entropy - 1),
        "samples that are sentences", 100 * good / all, all, "time, everything", seconds
    exit !(found <= 1.05 * entropy && good >= 0.95 * all)
}'
