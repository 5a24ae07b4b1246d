#!/usr/bin/env bash
# Checks that the tokenizers and sentencepiece packages of Debian sid give the vectors of tests/tokenizer/data. With
# --write, makes the tokenizers and their vectors anew.
#
#   tests/tokenizer/run.sh [--write] [TREE [LOADERS]]
#
# TREE, LOADERS: folders of the tree, and of the one with transformers for WordPiece; created if missing
# (tests/loaders/tree.sh).
#
# Needs root, a Debian archive in the apt sources and about 1 GB of disk; some minutes the first time, a minute after
# that. A newer package may train another tokenizer: without --write, only vectors of the committed ones are compared.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tools/lib/common.sh"
. "$here/../../tools/lib/archive.sh"

write=
if [ "${1:-}" = --write ]; then write=1; shift; fi
[ $# -le 2 ] || die "usage: run.sh [--write] [TREE [LOADERS]]"
can_make_trees || lacking "a Debian sid tree needs root and Debian's archive in the apt sources"
tree=${1:-$NIBBLE_CACHE/tokenizers}
case $tree in /*) ;; *) tree=$PWD/$tree ;; esac
loaders=${2:-$NIBBLE_CACHE/loaders}
case $loaders in /*) ;; *) loaders=$PWD/$loaders ;; esac
"$here/../loaders/tree.sh" "$tree" python3-tokenizers python3-sentencepiece python3-protobuf >&2
"$here/../loaders/tree.sh" "$loaders" >&2
work_dir

# inside TREE COMMAND...: in separate namespaces, with the tests in /srv and the work folder in /mnt.
inside() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount --pid --net --fork --kill-child --propagation private sh -c '
    tree=$1 tests=$2 work=$3
    shift 3
    mkdir -p "$tree/dev/shm"
    mount -t proc proc "$tree/proc" && mount -t tmpfs shm "$tree/dev/shm" && mount -t tmpfs tmp "$tree/tmp" &&
      mount --bind -o ro "$tests" "$tree/srv" && mount --bind "$work" "$tree/mnt" || exit 1
    exec chroot "$tree" env -i HOME=/tmp LANG=C.UTF-8 PATH=/usr/bin:/bin TOKENIZERS_PARALLELISM=false "$@"
  ' sh "$1" "$here/.." "$WORK" "${@:2}" </dev/null
}

mkdir "$WORK/data" "$WORK/wordpiece"
corpus=/srv/data/tiny-kjv-llama/calib.txt
if [ -n "$write" ]; then
  inside "$tree" python3 -B /srv/tokenizer/make.py "$corpus" /mnt/data
  inside "$loaders" python3 -B /srv/tokenizer/make_wordpiece.py "$corpus" /mnt/data/texts.json /mnt/wordpiece
  rm -rf "$here/data" "$here/wordpiece"
  cp -R "$WORK/data" "$WORK/wordpiece" "$here"
else
  inside "$tree" python3 -B /srv/tokenizer/make.py --check /srv/tokenizer/data
  inside "$loaders" python3 -B /srv/tokenizer/make_wordpiece.py --check /srv/tokenizer/wordpiece
fi
