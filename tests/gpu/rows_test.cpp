// Runs that begin at a first row, and bindings with other part offsets, give the same bytes: on the device under test
// and on the CPU.
#include <algorithm>
#include <cstring>
#include <set>

#include "gpu/gpu_test.h"
#include "plan/op.h"
#include "selftest/op_cases.h"

using namespace nib;
using namespace nib::tests;

namespace {

using selftest::Case;
using Words = std::vector<uint32_t>;

const kit::Device& cpu() {
  static const kit::Device device = kit::Device::cpu();
  return device;
}

// A case's ranges on a device.
class Bound {
 public:
  Bound(const kit::Device& on, const kit::Plan& plan, const selftest::Images& images) : on_(on) {
    kit::Range ranges[NIB_ROLE_COUNT];
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
      if (plan.memory().range[role].size_bytes == 0) continue;
      buffers_[role] = kit::Buffer(on, images.role[role].size() * 4);
      on.upload(buffers_[role], images.role[role]);
      ranges[role] = kit::Range(buffers_[role]);
    }
    ranges_ = {ranges[0], ranges[1], ranges[2], ranges[3]};
  }
  const kit::Ranges& ranges() const { return ranges_; }
  void upload(uint32_t role, const Words& words) const { on_.upload(buffers_[role], words); }
  Words download(uint32_t role) const {
    return on_.download<uint32_t>(buffers_[role], size_t(buffers_[role].sizeBytes() / 4));
  }

 private:
  const kit::Device& on_;
  kit::Buffer buffers_[NIB_ROLE_COUNT];
  kit::Ranges ranges_;
};

// Moves row `first` of a dense matrix of `size_bytes` to its beginning. Matrices of a batch have `all` rows each.
void moveRows(uint8_t* to, const uint8_t* from, uint64_t size_bytes, uint64_t row_bytes, uint32_t first, uint32_t all) {
  for (uint64_t matrix = 0; matrix * all * row_bytes < size_bytes; ++matrix) {
    const uint64_t begin = matrix * all * row_bytes, end = std::min(size_bytes, begin + all * row_bytes);
    if (begin + first * row_bytes < end)
      std::memcpy(to + begin, from + begin + first * row_bytes, end - begin - first * row_bytes);
  }
}

// A dense input whose first row is row `first` of the original, part by part.
Words inputFrom(const Case& c, const NibMemory& memory, const Words& input, uint32_t first, uint32_t all) {
  const bool blob =
      memory.part[NIB_PART_INPUT_CODES].size_bytes != 0 || memory.part[NIB_PART_PACKED_CODES].size_bytes != 0;
  if (blob || first == 0 || input.empty()) return input;
  Words shifted = input;
  const uint8_t* from = reinterpret_cast<const uint8_t*>(input.data());
  uint8_t* to = reinterpret_cast<uint8_t*>(shifted.data());
  const auto move = [&](NibPart part, uint64_t offset_bytes, uint64_t size_bytes) {
    uint64_t row_bits = selftest::findCases(c.op())->lines(c, memory, NIB_ROLE_INPUT, part).row_bits;
    if (row_bits == 0) row_bits = 32;  // one 32-bit number per row
    moveRows(to + offset_bytes, from + offset_bytes, size_bytes, row_bits / 8, first, all);
  };
  bool parts = false;
  for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
    const NibMemoryPart& part = memory.part[p];
    if (part.size_bytes == 0 || part.role != NIB_ROLE_INPUT) continue;
    move(NibPart(p), part.offset_bytes, part.size_bytes);
    parts = true;
  }
  if (!parts) move(NIB_PART_COUNT, 0, memory.range[NIB_ROLE_INPUT].size_bytes);
  return shifted;
}

// Splits rows [0, all) into pieces of 1, 3, 7, ... rows and the remainder.
std::vector<uint32_t> cutsOf(uint32_t all) {
  std::vector<uint32_t> cuts = {0};
  for (uint32_t step = 1; cuts.back() + step < all; step = step * 2 + 1) cuts.push_back(cuts.back() + step);
  cuts.push_back(all);
  return cuts;
}

// Checks that pieces, run from last to first, give the bytes of one run, or on the CPU device those of bounded ops
// results within the bound. Returns whether the op can run pieces.
bool checkPieces(const kit::Device& on, const Case& c) {
  const OpRow& op = *findOp(c.op());
  const RunRows rows = op.runRows(c.desc());
  if (rows.all < 2 || rows.step != 0) return false;  // steps are not independent: the op's own tests split them
  const kit::Plan plan = selftest::planOf(on, c);
  const NibMemory& memory = plan.memory();
  const selftest::Images images = selftest::makeImages(c, memory);
  const NibRole written = selftest::writtenRole(c);

  const Bound whole(on, plan, images);
  on.run(kit::Binding(plan, whole.ranges()), rows.all);
  const Bound cut(on, plan, images);
  const kit::Binding binding(plan, cut.ranges());
  const std::vector<uint32_t> cuts = cutsOf(rows.all);
  for (size_t i = cuts.size() - 1; i-- > 0;) {
    if (memory.range[NIB_ROLE_INPUT].size_bytes != 0) {
      cut.upload(NIB_ROLE_INPUT, inputFrom(c, memory, images.role[NIB_ROLE_INPUT], cuts[i], rows.all));
    }
    kit::RunOptions options;
    options.n = cuts[i + 1] - cuts[i];
    options.first_row = cuts[i];
    on.run(binding, options);
  }
  const Words expected = whole.download(written), got = cut.download(written);
  std::string difference = selftest::difference(c, memory, written, got.data(), expected);
  if (!difference.empty() && &on == &cpu() && selftest::isBounded(c)) {
    // The CPU device takes other paths for few rows: both results are within the op's bound.
    Case all = c;
    all.n = rows.all;
    const selftest::Farthest worst = selftest::farthest(all, memory, images, got.data());
    difference = worst.ratio <= 1 ? "" : worst.text(all, memory);
  }
  CHECK_MESSAGE(difference == "", on.info().name << ": " << c.name() << " in pieces of " << cuts.size() - 1 << ": "
                                                 << difference << "\n  " << again(c));
  return true;
}

// The case with ALIGNED weights, if its op takes them.
bool aligned(Case& c) {
  NibWeights* weights = selftest::findCases(c.op())->weights(c);
  if (weights == nullptr || !hasOwnRows(*weights) || weights->format == NIB_FORMAT_DENSE) return false;
  weights->flags |= NIB_WEIGHTS_ALIGNED;
  NibMemory memory{sizeof(NibMemory)};
  return nibGetMemory(c.desc(), nullptr, &memory) == NIB_SUCCESS;
}

// Other offsets for the parts of each role: in reverse order, with gaps.
struct Moved {
  std::vector<kit::PartOffset> parts;
  uint64_t size_bytes[NIB_ROLE_COUNT] = {};
};

Moved reversed(const NibMemory& memory) {
  Moved moved;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    uint64_t at = 256;  // offset 0 means the default offset
    for (uint32_t p = NIB_PART_COUNT; p-- > 0;) {
      const NibMemoryPart& part = memory.part[p];
      if (part.size_bytes == 0 || part.role != role || role == NIB_ROLE_AUX) continue;
      moved.parts.push_back({NibPart(p), at});
      at = alignUp(at + part.size_bytes, 256) + 256;
    }
    moved.size_bytes[role] = at == 256 ? memory.range[role].size_bytes : at;
  }
  return moved;
}

constexpr uint32_t kMark = 0xa5a5a5a5u;

Words rangeOf(const NibMemory& memory, const Moved& moved, uint32_t role, const Words& usual) {
  bool any = false;
  Words words(size_t(alignUp(moved.size_bytes[role], 4) / 4), kMark);
  for (const kit::PartOffset& to : moved.parts) {
    const NibMemoryPart& part = memory.part[to.part];
    if (part.role != role) continue;
    any = true;
    std::memcpy(reinterpret_cast<uint8_t*>(words.data()) + to.offset_bytes,
                reinterpret_cast<const uint8_t*>(usual.data()) + part.offset_bytes,
                size_t(wholeWordsBytes(part.size_bytes)));
  }
  return any ? words : usual;
}

void checkMoved(const kit::Device& on, const Case& c) {
  const kit::Plan plan = selftest::planOf(on, c);
  const NibMemory& memory = plan.memory();
  const Moved moved = reversed(memory);
  if (moved.parts.empty()) return;
  const selftest::Images images = selftest::makeImages(c, memory);
  const NibRole written = selftest::writtenRole(c);
  const Bound usual(on, plan, images);
  on.run(kit::Binding(plan, usual.ranges()), c.n);
  selftest::Images elsewhere = images;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    elsewhere.role[role] = rangeOf(memory, moved, role, images.role[role]);
  }
  const Bound bound(on, plan, elsewhere);
  on.run(kit::Binding(plan, bound.ranges(), moved.parts), c.n);
  const Words expected = rangeOf(memory, moved, written, usual.download(written)), got = bound.download(written);
  const auto differs = std::mismatch(got.begin(), got.end(), expected.begin());
  CHECK_MESSAGE(differs.first == got.end(), on.info().name << ": " << c.name() << " with moved parts: word "
                                                           << differs.first - got.begin() << " differs\n  "
                                                           << again(c));
}

}  // namespace

TEST_SUITE_BEGIN("rows");

TEST_CASE_FIXTURE(Gpu, "runs from a first row give the bytes of one run over all rows") {
  uint32_t ops = 0;
  for (const OpFormat& what : opFormats()) {
    uint32_t count = 0;
    for (const Case& c : tests::casesOf(what, 4)) {
      for (const kit::Device* on : {&device(), &cpu()}) count += checkPieces(*on, c);
      Case words = c;
      if (aligned(words)) {
        for (const kit::Device* on : {&device(), &cpu()}) checkPieces(*on, words);
      }
    }
    ops += count != 0;
  }
  CHECK(ops >= 10);
}

TEST_CASE_FIXTURE(Gpu, "ALIGNED scales do not change codes or values") {
  for (const OpFormat& what : opFormats()) {
    for (const Case& c : tests::casesOf(what, 4)) {
      Case words = c;
      if (aligned(words)) checkCase(device(), words);
    }
  }
}

TEST_CASE_FIXTURE(Gpu, "windows that move with the first row do not change a byte") {
  NibRestrict restriction{sizeof(NibRestrict)};
  restriction.features_mask = NIB_FEATURE_ALL;
  restriction.max_storage_range_bytes = 32768;
  restriction.min_offset_alignment_bytes = 64;
  const kit::Device narrow = device().restricted(restriction);
  std::set<uint32_t> ops;
  for (const OpFormat& what : opFormats()) {
    for (const Case& c : tests::casesOf(what, 2)) {
      try {
        if (checkPieces(narrow, c)) ops.insert(c.op());
      } catch (const kit::Error& error) {
        // Some operands must fit one range.
        if (error.result() != NIB_ERROR_UNSUPPORTED) throw;
      }
    }
  }
  // All but those that reduce rows: histogram, log_histogram, moments, errors.
  CHECK(ops.size() >= 8);
}

TEST_CASE_FIXTURE(Gpu, "parts may be at any offset in their role's range") {
  for (const OpFormat& what : opFormats()) {
    for (const Case& c : tests::casesOf(what, 4)) {
      for (const kit::Device* on : {&device(), &cpu()}) checkMoved(*on, c);
    }
  }
}

TEST_CASE("a first row is refused if the result has no separate rows, or beyond the last row") {
  for (const OpFormat& what : opFormats()) {
    for (const Case& c : tests::casesOf(what, 16)) {
      const RunRows rows = findOp(c.op())->runRows(c.desc());
      if (rows.fixed) continue;
      const kit::Plan plan = selftest::planOf(cpu(), c);
      const Bound bound(cpu(), plan, selftest::makeImages(c, plan.memory()));
      const kit::Binding binding(plan, bound.ranges());
      kit::RunOptions options;
      options.n = rows.max;
      options.first_row = 1;
      CHECK_THROWS_AS(cpu().run(binding, options), kit::Error);
    }
  }
}

TEST_SUITE_END();
