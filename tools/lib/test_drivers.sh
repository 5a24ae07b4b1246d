# Sourced, after common.sh: software drivers and tools that the tests use beside the system's own.
# shellcheck shell=bash

# test_driver VARIABLE NAME WHAT: exports VARIABLE, the path printed by tools/get/NAME.sh, for the tests to find. What
# cannot be had is said in one line and left out; NIBBLE_REQUIRE_ALL=1 makes that an error.
test_driver() {
  local variable=$1 name=$2 what=$3 logs reason
  if [ -n "${!variable:-}" ]; then export "${variable?}"; return; fi
  logs=$(mktemp -d)
  # What it says goes to the person and to a log at once; what it answers, to a file.
  if "$NIBBLE_ROOT/tools/get/$name.sh" 2>&1 >"$logs/out" | tee "$logs/err" >&2; then
    export "$variable=$(tail -n 1 "$logs/out")"
  else
    # The reason is the last thing that the script itself said, but for its closing line.
    reason=$(sed -n "/to be had here/d; s/^$name\.sh: \(error: \)\{0,1\}//p" "$logs/err" | tail -n 1)
    NOT_TESTED+=("not tested here: $what ($reason)")
  fi
  rm -rf "$logs"
  if [ -z "${!variable:-}" ] && [ "${NIBBLE_REQUIRE_ALL:-0}" = 1 ]; then die "${NOT_TESTED[-1]}"; fi
}

# test_drivers: all of them. $NOT_TESTED holds the lines of those that are missing.
test_drivers() {
  NOT_TESTED=()
  test_driver NIBBLE_TEST_SWIFTSHADER swiftshader "SwiftShader, the driver nearest to Vulkan's minimum"
  test_driver NIBBLE_TEST_VALIDATION validation "Vulkan validation"
  test_driver NIBBLE_TEST_LAVAPIPE lavapipe "cooperative matrices, on a newer lavapipe"
  test_driver NIBBLE_GLSLANG_NEW glslang "kernels that need a newer GLSL compiler"
}
