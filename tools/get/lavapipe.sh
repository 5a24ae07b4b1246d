#!/usr/bin/env bash
# Gets a newer lavapipe, the software driver that supports KHR cooperative matrices, with every library it needs. It is
# unpacked, not installed. Its C library is newer than the system's, so programs use it through its own program loader:
#   $(tools/get/lavapipe.sh) PROGRAM ARGS...
# The last line of stdout is that launcher.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/common.sh"
. "$here/../lib/archive.sh"

# Backports change rarely; sid is the fallback. The first suite whose driver passes works_here is used.
SUITES=${NIBBLE_LAVAPIPE_SUITES:-trixie-backports sid}
have=$NIBBLE_CACHE/lavapipe

# launcher DIR TREE: writes DIR/run, which finds everything relative to itself, so that DIR can be moved.
launcher() {
  local tree=$2 loader driver libs
  loader=$(find "$tree/usr/lib" -name 'ld-linux*.so.*' | sort | tail -n 1)
  driver=$(find "$tree/usr/lib" -name libvulkan_lvp.so | tail -n 1)
  [ -n "$loader" ] && [ -n "$driver" ] || return 1
  libs=$(dirname "$driver")
  sed -e "s#@LOADER@#${loader#"$1"/}#" -e "s#@LIBS@#${libs#"$1"/}#" > "$1/run" <<'RUN'
#!/bin/sh
# run PROGRAM ARGS...: runs PROGRAM with the lavapipe in this folder.
# A program that starts itself again must use $NIBBLE_LAUNCHER, because /proc/self/exe is the program loader here.
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || { echo "usage: $0 PROGRAM ARGS..." >&2; exit 2; }
program=$(command -v "$1") || { echo "$0: no program $1" >&2; exit 127; }
shift
export NIBBLE_LAUNCHER="$here/run"
export VK_DRIVER_FILES="$here/lvp_icd.json" VK_ICD_FILENAMES="$here/lvp_icd.json"
# The system's implicit layers are for the system's drivers.
export VK_LOADER_LAYERS_DISABLE="${VK_LOADER_LAYERS_DISABLE:-~implicit~}"
# Cooperative matrices work only at this vector width.
export LP_NATIVE_VECTOR_WIDTH="${LP_NATIVE_VECTOR_WIDTH:-256}"
exec "$here/@LOADER@" --argv0 "$program" --library-path "$here/@LIBS@" "$program" "$@"
RUN
  chmod 755 "$1/run"
  # The loader resolves a relative path from the json's folder.
  printf '{"file_format_version": "1.0.0",\n "ICD": {"library_path": "./%s", "api_version": "1.4.0"}}\n' \
    "${driver#"$1"/}" > "$1/lvp_icd.json"
}

# works_here DIR: checks that this machine's programs start and that the driver offers cooperative matrices.
works_here() {
  "$1/run" "$(command -v cmake || command -v true)" --version >/dev/null 2>&1 ||
    { say "its C library does not run this machine's programs"; return 1; }
  "$1/run" "$1/root/usr/bin/vulkaninfo" >"$WORK/info" 2>/dev/null || true
  grep -q VK_KHR_cooperative_matrix "$WORK/info" || { say "it has no cooperative matrices"; return 1; }
}

build() {
  local suite
  debian_archive >/dev/null || exit 1
  work_dir
  for suite in $SUITES; do
    say "downloading lavapipe of Debian $suite with its libraries (about 100 MB)"
    download_closure "$suite" mesa-vulkan-drivers libvulkan1 libstdc++6 vulkan-tools || continue
    rm -rf "$WORK/out"
    unpack_closure "$WORK/out/root"
    launcher "$WORK/out" "$WORK/out/root" || { say "Debian $suite has no lavapipe"; continue; }
    works_here "$WORK/out" || continue
    publish "$WORK/out" lavapipe
    return
  done
  die "no newer lavapipe is available here"
}

if [ ! -x "$have/run" ]; then
  one_at_a_time lavapipe
  [ -x "$have/run" ] || build
fi
printf '%s\n' "$have/run"
