#include "kit/vulkan_api.h"

#include <nibble/kit.h>

namespace nib::kit::detail {

const char* resultName(VkResult result) {
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
    default: return "an unexpected VkResult";
  }
}

void check(VkResult result, const char* what) {
  if (result == VK_SUCCESS) return;
  throw Error(std::string(what) + ": " + resultName(result) + " (" + std::to_string(static_cast<int>(result)) + ")");
}

InstanceApi loadInstanceApi(PFN_vkGetInstanceProcAddr get, VkInstance instance) {
  InstanceApi api;
#define NIB_KIT_LOAD(name)                                              \
  api.name = reinterpret_cast<PFN_vk##name>(get(instance, "vk" #name)); \
  if (!api.name) throw Error("the Vulkan loader has no vk" #name "; nibble needs Vulkan 1.1");
  NIB_KIT_INSTANCE_FUNCTIONS(NIB_KIT_LOAD)
#undef NIB_KIT_LOAD
  return api;
}

DeviceApi loadDeviceApi(const InstanceApi& instance_api, VkDevice device) {
  DeviceApi api;
#define NIB_KIT_LOAD(name)                                                                       \
  api.name = reinterpret_cast<PFN_vk##name>(instance_api.GetDeviceProcAddr(device, "vk" #name)); \
  if (!api.name) throw Error("the Vulkan driver has no vk" #name);
  NIB_KIT_DEVICE_FUNCTIONS(NIB_KIT_LOAD)
#undef NIB_KIT_LOAD
  return api;
}

}  // namespace nib::kit::detail
