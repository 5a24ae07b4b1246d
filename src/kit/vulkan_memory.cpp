#include "kit/vulkan_memory.h"

#include <algorithm>

namespace nib::kit::detail {
namespace {

// Unsuitable memory: lazily allocated memory is for attachments, protected memory for protected queues, and
// device-coherent AMD memory is slow and needs its feature enabled.
constexpr VkMemoryPropertyFlags kExcluded = VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT | VK_MEMORY_PROPERTY_PROTECTED_BIT |
                                            VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD |
                                            VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD;

int scoreForDevice(VkMemoryPropertyFlags flags, bool unified) {
  const bool local = (flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0;
  const bool cached = (flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
  int score = local ? 100 : 0;
  if (unified) {
    // Mapping is free here and avoids copies. Cached is better, because results are read through the mapping.
    score += isMappable(flags) ? 20 : 0;
    score += isMappable(flags) && cached ? 10 : 0;
  } else {
    // The mappable part of a card's memory may be only 256 MiB, and other programs need it.
    score += (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) == 0 ? 10 : 0;
  }
  return score;
}

int scoreForHost(VkMemoryPropertyFlags flags, bool unified) {
  if (!isMappable(flags)) return -1;
  const bool local = (flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0;
  const bool cached = (flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
  return (cached ? 20 : 0) + (local == unified ? 10 : 0);
}

}  // namespace

bool isMappable(VkMemoryPropertyFlags flags) {
  constexpr VkMemoryPropertyFlags kBoth = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  return (flags & kBoth) == kBoth;
}

bool isUnified(const VkPhysicalDeviceMemoryProperties& memory, VkPhysicalDeviceType type) {
  if (type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || type == VK_PHYSICAL_DEVICE_TYPE_CPU) return true;
  if (type == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU) return false;
  for (uint32_t i = 0; i < memory.memoryHeapCount; ++i) {
    if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) == 0) return false;
  }
  return true;
}

std::vector<uint32_t> rankMemoryTypes(const VkPhysicalDeviceMemoryProperties& memory, uint32_t type_bits, bool unified,
                                      Memory wanted) {
  struct Candidate {
    uint32_t type;
    int score;
  };
  std::vector<Candidate> candidates;
  for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    const VkMemoryPropertyFlags flags = memory.memoryTypes[i].propertyFlags;
    if ((type_bits >> i & 1u) == 0 || (flags & kExcluded) != 0) continue;
    const int score = wanted == Memory::kDevice ? scoreForDevice(flags, unified) : scoreForHost(flags, unified);
    if (score >= 0) candidates.push_back({i, score});
  }
  // Stable: the driver lists equal types in its own order of preference.
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  std::vector<uint32_t> types;
  for (const Candidate& candidate : candidates) types.push_back(candidate.type);
  return types;
}

}  // namespace nib::kit::detail
