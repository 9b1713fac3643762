#!/usr/bin/env bash
# Runs the tests of a build directory and counts their cases.
#   scripts/run_tests.sh BUILD [ctest arguments, such as -L unit or -R ppo]
# Prints a line a program, the whole output of those that failed, and last "N passed, N failed".
set -uo pipefail

if [ $# -lt 1 ] || [ ! -d "$1" ]; then
    echo "usage: scripts/run_tests.sh BUILD [ctest arguments]" >&2
    exit 2
fi
build=$(cd "$1" && pwd)
shift
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# -V: every line of a program's output, marked with its number
ctest --test-dir "$build" -j "$jobs" -V --no-tests=error "$@" >"$log" 2>&1 </dev/null
code=$?

awk -v code="$code" -f "$(dirname "$0")/count_tests.awk" "$log"
