# Sourced, after common.sh and packages.sh: configures and builds.
# shellcheck shell=bash

# prepare: installs the packages that building needs, and sets $PRESET. Without Vulkan's headers the preset builds only
# the formats and the CPU operations.
prepare() {
  PRESET=release
  if need_packages "${BUILD_PACKAGES[@]}" "${VULKAN_PACKAGES[@]}"; then return; fi
  if [ "${NIBBLE_REQUIRE_ALL:-0}" = 1 ]; then die "building with Vulkan was required"; fi
  need_packages "${BUILD_PACKAGES[@]}" || exit 1
  say "building without Vulkan: nibble will run on the CPU only"
  PRESET=no-vulkan
}

# configure [CMAKE OPTIONS...]: configures $PRESET, and sets $BUILD to its build folder.
configure() {
  BUILD=$NIBBLE_ROOT/build/$PRESET
  cd "$NIBBLE_ROOT" || exit 1
  cmake --preset "$PRESET" "$@"
}

# compile [TARGETS...]: builds these targets, or all.
compile() {
  cmake --build "$BUILD" --parallel "$(nproc)" ${1:+--target "$@"}
}
