#!/usr/bin/env bash
# Makes a Debian sid tree with Debian's own packages of the loaders, or with the PACKAGEs, in the folder TREE, and
# prints their versions. A complete tree is left unchanged. Needs root, a Debian archive in the apt sources and about
# 3 GB of disk (the loaders).
#   tree.sh TREE [PACKAGE]...
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tools/lib/common.sh"
. "$root/tools/lib/packages.sh"
. "$root/tools/lib/archive.sh"

# Without OpenBLAS torch uses the reference BLAS, which is ten times slower.
LOADERS=(python3-torch python3-safetensors python3-transformers python3-compressed-tensors python3-accelerate
         libopenblas0-pthread)

[ $# -ge 1 ] || die "usage: tree.sh TREE [PACKAGE]..."
tree=$1
shift
[ $# = 0 ] || LOADERS=("$@")
[ "$(id -u)" = 0 ] || die "must be root, to make a chroot"

if [ ! -e "$tree/.nibble-loaders" ]; then
  [ ! -e "$tree" ] || [ -z "$(ls -A "$tree")" ] || die "$tree exists and was not made by this script"
  need_packages debootstrap || exit 1
  archive=$(debian_archive) || exit 1
  mkdir -p "${tree%/*}"
  half=$(mktemp -d "$tree.XXXXXX")
  trap 'rm -rf --one-file-system "$half" "$half.log"' EXIT
  log=$half.log
  say "making a bare Debian sid in $tree (some minutes, once)"
  debootstrap --variant=minbase --include=ca-certificates sid "$half" "$archive" /usr/share/debootstrap/scripts/sid \
    >"$log" 2>&1 || { tail -n 5 "$log" >&2; die "debootstrap failed"; }
  # The tree needs this machine's network settings; and no package may start a service.
  cp -L /etc/resolv.conf /etc/hosts "$half/etc/" 2>/dev/null || true
  cp -L /etc/ssl/certs/ca-certificates.crt "$half/etc/ssl/certs/" 2>/dev/null || true
  { apt-config dump | grep '^Acquire::' || true; } > "$half/etc/apt/apt.conf.d/90network"
  printf '#!/bin/sh\nexit 101\n' > "$half/usr/sbin/policy-rc.d"
  chmod 755 "$half" "$half/usr/sbin/policy-rc.d"
  say "installing ${LOADERS[*]}"
  {
    chroot "$half" apt-get -q update
    chroot "$half" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${LOADERS[@]}"
  } >"$log" 2>&1 </dev/null || { grep '^E:' "$log" >&2 || tail -n 5 "$log" >&2; die "installing the loaders failed"; }
  rm -rf "$half"/var/cache/apt/archives/*.deb "$half"/var/lib/apt/lists/* "$log"
  touch "$half/.nibble-loaders"
  rmdir "$tree" 2>/dev/null || true
  mv -T "$half" "$tree"
fi
# shellcheck disable=SC2016 # dpkg-query's own
chroot "$tree" dpkg-query -W -f='${Package} ${Version}\n' python3 "${LOADERS[@]}" || die "$tree lacks some: remove it"
