#include <vector>

#include "base/hash.h"
#include "plan/verdicts.h"
#include "readers.h"

namespace nib::fuzz {

namespace {

void load(const std::vector<char>& bytes) {
  vk::Verdicts verdicts{HostMemory()};
  uint32_t loaded = 0;
  require(verdicts.load(bytes.data(), bytes.size(), &loaded), "memory");
  std::vector<char> saved(verdicts.saveBytes());
  verdicts.save(saved.data());
  vk::Verdicts again{HostMemory()};
  require(again.load(saved.data(), saved.size(), &loaded) && loaded == verdicts.count(), "verdicts that change");
}

}  // namespace

// As they are, and with the checksum that belongs to them.
void verdicts(Input input) {
  std::vector<char> bytes(input.begin(), input.end());
  load(bytes);
  if (bytes.size() < 8) return;
  const uint64_t check = fnv1a64(bytes.data(), bytes.size() - 8);
  for (size_t i = 0; i < 8; ++i) bytes[bytes.size() - 8 + i] = static_cast<char>(check >> (8 * i));
  load(bytes);
}

}  // namespace nib::fuzz
