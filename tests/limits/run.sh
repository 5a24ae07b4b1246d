#!/bin/bash
# Checks memory use, interruption and full disks of `nibble quantize` on a model of several GB.
#
#   tests/limits/run.sh NIBBLE SCRATCH [LAYERS]
#
# SCRATCH: a folder on a disk with 3 x 0.5 GB x LAYERS free (default 9 layers: a model of 4.5 GB); the files written
# there are removed. Prints a line per check and returns 1 if one failed:
#   - peak memory and overlap on the CPU (1 GB at most) and on the default Vulkan device (2 GB);
#   - the same bytes from both;
#   - 20 runs killed (SIGKILL) at random moments: no OUT, and --resume gives the same bytes;
#   - a full disk (needs root, for a small tmpfs): one line, exit 1, no OUT, input and earlier output unchanged.
# Takes half an hour on two cores.
set -u
[ $# -ge 2 ] || { sed -n '2,12p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
nibble=$1 scratch=$2 layers=${3:-9}
failed=0
say() { printf '%-10s %s\n' "$1" "$2"; [ "$1" = ok ] || failed=1; }
same() { diff -rq "$1" "$2" >/dev/null; }
mkdir -p "$scratch" || exit 1
trap 'umount "$scratch/small" 2>/dev/null; rm -rf "$scratch/big" "$scratch/medium" "$scratch"/out_*' EXIT

python3 "$here/big_model.py" "$scratch/big" "$layers" || exit 1

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
limit cpu 1000000 "$scratch/out_cpu"
limit 0 2000000 "$scratch/out_vulkan"
if same "$scratch/out_cpu" "$scratch/out_vulkan"; then
  say ok "cpu and Vulkan wrote the same bytes"
else
  say FAILED "cpu and Vulkan wrote different bytes"
fi
rm -rf "$scratch/out_vulkan" "$scratch/big"

# Kills: on a smaller model of several shards, to limit the time of 20 runs.
python3 "$here/big_model.py" "$scratch/medium" 6 1024 || exit 1
run() {
  "$nibble" quantize "$scratch/medium" -o "$1" --device cpu --max-shard-size 30M "${@:2}" >"$scratch/out_log" 2>&1
}
start=$(date +%s%N)
run "$scratch/out_whole" || say FAILED "quantizing: $(tail -1 "$scratch/out_log")"
took=$((($(date +%s%N) - start) / 1000000))
kills=0 resumed=0
while [ $kills -lt 20 ]; do
  rm -rf "$scratch/out_killed" "$scratch/out_killed.partial"
  run "$scratch/out_killed" &
  pid=$!
  moment=$((RANDOM * took / 32768))
  sleep "$(printf '%d.%03d' $((moment / 1000)) $((moment % 1000)))"
  # The tool itself, not the subshell around it.
  pkill -KILL -P $pid 2>/dev/null || kill -KILL $pid 2>/dev/null
  wait $pid 2>/dev/null
  # The run ended before the signal: try another moment.
  if [ -e "$scratch/out_killed" ]; then
    same "$scratch/out_whole" "$scratch/out_killed" || say FAILED "a complete run wrote different bytes"
    continue
  fi
  kills=$((kills + 1))
  [ -e "$scratch/out_killed.partial" ] && resumed=$((resumed + 1))
  if ! run "$scratch/out_killed" --resume; then
    say FAILED "resuming after ${moment} ms: $(tail -1 "$scratch/out_log")"
    continue
  fi
  same "$scratch/out_whole" "$scratch/out_killed" || say FAILED "different bytes after a kill at ${moment} ms"
  [ -e "$scratch/out_killed.partial" ] && say FAILED "a partial folder is left"
done
say ok "$kills kills within $took ms, $resumed of them left something to resume; each gave the bytes of a whole run"

# A full disk.
mkdir -p "$scratch/small"
if mount -t tmpfs -o size=40m tmpfs "$scratch/small" 2>/dev/null; then
  mkdir "$scratch/small/earlier" && cp "$scratch/medium/config.json" "$scratch/small/earlier/"
  before=$(cat "$scratch"/medium/*.safetensors | cksum)
  run "$scratch/small/out"
  rc=$?
  lines=$(wc -l <"$scratch/out_log")
  if [ $rc = 1 ] && [ "$lines" = 1 ] && [ ! -e "$scratch/small/out" ] && [ -e "$scratch/small/earlier/config.json" ] &&
      [ "$before" = "$(cat "$scratch"/medium/*.safetensors | cksum)" ]; then
    say ok "full disk: $(cat "$scratch/out_log")"
  else
    say FAILED "full disk: exit $rc, $lines lines: $(cat "$scratch/out_log")"
  fi
  umount "$scratch/small"
else
  echo "skipped    full disk: a tmpfs cannot be mounted"
fi
exit $failed
