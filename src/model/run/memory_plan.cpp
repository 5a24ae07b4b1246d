#include "model/run/memory_plan.h"

#include "model/archive/error.h"
#include "model/host_memory.h"

#include <algorithm>
#include <cstdio>

namespace nib::model {
namespace {

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

uint64_t deviceBytes(const kit::DeviceInfo& info) {
  return info.type == kit::DeviceType::kCpu || info.memory_bytes == 0 ? UINT64_MAX : info.memory_bytes;
}

void checkFits(const kit::Device& device, const DeviceBytes& bytes) {
  const kit::DeviceInfo& info = device.info();
  const uint64_t all = deviceBytes(info);
  uint64_t available = all - std::min(all, device.allocatedBytes());
  if (usesHostMemory(info)) available = std::min(available, availableHostBytes().value_or(UINT64_MAX));
  if (bytes.all() <= available) return;
  throw Error("the model needs " + sizeText(bytes.all()) + " of memory on " + info.name + " (weights " +
              sizeText(bytes.weights) + ", cache " + sizeText(bytes.cache) + ", arena " + sizeText(bytes.arena) +
              "), and " + sizeText(available) +
              " are free: use a smaller type of weights, fewer tokens at a time, --kv f16, or another --device");
}

}  // namespace nib::model
