#!/usr/bin/env bash
# Compares ggml's block formats with ggml and gguf-py of Debian sid: the values of blocks of any bytes, and the errors
# of quantized matrices of the sample model.
#
#   tests/gguf/blocks.sh TOOL [TREE]      TOOL: nibble_gguf_blocks of the build; TREE: as of run.sh
#
# Needs root and a Debian archive in the apt sources; a minute.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tools/lib/common.sh"
. "$here/../../tools/lib/archive.sh"

if [ $# -lt 1 ] || [ $# -gt 2 ]; then die "usage: blocks.sh TOOL [TREE]"; fi
tool=$(realpath "$1")
can_make_trees || lacking "a Debian sid tree needs root and Debian's archive in the apt sources"
tree=${2:-$NIBBLE_CACHE/llama.cpp}
case $tree in /*) ;; *) tree=$PWD/$tree ;; esac
[ -x "$tree/usr/bin/llama-perplexity" ] ||
  "$here/../loaders/tree.sh" "$tree" llama.cpp llama.cpp-tools llama.cpp-tools-extra python3-gguf >&2
work_dir
cp "$tool" "$WORK/tool"
cp "$here/blocks.py" "$here/../data/tiny-kjv-llama/model.safetensors" "$WORK"
# shellcheck disable=SC2016 # $1 and $2 are the inner shell's
unshare --mount --pid --net --fork --kill-child --propagation private sh -c '
  mount -t proc proc "$1/proc" && mount -t tmpfs tmp "$1/tmp" && mount --bind "$2" "$1/mnt" || exit 1
  exec chroot "$1" env -i HOME=/tmp LANG=C.UTF-8 PATH=/usr/bin:/bin \
    python3 -B /mnt/blocks.py /mnt/tool /mnt/model.safetensors' sh "$tree" "$WORK"
