#!/usr/bin/env bash
# Checks with llama.cpp of Debian sid that it loads and runs the GGUF files that nibble writes: perplexity of the sample
# model in every type, the same token ids, and small models of every family with the perplexity that nibble has.
#
#   tests/gguf/run.sh NIBBLE [TREE]      TREE: folder of the tree, created if missing (tests/loaders/tree.sh)
#
# Needs root, a Debian archive in the apt sources and about 2 GB of disk; some minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tools/lib/common.sh"
. "$here/../../tools/lib/archive.sh"

if [ $# -lt 1 ] || [ $# -gt 2 ]; then die "usage: run.sh NIBBLE [TREE]"; fi
nibble=$(realpath "$1")
can_make_trees || lacking "a Debian sid tree needs root and Debian's archive in the apt sources"
tree=${2:-$NIBBLE_CACHE/llama.cpp}
case $tree in /*) ;; *) tree=$PWD/$tree ;; esac
[ -x "$tree/usr/bin/llama-perplexity" ] ||
  "$here/../loaders/tree.sh" "$tree" llama.cpp llama.cpp-tools llama.cpp-tools-extra python3-gguf >&2
work_dir
python3 -B "$here/compare.py" "$nibble" "$tree" "$WORK"
