#!/usr/bin/env bash
# Compiles the core and the kit for other systems, and runs their tests where an emulator can.
#
#   tools/cross.sh [mingw-w64] [aarch64-linux]      none = both
#
# mingw-w64: Windows, 64 bits: compiled and linked, not run. aarch64-linux: 64-bit Arm, the CPU tests run in qemu-user.
# Android's NDK brings a toolchain file of its own, which takes the place of cmake/toolchains/aarch64-linux.cmake.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/common.sh"
. "$here/lib/packages.sh"
. "$here/lib/build.sh"

[ $# -gt 0 ] || set -- mingw-w64 aarch64-linux
for system; do
  [ -f "$NIBBLE_ROOT/cmake/toolchains/$system.cmake" ] || die "no cmake/toolchains/$system.cmake"
done
need_packages "${BUILD_PACKAGES[@]}" "${VULKAN_PACKAGES[@]}" g++-mingw-w64-x86-64-posix g++-aarch64-linux-gnu \
  qemu-user || lacking "the cross compilers cannot be installed"

# Headers that belong to no system. The host's own folder has its C library, too.
deps=$NIBBLE_ROOT/build/cross/deps
rm -rf "$deps"
mkdir -p "$deps/include" "$deps/share/cmake" "$deps/lib/cmake"
for header in vulkan vk_video volk.h volk.c doctest nlohmann eigen3 CLI; do
  [ -e "/usr/include/$header" ] && cp -r "/usr/include/$header" "$deps/include/"
done
for package in share/cmake/nlohmann_json share/eigen3 lib/cmake/doctest; do
  [ -e "/usr/$package" ] && mkdir -p "$deps/$(dirname "$package")" && cp -r "/usr/$package" "$deps/$package"
done
find "$deps" -name '*.cmake' -exec sed -i "s|_IMPORT_PREFIX \"/usr\"|_IMPORT_PREFIX \"$deps\"|" {} +

for system; do
  build=$NIBBLE_ROOT/build/cross/$system
  cmake -S "$NIBBLE_ROOT" -B "$build" -G Ninja --toolchain "$NIBBLE_ROOT/cmake/toolchains/$system.cmake" \
    -DCMAKE_BUILD_TYPE=Release "-DCMAKE_FIND_ROOT_PATH=$deps;/usr/x86_64-w64-mingw32;/usr/aarch64-linux-gnu" \
    -DVulkanHeaders_INCLUDE_DIR="$deps/include" -DNIBBLE_SHARED=ON -DNIBBLE_MODEL=OFF -DNIBBLE_BENCH=OFF \
    -DNIBBLE_EXAMPLES=OFF -DNIBBLE_TOOLS=OFF ${NIBBLE_SPIRV_DIR:+-DNIBBLE_SPIRV_DIR="$NIBBLE_SPIRV_DIR"} \
    ${NIBBLE_GLSLANG_NEW:+-DNIBBLE_GLSLANG_NEW="$NIBBLE_GLSLANG_NEW"}
  cmake --build "$build" --parallel "$(nproc)" --target nibble nibble_shared nibble_kit nibble_tests_cpu
  case $system in
    aarch64-*) ctest --test-dir "$build" --output-on-failure -R '^cpu$' ;;
    *) say "$system: compiled and linked, not run" ;;
  esac
done
