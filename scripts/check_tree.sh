#!/usr/bin/env bash
# The rules of the source tree that a compiler does not check: who may include whom, names, lengths, and what a
# library must not do. Prints each breach; exit code 1 if there is any.
set -euo pipefail
cd "$(dirname "$0")/.."

breaches=0
breach() {
    echo "check_tree: $*"
    breaches=$((breaches + 1))
}

# ---- dependencies: base < tensor < nn < (rl, lm < data) < algo < run < cli; base < mdp < env ----------------

declare -A sees=(
    [base]="base"
    [mdp]="mdp base"
    [env]="env mdp base"
    [tensor]="tensor base"
    [nn]="nn tensor base"
    [rl]="rl nn tensor mdp base"
    [lm]="lm nn tensor base"
    [data]="data lm nn tensor base"
    [algo]="algo rl lm data nn tensor mdp base"
    [run]="run algo rl lm data nn tensor mdp base"
    [cli]="cli"
)
# what C itself offers to a public header
standard=" complex.h ctype.h errno.h fenv.h float.h inttypes.h limits.h math.h setjmp.h signal.h stdalign.h stdarg.h \
stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h tgmath.h threads.h time.h "

check_include() { # file line name
    local file=$1 line=$2 name=$3 from folder
    from=${file#src/}
    from=${from%%/*}
    if [ -f "$(dirname "$file")/$name" ] && [[ $name != *..* ]]; then
        return # of the same folder
    fi
    if [ "$name" = rein_build.h ] || [ "$from" = cli ] && [[ $name != */* ]]; then
        return # generated, or another library's
    fi
    folder=${name%%/*}
    if [ ! -f "src/$name" ]; then
        breach "$file:$line: \"$name\" is neither beside the file nor below src/"
    elif [[ " ${sees[$from]:-} " != *" $folder "* ]]; then
        breach "$file:$line: $from may not include \"$name\" (it sees: ${sees[$from]:-nothing, unknown folder})"
    fi
}

while IFS=: read -r file line text; do
    name=${text#*\"}
    check_include "$file" "$line" "${name%%\"*}"
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' src --include='*.[ch]')

while IFS=: read -r file line text; do
    name=${text#*[<\"]}
    name=${name%%[>\"]*}
    if [[ $text == *\"* ]] || { [[ $name != rein/* ]] && [[ $standard != *" $name "* ]]; }; then
        breach "$file:$line: a public header includes <rein/...> and standard headers only, found $name"
    fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include' include --include='*.h')

# no algorithm names an environment
while IFS= read -r hit; do
    breach "$hit: names an environment"
done < <(grep -rnE '"[A-Z][A-Za-z]*-v[0-9]+"' src/tensor src/nn src/rl src/algo --include='*.[ch]' 2>/dev/null |
    grep -vE '^[^:]*:[0-9]+:[[:space:]]*(\*|/\*)' || true)

# ---- names and lengths ---------------------------------------------------------------------------------------

while IFS= read -r name; do
    breach "two files are called $name: $(find src -name "$name" | tr '\n' ' ')"
done < <(find src -name '*.[ch]' -printf '%f\n' | sort | uniq -d)

while IFS= read -r -d '' file; do
    lines=$(wc -l <"$file")
    [ "$lines" -lt 800 ] || breach "$file has $lines lines, 799 are allowed"
done < <(find include src tests examples bench -name '*.[ch]' -print0 2>/dev/null)

# ---- what the library leaves to the program: output, exit, the environment (REIN_CPU excepted) ----------------

while IFS= read -r hit; do
    [[ $hit == *REIN_CPU* ]] || breach "a library does not do this: $hit"
done < <(grep -rnE '(^|[^A-Za-z0-9_>.])(exit|_exit|printf|puts|putchar|getenv|system)\(' src --include='*.[ch]' |
    grep -v '^src/cli/' || true)

if [ $breaches -gt 0 ]; then
    echo "check_tree: $breaches breaches"
    exit 1
fi
