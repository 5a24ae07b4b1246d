// The only user of volk, which finds the Vulkan loader on every system.
#include "kit/vulkan_api.h"

#include <volk.h>

#include <mutex>

namespace nib::kit::detail {

PFN_vkGetInstanceProcAddr findLoader() {
  static std::once_flag once;
  static PFN_vkGetInstanceProcAddr found = nullptr;
  std::call_once(once, [] {
    // If the application has initialized this program's volk already, its loader is used.
    if (!vkGetInstanceProcAddr && volkInitialize() != VK_SUCCESS) return;
    found = vkGetInstanceProcAddr;
  });
  return found;
}

}  // namespace nib::kit::detail
