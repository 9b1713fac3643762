#!/usr/bin/env bash
# Aligning a small language model in every way Rein knows, from one start: a transformer learns sums from teachers who
# misremember some (examples/arithmetic.c), then is taught by rewards, by preferences and by a reward model, and each result is judged
# on problems that none of them saw.
#
#     scripts/demo_rlhf.sh BUILD DIR [SEED ...]        the seed is 1 unless given; THREADS=N in place of one per core
#
# The same means for all: every method may see 51,200 answers and make 200 updates. Methods that write their own answers
# write 32 x 8 of them for each update; those that learn from a file have the 8 answers that the start wrote to each of the
# same 6,400 problems. Two controls have it too: more demonstrations of the same teachers (continued), and more fine-tuning
# on those of the start's answers that were right (rejection). Preferences are made of answers drawn at temperature 1.5,
# with mistakes of every kind, and so PPO draws against the reward model that learned from them; all else is drawn at 1.
#
# In DIR: all runs, and what scripts/rlhf_report.sh makes a table of: results.csv, differences.csv (paired bootstrap) and
# hacking.csv (PPO against the reward model, slice by slice of its answers: score, true accuracy, KL). Exit code 1 where a
# bar of that table is missed.
set -euo pipefail
build=$1 dir=$2
shift 2
[ $# -gt 0 ] || set -- 1
rein=$build/rein arithmetic=$build/examples/arithmetic
updates=200 batch=256 group=8
problems=$((updates * batch / group))
threads=(--threads "${THREADS:-0}")
TIMEFORMAT='%R %U %S'

rm -rf "$dir"
mkdir -p "$dir/tokenizer"
echo "seed,method,right,problems,kl,reward,wall_s,cpu_s,peak_mb" >"$dir/results.csv"
echo "seed,method,against,difference,low,high,not_better" >"$dir/differences.csv"
echo "seed,run,answers,score,accuracy,kl" >"$dir/hacking.csv"

# a token for every byte is all that sums need
echo '0123456789+=' >"$dir/text.txt"
"$rein" tokenizer train --family gpt2 --vocab_size 258 --special_tokens '<|pad|>' --data "$dir/text.txt" \
    --out "$dir/tokenizer" >/dev/null
cat >"$dir/config.json" <<'JSON'
{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 258, "hidden_size": 64,
 "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4,
 "max_position_embeddings": 32, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "initializer_range": 0.05,
 "rope_theta": 10000.0, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1, "hidden_act": "silu"}
JSON

# answers MODEL FILE OUT [OPTION ...]
answers() {
    local model=$1 file=$2 out=$3
    shift 3
    "$rein" generate --model "$model" --file "$file" --raw --max_new_tokens 8 --out "$out" --quiet "${threads[@]}" \
        "$@" >/dev/null
}

# train NAME METHOD [OPTION ...]: a run in $run/NAME that begins with the fine-tuned model, and its line of results
train() {
    local name=$1 method=$2
    shift 2
    begin_from "$name" "$method" --model "$run/sft/model" "$@"
    [ "$method" = reward ] || measure "$name"
}
begin_from() {
    local name=$1 method=$2
    shift 2
    { time "$rein" train "$method" "$@" --max_length 32 --seed "$seed" --out "$run/$name" --quiet \
        "${threads[@]}"         >"$run/$name.txt"; } 2>"$run/$name.time" || { cat "$run/$name.time" && exit 1; }
}

# Greedy accuracy; and of answers drawn at temperature 1 the mean reward, and log pi - log pi_sft, whose mean is
# KL(pi || pi_sft) of an answer.
measure() {
    local name=$1 model=$run/$1/model greedy=$run/$1.greedy.jsonl drawn=$run/$1.drawn.jsonl
    answers "$model" "$dir/heldout.jsonl" "$greedy" --temperature 0
    answers "$model" "$dir/heldout.jsonl" "$drawn" --temperature 1 --seed 7
    # without the few that were cut, or hold bytes that are no text: they would be other tokens when read back
    LC_ALL=C grep '"finish": "eos"' "$drawn" | LC_ALL=C grep -v '[^ -~]' >"$run/$name.ended.jsonl"
    "$rein" eval --model "$run/sft/model" --data "$run/$name.ended.jsonl" --json >"$run/$name.reference.json" \
        2>/dev/null
    local kl wall user system peak reward
    kl=$(cat "$run/$name.reference.json" "$run/$name.ended.jsonl" | tr -d '{}' | awk -F', ' '
        { for (i = 1; i <= NF; i++) { split($i, pair, ": "); value[pair[1]] = pair[2] } }
        NR == 1 { reference = -value["\"loss\""] * value["\"tokens\""]; next }
        { policy += value["\"logprob\""] }
        END { printf "%.5f", (policy - reference) / (NR - 1) }')
    reward=$("$arithmetic" check "$drawn" | awk '{ printf "%.5f", $1 / $2 }')
    read -r wall user system <<<"$(tail -n 1 "$run/$name.time")"
    peak=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "memory/peak_mb") at = i; next }
        $at > most { most = $at } END { printf "%.1f", most }' "$run/$name/metrics.csv")
    awk -v seed="$seed" -v name="$name" -v kl="$kl" -v reward="$reward" -v wall="$wall" -v user="$user" \
        -v system_="$system" -v peak="$peak" \
        '{ printf "%s,%s,%d,%d,%s,%s,%.1f,%.1f,%s\n", seed, name, $1, $2, kl, reward, wall, user + system_, peak }' \
        <<<"$("$arithmetic" check "$greedy")" | tee -a "$dir/results.csv"
    [ "$name" = sft ] || against "$name" sft
}

against() {
    echo "$seed,$1,$2,$("$arithmetic" compare "$run/$1.greedy.jsonl" "$run/$2.greedy.jsonl" | tr ' ' ,)" \
        >>"$dir/differences.csv"
}

study() {
    "$arithmetic" demonstrations 60000 $((seed * 100 + 1)) >"$run/demonstrations.jsonl"
    "$arithmetic" demonstrations 2000 $((seed * 100 + 2)) >"$run/unseen.jsonl"
    "$arithmetic" demonstrations $((updates * batch)) $((seed * 100 + 3)) >"$run/more.jsonl"
    "$arithmetic" problems $problems $((seed * 100 + 4)) >"$run/problems.jsonl"
    begin_from sft sft --init "$dir/config.json" --tokenizer "$dir/tokenizer" --data "$run/demonstrations.jsonl" \
        --eval_data "$run/unseen.jsonl" --per_device_train_batch_size 64 --per_device_eval_batch_size 64 \
        --num_train_epochs 3 --learning_rate 4e-3 --lr_scheduler_type cosine --warmup_steps 40 --weight_decay 0.01 \
        --logging_steps 50 --eval_steps 250
    measure sft

    answers "$run/sft/model" "$run/problems.jsonl" "$run/own.jsonl" --n $group --temperature 1 --seed "$seed"
    answers "$run/sft/model" "$run/problems.jsonl" "$run/wild.jsonl" --n $group --temperature 1.5 --seed "$seed"
    "$arithmetic" right "$run/own.jsonl" >"$run/right.jsonl"
    for kind in pairs rankings labels; do
        "$arithmetic" $kind "$run/wild.jsonl" >"$run/$kind.jsonl"
    done

    local steps=(--max_steps $updates --logging_steps 10)
    local rollouts=(--data "$run/problems.jsonl" --per_device_train_batch_size $batch --generation_slots $batch)
    local groups=("${rollouts[@]}" --reward exact --num_generations $group --max_completion_length 8
        --log_completions false --learning_rate 1e-3 "${steps[@]}")
    local learned=("${rollouts[@]}" --reward "model($run/reward/model)" --value_model "$run/reward/model"
        --response_length 8 --temperature 1.5 --num_ppo_epochs 2 --learning_rate 5e-4 --warmup_steps 20
        "${steps[@]}")
    train reward reward --data "$run/rankings.jsonl" --validation_split 0.1 --per_device_train_batch_size 32 \
        --learning_rate 1e-3 --lr_scheduler_type cosine --warmup_steps 20 --num_train_epochs 8
    train ppo_model ppo "${learned[@]}" --kl_coef 0.3
    train ppo_model_free ppo "${learned[@]}" --kl_coef 0
    train continued sft --data "$run/more.jsonl" --per_device_train_batch_size $batch --learning_rate 1e-3 \
        "${steps[@]}"
    train rejection sft --data "$run/right.jsonl" --per_device_train_batch_size $batch --learning_rate 1e-3 \
        "${steps[@]}"
    train dpo dpo --data "$run/pairs.jsonl" --per_device_train_batch_size 128 --loss_type sigmoid,sft \
        --loss_weights 1,5 --learning_rate 1e-3 "${steps[@]}"
    train kto kto --data "$run/labels.jsonl" --per_device_train_batch_size $batch --train_sampling_strategy random \
        --beta 0.3 --learning_rate 1e-3 "${steps[@]}"
    train rrhf rrhf --data "$run/rankings.jsonl" --per_device_train_batch_size 64 --learning_rate 5e-4 "${steps[@]}"
    train grpo grpo "${groups[@]}"
    train rloo rloo "${groups[@]}"
    train ppo ppo "${rollouts[@]}" --reward exact --response_length 8 --temperature 1 --kl_coef 0.02 \
        --num_ppo_epochs 2 --log_completions false --learning_rate 1e-3 "${steps[@]}"
    for name in ppo_model ppo_model_free; do
        "$arithmetic" curve "$run/$name/rollouts.jsonl" 20 | sed "1d; s/^/$seed,$name,/" >>"$dir/hacking.csv"
    done
    for name in grpo ppo; do
        against $name continued
        against $name rejection
    done
}

"$arithmetic" heldout 2000 41 >"$dir/heldout.jsonl"
for seed; do
    run=$dir/seed-$seed
    mkdir -p "$run"
    study
done
"$(dirname "$0")/rlhf_report.sh" "$dir"
