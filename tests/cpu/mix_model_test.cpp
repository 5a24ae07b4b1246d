// Weighted sums against double precision (selftest/cases/mix.cpp judges every case), and rows worked out by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "case_bound.h"
#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"
#include "selftest/op_cases.h"

using namespace nib;
using namespace nib::tests;

namespace {

NibMixDesc mixDesc(uint32_t rows, uint32_t cols, uint32_t count, uint32_t weighting) {
  NibMixDesc d = selftest::describe<NibMixDesc>(NIB_OP_MIX);
  d.rows = rows;
  d.cols = cols;
  d.count = count;
  d.weighting = weighting;
  return d;
}

void checkMemory() {
  for (const Extents& shape : kExtents) {
    for (uint32_t turn = 0; turn < 6; ++turn) {
      const uint32_t count = 1 + turn * 3;
      if ((uint64_t(shape.cols) + 8) * shape.rows * count > kMostElements) continue;
      INFO(shape.rows, "x", shape.cols, " count ", count);
      NibMixDesc d = mixDesc(shape.rows, shape.cols, count, turn % 3);
      d.source_stride = turn == 3 ? shape.cols + 8 : 0;
      const NibMemory memory = memoryOf(d);
      const uint64_t stride = turn == 3 ? shape.cols + 8 : shape.cols, rows = shape.rows;
      uint64_t end = checkNext(memory, NIB_PART_SOURCE, 0, denseBytes(rows * count, shape.cols, stride, NIB_TYPE_F32));
      end = checkNext(memory, NIB_PART_SECOND, end, rows * count * 4);
      end = checkNext(memory, NIB_PART_LOG_SUM, end, turn % 3 == NIB_MIX_SOFTMAX_ALL ? rows * 4 : 0);
      CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
      end = checkNext(memory, NIB_PART_RESULT, 0, rows * shape.cols * 4);
      CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == end);
      CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
      checkAux(memory, false);
    }
  }
}

void checkRefusals() {
  using D = NibMixDesc;
  const std::vector<Wrong<D>> list = {
      {"rows", kInvalid, [](D& d) { d.rows = 0; }},
      {"cols", kInvalid, [](D& d) { d.cols = 0; }},
      {"rows", kInvalid, [](D& d) { d.rows = UINT32_MAX; }},
      {"rows", kInvalid, [](D& d) { d.rows = d.cols = 65536; }},
      {"flags", kInvalid, [](D& d) { d.flags = 2; }},
      {"count", kInvalid, [](D& d) { d.count = 0; }},
      {"count", kInvalid, [](D& d) { d.count = 65; }},
      {"weighting", kInvalid, [](D& d) { d.weighting = 3; }},
      {"source_stride", kInvalid, [](D& d) { d.source_stride = 63; }},
      {"result_stride", kInvalid, [](D& d) { d.result_stride = 63; }},
  };
  expectEachRefused(mixDesc(4, 64, 2, NIB_MIX_SOFTMAX_ALL), "mix", list);
}

// One row of a result.
std::vector<float> mixed(const NibMixDesc& d, const std::vector<float>& source, const std::vector<float>& logits,
                         float log_sum, const std::vector<float>& previous) {
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  ranges.write(NIB_ROLE_INPUT, source);
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_SECOND), logits.data(), logits.size() * sizeof(float));
  if (d.weighting == NIB_MIX_SOFTMAX_ALL) {
    std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_LOG_SUM), &log_sum, sizeof log_sum);
  }
  ranges.write(NIB_ROLE_OUTPUT, previous);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  CHECK(ranges.guardsHold());
  return ranges.read<float>(NIB_ROLE_OUTPUT, 0, d.cols);
}

}  // namespace

NIB_DEFINE_OP_TEST(mix, .memory = checkMemory, .refusals = checkRefusals)

TEST_SUITE_BEGIN("mix");

TEST_CASE("every case of mix is within its bound of double precision") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_MIX, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 50);
  for (const selftest::Case& c : list) expectWithinBound(c);
}

TEST_CASE("mixtures by hand") {
  const std::vector<float> source = {1, 2, 10, 20};  // two rows of two columns
  NibMixDesc d = mixDesc(1, 2, 2, NIB_MIX_SOFTMAX_CHOSEN);
  // Weights 1/4 and 3/4.
  std::vector<float> y = mixed(d, source, {0, float(std::log(3.0))}, 0, {7, 7});
  CHECK(double(y[0]) == doctest::Approx(7.75));
  CHECK(double(y[1]) == doctest::Approx(15.5));
  // Weights 1/8 and 3/8 of all: e^lse = 8.
  d.weighting = NIB_MIX_SOFTMAX_ALL;
  y = mixed(d, source, {0, float(std::log(3.0))}, float(std::log(8.0)), {7, 7});
  CHECK(double(y[0]) == doctest::Approx(3.875));
  d.flags = NIB_MIX_RESIDUAL;
  y = mixed(d, source, {0, float(std::log(3.0))}, float(std::log(8.0)), {7, 7});
  CHECK(double(y[1]) == doctest::Approx(7 + 7.75));
  d = mixDesc(1, 4, 1, NIB_MIX_SIGMOID);
  y = mixed(d, source, {0}, 0, {0, 0, 0, 0});
  CHECK(y == std::vector<float>{0.5f, 1, 5, 10});
}

TEST_SUITE_END();
