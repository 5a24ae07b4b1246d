#!/usr/bin/env bash
# Tests quickstart.sh and test.sh on a system where nothing is installed: clones HEAD into a bare Debian 12, runs both
# there twice as root, and prints how long each run took. Needs root, git and about 4 GB of disk.
#   NIBBLE_FRESH_SUITE=noble NIBBLE_FRESH_MIRROR=<address of its archive> tools/test_fresh.sh     another system
#   NIBBLE_FRESH_RUN=quickstart                                                                    only that script
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/common.sh"
. "$here/lib/packages.sh"
. "$here/lib/archive.sh"

SUITE=${NIBBLE_FRESH_SUITE:-bookworm}
MIRROR=${NIBBLE_FRESH_MIRROR:-$(archive_uri)} || die "no archive found in the apt sources: set NIBBLE_FRESH_MIRROR"
RUN=${NIBBLE_FRESH_RUN:-quickstart test}
base=$NIBBLE_CACHE/fresh/$SUITE.tar

[ "$(id -u)" = 0 ] || die "must be root, to make a chroot"
command -v git >/dev/null || die "needs git"
need_packages debootstrap || exit 1
work_dir
root=$WORK/root

# debootstrap's script for every Ubuntu is "gutsy". A suite that it does not know is treated as a newer Ubuntu.
scripts=/usr/share/debootstrap/scripts
script=$(basename "$(readlink -e "$scripts/$SUITE" || echo gutsy)")
# Ubuntu has some of the packages in universe, and no newer drivers for the tests. On Debian everything is required.
case $script in gutsy) components=main,universe all=0 ;; *) components=main all=1 ;; esac

if [ ! -e "$base" ]; then
  say "making a bare $SUITE (about a minute, once)"
  debootstrap --variant=minbase --components="$components" --include=ca-certificates "$SUITE" "$root" "$MIRROR" \
    "$scripts/$script" >"$WORK/log" 2>&1 ||
    { tail -n 5 "$WORK/log" >&2; die "debootstrap $SUITE failed"; }
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  mkdir -p "${base%/*}"
  tar -cf "$WORK/base.tar" -C "$root" .
  mv "$WORK/base.tar" "$base"
else
  mkdir "$root"
  tar -xf "$base" -C "$root"
fi

# The chroot needs this machine's network settings.
cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null || true
apt-config dump | grep '^Acquire::' > "$root/etc/apt/apt.conf.d/90network" || true

git clone -q --no-hardlinks "$NIBBLE_ROOT" "$root/nibble"

# inside COMMAND...: runs it in the chroot, in separate namespaces, so that mounts and processes always end with it.
inside() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount --pid --fork --kill-child --propagation private sh -c '
    mount -t proc proc "$1/proc" && mount -t sysfs -o ro sys "$1/sys" && mount -t tmpfs shm "$1/dev/shm" || exit 1
    root=$1; shift
    exec chroot "$root" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
  ' sh "$root" NIBBLE_REQUIRE_ALL="${NIBBLE_REQUIRE_ALL:-$all}" "$@" </dev/null
}

# timed LABEL COMMAND...: runs the command inside, and records how long it took.
times=()
timed() {
  local label=$1 start=$SECONDS
  shift
  say "== $label"
  inside "$@" || die "$label failed after $((SECONDS - start)) s in a bare $SUITE"
  times+=("$label: $((SECONDS - start)) s")
}

mkdir -p "$root/dev/shm"
for script in $RUN; do
  timed "$script, cold" "/nibble/tools/$script.sh"
  timed "$script, again" "/nibble/tools/$script.sh"
done
printf '%s\n' "${times[@]}"
