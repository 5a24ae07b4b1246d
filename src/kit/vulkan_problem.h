// Why there is no Vulkan device.
#ifndef NIB_KIT_VULKAN_PROBLEM_H
#define NIB_KIT_VULKAN_PROBLEM_H

#include <string>

namespace nib::kit::detail {

// Asks the system again; for messages, where no device was found.
std::string vulkanProblem();

}  // namespace nib::kit::detail
#endif
