#include "model/host_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

namespace nib::model {
namespace {

// The number of a line "KEY:   123 kB" in bytes.
std::optional<uint64_t> bytesOf(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    uint64_t kilobytes = 0;
    if (word == key) return file >> kilobytes ? std::optional(kilobytes * 1024) : std::nullopt;
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

}  // namespace

std::optional<uint64_t> peakHostBytes() { return bytesOf("/proc/self/status", "VmHWM:"); }

std::optional<uint64_t> availableHostBytes() {
  const std::optional<uint64_t> machine = bytesOf("/proc/meminfo", "MemAvailable:"), group = freeInGroup();
  if (machine && group) return std::min(*machine, *group);
  return machine ? machine : group;
}

}  // namespace nib::model
