# Sourced, after common.sh: the distribution's packages that building and testing need.
# SC2034: the scripts that source this file use its variables.
# shellcheck shell=bash disable=SC2034

# "a|b": alternatives, because names differ between releases. The first one that the distribution knows is installed.
BUILD_PACKAGES=(g++ cmake ninja-build 'pkg-config|pkgconf' doctest-dev libcli11-dev nlohmann-json3-dev libfmt-dev
                libeigen3-dev libxxhash-dev libpcre2-dev libsentencepiece-dev libutf8proc-dev)
VULKAN_PACKAGES=(libvulkan-dev libvulkan-volk-dev libvulkan1 mesa-vulkan-drivers glslang-tools spirv-tools
                 spirv-headers)
# clang and the runtimes of its version. The newer version comes first, because the newer release has both.
TEST_PACKAGES=(vulkan-validationlayers python3 ccache clang 'libclang-rt-18-dev|libclang-rt-14-dev')

# installed_packages NAME...: prints those that are installed.
installed_packages() {
  { dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true; } |
    awk '$1 == "installed" { print $2 }'
}

# missing_packages 'A|B'...: prints the entries of which no name is installed, one per line. It calls dpkg once for all.
missing_packages() {
  local entry have
  # shellcheck disable=SC2046 # words are wanted: one name each
  have=$(installed_packages $(printf '%s\n' "${@//|/ }"))
  for entry in "$@"; do
    grep -qxE "${entry//+/\\+}" <<<"$have" || printf '%s\n' "$entry"
  done
}

# known_names 'A|B'...: prints for each entry the first name that apt can install, else its first name, so that apt's
# error names it.
known_names() {
  local entry name pick
  for entry in "$@"; do
    pick=
    for name in ${entry//|/ }; do
      if grep -q '^  Candidate: [^(]' <<<"$(apt-cache policy "$name" 2>/dev/null)"; then pick=$name; break; fi
    done
    printf '%s\n' "${pick:-${entry%%|*}}"
  done
}

# need_packages 'A|B'...: installs the missing packages. If none is missing, it is quick and needs no network or root.
need_packages() {
  local missing names log
  if ! command -v dpkg-query >/dev/null; then
    say "no dpkg here: the contents of these Debian packages must be installed: $*"
    return 0
  fi
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] && ! as_root true 2>/dev/null; then
    say "missing packages: ${missing[*]}; neither root nor sudo here, install them first"
    return 1
  fi
  log=$(mktemp)
  # An unreachable source may not be needed: only the installation matters.
  as_root apt-get -q -o DPkg::Lock::Timeout=600 update >"$log" 2>&1 ||
    say "apt-get update: $(grep -m 1 '^E:' "$log" || true)"
  mapfile -t names < <(known_names "${missing[@]}")
  say "installing ${names[*]}"
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 --no-install-recommends \
    install "${names[@]}" >"$log" 2>&1 </dev/null; then
    say "cannot install ${names[*]}: $(grep -m 1 '^E:' "$log" || tail -n 1 "$log")"
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}
