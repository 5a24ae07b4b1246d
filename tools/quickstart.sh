#!/usr/bin/env bash
# From a fresh Debian 12 or Ubuntu 24.04 to a result: installs what is missing, builds, shows what this machine's devices
# can do, and quantizes a tensor. Arguments go to cmake's configure step: tools/quickstart.sh -DNIBBLE_FORMATS=int4
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/common.sh"
. "$here/lib/packages.sh"
. "$here/lib/build.sh"

prepare
configure "$@"
compile nibble_tool nibble_example_quantize

# Verifying takes software drivers minutes. The same program on the same devices need not be verified twice.
devices=$("$BUILD/bin/nibble" devices)
seen=$({ cat "$BUILD/bin/nibble"; printf '%s' "$devices"; } | sha256sum)
if [ "$seen" = "$(cat "$BUILD/verified" 2>/dev/null)" ]; then
  printf '%s\n' "$devices"
  say "verified in an earlier run; to repeat it: $BUILD/bin/nibble devices --verify"
else
  "$BUILD/bin/nibble" devices --verify
  printf '%s' "$seen" > "$BUILD/verified"
fi
"$BUILD/bin/nibble_example_quantize"
