#!/bin/bash
# Checks memory use, interruption and full disks of `nibble quantize` on large models.
#
#   tests/limits/run.sh NIBBLE SCRATCH [LAYERS [CHECK...]]
#
# SCRATCH: a folder on a disk with 3 x 0.5 GB x LAYERS free (default 9 layers: a model of 4.5 GB); the files written
# there are removed. CHECK: memory, kills, disk (default: all). Prints a line per check and returns 1 if one failed:
#   memory  peak memory and overlap on the CPU (1 GB at most) and on the default Vulkan device (2 GB), and the same
#           bytes from both;
#   kills   20 runs killed (SIGKILL) at random moments: no OUT, and --resume gives the same bytes. The resumed run keeps
#           the tensors that the journal of the killed run lists; at least 5 of the kills leave some;
#   disk    a full disk (needs root, for a small tmpfs): one line that names the cause, exit 1, no OUT and nothing
#           partial; an input and an output that --force would replace keep their bytes; with enough space the same
#           command succeeds.
# Takes half an hour on two cores.
set -u
[ $# -ge 2 ] || { sed -n '2,17p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
nibble=$1 scratch=$2 layers=${3:-9}
checks=" ${*:4} "
[ "$checks" != "  " ] || checks=" memory kills disk "
failed=0
say() { printf '%-10s %s\n' "$1" "$2"; [ "$1" = ok ] || failed=1; }
wanted() { case $checks in *" $1 "*) ;; *) return 1 ;; esac; }
# A run that is killed after its rename to OUT may leave the journal there; the next run deletes it.
same() { diff -rq -x .nibble-journal "$1" "$2" >/dev/null; }
# sum FOLDER: names and contents of its files, as one number.
sum() { (cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cksum | cksum); }
mkdir -p "$scratch" || exit 1
trap 'umount "$scratch/small" 2>/dev/null; rm -rf "$scratch/big" "$scratch/medium" "$scratch"/out_*' EXIT

# limit DEVICE KBYTES OUT
limit() {
  /usr/bin/time -v "$nibble" quantize "$scratch/big" -o "$3" --device "$1" -v >"$scratch/out_log" 2>&1
  local rc=$? peak
  peak=$(sed -n 's/.*Maximum resident set size (kbytes): //p' "$scratch/out_log")
  ratio=$(sed -n 's/.*the whole took \([0-9.]*\) of.*/\1/p' "$scratch/out_log")
  sed -n -e '/ busy;/p' -e '/ MB -> /p' "$scratch/out_log"
  verdict=FAILED
  if [ $rc = 0 ] && [ "${peak:-9999999}" -le "$2" ] && awk "BEGIN { exit !(${ratio:-9} <= 1.25) }"; then verdict=ok; fi
  say $verdict "$1: peak $((${peak:-0} / 1000)) MB of $(($2 / 1000)), $ratio of the slowest stage"
}
if wanted memory; then
  python3 "$here/big_model.py" "$scratch/big" "$layers" || exit 1
  limit cpu 1000000 "$scratch/out_cpu"
  limit 0 2000000 "$scratch/out_vulkan"
  if same "$scratch/out_cpu" "$scratch/out_vulkan"; then
    say ok "cpu and Vulkan wrote the same bytes"
  else
    say FAILED "cpu and Vulkan wrote different bytes"
  fi
  rm -rf "$scratch/out_cpu" "$scratch/out_vulkan" "$scratch/big"
fi
wanted kills || wanted disk || exit $failed

# A smaller model of several shards, to limit the time of 20 runs. A run must take a few seconds, because the journal
# is written once per second: the model grows until it does.
quantize=("$nibble" quantize "$scratch/medium" --device cpu --max-shard-size 30M -o)
run() { "${quantize[@]}" "$@" >"$scratch/out_log" 2>&1; }
for medium_layers in 6 12 24 48 96; do
  rm -rf "$scratch/medium" "$scratch/out_whole"
  python3 "$here/big_model.py" "$scratch/medium" $medium_layers 1024 || exit 1
  start=$(date +%s%N)
  run "$scratch/out_whole" || { say FAILED "quantizing: $(tail -1 "$scratch/out_log")"; exit 1; }
  took=$((($(date +%s%N) - start) / 1000000))
  [ $took -lt 4000 ] || break
done

# killed_run: starts a run and kills it at a random moment. Returns 1 if it ended before that.
killed_run() {
  rm -rf "$scratch/out_killed" "$scratch/out_killed.partial"
  "${quantize[@]}" "$scratch/out_killed" >"$scratch/out_log" 2>&1 &
  local pid=$!
  moment=$((RANDOM * took / 32768))
  sleep "$(printf '%d.%03d' $((moment / 1000)) $((moment % 1000)))"
  kill -KILL $pid 2>/dev/null
  wait $pid 2>/dev/null
  [ ! -e "$scratch/out_killed" ]
}
# check_resumed: resumes the killed run. Counts it in $resumed if it kept tensors; prints a line for each fault.
check_resumed() {
  local journal=$scratch/out_killed.partial/.nibble-journal listed=0 kept
  [ ! -e "$journal" ] || listed=$(grep -c ' done ' "$journal")
  rm -f "$scratch/out_report"
  if ! run "$scratch/out_killed" --resume --json="$scratch/out_report"; then
    say FAILED "resuming after $moment ms: $(tail -1 "$scratch/out_log")"
    return
  fi
  # A tensor is kept if all its parts, at most 3, are listed. The killed run had a few unfinished tensors.
  kept=$(grep -c '"resumed": true' "$scratch/out_report")
  if [ "$listed" -gt $((3 * kept + 12)) ]; then
    say FAILED "killed after $moment ms: the journal lists $listed parts, but --resume kept only $kept tensors"
  fi
  [ "$kept" = 0 ] || resumed=$((resumed + 1))
  same "$scratch/out_whole" "$scratch/out_killed" || say FAILED "different bytes after a kill at $moment ms"
  [ ! -e "$scratch/out_killed.partial" ] || say FAILED "a partial folder is left after a kill at $moment ms"
}
if wanted kills; then
  before=$failed failed=0 kills=0 resumed=0
  for ((attempt = 0; attempt < 60 && (kills < 20 || resumed < 5); ++attempt)); do
    if killed_run; then
      kills=$((kills + 1))
      check_resumed
    else
      same "$scratch/out_whole" "$scratch/out_killed" || say FAILED "a complete run wrote different bytes"
    fi
    # More faults than this tell nothing new.
    [ $failed = 0 ] || [ $kills -lt 20 ] || break
  done
  if [ $kills -lt 20 ] || [ $resumed -lt 5 ]; then
    say FAILED "$kills kills in $attempt runs, and only $resumed left finished tensors: 20 and 5 are needed"
  fi
  [ $failed != 0 ] ||
    say ok "$kills kills within $took ms, $resumed of them with finished tensors kept; each gave a whole run's bytes"
  failed=$((before | failed))
fi

# refused WHAT OUT ARGUMENTS...: the run fails because the disk is full, and names that in one line.
refused() {
  run "${@:2}"
  local rc=$? lines
  lines=$(wc -l <"$scratch/out_log")
  if [ $rc = 1 ] && [ "$lines" = 1 ] && grep -q 'No space left on device' "$scratch/out_log"; then
    say ok "full disk, $1: $(cat "$scratch/out_log")"
  else
    say FAILED "full disk, $1: exit $rc, $lines lines: $(cat "$scratch/out_log")"
  fi
}
if wanted disk; then
  small=$scratch/small
  mkdir -p "$small"
  if mount -t tmpfs -o size=40m tmpfs "$small" 2>/dev/null; then
    mkdir "$small/earlier" && cp "$scratch/medium/config.json" "$small/earlier/"
    head -c 5000000 "$(find "$scratch/medium" -name '*.safetensors' | head -1)" >"$small/earlier/model.safetensors"
    input=$(sum "$scratch/medium") earlier=$(sum "$small/earlier")
    refused "new output" "$small/out"
    refused "replaced output" "$small/earlier" --force
    if [ "$(ls -A "$small")" = earlier ]; then
      say ok "full disk: nothing new is left"
    else
      say FAILED "full disk: files are left in $small"
    fi
    if [ "$input" = "$(sum "$scratch/medium")" ] && [ "$earlier" = "$(sum "$small/earlier")" ]; then
      say ok "full disk: input and earlier output have their bytes"
    else
      say FAILED "full disk: input or earlier output was changed"
    fi
    mount -o "remount,size=$(($(du -sm "$scratch/out_whole" | cut -f1) + 40))m" "$small"
    if run "$small/out" && same "$scratch/out_whole" "$small/out"; then
      say ok "with more space the same command succeeds"
    else
      say FAILED "with more space: $(tail -1 "$scratch/out_log")"
    fi
    umount "$small"
  else
    echo "skipped    full disk: a tmpfs cannot be mounted"
  fi
fi
exit $failed
