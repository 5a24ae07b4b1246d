// nibCpuRun: requirements on a binding and on n, and bytes that it must not change.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <set>
#include <string>
#include <vector>

#include "cpu/cpu_run.h"
#include "plan/op.h"
#include "prepare.h"
#include "run_op.h"

using namespace nib;
using namespace nib::tests;

namespace {

// A few small cases of every op and format: one of each kind.
std::vector<selftest::Case> smallCases() {
  std::vector<selftest::Case> list;
  for (const selftest::OpFormat& what : selftest::opFormats()) {
    std::vector<selftest::Case> small = selftest::casesOf(NibOp(what.op), what.format, selftest::Extent::kFull);
    std::erase_if(small, [](const selftest::Case& c) {
      NibMemory memory{sizeof(NibMemory)};
      REQUIRE(nibGetMemory(c.desc(), nullptr, &memory) == NIB_SUCCESS);
      uint64_t bytes = 0;
      for (const NibMemoryRange& range : memory.range) bytes += range.size_bytes;
      return c.n < 2 || bytes > 40000;
    });
    REQUIRE(!small.empty());
    for (const selftest::Case& c : selftest::thinned(small, UINT32_MAX)) list.push_back(c);
  }
  return list;
}

uint32_t mostRows(const selftest::Case& c) { return findOp(c.op())->runRows(c.desc()).max; }

struct Snapshot {
  std::vector<uint8_t> role[NIB_ROLE_COUNT];
  explicit Snapshot(Ranges& ranges) {
    for (uint32_t r = 0; r < NIB_ROLE_COUNT; ++r) {
      if (ranges.size(r) != 0) role[r] = ranges.copy(r);
    }
  }
  bool operator==(const Snapshot& other) const {
    for (uint32_t r = 0; r < NIB_ROLE_COUNT; ++r) {
      if (role[r] != other.role[r]) return false;
    }
    return true;
  }
};

// Runs with a binding or n that is wrong: refused, one line that holds `word`, nothing touched.
void expectRefused(Ranges& ranges, const NibOpDesc* desc, const NibCpuBinding* binding, uint32_t n, const char* word) {
  LogLines lines;
  const NibLog log = lines.log();
  const Snapshot before(ranges);
  CHECK(cpuRun(desc, binding, n, nullptr, &log) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(cpuRun(desc, binding, n, nullptr, nullptr) == NIB_ERROR_INVALID_ARGUMENT);
  REQUIRE(lines.lines.size() == 1);
  INFO(lines.lines[0]);
  CHECK(lines.lines[0].find(word) != std::string::npos);
  CHECK(Snapshot(ranges) == before);
  CHECK(ranges.guardsHold());
}

}  // namespace

TEST_CASE("messages name the roles as the fields of a binding are named") {
  const char* const kFields[] = {"weights", "input", "output", "aux"};
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) CHECK(std::string(roleName(role)) == kFields[role]);
}

TEST_CASE("a range that is missing, misaligned or short is refused by name, and nothing is written") {
  for (const selftest::Case& c : smallCases()) {
    Ranges ranges(c.desc());
    REQUIRE(ranges.valid());
    prepare(c, ranges);
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
      if (ranges.size(role) == 0) continue;
      INFO(selftest::opName(c.op()), " ", roleName(role));
      NibCpuBinding binding = ranges.binding;
      binding.range[role].data = nullptr;
      expectRefused(ranges, c.desc(), &binding, c.n, roleName(role));
      for (const int shift : {1, 2, 3}) {
        binding = ranges.binding;
        binding.range[role].data = ranges.bytes(role) + shift;
        expectRefused(ranges, c.desc(), &binding, c.n, roleName(role));
      }
      for (const uint64_t size : {uint64_t(0), uint64_t(4), uint64_t(ranges.size(role)) - 1}) {
        if (size >= ranges.size(role)) continue;
        binding = ranges.binding;
        binding.range[role].size_bytes = size;
        expectRefused(ranges, c.desc(), &binding, c.n, roleName(role));
      }
    }
  }
}

TEST_CASE("ranges that overlap, or end beyond memory, are refused as a device's binding refuses them") {
  for (const selftest::Case& c : smallCases()) {
    Ranges ranges(c.desc());
    prepare(c, ranges);
    for (uint32_t a = 0; a < NIB_ROLE_COUNT; ++a) {
      for (uint32_t b = 0; b < NIB_ROLE_COUNT; ++b) {
        if (a == b || ranges.size(a) == 0 || ranges.size(b) == 0) continue;
        INFO(selftest::opName(c.op()), " ", roleName(a), " ", roleName(b));
        NibCpuBinding binding = ranges.binding;
        // The last word of b is the first of a.
        binding.range[a].data = ranges.bytes(b) + (ranges.size(b) - 1) / 4 * 4;
        expectRefused(ranges, c.desc(), &binding, c.n, "overlap");
        expectRefused(ranges, c.desc(), &binding, c.n, roleName(a));
      }
      if (ranges.size(a) == 0) continue;
      NibCpuBinding binding = ranges.binding;
      binding.range[a].size_bytes = UINT64_MAX;
      expectRefused(ranges, c.desc(), &binding, c.n, "beyond the end of memory");
    }
  }
}

TEST_CASE("ranges that an op does not use may be anything, larger ones than needed are fine") {
  for (const selftest::Case& c : smallCases()) {
    Ranges ranges(c.desc());
    prepare(c, ranges);
    NibCpuBinding binding = ranges.binding;
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
      if (ranges.size(role) == 0) {
        binding.range[role] = {reinterpret_cast<void*>(uintptr_t{1}), 0};
      } else {
        binding.range[role].size_bytes += kGuardBytes;
      }
    }
    CHECK(cpuRun(c.desc(), &binding, c.n, nullptr, nullptr) == NIB_SUCCESS);
    CHECK(ranges.guardsHold());
  }
}

TEST_CASE("more rows than the description has are refused") {
  for (const selftest::Case& c : smallCases()) {
    Ranges ranges(c.desc());
    prepare(c, ranges);
    const uint32_t more = mostRows(c) + 1;
    expectRefused(ranges, c.desc(), &ranges.binding, more, ("n " + std::to_string(more)).c_str());
    expectRefused(ranges, c.desc(), &ranges.binding, UINT32_MAX, "n 4294967295");
  }
}

TEST_CASE("no rows are no work: success, and not a byte is touched") {
  for (const selftest::Case& c : smallCases()) {
    if (findOp(c.op())->runRows(c.desc()).fixed) continue;
    Ranges ranges(c.desc());
    prepare(c, ranges);
    const Snapshot before(ranges);
    CHECK(ranges.run(0) == NIB_SUCCESS);
    CHECK(Snapshot(ranges) == before);
  }
}

TEST_CASE("flat groups run across rows, so they take all rows or none is right") {
  for (const NibFormatInfo* info : scaledFormats()) {
    if ((info->weights_flags & NIB_WEIGHTS_FLAT) == 0) continue;
    const NibWeights w = weights(info->format, NIB_GRANULARITY_GROUP, 32, NIB_WEIGHTS_FLAT);
    selftest::Case quantize, dequantize;
    quantize.set(quantizeDesc(5, 33, w));
    dequantize.set(dequantizeDesc(5, 33, w));
    for (const selftest::Case& c : {quantize, dequantize}) {
      Ranges ranges(c.desc());
      prepare(c, ranges);
      for (const uint32_t n : {0u, 1u, 4u, 6u})
        expectRefused(ranges, c.desc(), &ranges.binding, n, "exactly the description's rows, 5");
      CHECK(ranges.run(5) == NIB_SUCCESS);
    }
  }
}

TEST_CASE("NULL is refused") {
  LogLines lines;
  const NibLog log = lines.log();
  const selftest::Case c = smallCases().front();
  Ranges ranges(c.desc());
  CHECK(cpuRun(nullptr, &ranges.binding, c.n, nullptr, &log) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(cpuRun(c.desc(), nullptr, c.n, nullptr, &log) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(lines.lines.size() == 2);
}

TEST_CASE("a run of fewer rows leaves the codes, scales, results and rows beyond as they were") {
  for (const NibFormatInfo* info : scaledFormats()) {
    const uint32_t format = info->format;
    const NibQuantizeDesc q = quantizeDesc(8, 20, weights(format, NIB_GRANULARITY_ROW, 0));
    Ranges coded(asOp(q));
    coded.clearStatus();
    coded.write(NIB_ROLE_INPUT, std::vector<float>(160, 1.0f));
    REQUIRE(coded.run(3) == NIB_SUCCESS);
    const uint64_t row_bytes = coded.memory.part[NIB_PART_CODES].size_bytes / 8;
    const std::vector<uint8_t> blob = coded.copy(NIB_ROLE_WEIGHTS);
    const size_t scales = size_t(coded.memory.part[NIB_PART_SCALES].offset_bytes);
    bool untouched = true, written = true;
    for (size_t at = size_t(3 * row_bytes); at < scales; ++at) untouched = untouched && blob[at] == kUntouched;
    for (size_t at = scales + 3 * 4; at < blob.size(); ++at) untouched = untouched && blob[at] == kUntouched;
    for (size_t row = 0; row < 3; ++row) {
      uint32_t bits;
      std::memcpy(&bits, &blob[scales + 4 * row], 4);
      written = written && bits != 0xa5a5a5a5u;
    }
    CHECK(untouched);
    CHECK(written);

    NibDequantizeDesc d = dequantizeDesc(8, 19, weights(format, NIB_GRANULARITY_ROW, 0), NIB_TYPE_F16);
    d.result_stride = 24;
    Ranges values(asOp(d));
    std::memset(values.bytes(NIB_ROLE_WEIGHTS), 0, values.size(NIB_ROLE_WEIGHTS));
    REQUIRE(values.run(3) == NIB_SUCCESS);
    const std::vector<uint16_t> result = values.read<uint16_t>(NIB_ROLE_OUTPUT, 0, 7 * 24 + 20);
    bool right = true;
    for (size_t at = 0; at < result.size(); ++at) {
      // Elements 0..18 of rows 0..2, and the other half of their last words.
      const bool mine = at / 24 < 3 && at % 24 < 20;
      right = right && result[at] == (mine ? 0u : 0xa5a5u);
    }
    CHECK(right);
  }
}

TEST_CASE("results have names, and unknown ones too") {
  std::set<std::string> names;
  for (int value = 0; value >= -6; --value) {
    const char* text = nibResultString(NibResult(value));
    REQUIRE(text != nullptr);
    CHECK(std::strlen(text) > 0);
    CHECK(names.insert(text).second);
  }
  for (const int value : {1, -7, -1000, 0x7fffffff, INT32_MIN}) {
    const char* text = nibResultString(NibResult(value));
    REQUIRE(text != nullptr);
    CHECK(std::strlen(text) > 0);
    CHECK(names.count(text) == 0);
  }
}

TEST_CASE("the version is the header's") {
  const std::string version = std::to_string(NIB_VERSION_MAJOR) + "." + std::to_string(NIB_VERSION_MINOR) + "." +
                              std::to_string(NIB_VERSION_PATCH);
  CHECK(nibVersionString() == version);
}
