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
"$BUILD/bin/nibble" devices --verify
"$BUILD/bin/nibble_example_quantize"
