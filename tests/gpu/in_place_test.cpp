// Results in place of an operand, where an op's header allows it, equal those of separate ranges.
#include <algorithm>
#include <cstring>

#include "gpu/gpu_test.h"
#include "plan/op.h"

using namespace nib;
using namespace nib::tests;

namespace {

using selftest::Case;
using Words = std::vector<uint32_t>;

// The offsets of a case's parts in one buffer.
struct PartOffsets {
  uint64_t offset_bytes[NIB_PART_COUNT] = {};
  uint64_t size_bytes = 0;
};

// All parts of INPUT and OUTPUT follow each other, except `written`, which lies where `other` is.
PartOffsets partOffsetsOf(const NibMemory& memory, NibPart written, NibPart other) {
  PartOffsets layout;
  uint64_t at = 256;  // offset 0 means the default offset
  for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
    const NibMemoryPart& part = memory.part[p];
    if (part.size_bytes == 0 || p == uint32_t(written)) continue;
    if (part.role != NIB_ROLE_INPUT && part.role != NIB_ROLE_OUTPUT) continue;
    layout.offset_bytes[p] = at;
    const uint64_t size =
        p == uint32_t(other) ? std::max(part.size_bytes, memory.part[written].size_bytes) : part.size_bytes;
    at = alignUp(at + size, 256) + 256;
  }
  layout.offset_bytes[written] = layout.offset_bytes[other];
  layout.size_bytes = at;
  return layout;
}

// Runs the case with `written` in place of `other`; returns the part's bytes.
Words inPlace(const kit::Device& on, const Case& c, NibPart written, NibPart other) {
  const kit::Plan plan = selftest::planOf(on, c);
  const NibMemory& memory = plan.memory();
  const selftest::Images images = selftest::makeImages(c, memory);
  const PartOffsets layout = partOffsetsOf(memory, written, other);
  Words words(size_t(layout.size_bytes / 4), 0xa5a5a5a5u);
  std::vector<kit::PartOffset> parts;
  for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
    const NibMemoryPart& part = memory.part[p];
    if (layout.offset_bytes[p] == 0) continue;
    parts.push_back({NibPart(p), layout.offset_bytes[p]});
    if (part.role != NIB_ROLE_INPUT) continue;
    std::memcpy(reinterpret_cast<uint8_t*>(words.data()) + layout.offset_bytes[p],
                reinterpret_cast<const uint8_t*>(images.role[NIB_ROLE_INPUT].data()) + part.offset_bytes,
                size_t(wholeWordsBytes(part.size_bytes)));
  }
  const kit::Buffer both(on, words.size() * 4);
  on.upload(both, words);
  kit::Buffer weights;
  kit::Range weights_range;
  if (memory.range[NIB_ROLE_WEIGHTS].size_bytes != 0) {
    weights = kit::Buffer(on, images.role[NIB_ROLE_WEIGHTS].size() * 4);
    on.upload(weights, images.role[NIB_ROLE_WEIGHTS]);
    weights_range = kit::Range(weights);
  }
  kit::Buffer aux;
  kit::Range aux_range;
  if (memory.range[NIB_ROLE_AUX].size_bytes != 0) {
    aux = kit::Buffer(on, images.role[NIB_ROLE_AUX].size() * 4);
    on.upload(aux, images.role[NIB_ROLE_AUX]);
    aux_range = kit::Range(aux);
  }
  on.run(kit::Binding(plan, kit::Ranges{weights_range, kit::Range(both), kit::Range(both), aux_range}, parts), c.n);
  const Words after = on.download<uint32_t>(both, words.size());
  const size_t first = size_t(layout.offset_bytes[written] / 4);
  return {after.begin() + std::ptrdiff_t(first),
          after.begin() + std::ptrdiff_t(first + size_t(wholeWordsBytes(memory.part[written].size_bytes) / 4))};
}

Words apart(const kit::Device& on, const Case& c, NibPart written) {
  const kit::Plan plan = selftest::planOf(on, c);
  const NibMemory& memory = plan.memory();
  const selftest::Images images = selftest::makeImages(c, memory);
  kit::Buffer buffers[NIB_ROLE_COUNT];
  kit::Range ranges[NIB_ROLE_COUNT];
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (memory.range[role].size_bytes == 0) continue;
    buffers[role] = kit::Buffer(on, images.role[role].size() * 4);
    on.upload(buffers[role], images.role[role]);
    ranges[role] = kit::Range(buffers[role]);
  }
  on.run(kit::Binding(plan, kit::Ranges{ranges[0], ranges[1], ranges[2], ranges[3]}), c.n);
  const Words after = on.download<uint32_t>(buffers[NIB_ROLE_OUTPUT], images.role[NIB_ROLE_OUTPUT].size());
  const size_t first = size_t(memory.part[written].offset_bytes / 4);
  return {after.begin() + std::ptrdiff_t(first),
          after.begin() + std::ptrdiff_t(first + size_t(wholeWordsBytes(memory.part[written].size_bytes) / 4))};
}

// Rows that the run does not write, and what lies between rows, hold the operand's bytes in place, marks apart.
bool agree(const Words& in_place, const Words& separate, const Words& operand) {
  for (size_t i = 0; i < separate.size(); ++i) {
    const bool untouched = separate[i] == 0xa5a5a5a5u && (i >= operand.size() || in_place[i] == operand[i]);
    if (in_place[i] != separate[i] && !untouched) return false;
  }
  return true;
}

Words partBefore(const Case& c, const NibMemory& memory, NibPart part) {
  const selftest::Images images = selftest::makeImages(c, memory);
  const NibMemoryPart& p = memory.part[part];
  const auto first = images.role[p.role].begin() + std::ptrdiff_t(p.offset_bytes / 4);
  return {first, first + std::ptrdiff_t(wholeWordsBytes(p.size_bytes) / 4)};
}

}  // namespace

TEST_SUITE_BEGIN("in_place");

TEST_CASE_FIXTURE(Gpu, "results in place of an operand equal those of separate ranges") {
  uint32_t count = 0;
  for (const OpFormat& what : opFormats()) {
    const OpRow& op = *findOp(what.op);
    for (const Case& c : tests::casesOf(what)) {
      NibMemory memory{sizeof(NibMemory)};
      REQUIRE(nibGetMemory(c.desc(), nullptr, &memory) == NIB_SUCCESS);
      for (uint32_t written = 0; written < NIB_PART_COUNT; ++written) {
        if (memory.part[written].size_bytes == 0 || memory.part[written].role != NIB_ROLE_OUTPUT) continue;
        for (uint32_t other = 0; other < NIB_PART_COUNT; ++other) {
          if (memory.part[other].size_bytes == 0 || memory.part[other].role != NIB_ROLE_INPUT) continue;
          if (!op.mayAlias(c.desc(), NibPart(written), NibPart(other))) continue;
          const Words in_place = inPlace(device(), c, NibPart(written), NibPart(other));
          const bool same =
              agree(in_place, apart(device(), c, NibPart(written)), partBefore(c, memory, NibPart(other)));
          CHECK_MESSAGE(same, c.name() << ": part " << written << " in place of part " << other);
          ++count;
        }
      }
    }
  }
  MESSAGE(count << " results in place");
  CHECK(count > 0);
}

TEST_SUITE_END();
