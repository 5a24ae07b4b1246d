#include "vk/api.h"

namespace nib::vk {

bool loadInstanceApi(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance, Api* out_api,
                     const char** missing) {
  Api& api = *out_api;
  api = Api{};
  const char* not_found = nullptr;
#define NIB_VK_INSTANCE(name)                                                       \
  api.name = reinterpret_cast<PFN_##name>(get_instance_proc_addr(instance, #name)); \
  if (!api.name && !not_found) not_found = #name;
#define NIB_VK_INSTANCE_OPTIONAL(name) api.name = reinterpret_cast<PFN_##name>(get_instance_proc_addr(instance, #name));
#include "vk/api.inc"
  if (missing) *missing = not_found;
  return !not_found;
}

bool loadApi(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance, VkDevice device, Api* out_api,
             const char** missing) {
  if (!loadInstanceApi(get_instance_proc_addr, instance, out_api, missing)) return false;
  Api& api = *out_api;
  const char* not_found = nullptr;
#define NIB_VK_DEVICE(name)                                                        \
  api.name = reinterpret_cast<PFN_##name>(api.vkGetDeviceProcAddr(device, #name)); \
  if (!api.name && !not_found) not_found = #name;
#include "vk/api.inc"
  if (missing) *missing = not_found;
  return !not_found;
}

}  // namespace nib::vk
