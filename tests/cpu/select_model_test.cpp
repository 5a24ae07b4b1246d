// Selections against a sort, and sums of exponentials against double precision (selftest/cases/select.cpp judges every
// case), and rows worked out by hand.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "case_bound.h"
#include "memory_checks.h"
#include "model_ops.h"
#include "numerics/exact.h"
#include "prepare.h"
#include "refusals.h"
#include "selftest/op_cases.h"

using namespace nib;
using namespace nib::tests;

namespace {

NibSelectDesc selectDesc(uint32_t rows, uint32_t cols, uint32_t count, uint32_t type = NIB_TYPE_F32) {
  NibSelectDesc d = selftest::describe<NibSelectDesc>(NIB_OP_SELECT);
  d.rows = rows;
  d.cols = cols;
  d.count = count;
  d.source_type = type;
  return d;
}

void checkMemory() {
  for (const Extents& shape : kExtents) {
    for (uint32_t turn = 0; turn < 6; ++turn) {
      if ((uint64_t(shape.cols) + 8) * shape.rows > kMostElements) continue;
      const uint32_t count = turn % 2 != 0 ? 1 : std::min({shape.cols, 1024u, 70u * turn + 1});
      INFO(shape.rows, "x", shape.cols, " count ", count);
      NibSelectDesc d = selectDesc(shape.rows, shape.cols, count, turn / 2);
      d.source_stride = turn == 3 ? shape.cols + 8 : 0;
      const NibMemory memory = memoryOf(d);
      const uint64_t stride = turn == 3 ? shape.cols + 8 : shape.cols, chosen = uint64_t(shape.rows) * count * 4;
      uint64_t end = checkNext(memory, NIB_PART_SOURCE, 0, denseBytes(shape.rows, shape.cols, stride, turn / 2));
      CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
      end = checkNext(memory, NIB_PART_RESULT, 0, chosen);
      end = checkNext(memory, NIB_PART_RESULT_INDICES, end, chosen);
      end = checkNext(memory, NIB_PART_LOG_SUM, end, uint64_t(shape.rows) * 4);
      CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == end);
      CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
      // Pieces of 4096 columns, 64 at most, of fewer than 64 rows.
      const uint64_t pieces = shape.rows < 64 ? std::min<uint64_t>(64, (uint64_t(shape.cols) + 4095) / 4096) : 1;
      const uint64_t scratch = pieces > 1 ? shape.rows * pieces * (count * 8 + 16) : 0;
      checkNext(memory, NIB_PART_SCRATCH, 0, scratch);
      checkAux(memory, false);
    }
  }
}

void checkRefusals() {
  using D = NibSelectDesc;
  const std::vector<Wrong<D>> list = {
      {"rows", kInvalid, [](D& d) { d.rows = 0; }},
      {"cols", kInvalid, [](D& d) { d.cols = 0; }},
      {"rows", kInvalid, [](D& d) { d.rows = d.cols = 65536; }},
      {"flags", kInvalid, [](D& d) { d.flags = 1; }},
      {"source_type", kInvalid, [](D& d) { d.source_type = 3; }},
      {"source_stride", kInvalid, [](D& d) { d.source_stride = 63; }},
      {"count", kInvalid, [](D& d) { d.count = 0; }},
      {"count", kInvalid, [](D& d) { d.count = 65; }},
      {"count", kInvalid, [](D& d) { d.cols = 4096, d.count = 1025; }},
  };
  expectEachRefused(selectDesc(4, 64, 10), "select", list);
}

using Floats = std::vector<float>;
using Indices = std::vector<uint32_t>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Selected {
  Floats elements;
  Indices indices;
  float log_sum;
};

Selected select(const Floats& row, uint32_t count) {
  const NibSelectDesc d = selectDesc(1, uint32_t(row.size()), count);
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  ranges.write(NIB_ROLE_INPUT, row);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  CHECK(ranges.guardsHold());
  const auto at = [&](NibPart part) { return ranges.memory.part[part].offset_bytes; };
  return {ranges.read<float>(NIB_ROLE_OUTPUT, at(NIB_PART_RESULT), count),
          ranges.read<uint32_t>(NIB_ROLE_OUTPUT, at(NIB_PART_RESULT_INDICES), count),
          ranges.read<float>(NIB_ROLE_OUTPUT, at(NIB_PART_LOG_SUM), 1)[0]};
}

}  // namespace

NIB_DEFINE_OP_TEST(select, checkMemory, checkRefusals)

TEST_SUITE_BEGIN("select");

TEST_CASE("every case of select is as a sort has it, and within its bound of double precision") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_SELECT, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 100);
  for (const selftest::Case& c : list) expectWithinBound(c);
}

TEST_CASE("selections by hand") {
  Selected s = select({1, 3, 2, 3, -1}, 3);
  CHECK(s.elements == Floats{3, 3, 2});
  CHECK(s.indices == Indices{1, 3, 2});
  CHECK(double(s.log_sum) == doctest::Approx(std::log(2 * std::exp(3) + std::exp(2) + std::exp(1) + std::exp(-1))));
  // All of them; equal ones in their order.
  s = select({5, 5, 5, 5}, 4);
  CHECK(s.indices == Indices{0, 1, 2, 3});
  CHECK(double(s.log_sum) == doctest::Approx(5 + std::log(4.0)));
  s = select({-2, 7}, 1);
  CHECK(s.elements == Floats{7});
  CHECK(s.indices == Indices{1});
}

TEST_CASE("zeros are equal, infinities in their places, and a NaN comes last") {
  Selected s = select({-0.0f, 1e-40f, 0, -1e-40f}, 4);
  CHECK(s.indices == Indices{0, 1, 2, 3});
  for (const float x : s.elements) CHECK(exact::bitsOf(x) == 0);
  s = select({-kInfinity, 4, kInfinity, -3e38f}, 4);
  CHECK(s.elements == Floats{kInfinity, 4, -3e38f, -kInfinity});
  CHECK(s.indices == Indices{2, 1, 3, 0});
  CHECK(s.log_sum == 0x1p60f);
  s = select({std::nanf(""), -kInfinity, -std::nanf(""), 1}, 4);
  CHECK(s.indices == Indices{3, 1, 0, 2});
  CHECK(exact::bitsOf(s.elements[2]) == 0x7fc00000u);
  CHECK(exact::bitsOf(s.elements[3]) == 0x7fc00000u);
  CHECK(std::isnan(s.log_sum));
  // Masked entries have no weight.
  s = select({-kInfinity, 2, -kInfinity, 2}, 2);
  CHECK(double(s.log_sum) == doctest::Approx(2 + std::log(2.0)));
}

TEST_CASE("gather takes the chosen columns as they lie") {
  const NibFormatInfo* int8 = nibFormatById(NIB_FORMAT_INT8);
  if (int8 == nullptr) return;
  const NibSelectDesc d = selectDesc(3, 4, 1);
  Ranges chosen(asOp(d));
  chosen.write(NIB_ROLE_INPUT, Floats{0, 0, 9, 0, 1, 0, 0, 0, -4, -3, -2, -1});
  REQUIRE(chosen.run(3) == NIB_SUCCESS);
  NibGatherDesc g = selftest::describe<NibGatherDesc>(NIB_OP_GATHER);
  g.rows = 4;
  g.cols = 16;
  g.count = 3;
  g.weights = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0);
  Ranges rows(asOp(g));
  REQUIRE(rows.valid());
  const NibMemoryPart& indices = chosen.memory.part[NIB_PART_RESULT_INDICES];
  REQUIRE(indices.size_bytes == rows.size(NIB_ROLE_INPUT));
  const Floats scales = {1, 2, 4, 8};
  std::memset(rows.bytes(NIB_ROLE_WEIGHTS), 1, rows.size(NIB_ROLE_WEIGHTS));
  std::memcpy(rows.scales(), scales.data(), 16);
  rows.binding.range[NIB_ROLE_INPUT] = {chosen.bytes(NIB_ROLE_OUTPUT) + indices.offset_bytes, indices.size_bytes};
  REQUIRE(rows.run(3) == NIB_SUCCESS);
  const Floats result = rows.read<float>(NIB_ROLE_OUTPUT, 0, 48);
  CHECK(result[0] == 4);
  CHECK(result[16] == 1);
  CHECK(result[32] == 8);
}

TEST_SUITE_END();
