#!/usr/bin/env bash
# Rewrites tests/golden/help/ from a built command.
#   scripts/help_golden.sh build/rein
set -euo pipefail

rein=$(realpath "${1:?usage: scripts/help_golden.sh REIN}")
cd "$(dirname "$0")/../tests/golden"
rm -rf help
mkdir help
"$rein" help >help/rein.txt
for verb in train eval generate chat label merge tokenizer show list describe bench version; do
    "$rein" "$verb" --help >"help/$verb.txt"
done
"$rein" list algos | awk '/^  / {print $1}' | while read -r algorithm; do
    "$rein" train "$algorithm" --help >"help/train_$algorithm.txt"
done
