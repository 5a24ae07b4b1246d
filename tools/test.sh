#!/usr/bin/env bash
# Builds and runs every test. Software drivers that the system lacks are fetched (see tools/get); what cannot be had is
# named, or with NIBBLE_REQUIRE_ALL=1 is an error. Arguments go to ctest: tools/test.sh -R quantize
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/common.sh"
. "$here/lib/packages.sh"
. "$here/lib/build.sh"
. "$here/lib/test_drivers.sh"

prepare
# Only a spare: where it cannot be installed, the one that tools/get fetches serves.
need_packages "${TEST_PACKAGES[@]}" || true
test_drivers
configure ${NIBBLE_GLSLANG_NEW:+-DNIBBLE_GLSLANG_NEW="$NIBBLE_GLSLANG_NEW"}
# shellcheck disable=SC2119 # everything
compile

log=$BUILD/test.log
status=0
ctest --test-dir "$BUILD" --output-on-failure -j2 --no-tests=error "$@" 2>&1 | tee "$log" || status=$?
for line in "${NOT_TESTED[@]}"; do printf '%s\n' "$line"; done
# ctest's own summary, "98% tests passed, 1 tests failed out of 50", takes skipped tests for passed ones.
awk '/^ *[0-9]+\/[0-9]+ Test .*\*\*\*Skipped/ { skipped++ }
     /tests? passed, .* tests? failed out of/ { failed = $4; total = $NF; seen = 1 }
     END {
       if (!seen) { print "0 passed, 1 failed"; exit }
       printf "%d passed, %d failed", total - failed - skipped, failed
       if (skipped) printf ", %d skipped", skipped
       print ""
     }' "$log"
exit "$status"
