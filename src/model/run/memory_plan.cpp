#include "model/run/memory_plan.h"

#include "model/archive/error.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>

namespace nib::model {
namespace {

// The number of a line "MemAvailable:   123 kB" in bytes.
std::optional<uint64_t> freeMemory() {
  std::ifstream file("/proc/meminfo");
  for (std::string key; file >> key;) {
    uint64_t kilobytes = 0;
    if (key == "MemAvailable:" && file >> kilobytes) return kilobytes * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

std::optional<uint64_t> numberIn(const char* path) {
  std::ifstream file(path);
  uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;  // "max" is no number
}

// In a container this is the group of the process.
std::optional<uint64_t> freeInGroup() {
  const std::optional<uint64_t> most = numberIn("/sys/fs/cgroup/memory.max");
  const std::optional<uint64_t> used = numberIn("/sys/fs/cgroup/memory.current");
  if (!most || !used) return std::nullopt;
  return *most - std::min(*most, *used);
}

std::string sizeText(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, bytes >= 1000000000 ? "%.2f GB" : "%.1f MB",
                double(bytes) / (bytes >= 1000000000 ? 1e9 : 1e6));
  return text;
}

bool usesHostMemory(const kit::DeviceInfo& info) {
  return info.type == kit::DeviceType::kCpu || info.type == kit::DeviceType::kSoftware;
}

}  // namespace

void MemoryPlan::add(const graph::MemoryNeeds& needs, std::string_view except) {
  bytes_.arena += needs.arena_bytes;
  for (const graph::MemoryNeeds::Item& item : needs.memory) {
    if (item.name == except || !names_.insert(item.name).second) continue;
    (item.name.ends_with(".cache") ? bytes_.cache : bytes_.weights) += item.size_bytes;
  }
}

std::optional<uint64_t> availableHostBytes() {
  const std::optional<uint64_t> machine = freeMemory(), group = freeInGroup();
  if (machine && group) return std::min(*machine, *group);
  return machine ? machine : group;
}

void checkFits(const kit::Device& device, const DeviceBytes& bytes) {
  const kit::DeviceInfo& info = device.info();
  uint64_t available = UINT64_MAX;
  if (info.memory_bytes != 0) available = info.memory_bytes - std::min(info.memory_bytes, device.allocatedBytes());
  if (usesHostMemory(info)) available = std::min(available, availableHostBytes().value_or(UINT64_MAX));
  if (bytes.all() <= available) return;
  throw Error("the model needs " + sizeText(bytes.all()) + " of memory on " + info.name + " (weights " +
              sizeText(bytes.weights) + ", cache " + sizeText(bytes.cache) + ", arena " + sizeText(bytes.arena) +
              "), and " + sizeText(available) +
              " are free: use a smaller type of weights, fewer tokens at a time, --kv f16, or another --device");
}

}  // namespace nib::model
