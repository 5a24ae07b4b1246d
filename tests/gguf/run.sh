#!/usr/bin/env bash
# Checks with llama.cpp of Debian sid that it loads and runs the GGUF files that nibble writes: perplexity of the sample
# model in every type, the same token ids, and small models of every family with the perplexity that nibble has, or with
# the logits of transformers where nibble does not run the family.
#
#   tests/gguf/run.sh NIBBLE [TREE [LOADERS]]      the folders of trees with llama.cpp and with transformers, created
#                                                  if missing (tests/loaders/tree.sh)
#
# Needs root, a Debian archive in the apt sources and about 5 GB of disk; some minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tools/lib/common.sh"
. "$here/../../tools/lib/archive.sh"

if [ $# -lt 1 ] || [ $# -gt 3 ]; then die "usage: run.sh NIBBLE [TREE [LOADERS]]"; fi
nibble=$(realpath "$1")
can_make_trees || lacking "a Debian sid tree needs root and Debian's archive in the apt sources"
tree=${2:-$NIBBLE_CACHE/llama.cpp}
loaders=${3:-$NIBBLE_CACHE/loaders}
case $tree in /*) ;; *) tree=$PWD/$tree ;; esac
case $loaders in /*) ;; *) loaders=$PWD/$loaders ;; esac
[ -x "$tree/usr/bin/llama-perplexity" ] ||
  "$here/../loaders/tree.sh" "$tree" llama.cpp llama.cpp-tools llama.cpp-tools-extra python3-gguf >&2
[ -x "$loaders/usr/bin/python3" ] || "$here/../loaders/tree.sh" "$loaders" >&2
work_dir
python3 -B "$here/compare.py" "$nibble" "$tree" "$loaders" "$WORK"
