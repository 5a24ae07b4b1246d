#!/usr/bin/env bash
# Compares nibble's GPTQ with reference.py, which runs in PyTorch of Debian sid: the losses of all layers and the mean
# KL of the models, on the same calibration ids.
#
#   tests/gptq/run.sh NIBBLE [TREE]      TREE: folder of the tree, created if missing (tests/loaders/tree.sh)
#
# Needs root, a Debian archive in the apt sources and about 3 GB of disk; some minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tools/lib/common.sh"
. "$here/../../tools/lib/archive.sh"

if [ $# -lt 1 ] || [ $# -gt 2 ]; then die "usage: run.sh NIBBLE [TREE]"; fi
nibble=$(realpath "$1")
can_make_trees || lacking "a Debian sid tree needs root and Debian's archive in the apt sources"
tree=${2:-$NIBBLE_CACHE/loaders}
case $tree in /*) ;; *) tree=$PWD/$tree ;; esac
"$here/../loaders/tree.sh" "$tree" >&2
work_dir
model=$here/../data/tiny-kjv-llama
python3 "$here/compare.py" ids "$model/calib_ids.npy" "$WORK/ids.npy" 8192

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

for order in static none; do
  inside python3 -B /srv/gptq/reference.py /srv/data/tiny-kjv-llama /mnt/ids.npy "/mnt/reference-$order" \
    --order "$order" --group-size 64 >/dev/null
  "$nibble" quantize "$model" -o "$WORK/nibble-$order" --method gptq --bits 4 --group-size 64 --calib "$WORK/ids.npy" \
    --samples 0 --seq-len 256 --act-order "$order" "--json=$WORK/nibble-$order.json" --device cpu >/dev/null
  for name in nibble reference; do
    "$nibble" eval "$WORK/$name-$order" --data "$model/test_ids.npy" --window 256 --windows 64 --against "$model" \
      --device cpu "--json=$WORK/$name-$order-eval.json" >/dev/null 2>&1
  done
  python3 "$here/compare.py" losses "$WORK" "$order"
done
