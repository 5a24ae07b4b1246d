// Calls Vulkan through the loader library that it links, before and after the kit does.
#include <nibble/kit.h>

#include <vulkan/vulkan.h>

namespace {

bool createsInstance() {
  const VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, nullptr, 0, nullptr, 0, nullptr, 0, nullptr};
  VkInstance instance = VK_NULL_HANDLE;
  const VkResult result = vkCreateInstance(&info, nullptr, &instance);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) return true;  // a machine without a driver
  if (result != VK_SUCCESS) return false;
  vkDestroyInstance(instance, nullptr);
  return true;
}

}  // namespace

int main() {
  if (!createsInstance()) return 1;
  for (const nib::kit::DeviceInfo& device : nib::kit::listDevices()) {
    if (device.name.empty()) return 2;
  }
  return createsInstance() ? 0 : 3;
}
