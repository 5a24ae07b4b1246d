// The only place that sees volk: it knows the loader's name on every system.
#include "kit/vulkan_api.h"

#include <volk.h>

#include <mutex>

namespace nib::kit::detail {

PFN_vkGetInstanceProcAddr findLoader() {
  static std::once_flag once;
  static PFN_vkGetInstanceProcAddr found = nullptr;
  std::call_once(once, [] {
    // An application may have initialized the volk of this program already; then its loader is the one to use.
    if (!vkGetInstanceProcAddr && volkInitialize() != VK_SUCCESS) return;
    found = vkGetInstanceProcAddr;
  });
  return found;
}

}  // namespace nib::kit::detail
