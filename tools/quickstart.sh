#!/usr/bin/env bash
# Goes from a fresh Debian 12 or Ubuntu 24.04 to a result: installs missing packages, builds, shows this machine's
# devices, and quantizes the small model that comes with the sources. Arguments go to cmake's configure step:
# tools/quickstart.sh -DNIBBLE_FORMATS=int4
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/common.sh"
. "$here/lib/packages.sh"
. "$here/lib/build.sh"

prepare
configure "$@"
compile nibble_tool

nibble=$BUILD/bin/nibble
model=$here/../tests/data/tiny-kjv-llama
out=$BUILD/quickstart/tiny-kjv-llama-int4
mkdir -p "$BUILD/quickstart"
"$nibble" devices
"$nibble" quantize "$model" -o "$out" --type int4 --group-size 64 --force
"$nibble" inspect "$out" --names
say "wrote $out; every device gives the same bytes: $nibble devices --verify"
