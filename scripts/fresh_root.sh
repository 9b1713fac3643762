#!/usr/bin/env bash
# Proves that a bare machine is enough: makes a minimal Debian in a temporary directory, clones the last commit into
# it, and runs the README's commands there. Needs root and debootstrap; nothing outside the directory is changed.
#   scripts/fresh_root.sh [SUITE [COMMAND ...]]        by default: bookworm "make demo" "make test"
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${1:-bookworm}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- "make demo" "make test"
if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    echo "fresh_root: needs root and debootstrap" >&2
    exit 2
fi

# packages come from where this machine gets its own
mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
    awk -v suite="$suite" '$1 == suite && $2 !~ /security/ {print $2; exit}')
if [ -z "$mirror" ]; then
    echo "fresh_root: this machine's package sources have no $suite" >&2
    exit 2
fi

root=$(mktemp -d)
chmod 755 "$root"
trap 'rm -rf --one-file-system "$root"' EXIT

step() {
    local start=$SECONDS
    echo "fresh_root: ---- $*"
    "$@"
    echo "fresh_root: ---- $((SECONDS - start)) s"
}

# mounts live in a namespace of their own and end with it
inside() {
    unshare --mount --pid --fork bash -c '
        mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
        exec chroot "$0" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
            bash -c "cd /srv/rein && $1"' "$root" "$1" </dev/null
}

step debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 || {
    tail -n 20 "$root.log" >&2
    exit 1
}
rm -f "$root.log"
# how this machine reaches its package sources (proxies and the like) holds inside as well
apt-config dump | grep -E '^Acquire::(https?|ftp|Check-Valid-Until|Check-Date|Retries|ForceIPv4)' \
    >"$root/etc/apt/apt.conf.d/00host" || true

git clone --quiet --no-local . "$root/srv/rein"
step inside "apt-get -q update && apt-get -q install -y --no-install-recommends make" >/dev/null
for command in "$@"; do
    step inside "$command"
done
echo "fresh_root: a bare $suite is enough"
