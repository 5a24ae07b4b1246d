#!/usr/bin/env bash
# Builds and runs every test. Software drivers that the system lacks are downloaded (see tools/get). It lists those that
# are not available, and fails for them with NIBBLE_REQUIRE_ALL=1. Arguments go to ctest: tools/test.sh -R quantize
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/common.sh"
. "$here/lib/packages.sh"
. "$here/lib/build.sh"
. "$here/lib/test_drivers.sh"

prepare
# Tests that need a missing package are skipped, and tools/get downloads a newer validation layer anyway.
need_packages "${TEST_PACKAGES[@]}" || true
test_drivers
configure ${NIBBLE_GLSLANG_NEW:+-DNIBBLE_GLSLANG_NEW="$NIBBLE_GLSLANG_NEW"}
# shellcheck disable=SC2119 # everything
compile

log=$BUILD/test.log
status=0
# The timeout keeps a hanging test from blocking the others.
ctest --test-dir "$BUILD" --output-on-failure -j2 --no-tests=error --timeout 600 "$@" 2>&1 | tee "$log" || status=$?
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
