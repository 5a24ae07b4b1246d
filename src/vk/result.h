// VkResult in nibble's errors.
#ifndef NIB_VK_RESULT_H
#define NIB_VK_RESULT_H

#include <nibble/nibble.h>

#include "base/log.h"
#include "vk/compat.h"

namespace nib::vk {

// The NibResult of a failed Vulkan call.
inline NibResult resultOf(VkResult result) {
  switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_OUT_OF_POOL_MEMORY:
    case VK_ERROR_FRAGMENTED_POOL:
    case VK_ERROR_FRAGMENTATION: return NIB_ERROR_OUT_OF_MEMORY;
    case VK_ERROR_DEVICE_LOST: return NIB_ERROR_DEVICE_LOST;
    default: return NIB_ERROR_VULKAN;
  }
}

// The name of the result and, in parentheses, what the user can do about it. Messages add the number, because newer
// headers have more names.
inline const char* resultName(VkResult result) {
  switch (result) {
    case VK_SUCCESS: return "VK_SUCCESS";
    case VK_NOT_READY: return "VK_NOT_READY";
    case VK_TIMEOUT: return "VK_TIMEOUT";
    case VK_INCOMPLETE: return "VK_INCOMPLETE";
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY (end other programs that take memory)";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
      return "VK_ERROR_OUT_OF_DEVICE_MEMORY (end other programs that use the device, or work in smaller pieces)";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST:
      return "VK_ERROR_DEVICE_LOST (the driver reset the device: another program, too long a submission, or a driver "
             "bug; try `nibble devices --verify`)";
    case VK_ERROR_MEMORY_MAP_FAILED: return "VK_ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT: return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    case VK_ERROR_FRAGMENTED_POOL: return "VK_ERROR_FRAGMENTED_POOL";
    case VK_ERROR_OUT_OF_POOL_MEMORY: return "VK_ERROR_OUT_OF_POOL_MEMORY (destroy bindings that are not used)";
    case VK_ERROR_FRAGMENTATION: return "VK_ERROR_FRAGMENTATION";
    case VK_ERROR_INVALID_SHADER_NV: return "VK_ERROR_INVALID_SHADER_NV (a driver bug; try `nibble devices --verify`)";
    default: return "an unexpected VkResult";
  }
}

// Reports the failed call and returns its code, for `return failed(log, "context", "vkCreate...", result)`.
inline NibResult failed(const Log& log, const char* subject, const char* call, VkResult result) {
  return log.fail(resultOf(result), "%s: %s failed: %s (%d)", subject, call, resultName(result), int(result));
}

}  // namespace nib::vk
#endif
