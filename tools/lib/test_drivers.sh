# Sourced, after common.sh: software drivers and tools that the tests use in addition to the system's.
# shellcheck shell=bash

# test_driver VARIABLE NAME WHAT: runs tools/get/NAME.sh and exports the path that it prints as VARIABLE, for the tests.
# If it fails, adds a line about WHAT to $NOT_TESTED; with NIBBLE_REQUIRE_ALL=1 that is an error.
test_driver() {
  local variable=$1 name=$2 what=$3 logs reason
  if [ -n "${!variable:-}" ]; then export "${variable?}"; return; fi
  logs=$(mktemp -d)
  # stderr goes to the terminal and to a log; stdout, the result, to a file.
  if "$NIBBLE_ROOT/tools/get/$name.sh" 2>&1 >"$logs/out" | tee "$logs/err" >&2; then
    export "$variable=$(tail -n 1 "$logs/out")"
  else
    # The reason is the last message of the script itself, except its closing line.
    reason=$(sed -n "/is available here/d; s/^$name\.sh: \(error: \)\{0,1\}//p" "$logs/err" | tail -n 1)
    NOT_TESTED+=("not tested here: $what ($reason)")
  fi
  rm -rf "$logs"
  if [ -z "${!variable:-}" ] && [ "${NIBBLE_REQUIRE_ALL:-0}" = 1 ]; then die "${NOT_TESTED[-1]}"; fi
}

# test_drivers: gets all of them. $NOT_TESTED has a line for each that is missing.
test_drivers() {
  NOT_TESTED=()
  test_driver NIBBLE_TEST_SWIFTSHADER swiftshader "SwiftShader, the driver nearest to Vulkan's minimum"
  test_driver NIBBLE_TEST_VALIDATION validation "Vulkan validation"
  test_driver NIBBLE_TEST_LAVAPIPE lavapipe "cooperative matrices, on a newer lavapipe"
  test_driver NIBBLE_GLSLANG_NEW glslang "kernels that need a newer GLSL compiler"
}
