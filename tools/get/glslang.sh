#!/usr/bin/env bash
# Gets a GLSL compiler that supports GL_KHR_cooperative_matrix and GL_EXT_integer_dot_product: one on PATH, if it does,
# else the package of a newer Debian release, unpacked with its own C library, else one built from that release's source
# (once, 2 to 4 minutes on two cores).
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

# fetch: the package, behind a script that starts it through its own program loader. Fails if it does not work here.
fetch() {
  local tree=$WORK/out/root loader program
  say "downloading glslang of Debian $SUITE with its libraries"
  download_closure "$SUITE" glslang-tools || return 1
  rm -rf "$WORK/out"
  unpack_closure "$tree"
  loader=$(find "$tree/usr/lib" -name 'ld-linux*.so.*' | sort | tail -n 1)
  program=$(find "$tree/usr/bin" -name 'glslang*' -type f | sort | head -n 1)
  [ -n "$loader" ] && [ -n "$program" ] || return 1
  sed -e "s#@LOADER@#${loader#"$WORK/out/"}#" -e "s#@PROGRAM@#${program#"$WORK/out/"}#" \
    -e "s#@LIBS@#$(cd "$WORK/out" && find root/usr/lib -name '*.so.*' -printf '%h\n' | sort -u | head -n 1)#" \
    >"$WORK/out/glslang" <<'RUN'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/@LOADER@" --library-path "$here/@LIBS@" "$here/@PROGRAM@" "$@"
RUN
  chmod 755 "$WORK/out/glslang"
  knows_extensions "$WORK/out/glslang" || { say "the package does not run here"; return 1; }
}

build() {
  local sources tool
  for tool in g++ cmake ninja; do command -v "$tool" >/dev/null || die "building a newer glslang needs $tool"; done
  sources=$(debian_source deb-src "$SUITE") || exit 1
  rm -rf "$WORK/out" "$WORK/apt"
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
}

for compiler in glslang glslangValidator; do
  if path=$(command -v "$compiler") && knows_extensions "$path"; then
    printf '%s\n' "$path"
    exit 0
  fi
done
if [ ! -x "$have/glslang" ]; then
  one_at_a_time glslang
  if [ ! -x "$have/glslang" ]; then
    work_dir
    fetch || build
    publish "$WORK/out" glslang
  fi
fi
printf '%s\n' "$have/glslang"
