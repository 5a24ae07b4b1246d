#!/usr/bin/env bash
# Gets SwiftShader, a software Vulkan driver that offers little more than the guaranteed minimum.
# The last line of stdout is its ICD json, for VK_ICD_FILENAMES or VK_DRIVER_FILES.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/common.sh"
. "$here/../lib/archive.sh"
. "$here/../lib/chromium.sh"

dir=$(chromium_vulkan) || die "no SwiftShader is available here"
printf '%s\n' "$dir/swiftshader_icd.json"
