#!/usr/bin/env bash
# Installs a build into a temporary prefix, moves it, and builds a small program against it: through pkg-config and
# through CMake, shared and static. Prints TAP.
#   scripts/test_install.sh BUILD
set -uo pipefail

build=$(cd "${1:?usage: scripts/test_install.sh BUILD}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# a blank in the path, and another place than the one that was installed to
prefix="$work/moved here"
cc=${CC:-cc}

case_number=0
failed=0
try() {
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

install_and_move() {
    cmake --install "$build" --prefix "$work/installed" && mv "$work/installed" "$prefix"
}

cat >"$work/hello.c" <<'END'
#include <stdio.h>
#include <rein/rein.h>

int main(void) {
    const rein_env_type *type = rein_env_find("CartPole-v1");
    rein_vec_opts opts = {.n = 2, .seed = 1};
    rein_vec *vec;
    if (!type || rein_vec_new(type, &opts, &vec) != REIN_OK)
        return fprintf(stderr, "%s\n", rein_error()), 1;
    printf("rein %s: %d x %s\n", rein_version(), rein_vec_count(vec), rein_vec_type(vec)->id);
    rein_vec_free(vec);
    return 0;
}
END
mkdir "$work/project"
cat >"$work/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.21)
project(hello LANGUAGES C)
find_package(rein REQUIRED)
add_executable(hello-shared ../hello.c)
target_link_libraries(hello-shared rein::rein)
add_executable(hello-static ../hello.c)
target_link_libraries(hello-static rein::rein-static)
END

through_pkg_config() { # shared or static
    local options=(--define-variable=unused=1) flags=()
    export PKG_CONFIG_PATH="$libdir/pkgconfig"
    [ "$1" = static ] && options+=(--static)
    # pkg-config escapes blanks for a shell
    eval "flags=($(pkg-config "${options[@]}" --cflags --libs rein))" || return
    if [ "$1" = static ]; then
        flags=("${flags[@]/#-lrein/$libdir/librein.a}")
    fi
    "$cc" -std=c11 "$work/hello.c" "${flags[@]}" -o "$work/hello-$1" || return
    LD_LIBRARY_PATH="$libdir" "$work/hello-$1" | grep '^rein .*: 2 x CartPole-v1$'
}

through_cmake() {
    cmake -S "$work/project" -B "$work/project/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" &&
        cmake --build "$work/project/build" &&
        "$work/project/build/hello-shared" | grep '^rein .*: 2 x CartPole-v1$' &&
        "$work/project/build/hello-static" | grep '^rein .*: 2 x CartPole-v1$'
}

# the shared library shows rein_ functions and nothing else
symbols() {
    local others
    others=$(nm -D --defined-only "$libdir/librein.so" | awk '{print $3}' | grep -v '^rein_')
    [ -z "$others" ] || { echo "$others"; return 1; }
}

no_build_paths() {
    ! grep -rlF -e "$build" "$prefix/include" "$libdir/pkgconfig" "$libdir/cmake"
}

command_runs() {
    "$prefix/bin/rein" version
}

try "install into a prefix" install_and_move
libdir=$(dirname "$(find "$prefix" -name librein.a | head -n 1)")
try "a program through pkg-config, shared" through_pkg_config shared
try "a program through pkg-config, static" through_pkg_config static
try "programs through CMake, shared and static" through_cmake
try "the shared library exports rein_ symbols only" symbols
try "nothing installed names the build directory" no_build_paths
try "the installed command runs" command_runs
echo "1..$case_number"
exit $failed
