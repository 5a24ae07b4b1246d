#include "model/eval/peak_memory.h"

#include <charconv>
#include <fstream>
#include <string>

namespace nib::model {

std::optional<uint64_t> peakHostBytes() {
  std::ifstream status("/proc/self/status");
  constexpr std::string_view kKey = "VmHWM:";
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(kKey)) continue;
    const size_t digits = line.find_first_of("0123456789");
    if (digits == std::string::npos) return std::nullopt;
    uint64_t kilobytes = 0;
    std::from_chars(line.data() + digits, line.data() + line.size(), kilobytes);
    return kilobytes * 1024;
  }
  return std::nullopt;
}

}  // namespace nib::model
