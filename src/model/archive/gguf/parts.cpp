#include "model/archive/gguf/parts.h"

#include <cstdio>

namespace nib::model {

namespace fs = std::filesystem;

std::string partName(const std::string& stem, uint64_t part, uint64_t count) {
  char ending[64];
  std::snprintf(ending, sizeof ending, "-%05llu-of-%05llu.gguf", (unsigned long long)(part + 1),
                (unsigned long long)count);
  return stem + ending;
}

bool isPartName(const std::string& name) {
  if (!name.ends_with(".gguf") || name.size() <= kPartEnding) return false;
  const size_t at = name.size() - kPartEnding;
  return name.compare(at, 1, "-") == 0 && name.compare(at + 6, 4, "-of-") == 0;
}

std::vector<fs::path> otherParts(const fs::path& part) {
  constexpr uint64_t kMostParts = 1000;
  const std::string name = part.filename().string();
  std::vector<fs::path> parts;
  unsigned long long count = 0;
  if (!isPartName(name) || std::sscanf(name.c_str() + name.size() - 10, "%5llu.gguf", &count) != 1) return parts;
  const std::string stem = name.substr(0, name.size() - kPartEnding);
  std::error_code error;
  for (uint64_t i = 0; i < count && i < kMostParts; ++i) {
    const fs::path other = part.parent_path() / partName(stem, i, count);
    if (other.filename() != part.filename() && fs::exists(other, error)) parts.push_back(other);
  }
  return parts;
}

}  // namespace nib::model
