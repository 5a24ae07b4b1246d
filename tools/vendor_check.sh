#!/usr/bin/env bash
# Compiles the plans that nibble would make on GPUs of several vendors with their own compilers, without the GPUs, and
# checks what became of the kernels against bench/vendor/results.json (tools/vendor/check.py says what it checks).
#
#   tools/vendor_check.sh [--quick] [--write] [--chips "CHIP..."] [--keep FOLDER] BUILD
#     --quick   six chips and ten plans, some minutes; else all chips and plans, an hour or more
#     --write   replaces the chips' rows of bench/vendor/results.json, and docs/vendors.md
#     --chips   only these: amd:navi31 nv:192 intel:bmg adreno:740 apple:m1
#     --keep    leaves statistics and machine code there
#   BUILD is a build folder of this tree. Needs a Debian archive in the apt sources; chips of Intel need root, once.
set -euo pipefail
. "$(cd "$(dirname "$0")" && pwd)/lib/common.sh"

ALL="amd:vega10 amd:navi10 amd:navi21 amd:navi31 amd:gfx1201 nv:132 nv:162 nv:172 nv:192 nv:1b2 adreno:618 adreno:660
     adreno:740 adreno:830 intel:icl intel:tgl intel:dg2 intel:bmg apple:m1"
QUICK="amd:navi21 amd:navi31 nv:162 nv:192 adreno:740 intel:bmg"
QUICK_PLANS=matvec.int4.t1.f16,matvec.q4_0.t1.f16,matvec.q8_0.t1.f16,matvec.nf4.t1.f16,matvec.fp8.t1.f16
QUICK_PLANS+=,matvec.dense.t1.f16,matmul.int4.t512.f16,int8.t8,int8.t512.group128

chips=$ALL plans='' write='' keep='' build=''
while [ $# -gt 0 ]; do
  case $1 in
    --quick) chips=$QUICK plans=$QUICK_PLANS ;;
    --write) write=--write ;;
    --chips) chips=$2; shift ;;
    --keep) keep=$2; shift ;;
    --*) die "unknown option $1" ;;
    *) build=$1 ;;
  esac
  shift
done
[ -e "${build:-.}/CMakeCache.txt" ] || die "usage: vendor_check.sh [options] BUILD"

intel=''
case $chips in *intel:*) intel=--intel ;; esac
run=$("$NIBBLE_ROOT/tools/get/vendors.sh" $intel | tail -n 1)
cmake --build "$build" --target nibble_vendor_plans >&2
work_dir
captured=$WORK/captured
for chip in $chips; do
  folder=$captured/${chip/:/-}
  mkdir -p "$folder"
  say "$chip"
  "$run" "$chip" "$build/bin/nibble_vendor_plans" --chip "$chip" --out "$folder" --plans "$plans" 2>"$WORK/log" ||
    { tail -n 3 "$WORK/log" >&2; die "$chip: no plans"; }
done
[ -z "$keep" ] || { mkdir -p "$keep"; cp -R "$captured/." "$keep/"; }
mkdir -p "$NIBBLE_ROOT/bench/vendor"
status=0
python3 -B "$NIBBLE_ROOT/tools/vendor/check.py" --captured "$captured" --kernels "$NIBBLE_ROOT/shaders/kernels.list" \
  --results "$NIBBLE_ROOT/bench/vendor/results.json" --page "$NIBBLE_ROOT/docs/vendors.md" \
  --version "Mesa $(cat "${run%/run}/version")" $write || status=$?
exit $status
