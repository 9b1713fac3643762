#!/usr/bin/env bash
# Finds what Rein needs to be built and tested, and installs what is missing on Debian and Ubuntu.
#   scripts/setup.sh           compiler, CMake, libraries, cmocka
#   scripts/setup.sh --check   only says what is missing; exit code 1 if anything is
#   scripts/setup.sh --ci      also what .ci/run needs: clang-format and git
# MuJoCo is optional: installed where apt offers it, and no failure where it does not.
set -euo pipefail
cd "$(dirname "$0")/.."

install=yes
ci=no
for argument in "$@"; do
    case $argument in
    --check) install=no ;;
    --ci) ci=yes ;;
    *)
        echo "setup: unknown argument $argument; expected --check or --ci" >&2
        exit 2
        ;;
    esac
done

have() { command -v "$1" >/dev/null 2>&1; }
have_library() { have pkg-config && pkg-config --exists "$1"; }
cmake_is_recent() {
    have cmake || return 1
    local version
    version=$(cmake --version | sed -n '1s/.*version //p')
    [ "$(printf '%s\n3.21\n' "$version" | sort -V | head -n 1)" = 3.21 ]
}

# what is missing: Debian package, then how it is called to people elsewhere
packages=()
names=()
need() {
    packages+=("$1")
    names+=("$2")
}
have gcc || have clang || have cc || need gcc "a C compiler (gcc or clang)"
# gcc without the C library's headers is no compiler yet
if have cc && ! echo '#include <stdio.h>' | cc -E -x c - >/dev/null 2>&1; then
    need libc6-dev "the C library's headers"
elif ! have cc; then
    packages+=(libc6-dev)
fi
have cmake || need cmake "CMake 3.21 or newer"
have make || have ninja || need make "make or ninja"
have pkg-config || need pkg-config "pkg-config"
have_library jansson || need libjansson-dev "Jansson (JSON)"
have_library nettle || need nettle-dev "Nettle (SHA-256)"
have_library libpcre2-8 || need libpcre2-dev "PCRE2 (tokenizers of language models)"
have_library libutf8proc || need libutf8proc-dev "utf8proc (tokenizers of language models)"
have_library cmocka || need libcmocka-dev "cmocka (tests)"
if [ $ci = yes ]; then
    have clang-format || need clang-format "clang-format"
    have git || need git "git"
fi

as_root=()
log=
# asks for rights once; fails where there are none
find_root() {
    if [ "$(id -u)" != 0 ]; then
        have sudo || return 1
        as_root=(sudo)
        [ -t 0 ] || as_root=(sudo -n)
    fi
    [ -n "$log" ] || log=$(mktemp)
    trap 'rm -f "$log"' EXIT
}
apt() {
    echo "setup: ${as_root[*]:+${as_root[*]} }apt-get $*"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" </dev/null >"$log" 2>&1
}

has_mujoco() { echo '#include <mujoco/mujoco.h>' | cc -E -x c - >/dev/null 2>&1; }

if [ $install = no ]; then
    has_mujoco || echo "setup: optional, not here: MuJoCo (libmujoco-dev), for the robots"
fi
if [ ${#packages[@]} -gt 0 ]; then
    echo "setup: missing: $(printf '%s, ' "${names[@]}" | sed 's/, $//')"
    if [ $install = no ]; then
        exit 1
    fi
    if ! have apt-get; then
        echo "setup: please install these with this system's package manager and run this again:" >&2
        printf '  %s\n' "${names[@]}" >&2
        exit 1
    fi
    if ! find_root; then
        echo "setup: not root and no sudo here; as root: apt-get install ${packages[*]}" >&2
        exit 1
    fi
    install_packages() {
        apt install -y --no-install-recommends "${packages[@]}"
    }
    # package lists may be absent (containers) or older than the mirror
    if ! install_packages && ! { apt update && install_packages; }; then
        cat "$log" >&2
        echo "setup: apt-get failed; it needs a network and rights to install" >&2
        exit 1
    fi
fi
if [ $install = yes ] && ! has_mujoco && have apt-cache && apt-cache show libmujoco-dev >/dev/null 2>&1; then
    { find_root && apt install -y --no-install-recommends libmujoco-dev; } ||
        echo "setup: MuJoCo was not installed; Rein builds without it, and without the robots"
fi
if ! cmake_is_recent; then
    echo "setup: CMake 3.21 or newer is needed, found $(cmake --version 2>/dev/null | head -n 1)" >&2
    exit 1
fi
