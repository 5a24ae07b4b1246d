#!/usr/bin/env bash
# Gets a Vulkan validation layer that detects missing barriers between dispatches (Debian 12's does not), or falls back
# to the system's layer. The last line of stdout is a folder for VK_LAYER_PATH (not VK_ADD_LAYER_PATH, with which the
# system's layer of the same name would win). Use it with
#   VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation VK_LAYER_VALIDATE_SYNC=1 VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC=1
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/common.sh"
. "$here/../lib/archive.sh"
. "$here/../lib/chromium.sh"

system=/usr/share/vulkan/explicit_layer.d
if dir=$(chromium_vulkan); then
  printf '%s\n' "$dir/layers"
elif [ -e "$system/VkLayer_khronos_validation.json" ]; then
  say "using the system's validation layer, which may be too old to detect missing barriers"
  printf '%s\n' "$system"
else
  die "no validation layer is available here"
fi
