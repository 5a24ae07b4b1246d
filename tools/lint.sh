#!/usr/bin/env bash
# Checks the style of the sources without building them.
#
#   tools/lint.sh [format] [shell] [columns]     these checks, or all of them
#   tools/lint.sh --fix                          formats the files that `format` reports
#
# format: clang-format 14 over C++; shell: shellcheck; columns: no line longer than 120 columns. A check whose
# tool is not installed says so and is skipped (exit 77 if nothing else is wrong); with NIBBLE_REQUIRE_ALL=1 it fails.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/common.sh"
cd "$NIBBLE_ROOT"

# files GLOB...: prints the sources with such names, sorted. Build folders are not searched.
files() {
  local names=() glob
  for glob in "$@"; do names+=(-o -name "$glob"); done
  find CMakeLists.txt cmake include src shaders tools tests bench .ci \( "${names[@]:1}" \) -type f | LC_ALL=C sort
}

# without WHAT: marks one check as skipped, or as failed if everything is required; the other checks still run.
without() {
  if [ "${NIBBLE_REQUIRE_ALL:-0}" = 1 ]; then
    say "FAILED: $1"
    failed=1
  else
    say "SKIPPED: $1"
    skipped=1
  fi
}

# find_clang_format: sets $clang_format. Only version 14 is accepted, because versions format differently.
find_clang_format() {
  local name
  for name in clang-format-14 clang-format; do
    clang_format=$(command -v "$name") || continue
    if "$clang_format" --version | grep -q 'version 14\.'; then return 0; fi
  done
  return 1
}

FORMATTED=('*.cpp' '*.h')
SHADERS=('*.comp' '*.glsl')

# Shaders are left out: clang-format sorts their includes, and GLSL headers depend on the order.
formatted_files() { files "${FORMATTED[@]}" | grep -v '^shaders/'; }

check_format() {
  local log
  find_clang_format || { without "no clang-format 14 (Debian: clang-format-14)"; return; }
  log=$(formatted_files | xargs "$clang_format" --style=file --dry-run -Werror 2>&1) && return
  # One line per finding, without the source lines that clang-format prints.
  awk '/^[^ ]+:[0-9]+:[0-9]+:/ && ++places <= 50 { print } END { print "places: " places + 0 }' <<<"$log"
  say "FAILED: not as clang-format has it (tools/lint.sh --fix)"
  failed=1
}

check_shell() {
  command -v shellcheck >/dev/null || { without "no shellcheck (Debian: shellcheck)"; return; }
  { files '*.sh'; grep -rl '^#!.*sh$' .ci; } | xargs shellcheck || failed=1
}

check_columns() {
  if files "${FORMATTED[@]}" "${SHADERS[@]}" '*.c' '*.inc' '*.cmake' CMakeLists.txt '*.sh' '*.py' '*.list' run |
    LC_ALL=C.UTF-8 xargs grep -nHE '^.{121}'; then
    say "FAILED: lines are longer than 120 columns"
    failed=1
  fi
}

failed=0 skipped=0
if [ "${1:-}" = --fix ]; then
  find_clang_format || die "no clang-format 14 (Debian: clang-format-14)"
  formatted_files | xargs "$clang_format" --style=file -i
  exit
fi
[ $# -gt 0 ] || set -- format shell columns
for check in "$@"; do
  case $check in
    format | shell | columns) "check_$check" ;;
    *) die "no check $check" ;;
  esac
done
[ $failed = 0 ] || exit 1
[ $skipped = 0 ] || exit 77
