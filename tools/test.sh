#!/usr/bin/env bash
# Builds and runs the tests. Software drivers that the system lacks are downloaded (see tools/get). Those that are not
# available are listed; with NIBBLE_REQUIRE_ALL=1 that is an error. Arguments go to ctest: tools/test.sh -R quantize
#
#   tools/test.sh --long [CTEST OPTIONS...]   also the tests that take hours: other programs that load nibble's files,
#                                             in a Debian sid tree; large models, kills and full disks; long fuzzing;
#                                             clang-tidy; cases that the quick list leaves out. Some need root.
#
# The time limit of a test is 600 s, which only a busy machine needs. NIBBLE_TEST_TIMEOUT=SECONDS changes it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/common.sh"
. "$here/lib/packages.sh"
. "$here/lib/build.sh"
. "$here/lib/test_drivers.sh"

list=()
if [ "${1:-}" = --long ]; then
  shift
  list=(-C Long)
  TEST_PACKAGES+=("${LONG_PACKAGES[@]}")
fi

prepare
# Not fatal: if the validation layer cannot be installed, the one that tools/get downloads is used.
need_packages "${TEST_PACKAGES[@]}" || true
test_drivers
# Some tests build nibble again; most of their objects are those of the first build.
if [ -z "${CMAKE_CXX_COMPILER_LAUNCHER:-}" ] && command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_DIR="$NIBBLE_ROOT/build/ccache" CCACHE_BASEDIR="$NIBBLE_ROOT" \
    CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros
fi
configure ${NIBBLE_GLSLANG_NEW:+-DNIBBLE_GLSLANG_NEW="$NIBBLE_GLSLANG_NEW"}
# shellcheck disable=SC2119 # everything
compile
if [ ${#list[@]} -gt 0 ]; then compile nibble_long_programs; fi

log=$BUILD/test.log
status=0
# The timeout keeps a hanging test from blocking the others.
ctest --test-dir "$BUILD" --output-on-failure -j2 --no-tests=error --timeout "${NIBBLE_TEST_TIMEOUT:-600}" \
  "${list[@]}" "$@" 2>&1 | tee "$log" || status=$?
for line in "${NOT_TESTED[@]}"; do printf '%s\n' "$line"; done
# Counts the lines of single tests, because ctest's summary counts skipped tests as passed. If the summary is missing,
# ctest did not finish, which is a failure, too.
awk '/^ *[0-9]+\/[0-9]+ Test +#/ { if (/ Passed /) passed++; else if (/\*\*\*Skipped/) skipped++; else failed++ }
     /tests? passed, .* tests? failed out of/ { ended = 1 }
     END {
       printf "%d passed, %d failed", passed, failed + !ended
       if (skipped) printf ", %d skipped", skipped
       print ""
     }' "$log"
exit "$status"
