// Which memory types suit a buffer: pure functions of the device's list.
#ifndef NIB_KIT_VULKAN_MEMORY_H
#define NIB_KIT_VULKAN_MEMORY_H

#include "kit/vulkan_api.h"

#include <nibble/kit.h>

namespace nib::kit::detail {

// The host and the device share one memory: mapping costs the device nothing.
bool isUnified(const VkPhysicalDeviceMemoryProperties& memory, VkPhysicalDeviceType type);

// Allowed types, best first; an allocation that fails goes on with the next. type_bits: of VkMemoryRequirements.
std::vector<uint32_t> rankMemoryTypes(const VkPhysicalDeviceMemoryProperties& memory, uint32_t type_bits,
                                      bool unified, Memory wanted);

// Mapped without flushes: host-visible and coherent.
bool isMappable(VkMemoryPropertyFlags flags);

}  // namespace nib::kit::detail
#endif
