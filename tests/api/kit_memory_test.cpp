// The memory type of a buffer, on made-up lists of memory types.
#include <doctest/doctest.h>

#include "kit/vulkan_memory.h"

using namespace nib::kit;
using detail::isUnified;
using detail::rankMemoryTypes;

namespace {

constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
constexpr VkMemoryPropertyFlags kMapped = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
constexpr uint64_t kGiB = uint64_t{1} << 30;

struct Type {
  VkMemoryPropertyFlags flags;
  uint32_t heap;
};
struct Heap {
  uint64_t size;
  bool local;
};

VkPhysicalDeviceMemoryProperties memory(const std::vector<Type>& types, const std::vector<Heap>& heaps) {
  VkPhysicalDeviceMemoryProperties result{};
  for (const Type& type : types) result.memoryTypes[result.memoryTypeCount++] = {type.flags, type.heap};
  for (const Heap& heap : heaps) {
    result.memoryHeaps[result.memoryHeapCount++] = {heap.size,
                                                    heap.local ? uint32_t{VK_MEMORY_HEAP_DEVICE_LOCAL_BIT} : 0u};
  }
  return result;
}

// As NVIDIA's driver lists a card with a 256 MiB window.
const VkPhysicalDeviceMemoryProperties kCard =
    memory({{0, 1}, {kLocal, 0}, {kMapped, 1}, {kMapped | kCached, 1}, {kLocal | kMapped, 2}},
           {{24 * kGiB, true}, {32 * kGiB, false}, {kGiB / 4, true}});
// The same card with a resizable BAR: all of it can be mapped.
const VkPhysicalDeviceMemoryProperties kBarCard =
    memory({{0, 1}, {kLocal, 0}, {kMapped, 1}, {kMapped | kCached, 1}, {kLocal | kMapped, 0}},
           {{24 * kGiB, true}, {32 * kGiB, false}});
const VkPhysicalDeviceMemoryProperties kIntel =
    memory({{kLocal | kMapped, 0}, {kLocal | kMapped | kCached, 0}}, {{16 * kGiB, true}});
// As RADV lists an APU.
const VkPhysicalDeviceMemoryProperties kApu = memory(
    {{kLocal, 0}, {kMapped, 1}, {kLocal | kMapped, 0}, {kMapped | kCached, 1}}, {{8 * kGiB, true}, {4 * kGiB, false}});
// A phone: coherent but slow to read, or cached but without coherence.
const VkPhysicalDeviceMemoryProperties kPhone = memory({{kLocal, 0},
                                                        {kLocal | kMapped, 0},
                                                        {kLocal | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | kCached, 0},
                                                        {kLocal | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT, 0},
                                                        {VK_MEMORY_PROPERTY_PROTECTED_BIT | kLocal, 0}},
                                                       {{4 * kGiB, true}});

constexpr uint32_t kAll = ~0u;

}  // namespace

TEST_CASE("a discrete GPU is not unified, an integrated or software device is") {
  CHECK_FALSE(isUnified(kCard, VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU));
  CHECK_FALSE(isUnified(kBarCard, VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU));
  CHECK(isUnified(kApu, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU));
  CHECK(isUnified(kIntel, VK_PHYSICAL_DEVICE_TYPE_CPU));
  CHECK(isUnified(kIntel, VK_PHYSICAL_DEVICE_TYPE_OTHER));
  CHECK_FALSE(isUnified(kCard, VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU));
}

TEST_CASE("a discrete GPU's buffers are in device memory, and outside the mappable window") {
  CHECK(rankMemoryTypes(kCard, kAll, false, Memory::kDevice) == std::vector<uint32_t>{1, 4, 0, 2, 3});
  CHECK(rankMemoryTypes(kBarCard, kAll, false, Memory::kDevice).front() == 1);
}

TEST_CASE("a discrete GPU's staging memory is cached system memory") {
  CHECK(rankMemoryTypes(kCard, kAll, false, Memory::kHost) == std::vector<uint32_t>{3, 2, 4});
}

TEST_CASE("on a unified device buffers are mapped, and cached if the device has cached memory") {
  CHECK(rankMemoryTypes(kIntel, kAll, true, Memory::kDevice) == std::vector<uint32_t>{1, 0});
  CHECK(rankMemoryTypes(kApu, kAll, true, Memory::kDevice).front() == 2);
  CHECK(rankMemoryTypes(kApu, kAll, true, Memory::kHost).front() == 3);
  CHECK(rankMemoryTypes(kPhone, kAll, true, Memory::kDevice).front() == 1);
}

TEST_CASE("lazily allocated and protected memory is never used, and mapped memory is coherent") {
  CHECK(rankMemoryTypes(kPhone, kAll, true, Memory::kDevice) == std::vector<uint32_t>{1, 0, 2});
  CHECK(rankMemoryTypes(kPhone, kAll, true, Memory::kHost) == std::vector<uint32_t>{1});
}

TEST_CASE("only memory types that the buffer allows are used") {
  CHECK(rankMemoryTypes(kCard, 1u << 4 | 1u << 3, false, Memory::kDevice) == std::vector<uint32_t>{4, 3});
  CHECK(rankMemoryTypes(kCard, 1u << 1, false, Memory::kHost).empty());
}
