#!/usr/bin/env bash
# Runs clang-tidy over C++ sources, as they are compiled in a configured build folder, and prints every finding once.
#
#   tools/tidy.sh [FOLDER OR FILE...]     default: src tools
#
# The build folder: $NIBBLE_TIDY_BUILD, else build/release or build/no-vulkan, whichever is there. All that was said,
# with the analyzer's paths, is in tidy.log there. Ends with 1 if there are findings. Without clang-tidy it says so and
# ends with 77, with NIBBLE_REQUIRE_ALL=1 with 1. Takes about half an hour on two cores.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/common.sh"
cd "$NIBBLE_ROOT"

tidy=$(command -v clang-tidy-14 || command -v clang-tidy) || lacking "no clang-tidy (Debian: clang-tidy)"
build=${NIBBLE_TIDY_BUILD:-}
if [ -z "$build" ]; then
  for build in build/release build/no-vulkan; do
    if [ -e "$build/compile_commands.json" ]; then break; fi
  done
fi
[ -e "$build/compile_commands.json" ] || die "no $build/compile_commands.json: cmake --preset release"
[ $# -gt 0 ] || set -- src tools

# What is compiled there, of what was asked for, each file once.
mapfile -t files < <(
  sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$build/compile_commands.json" | LC_ALL=C sort -u |
    while read -r file; do
      for wanted in "$@"; do
        case $file in "$NIBBLE_ROOT/${wanted%/}" | "$NIBBLE_ROOT/${wanted%/}"/*) printf '%s\n' "$file" ;; esac
      done
    done
)
[ ${#files[@]} -gt 0 ] || die "nothing of $* is compiled in $build"

work_dir
# A report a file, so that those of several processes do not mix.
# shellcheck disable=SC2016 # expanded by the inner shell
printf '%s\n' "${files[@]}" | TIDY=$tidy BUILD=$build WORK=$WORK xargs -P "$(nproc)" -I{} bash -c '
  name=${1//\//_}
  "$TIDY" -p "$BUILD" --quiet "$1" >"$WORK/$name.report" 2>&1 ||
    echo "error: $1: clang-tidy ended with $?" >>"$WORK/$name.report"
' bash {}
cat "$WORK"/*.report >"$build/tidy.log"
findings=$(grep -hE '^[^ ]+:[0-9]+:[0-9]+: (warning|error): |^error: ' "$build/tidy.log" |
  sed "s|^$NIBBLE_ROOT/||" | LC_ALL=C sort -u || true)
if [ -n "$findings" ]; then
  printf '%s\n' "$findings"
  die "$(wc -l <<<"$findings") findings in ${#files[@]} files; more about them in $build/tidy.log"
fi
say "no findings in ${#files[@]} files"
