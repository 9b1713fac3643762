#!/usr/bin/env bash
# The table of scripts/demo_rlhf.sh from what it wrote into DIR: means over seeds with 95% intervals (Student's t), the least
# difference to the start and its paired bootstrap, the reward-hacking curve, and the bars that were set beforehand.
#
#     scripts/rlhf_report.sh DIR          also writes DIR/rlhf.json; exit code 1 where a bar is missed
set -euo pipefail
dir=$1

awk -F, -v json="$dir/rlhf.json" '
function t95(n) { return n == 2 ? 12.706 : n == 3 ? 4.303 : n == 4 ? 3.182 : n == 5 ? 2.776 : 2.571 }
function spread(sum, squares, n) { return n < 2 ? 0 : t95(n) * sqrt(max(0, squares - sum * sum / n) / (n - 1) / n) }
function max(a, b) { return a > b ? a : b }
function bar(ok, text) { printf "  %-6s %s\n", ok ? "met" : "MISSED", text; missed += !ok }
FNR == 1 { file++; for (i = 1; i <= NF; i++) head[i] = $i; next }
file < 3 {
    line = ""
    for (i = 1; i <= NF; i++)
        line = line (i > 1 ? ", " : "") "\"" head[i] "\": " ($i + 0 == $i ? $i : "\"" $i "\"")
    rows[file] = rows[file] (rows[file] ? ",\n" : "") "  {" line "}"
}
file == 1 {
    if (!($2 in n)) order[++methods] = $2
    n[$2]++; x = 100 * $3 / $4; seeds = max(seeds, n[$2]); problems = $4
    sum[$2] += x; squares[$2] += x * x; least[$2] = n[$2] == 1 || x < least[$2] ? x : least[$2]
    kl[$2] += $5; kl2[$2] += $5 * $5; reward[$2] += $6; wall[$2] += $7; cpu[$2] += $8; peak[$2] = max(peak[$2], $9)
}
file == 2 {
    key = $2 "," $3
    if (!(key in low) || $5 < low[key]) low[key] = $5
    if (!(key in gain) || $4 < gain[key]) gain[key] = $4
    if ($7 > chance[key]) chance[key] = $7
}
END {
    printf "\n%-15s %19s %18s %7s %7s %7s %7s   %s\n", "method", "greedy accuracy %", "KL to the start", "reward",
        "wall s", "CPU s", "MB", "gain, least over seeds [its bootstrap low]"
    for (k = 1; k <= methods; k++) {
        m = order[k]; key = m ",sft"
        printf "%-15s %10.2f +- %5.2f %9.3f +- %5.3f %7.3f %7.1f %7.1f %7.1f   ", m, sum[m] / n[m],
            spread(sum[m], squares[m], n[m]), kl[m] / n[m], spread(kl[m], kl2[m], n[m]), reward[m] / n[m],
            wall[m] / n[m], cpu[m] / n[m], peak[m]
        if (key in gain) printf "%+.2f [%+.2f]\n", 100 * gain[key], 100 * low[key]
        else print "-"
    }
    printf "\n%d held-out problems, %d seed%s, +- half a 95%% interval over seeds; reward: share of right answers at " \
        "temperature 1\n\nbars:\n", problems, seeds, (seeds > 1 ? "s" : "")
    bar(sum["sft"] / n["sft"] > 50 && sum["sft"] / n["sft"] < 70, "the start is near 60%")
    for (k = 1; k <= methods; k++) {
        m = order[k]
        if (m != "sft" && m != "continued" && m != "ppo_model_free")
            bar(low[m ",sft"] > 0, m " beats the start on every seed (paired bootstrap, 97.5%)")
    }
    for (k = 1; k <= 2; k++) {
        m = k == 1 ? "grpo" : "ppo"
        bar(least[m] >= 95, m " reaches 95% on every seed")
        bar(low[m ",continued"] > 0, m " beats continued fine-tuning on every seed")
        bar(low[m ",rejection"] > 0, m " beats rejection sampling on every seed")
    }
    printf "{\"results\": [\n%s],\n\"differences\": [\n%s]}\n", rows[1], rows[2] >json
    exit (missed > 0)
}' "$dir/results.csv" "$dir/differences.csv" || missed=yes

# PPO against the reward model: the mean over seeds of every slice
echo
echo "PPO against the reward model, in the order of its answers: score of the reward model, true accuracy, KL"
awk -F, 'NR > 1 {
    if (!(($2, $3) in n)) order[++rows] = $2 SUBSEP $3
    k = $2 SUBSEP $3; n[k]++; score[k] += $4; right[k] += $5; kl[k] += $6
}
END {
    printf "  %-15s %8s %8s %9s %7s\n", "run", "answers", "score", "accuracy", "KL"
    for (i = 1; i <= rows; i++) {
        k = order[i]; split(k, part, SUBSEP)
        printf "  %-15s %8d %8.3f %9.3f %7.3f\n", part[1], part[2], score[k] / n[k], right[k] / n[k], kl[k] / n[k]
    }
}' "$dir/hacking.csv"
[ -z "${missed:-}" ]
