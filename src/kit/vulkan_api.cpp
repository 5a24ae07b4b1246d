#include "kit/vulkan_api.h"

#include <nibble/kit.h>

#include "vk/result.h"

namespace nib::kit::detail {

void check(VkResult result, const char* what) {
  if (result == VK_SUCCESS) return;
  throw Error(std::string(what) + ": " + vk::resultName(result) + " (" + std::to_string(static_cast<int>(result)) +
              ")");
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
