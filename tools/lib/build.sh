# Sourced, after common.sh and packages.sh: from sources to binaries.
# shellcheck shell=bash

# prepare: installs what building needs and sets $PRESET. Without Vulkan's headers that is the part of nibble that does
# without: the formats and the operations on the CPU.
prepare() {
  PRESET=release
  if need_packages "${BUILD_PACKAGES[@]}" "${VULKAN_PACKAGES[@]}"; then return; fi
  if [ "${NIBBLE_REQUIRE_ALL:-0}" = 1 ]; then die "building with Vulkan was required"; fi
  need_packages "${BUILD_PACKAGES[@]}" || exit 1
  say "building without Vulkan: nibble will run on the CPU only"
  PRESET=no-vulkan
}

# configure [CMAKE OPTIONS...]: $PRESET, in the folder $BUILD.
configure() {
  BUILD=$NIBBLE_ROOT/build/$PRESET
  cd "$NIBBLE_ROOT" || exit 1
  cmake --preset "$PRESET" "$@"
}

# compile [TARGETS...]: these, or everything.
compile() {
  cmake --build "$BUILD" --parallel "$(nproc)" ${1:+--target "$@"}
}
