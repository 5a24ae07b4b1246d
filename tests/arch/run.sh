#!/usr/bin/env bash
# Checks that the transformers package of Debian sid gives the values of tests/arch/data and tests/arch/encoders. With
# --write, makes the models and their values anew.
#
#   tests/arch/run.sh [--write] [TREE]      TREE: folder of the tree, created if missing (tests/loaders/tree.sh)
#
# Needs root, a Debian archive in the apt sources and about 3 GB of disk; some minutes the first time, one after that.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tools/lib/common.sh"
. "$here/../../tools/lib/archive.sh"

write=
if [ "${1:-}" = --write ]; then write=1; shift; fi
[ $# -le 1 ] || die "usage: run.sh [--write] [TREE]"
can_make_trees || lacking "a Debian sid tree needs root and Debian's archive in the apt sources"
tree=${1:-$NIBBLE_CACHE/loaders}
case $tree in /*) ;; *) tree=$PWD/$tree ;; esac
versions=$("$here/../loaders/tree.sh" "$tree")
printf '%s\n' "$versions" >&2
work_dir

# inside COMMAND...: in separate namespaces, with the tests in /srv and the work folder in /mnt. One thread: several
# would spin while waiting for each other, which is slow on a busy machine.
inside() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount --pid --net --fork --kill-child --propagation private sh -c '
    tree=$1 tests=$2 work=$3
    shift 3
    mkdir -p "$tree/dev/shm"
    mount -t proc proc "$tree/proc" && mount -t tmpfs shm "$tree/dev/shm" && mount -t tmpfs tmp "$tree/tmp" &&
      mount --bind -o ro "$tests" "$tree/srv" && mount --bind "$work" "$tree/mnt" || exit 1
    exec chroot "$tree" env -i HOME=/tmp LANG=C.UTF-8 PATH=/usr/bin:/bin OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$@"
  ' sh "$tree" "$here/.." "$WORK" "$@" </dev/null
}

# write_readme FOLDER TITLE TEXT
write_readme() {
  {
    printf '# %s\n\n%s\n\n' "$2" "$3"
    printf '%s\n' "$versions" | sed 's/^/- /'
  } > "$1/README.md"
}

if [ -n "$write" ]; then
  mkdir "$WORK/data" "$WORK/encoders"
  inside python3 -B /srv/arch/make.py /mnt/data
  inside python3 -B /srv/arch/make_encoders.py /mnt/encoders
  # shellcheck disable=SC2016 # Markdown
  write_readme "$WORK/data" 'Models with random weights, and their logits' \
    '`golden.safetensors` has two texts of random ids and the logits that transformers computes for them in fp32
(`../make.py` says how). Made by `tests/arch/run.sh --write` with these packages of Debian sid:'
  # shellcheck disable=SC2016 # Markdown
  write_readme "$WORK/encoders" 'Encoders with random weights, and their values' \
    '`golden.safetensors` has two texts of random ids, and the hidden states, logits and pooled values that transformers
computes for them in fp32 (`../make_encoders.py` says how). Made by `tests/arch/run.sh --write` with these packages of
Debian sid:'
  rm -rf "$here/data" "$here/encoders"
  cp -R "$WORK/data" "$WORK/encoders" "$here"
else
  inside python3 -B /srv/arch/make.py --check /srv/arch/data
  inside python3 -B /srv/arch/make_encoders.py --check /srv/arch/encoders
fi
