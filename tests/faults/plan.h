// Which calls fail, and how often each was made: the use counts live in a file, so that they outlast the layer, which a
// loader unloads with its instance, and the process.
//
// NIBBLE_FAULTS_STATE names the file: zeros, at least as many 8-byte counters as there are calls in calls.inc.
// NIBBLE_FAULTS_FAIL has rules "CALL N TIMES CODE", separated by ';': the N-th use of the call returns CODE. TIMES is
//   once    only that use
//   ever    and every later one
//   lost    that use, and then every call that can return VK_ERROR_DEVICE_LOST returns it: the device runs nothing more
#ifndef NIB_TESTS_FAULTS_PLAN_H
#define NIB_TESTS_FAULTS_PLAN_H

#include <vulkan/vulkan_core.h>

#include <cstdint>

namespace nib::faults {

enum Call : uint32_t {
#define NIB_FAULT_CALL(name, ...) k_##name,
#include "calls.inc"
  kCallCount
};

struct Fault {
  VkResult result = VK_SUCCESS;  // VK_SUCCESS = the call works
  bool loses_device = false;     // the first failure of a rule "lost"
};

const char* nameOf(Call call);
// Counts a use of the call. Thread-safe.
Fault use(Call call);
// Whether a rule "lost" has failed.
bool isLost();

// Ends the process, with one line on stderr, after a use of Vulkan that is undefined behaviour on a real driver.
[[noreturn]] void violation(const char* what);

}  // namespace nib::faults
#endif
