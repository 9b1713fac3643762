#!/usr/bin/env bash
# Every public header compiles alone, as C11 and (where there is a compiler) as C++17. CC and CXX name the compilers.
set -uo pipefail
cd "$(dirname "$0")/.."

case_number=0
failed=0
try() { # description, command
    case_number=$((case_number + 1))
    local description=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "ok $case_number - $description"
    else
        echo "not ok $case_number - $description"
        echo "$output"
        failed=1
    fi
}

for header in include/rein/*.h; do
    name=rein/$(basename "$header")
    try "$name is C11" "${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -Werror -Iinclude -include "$name" \
        -fsyntax-only -x c /dev/null
    if [ -n "${CXX:-}" ]; then
        try "$name is C++17" "$CXX" -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iinclude -include "$name" \
            -fsyntax-only -x c++ /dev/null
    fi
done
echo "1..$case_number"
exit $failed
