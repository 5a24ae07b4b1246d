#!/usr/bin/env bash
# Checks that the tokenizers and sentencepiece packages of Debian sid give the vectors of tests/tokenizer/data. With
# --write, makes the tokenizers and their vectors anew.
#
#   tests/tokenizer/run.sh [--write] [TREE]     TREE: folder of the tree, created if missing (tests/loaders/tree.sh)
#
# Needs root, a Debian archive in the apt sources and about 1 GB of disk; some minutes the first time, a minute after
# that. A newer package may train another tokenizer: without --write, only vectors of the committed ones are compared.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tools/lib/common.sh"
. "$here/../../tools/lib/archive.sh"

write=
if [ "${1:-}" = --write ]; then write=1; shift; fi
[ $# -le 1 ] || die "usage: run.sh [--write] [TREE]"
can_make_trees || lacking "a Debian sid tree needs root and Debian's archive in the apt sources"
tree=${1:-$NIBBLE_CACHE/tokenizers}
case $tree in /*) ;; *) tree=$PWD/$tree ;; esac
"$here/../loaders/tree.sh" "$tree" python3-tokenizers python3-sentencepiece python3-protobuf >&2
work_dir

# inside COMMAND...: in separate namespaces, with the tests in /srv and the work folder in /mnt.
inside() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount --pid --net --fork --kill-child --propagation private sh -c '
    tree=$1 tests=$2 work=$3
    shift 3
    mount -t proc proc "$tree/proc" && mount -t tmpfs tmp "$tree/tmp" && mount --bind -o ro "$tests" "$tree/srv" &&
      mount --bind "$work" "$tree/mnt" || exit 1
    exec chroot "$tree" env -i HOME=/tmp LANG=C.UTF-8 PATH=/usr/bin:/bin TOKENIZERS_PARALLELISM=false "$@"
  ' sh "$tree" "$here/.." "$WORK" "$@" </dev/null
}

mkdir "$WORK/data"
if [ -n "$write" ]; then
  inside python3 -B /srv/tokenizer/make.py /srv/data/tiny-kjv-llama/calib.txt /mnt/data
  rm -rf "$here/data"
  cp -R "$WORK/data" "$here/data"
else
  inside python3 -B /srv/tokenizer/make.py --check /srv/tokenizer/data
fi
