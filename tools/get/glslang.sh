#!/usr/bin/env bash
# Gets a GLSL compiler that supports GL_KHR_cooperative_matrix and GL_EXT_integer_dot_product: one on PATH, if it does,
# else one built from the source package of a newer Debian release (once, 2 to 4 minutes on two cores).
# The last line of stdout is the compiler's path.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/common.sh"
. "$here/../lib/archive.sh"

SUITE=trixie
have=$NIBBLE_CACHE/glslang

# Compiles a probe shader, because the version that a compiler prints does not say which extensions it supports.
knows_extensions() {
  local dir rc=0
  dir=$(mktemp -d)
  cat > "$dir/probe.comp" <<'GLSL'
#version 450
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_EXT_integer_dot_product : require
layout(local_size_x = 32) in;
layout(binding = 0) buffer Data { int8_t bytes[]; };
layout(binding = 1) buffer Sums { int sums[]; };
layout(constant_id = 0) const uint SIZE = 16;
void main() {
  coopmat<int8_t, gl_ScopeSubgroup, SIZE, SIZE, gl_MatrixUseA> a;
  coopmat<int8_t, gl_ScopeSubgroup, SIZE, SIZE, gl_MatrixUseB> b;
  coopMatLoad(a, bytes, 0, SIZE, gl_CooperativeMatrixLayoutRowMajor);
  coopMatLoad(b, bytes, 0, SIZE, gl_CooperativeMatrixLayoutColumnMajor);
  coopmat<int, gl_ScopeSubgroup, SIZE, SIZE, gl_MatrixUseAccumulator> c = coopMatMulAdd(a, b,
      coopmat<int, gl_ScopeSubgroup, SIZE, SIZE, gl_MatrixUseAccumulator>(0));
  coopMatStore(c, sums, 0, SIZE, gl_CooperativeMatrixLayoutRowMajor);
  sums[0] += dotPacked4x8EXT(sums[1], sums[2]);
}
GLSL
  "$1" -V --target-env vulkan1.3 -o "$dir/probe.spv" "$dir/probe.comp" >/dev/null 2>&1 || rc=1
  rm -rf "$dir"
  return $rc
}

build() {
  local sources tool
  for tool in g++ cmake ninja; do command -v "$tool" >/dev/null || die "building a newer glslang needs $tool"; done
  sources=$(debian_source deb-src "$SUITE") || exit 1
  work_dir
  private_apt "$WORK/apt" "$sources"
  mkdir "$WORK/source"
  say "downloading the glslang source package of Debian $SUITE"
  (
    cd "$WORK/source" && apt-get -q update &&
      apt-get -q source --download-only --only-source glslang
  ) >"$WORK/log" 2>&1 || die "cannot download glslang's source: $(grep -m 1 '^E:' "$WORK/log")"
  mkdir "$WORK/source/tree"
  tar -xf "$WORK"/source/glslang_*.orig.tar.* -C "$WORK/source/tree" --strip-components=1

  say "building glslang (2 to 4 minutes on two cores)"
  {
    # Static, without the parts that are not needed here: HLSL, the optimizer (it needs SPIRV-Tools' source) and tests.
    cmake -S "$WORK/source/tree" -B "$WORK/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
      -DCMAKE_INSTALL_PREFIX="$WORK/out" \
      -DBUILD_SHARED_LIBS=OFF -DENABLE_OPT=OFF -DENABLE_HLSL=OFF -DENABLE_PCH=OFF -DGLSLANG_TESTS=OFF &&
      cmake --build "$WORK/build" --target glslang-standalone --parallel "$(nproc)"
  } >"$WORK/log" 2>&1 || { tail -n 20 "$WORK/log" >&2; die "glslang does not build"; }
  mkdir -p "$WORK/out"
  cp "$WORK/build/StandAlone/glslang" "$WORK/out/"
  knows_extensions "$WORK/out/glslang" || die "the glslang just built does not compile the probe shader"
  publish "$WORK/out" glslang
}

for compiler in glslang glslangValidator; do
  if path=$(command -v "$compiler") && knows_extensions "$path"; then
    printf '%s\n' "$path"
    exit 0
  fi
done
if [ ! -x "$have/glslang" ]; then
  one_at_a_time glslang
  [ -x "$have/glslang" ] || build
fi
printf '%s\n' "$have/glslang"
