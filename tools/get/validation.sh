#!/usr/bin/env bash
# Gets a Vulkan validation layer that sees missing barriers between dispatches (Debian 12's own does not); where it is
# not to be had, names the system's layer. The last line of stdout is a folder for VK_LAYER_PATH (VK_ADD_LAYER_PATH will
# not do: a layer of the same name that the system has would win). Use it with
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
  say "taking the system's validation layer, which may be too old to see missing barriers"
  printf '%s\n' "$system"
else
  die "no validation layer to be had here"
fi
