#!/usr/bin/env bash
# Gets Mesa's drivers of many vendors' GPUs and the shims that let them start without a GPU, to compile kernels for
# chips that are not there. They are unpacked, not installed. Programs use them through their own program loader:
#   $(tools/get/vendors.sh) CHIP PROGRAM ARGS...       CHIP: amd:navi31 nv:192 intel:bmg adreno:740 apple:m1 ...
# The last line of stdout is that launcher. Intel's shim is in no package: `vendors.sh --intel` also builds it from the
# source of Mesa 25.0, whose shim serves newer drivers too. That takes root and some minutes; NIBBLE_INTEL_SHIM=FILE
# names one that is there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/common.sh"
. "$here/../lib/archive.sh"

have=$NIBBLE_CACHE/vendors

# launcher DIR: writes DIR/run, which finds everything relative to itself, so that DIR can be moved.
launcher() {
  local loader driver
  loader=$(find "$1/root/usr/lib" -name 'ld-linux*.so.*' | sort | tail -n 1)
  driver=$(find "$1/root/usr/lib" -name libvulkan_radeon.so | tail -n 1)
  [ -n "$loader" ] && [ -n "$driver" ] || return 1
  sed -e "s#@LOADER@#${loader#"$1"/}#g" -e "s#@LIBS@#$(dirname "${driver#"$1"/}")#g" > "$1/run" <<'RUN'
#!/bin/sh
# run CHIP PROGRAM ARGS...: runs PROGRAM on the driver of CHIP, with a shim in the place of the kernel's.
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 1 ] || { echo "usage: $0 CHIP PROGRAM ARGS..." >&2; exit 2; }
chip=$1 program=$(command -v "$2") || { echo "$0: no program $2" >&2; exit 127; }
shift 2
name=${chip#*:}
case $chip in
  amd:*) export AMDGPU_GPU_ID="$name"; driver=radeon shim=libamdgpu_noop_drm_shim.so ;;
  nv:*) export NOUVEAU_CHIPSET="$name"; driver=nouveau shim=libnouveau_noop_drm_shim.so ;;
  adreno:*) export FD_GPU_ID="$name"; driver=freedreno shim=libfreedreno_noop_drm_shim.so ;;
  apple:*) driver=asahi shim=libasahi_noop_drm_shim.so ;;
  intel:*) export INTEL_STUB_GPU_PLATFORM="$name"; driver=intel shim=libintel_noop_drm_shim.so ;;
  *) echo "$0: no chip $chip" >&2; exit 2 ;;
esac
[ -e "$here/@LIBS@/$shim" ] || { echo "$0: no shim for $chip" >&2; exit 3; }
export VK_DRIVER_FILES="$here/$driver.json" VK_LOADER_LAYERS_DISABLE='~implicit~' MESA_SHADER_CACHE_DISABLE=true
unset VK_ICD_FILENAMES
exec "$here/@LOADER@" --argv0 "$program" --library-path "$here/@LIBS@" --preload "$here/@LIBS@/$shim" "$program" "$@"
RUN
  chmod 755 "$1/run"
  local library
  for library in "${driver%/*}"/libvulkan_*.so; do
    name=${library##*/libvulkan_}
    printf '{"file_format_version": "1.0.0",\n "ICD": {"library_path": "./%s", "api_version": "1.4.0"}}\n' \
      "${library#"$1"/}" > "$1/${name%.so}.json"
  done
}

build() {
  debian_archive >/dev/null || exit 1
  work_dir
  say "downloading Mesa's drivers of Debian sid with their libraries (about 150 MB)"
  download_closure sid mesa-vulkan-drivers mesa-drm-shim libvulkan1 libstdc++6 || exit 1
  unpack_closure "$WORK/out/root"
  launcher "$WORK/out" || die "Debian sid has no driver of AMD's GPUs"
  # The version of the compilers whose counts are compared.
  basename "$(ls "$WORK"/apt/archives/mesa-vulkan-drivers_*.deb)" | cut -d_ -f2 > "$WORK/out/version"
  publish "$WORK/out" vendors
}

# Builds Intel's shim in a tree of its own, with the compilers of Debian sid.
build_intel() {
  local tree=$NIBBLE_CACHE/vendors-build sources
  can_make_trees || die "Intel's shim needs root and Debian's archive in the apt sources, or NIBBLE_INTEL_SHIM"
  say "building Intel's shim (some minutes, once)"
  "$here/../../tests/loaders/tree.sh" "$tree" g++ meson ninja-build pkg-config bison flex python3-mako python3-yaml \
    python3-packaging libdrm-dev libexpat1-dev zlib1g-dev libzstd-dev >&2
  work_dir
  sources=$(debian_source deb-src trixie) || exit 1
  private_apt "$WORK/apt" "$sources"
  { apt-get -q update && cd "$WORK" && apt-get -q source --download-only --only-source mesa; } >"$WORK/log" 2>&1 ||
    die "the source of Mesa: $(grep -m 1 '^E:' "$WORK/log")"
  rm -rf "$tree/srv/mesa" "$tree/srv/build"
  mkdir -p "$tree/srv/mesa"
  tar -x -f "$(find "$WORK" -maxdepth 1 -name 'mesa_*.orig.tar.xz')" -C "$tree/srv/mesa" --strip-components=1
  chroot "$tree" sh -c 'cd /srv && meson setup build mesa --buildtype=release -Dvulkan-drivers= -Dgallium-drivers= \
    -Dtools=drm-shim,intel -Dplatforms= -Dglx=disabled -Degl=disabled -Dgbm=disabled -Dopengl=false -Dgles1=disabled \
    -Dgles2=disabled -Dllvm=disabled -Dvalgrind=disabled -Dlibunwind=disabled &&
    ninja -C build src/intel/tools/libintel_noop_drm_shim.so' >"$WORK/log" 2>&1 ||
    { tail -n 5 "$WORK/log" >&2; die "Intel's shim does not build"; }
  NIBBLE_INTEL_SHIM=$tree/srv/build/src/intel/tools/libintel_noop_drm_shim.so
}

intel_shim() { find "$have/root/usr/lib" -name libintel_noop_drm_shim.so | head -n 1; }

if [ ! -x "$have/run" ]; then
  one_at_a_time vendors
  [ -x "$have/run" ] || build
fi
if [ "${1:-}" = --intel ] && [ -z "$(intel_shim)" ]; then
  [ -n "${NIBBLE_INTEL_SHIM:-}" ] || build_intel
  cp "$NIBBLE_INTEL_SHIM" "$(dirname "$(find "$have/root/usr/lib" -name libamdgpu_noop_drm_shim.so)")/"
fi
printf '%s\n' "$have/run"
