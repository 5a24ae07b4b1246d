#include "kit/vulkan_problem.h"

#include <nibble/kit.h>

#include <cstdlib>

#include "kit/vulkan_api.h"
#include "kit/vulkan_instance.h"

namespace nib::kit::detail {

std::string vulkanProblem() {
  const PFN_vkGetInstanceProcAddr get = findLoader();
  if (get == nullptr) return "the Vulkan loader (Debian: libvulkan1) is not installed";
  const auto version_of =
      reinterpret_cast<PFN_vkEnumerateInstanceVersion>(get(VK_NULL_HANDLE, "vkEnumerateInstanceVersion"));
  uint32_t version = VK_API_VERSION_1_0;
  if (version_of == nullptr || version_of(&version) != VK_SUCCESS || version < VK_API_VERSION_1_1) {
    return "the Vulkan loader is older than 1.1: install a newer one";
  }
  try {
    const auto instance = Instance::create(Validation::kOff, nullptr);
    if (instance && !instance->physicalDevices().empty()) return "Vulkan failed, but works now: try again";
  } catch (const Error& error) {
    return error.what();
  }
  for (const char* name : {"VK_DRIVER_FILES", "VK_ICD_FILENAMES"}) {
    if (const char* files = std::getenv(name)) {
      return "no driver that $" + std::string(name) + " names (" + files + ") has a device";
    }
  }
  return "no Vulkan driver is installed, or none has a device (`vulkaninfo` says more)";
}

}  // namespace nib::kit::detail
