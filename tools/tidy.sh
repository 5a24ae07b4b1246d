#!/usr/bin/env bash
# Runs clang-tidy over C++ sources, as they are compiled in a configured build folder, and prints every finding once.
#
#   tools/tidy.sh [FOLDER OR FILE...]     default: src tools
#
# The build folder is $NIBBLE_TIDY_BUILD, else build/release or build/no-vulkan, whichever exists. Its tidy.log gets the
# full output, with the analyzer's paths. The exit status is 1 if there are findings, and 77 if clang-tidy is missing (1
# with NIBBLE_REQUIRE_ALL=1). Takes about half an hour on two cores.
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

# The requested files that the build folder compiles, each once.
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
# One report per file, so that the output of parallel processes does not mix.
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
