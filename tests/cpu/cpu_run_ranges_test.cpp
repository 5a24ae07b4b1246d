// nibCpuRun: what it asks of a binding and of n, and what it leaves alone.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <set>
#include <string>
#include <vector>

#include "prepare.h"
#include "run_op.h"

using namespace nib;
using namespace nib::tests;

namespace {

const char* const kRoleNames[] = {"weights", "input", "output", "aux"};

// One small case of each op: first of those formats this build has.
std::vector<cases::Case> smallCases() {
  std::vector<cases::Case> list(8);
  const NibWeights w = weights(nibFormatAt(0)->format, NIB_GRANULARITY_COLUMN, 0);
  list[0].desc.quantize = quantizeDesc(5, 33, w, NIB_TYPE_F16);
  list[1].desc.dequantize = dequantizeDesc(5, 33, w, NIB_TYPE_BF16);
  list[2].desc.minmax = {NIB_OP_MINMAX, 0, 5, 33, NIB_TYPE_F32, 40, NIB_GRANULARITY_COLUMN};
  list[3].desc.convert = {NIB_OP_CONVERT, NIB_CONVERT_STATUS, 5, 33, NIB_TYPE_F32, 40, NIB_TYPE_F16, 0};
  list[4].desc.errors = {NIB_OP_ERRORS, 0, 5, 33, NIB_TYPE_F32, 40, NIB_TYPE_F16, 33};
  const NibWeights codes = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0);
  list[5].desc.int8_gemm = {NIB_OP_INT8_GEMM, NIB_PRODUCT_BIAS, 7, 33, 5, 0, 0, NIB_TYPE_F16, 0, 0, 0, 0, 0, 0, codes, codes};
  list[6].desc.histogram = {NIB_OP_HISTOGRAM, 0, 5, 33, NIB_TYPE_F32, 40, NIB_GRANULARITY_COLUMN, 128};
  list[7].desc.moments = {NIB_OP_MOMENTS, 0, 5, 33, NIB_TYPE_F32, 40, NIB_GRANULARITY_COLUMN};
  for (cases::Case& c : list) c.n = 5;
  return list;
}

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
  CHECK(nibCpuRun(desc, binding, n, nullptr, &log) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibCpuRun(desc, binding, n, nullptr, nullptr) == NIB_ERROR_INVALID_ARGUMENT);
  REQUIRE(lines.lines.size() == 1);
  INFO(lines.lines[0]);
  CHECK(lines.lines[0].find(word) != std::string::npos);
  CHECK(Snapshot(ranges) == before);
  CHECK(ranges.guardsHold());
}

}  // namespace

TEST_CASE("a range that is missing, misaligned or short is refused by name, and nothing is written") {
  for (const cases::Case& c : smallCases()) {
    Ranges ranges(&c.desc.op);
    REQUIRE(ranges.valid());
    prepare(c, ranges);
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
      if (ranges.size(role) == 0) continue;
      INFO(cases::opName(c.op()), " ", kRoleNames[role]);
      NibCpuBinding binding = ranges.binding;
      binding.range[role].data = nullptr;
      expectRefused(ranges, &c.desc.op, &binding, 5, kRoleNames[role]);
      for (const int shift : {1, 2, 3}) {
        binding = ranges.binding;
        binding.range[role].data = ranges.bytes(role) + shift;
        expectRefused(ranges, &c.desc.op, &binding, 5, kRoleNames[role]);
      }
      for (const uint64_t size : {uint64_t(0), uint64_t(4), uint64_t(ranges.size(role)) - 1}) {
        binding = ranges.binding;
        binding.range[role].size_bytes = size;
        expectRefused(ranges, &c.desc.op, &binding, 5, kRoleNames[role]);
      }
    }
  }
}

TEST_CASE("ranges that an op does not use may be anything, larger ones than needed are fine") {
  for (const cases::Case& c : smallCases()) {
    Ranges ranges(&c.desc.op);
    prepare(c, ranges);
    NibCpuBinding binding = ranges.binding;
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
      if (ranges.size(role) == 0) {
        binding.range[role] = {reinterpret_cast<void*>(uintptr_t{1}), 0};
      } else {
        binding.range[role].size_bytes += kGuardBytes;
      }
    }
    CHECK(nibCpuRun(&c.desc.op, &binding, 5, nullptr, nullptr) == NIB_SUCCESS);
    CHECK(ranges.guardsHold());
  }
}

TEST_CASE("more rows than the description has are refused") {
  for (const cases::Case& c : smallCases()) {
    Ranges ranges(&c.desc.op);
    prepare(c, ranges);
    expectRefused(ranges, &c.desc.op, &ranges.binding, 6, "n 6");
    expectRefused(ranges, &c.desc.op, &ranges.binding, UINT32_MAX, "n 4294967295");
  }
}

TEST_CASE("no rows are no work: success, and not a byte is touched") {
  for (const cases::Case& c : smallCases()) {
    Ranges ranges(&c.desc.op);
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
    cases::Case quantize, dequantize;
    quantize.desc.quantize = quantizeDesc(5, 33, w);
    dequantize.desc.dequantize = dequantizeDesc(5, 33, w);
    for (const cases::Case& c : {quantize, dequantize}) {
      Ranges ranges(&c.desc.op);
      prepare(c, ranges);
      for (const uint32_t n : {0u, 1u, 4u, 6u}) expectRefused(ranges, &c.desc.op, &ranges.binding, n, "exactly 5");
      CHECK(ranges.run(5) == NIB_SUCCESS);
    }
  }
}

TEST_CASE("NULL is refused") {
  LogLines lines;
  const NibLog log = lines.log();
  const cases::Case c = smallCases()[2];
  Ranges ranges(&c.desc.op);
  CHECK(nibCpuRun(nullptr, &ranges.binding, 5, nullptr, &log) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibCpuRun(&c.desc.op, nullptr, 5, nullptr, &log) == NIB_ERROR_INVALID_ARGUMENT);
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
