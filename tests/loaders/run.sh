#!/usr/bin/env bash
# Checks that other programs load nibble's models and get the same numbers. Quantizes the sample model in every way that
# they can read, and in a Debian sid tree with Debian's own transformers and compressed-tensors loads each output; its
# logits must be within 1e-2 of the dequantized model's, which an independent decoder reads from the same files. Then
# the same with faults planted in the loaders' copies, all of which must be found.
#
#   tests/loaders/run.sh NIBBLE [TREE]      NIBBLE: the program; TREE: folder of the tree, created if missing (tree.sh)
#
# Needs root, a Debian archive in the apt sources, about 3 GB of disk, some minutes the first time and two after that.
# Then small models of many families, which transformers makes and loads again quantized (families.py).
# Prints the packages' versions and a line for each configuration: PASS or FAIL, the largest and the mean difference of
# logits, how often the likeliest token is the same, how many weights differ in any bit, the perplexity; below it the
# loader's messages. For planted faults: found, or MISSED. Returns 1 if one failed.
#
# bitsandbytes is not in Debian: transformers' own loader reads its files, but a stand-in module does the arithmetic.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tools/lib/common.sh"
. "$here/../../tools/lib/archive.sh"

[ $# = 1 ] || [ $# = 2 ] || die "usage: run.sh NIBBLE [TREE]"
nibble=$(readlink -f "$1")
[ -x "$nibble" ] || die "$1 is not a program"
can_make_trees || lacking "a Debian sid tree needs root and Debian's archive in the apt sources"
tree=${2:-$NIBBLE_CACHE/loaders}
case $tree in /*) ;; *) tree=$PWD/$tree ;; esac
"$here/tree.sh" "$tree" >&2
work_dir

model=$here/../data/tiny-kjv-llama
# inside COMMAND...: runs in the tree in separate namespaces, with the tests in /srv and the models in /mnt. One thread:
# several would spin while waiting for each other, which is slow on a busy machine.
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

# Ranges of static activations, from the recorded input of each module.
inside python3 -B /srv/loaders/record.py /srv/data/tiny-kjv-llama /srv/data/tiny-kjv-llama/calib_ids.npy \
  /mnt/recorded >&2
for range in sym asym; do
  "$nibble" calibrate --data "$WORK/recorded" -o "$WORK/$range.json" --$range --range mse --device cpu \
    >"$WORK/log" 2>&1 ||
    { cat "$WORK/log" >&2; die "nibble failed: calibrate"; }
done

configurations=()
# quantized NAME ARGUMENTS...: the sample model, as configuration NAME.
quantized() {
  local name=$1
  shift
  "$nibble" quantize "$model" -o "$WORK/$name" --device cpu "$@" >"$WORK/log" 2>&1 ||
    { cat "$WORK/log" >&2; die "nibble failed: $name"; }
  configurations+=("$name=/mnt/$name")
}
quantized int4 --type int4 --group-size 64
quantized int4_128 --type int4
quantized int4_asym --type int4 --group-size 64 --asym
quantized int4_row --type int4 --group-size -1
quantized int2 --type int2 --group-size 32
quantized int2_asym --type int2 --group-size 32 --asym
quantized int8 --type int8
quantized int8_group --type int8 --granularity group --group-size 64
quantized int8_token --type int8 --activations int8-token
quantized int8_token_asym --type int8 --asym --activations int8-token
quantized int8_static --type int8 --activations int8-static --calib "$WORK/sym.json"
quantized int8_static_asym --type int8 --activations int8-static --calib "$WORK/asym.json"
quantized fp8 --type fp8
quantized fp8_tensor --type fp8 --granularity tensor
quantized fp8_token --type fp8 --activations fp8-token
quantized fp8_static --type fp8 --activations fp8-static --calib "$WORK/sym.json"
quantized mxfp4 --type mxfp4
quantized mixed --type int4 --group-size 64 --rule 'down_proj=int8' --exclude 'layers\.0\.'
quantized formats --type int4 --group-size -1 --rule 'down_proj=fp8'
quantized nf4 --type nf4 --format bnb
quantized nf4_single --type nf4 --format bnb --no-double-quant
quantized fp4 --type fp4 --format bnb --exclude 'layers\.0\.'
quantized shards --type int4 --group-size 64 --max-shard-size 1M
quantized f32 --type F32 --format safetensors
quantized bf16 --type BF16 --format safetensors
# Transforms as loaders see them: other values, a head of its own, other sizes, types by layer.
data=(--calib "$model/calib_ids.npy" --samples 16 --seq-len 256)
quantized awq --type int4 --group-size 64 --asym --transform awq "${data[@]}"
quantized output --type int4 --scale-search output "${data[@]}"
quantized rotate --type int4 --group-size 64 --transform rotate
quantized smooth --type int8 --activations int8-static --transform smooth:auto "${data[@]}"
quantized split --type int4 --group-size 64 --transform equalize --transform split
quantized by_layer --budget 4.5 --types int4:64,int8 "${data[@]}"

mkdir "$WORK/faulty"
inside python3 -B /srv/loaders/faults.py /mnt /mnt/faulty > "$WORK/faults"
mapfile -t faults < "$WORK/faults"
status=0
inside python3 -B /srv/loaders/load.py /srv/data/tiny-kjv-llama/test_ids.npy "${configurations[@]}" "${faults[@]}" ||
  status=1

# Small models of other families, which transformers makes.
mkdir "$WORK/families"
inside python3 -B /srv/loaders/families.py make /mnt/families > "$WORK/names"
outputs=()
while read -r name format more; do
  # shellcheck disable=SC2086 # several options
  "$nibble" quantize "$WORK/families/$name" -o "$WORK/families/$name.${#outputs[@]}" --format "$format" --device cpu \
    $more >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2; die "nibble failed: $name $format $more"; }
  outputs+=("$name@/mnt/families/$name.${#outputs[@]}")
done < "$WORK/names"
for name in llava whisper; do
  for output in "${outputs[@]}"; do
    case $output in "$name@"*) ;; *) continue ;; esac
    inside python3 -B /srv/loaders/families.py plant "${output#*@}" "${output#*@}.planted"
    outputs+=("!$output.planted")
  done
done
inside python3 -B /srv/loaders/families.py check /mnt/families "${outputs[@]}" || status=1
exit "$status"
