#include "selftest/run_case.h"

#include <algorithm>
#include <cstdio>

#include "base/names.h"
#include "selftest/inputs.h"

namespace nib::selftest {
namespace {

uint64_t alignUp(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

// Words beside a range, which nothing may write.
std::string guardDifference(const char* where, NibRole role, const uint32_t* got, uint64_t words) {
  for (uint64_t i = 0; i < words; ++i) {
    if (got[i] == kUntouched) continue;
    char text[120];
    std::snprintf(text, sizeof text, "%s the %s range, guard word %llu: device 0x%08x, was 0x%08x", where,
                  roleName(role), (unsigned long long)i, got[i], kUntouched);
    return text;
  }
  return {};
}

}  // namespace

Outcome runCase(const kit::Device& device, const Case& c, const Way& way) {
  Outcome outcome;
  const kit::Plan plan = planOf(device, c);
  const NibMemory& memory = plan.memory();
  outcome.kernels = plan.kernels();
  Images images = makeImages(c, memory);

  // Ranges lie between guard bytes.
  kit::Buffer buffers[NIB_ROLE_COUNT];
  kit::Range ranges[NIB_ROLE_COUNT];
  const uint64_t before = way.range_offset_bytes;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const uint64_t size = memory.range[role].size_bytes;
    if (size == 0) continue;
    buffers[role] = kit::Buffer(device, before + alignUp(size, 4) + way.guard_bytes);
    device.fill(buffers[role], kUntouched, 0, buffers[role].sizeBytes());
    device.upload(buffers[role], images.role[role], before);
    ranges[role] = kit::Range(buffers[role], before, size);
  }
  const kit::Binding binding(plan, kit::Ranges{ranges[0], ranges[1], ranges[2], ranges[3]});
  if (way.run) {
    way.run(device, plan, binding, c.n);
  } else {
    device.run(binding, c.n);
  }

  const bool bounded = isBounded(c);
  const Images initial = bounded ? images : Images{};
  runReference(c, memory, images);
  for (uint32_t r = 0; r < NIB_ROLE_COUNT; ++r) {
    const NibRole role = NibRole(r);
    if (memory.range[role].size_bytes == 0) continue;
    const Words got = device.download<uint32_t>(buffers[role], size_t(buffers[role].sizeBytes() / 4));
    const uint64_t first = before / 4, words = images.role[role].size();
    if (bounded && role == writtenRole(c)) {
      const Farthest worst = farthest(c, memory, initial, got.data() + first);
      outcome.bound_ratio = worst.ratio;
      if (!(worst.ratio <= 1)) outcome.message = worst.text(c, memory);
    } else {
      outcome.message = difference(c, memory, role, got.data() + first, images.role[role]);
    }
    if (outcome.message.empty()) outcome.message = guardDifference("before", role, got.data(), first);
    if (outcome.message.empty()) {
      outcome.message = guardDifference("behind", role, got.data() + first + words, way.guard_bytes / 4);
    }
    if (!outcome.message.empty()) return outcome;
  }
  outcome.passed = true;
  return outcome;
}

}  // namespace nib::selftest
