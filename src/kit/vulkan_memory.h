// Ranks the memory types for a buffer: pure functions of the device's memory properties.
#ifndef NIB_KIT_VULKAN_MEMORY_H
#define NIB_KIT_VULKAN_MEMORY_H

#include "kit/vulkan_api.h"

#include <nibble/kit.h>

namespace nib::kit::detail {

// True if the host and the device share one memory, so that mapping costs the device nothing.
bool isUnified(const VkPhysicalDeviceMemoryProperties& memory, VkPhysicalDeviceType type);

// Allowed types, best first; try the next one if an allocation fails. type_bits: VkMemoryRequirements::memoryTypeBits.
std::vector<uint32_t> rankMemoryTypes(const VkPhysicalDeviceMemoryProperties& memory, uint32_t type_bits, bool unified,
                                      Memory wanted);

// Host-visible and coherent: it can be mapped and needs no flushes.
bool isMappable(VkMemoryPropertyFlags flags);

}  // namespace nib::kit::detail
#endif
