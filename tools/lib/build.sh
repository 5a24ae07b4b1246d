# Sourced, after common.sh and packages.sh: from sources to binaries.
# shellcheck shell=bash

# build_release [CMAKE OPTIONS...]: installs what building needs, configures and builds. Sets $BUILD to the folder.
# Without Vulkan's headers it builds the part of nibble that does without: the formats and operations on the CPU.
build_release() {
  local preset=release
  need_packages "${BUILD_PACKAGES[@]}" || exit 1
  if ! need_packages "${VULKAN_PACKAGES[@]}"; then
    if [ "${NIBBLE_REQUIRE_ALL:-0}" = 1 ]; then die "building with Vulkan was required"; fi
    say "building without Vulkan: nibble will run on the CPU only"
    preset=no-vulkan
  fi
  BUILD=$NIBBLE_ROOT/build/$preset
  cd "$NIBBLE_ROOT" || exit 1
  cmake --preset "$preset" "$@"
  cmake --build "$BUILD" --parallel "$(nproc)"
}
