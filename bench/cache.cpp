#include "bench/cache.h"

#include <algorithm>
#include <fstream>

namespace nib::bench {
namespace {

constexpr uint64_t kMebi = uint64_t{1} << 20;
// Vulkan does not report the cache size of a GPU. The largest caches hold 256 MiB; GPUs with little memory have less.
constexpr uint64_t kUnknownLarge = 1024 * kMebi + kMebi;
constexpr uint64_t kUnknownSmall = 512 * kMebi + kMebi;
constexpr uint64_t kLargeMemory = 16384 * kMebi;

// "32768K"
uint64_t parseSize(const std::string& text) {
  uint64_t value = 0;
  size_t i = 0;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) value = value * 10 + uint64_t(text[i] - '0');
  const char unit = i < text.size() ? text[i] : '\0';
  return unit == 'K' ? value << 10 : unit == 'M' ? value << 20 : unit == 'G' ? value << 30 : value;
}

}  // namespace

uint64_t hostCacheBytes() {
  uint64_t bytes = 0, level = 0;
  for (int i = 0; i < 8; ++i) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/";
    std::ifstream level_file(folder + "level"), size_file(folder + "size");
    uint64_t this_level = 0;
    std::string size;
    if (!(level_file >> this_level) || !(size_file >> size)) continue;
    if (this_level < level) continue;
    level = this_level;
    bytes = parseSize(size);
  }
  return bytes;
}

uint64_t hostAvailableBytes() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  while (file >> word) {
    if (word != "MemAvailable:") continue;
    uint64_t kib = 0;
    file >> kib;
    return kib << 10;
  }
  return 0;
}

Rotation rotationFor(const kit::DeviceInfo& device, uint64_t host_cache_bytes, uint64_t host_available_bytes) {
  Rotation rotation;
  const bool on_host = device.type == kit::DeviceType::kCpu || device.type == kit::DeviceType::kSoftware;
  uint64_t most = UINT64_MAX;
  if (on_host && host_cache_bytes != 0) {
    rotation.cache_bytes = host_cache_bytes;
    rotation.bytes = 4 * host_cache_bytes + kMebi;
    rotation.source = "last-level cache of the processor";
  } else {
    rotation.bytes = device.memory_bytes >= kLargeMemory ? kUnknownLarge : kUnknownSmall;
    rotation.source = "unknown cache: as for the largest";
    // An integrated GPU may share the processor's cache.
    if (device.type == kit::DeviceType::kIntegrated) {
      rotation.bytes = std::max(rotation.bytes, 4 * host_cache_bytes + kMebi);
    }
    if (device.memory_bytes != 0) most = device.memory_bytes / 4;
  }
  if (on_host && host_available_bytes != 0) most = host_available_bytes / 4;
  if (rotation.bytes > most) {
    rotation.bytes = most;
    rotation.source += ", limited by memory";
  }
  return rotation;
}

uint32_t setCount(uint64_t set_bytes, uint64_t rotation_bytes) {
  if (set_bytes == 0) return 1;
  const uint64_t sets = (rotation_bytes + set_bytes - 1) / set_bytes;
  return static_cast<uint32_t>(std::clamp<uint64_t>(sets, 1, kMaxSets));
}

}  // namespace nib::bench
