// NibStatus: its counts, the first index, and accumulation over runs.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <limits>
#include <vector>

#include "run_op.h"

using namespace nib::tests;

namespace {

const float kInfinity = std::numeric_limits<float>::infinity();
const float kNaN = std::numeric_limits<float>::quiet_NaN();

NibStatus statusOf(const NibQuantizeDesc& d, const std::vector<float>& x, uint32_t n, int runs = 1) {
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  ranges.clearStatus();
  ranges.write(NIB_ROLE_INPUT, x);
  if (d.flags & NIB_QUANTIZE_GIVEN_SCALES) {
    const uint32_t bytes = d.weights.scale_type == NIB_TYPE_F32 ? 4 : 2, one = bytes == 4 ? 0x3f800000u : 0x3c00u;
    for (uint64_t i = 0; i < ranges.memory.part[NIB_PART_SCALES].size_bytes / bytes; ++i) {
      std::memcpy(ranges.scales() + i * bytes, &one, bytes);
    }
  }
  for (int i = 0; i < runs; ++i) REQUIRE(ranges.run(n) == NIB_SUCCESS);
  CHECK(ranges.guardsHold());
  return ranges.status();
}

// A 6 x 40 matrix of ones with non-finite values at these indices.
std::vector<float> withNonfinite(const std::vector<size_t>& indices) {
  std::vector<float> x(240, 1.0f);
  const float bad[] = {kNaN, kInfinity, -kInfinity, -kNaN};
  for (size_t i = 0; i < indices.size(); ++i) x[indices[i]] = bad[i % 4];
  return x;
}

std::vector<NibWeights> everyGranularity(const NibFormatInfo& info) {
  std::vector<NibWeights> list{
      weights(info.format, NIB_GRANULARITY_TENSOR, 0), weights(info.format, NIB_GRANULARITY_ROW, 0),
      weights(info.format, NIB_GRANULARITY_COLUMN, 0), weights(info.format, NIB_GRANULARITY_GROUP, info.group_multiple),
      weights(info.format, NIB_GRANULARITY_GROUP, UINT32_MAX)};
  if ((info.weights_flags & NIB_WEIGHTS_FLAT) != 0) {
    list.push_back(weights(info.format, NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT));
  }
  return list;
}

}  // namespace

TEST_CASE("every non-finite element is counted once and the lowest index kept, in every granularity") {
  for (const NibFormatInfo* info : scaledFormats()) {
    for (const NibWeights& w : everyGranularity(*info)) {
      for (const uint32_t flags : {0u, uint32_t(NIB_QUANTIZE_GIVEN_SCALES)}) {
        const NibQuantizeDesc d = quantizeDesc(6, 40, w, NIB_TYPE_F32, flags);
        INFO(info->name, " granularity ", w.granularity, " flags ", flags);
        const NibStatus status = statusOf(d, withNonfinite({239, 41, 200, 57, 58}), 6);
        CHECK(status.nonfinite_count == 5);
        CHECK(~status.first_nonfinite_not == 41);
        CHECK(status.saturated_count == 0);
        CHECK(status.outlier_count == 0);
        // Index 0 is the bitwise not of 0, which is not "none".
        CHECK(statusOf(d, withNonfinite({0}), 6).first_nonfinite_not == 0xffffffffu);
        const NibStatus none = statusOf(d, withNonfinite({}), 6);
        CHECK(none.nonfinite_count == 0);
        CHECK(none.first_nonfinite_not == 0);
      }
    }
  }
}

TEST_CASE("runs add to the status") {
  for (const NibFormatInfo* info : scaledFormats()) {
    const NibQuantizeDesc d = quantizeDesc(6, 40, weights(info->format, NIB_GRANULARITY_ROW, 0));
    const NibStatus twice = statusOf(d, withNonfinite({100, 7}), 6, 2);
    CHECK(twice.nonfinite_count == 4);
    CHECK(~twice.first_nonfinite_not == 7);
  }
}

TEST_CASE("rows beyond n are not counted") {
  for (const NibFormatInfo* info : scaledFormats()) {
    const NibQuantizeDesc d = quantizeDesc(6, 40, weights(info->format, NIB_GRANULARITY_ROW, 0));
    const NibStatus status = statusOf(d, withNonfinite({79, 80, 239}), 2);
    CHECK(status.nonfinite_count == 1);
    CHECK(~status.first_nonfinite_not == 79);
  }
}

TEST_CASE("the index of an element does not depend on the stride") {
  if (nibFormatById(NIB_FORMAT_INT8) == nullptr) return;
  NibQuantizeDesc d = quantizeDesc(3, 2, weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0));
  d.source_stride = 5;
  // Row 2, column 1 is at 2 * 5 + 1 = 11 and is element 2 * 2 + 1 = 5. Elements between rows are not counted.
  std::vector<float> x(12, kNaN);
  for (const size_t at : {0, 1, 5, 6, 10}) x[at] = 1.0f;
  const NibStatus status = statusOf(d, x, 3);
  CHECK(status.nonfinite_count == 1);
  CHECK(~status.first_nonfinite_not == 5);
}

TEST_CASE("saturated scales are counted once per scale, for found scales only") {
  for (const NibFormatInfo* info : scaledFormats()) {
    const uint32_t format = info->format;
    // absmax 8e37 needs a scale beyond half, and fits fp32, in every format; rows 1 and 4 have it.
    std::vector<float> x(240, 1.0f);
    x[45] = 8e37f;
    x[46] = -8e37f;
    x[160] = -8e37f;
    const NibWeights rows = weights(format, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16);
    INFO(info->name);
    CHECK(statusOf(quantizeDesc(6, 40, rows), x, 6).saturated_count == 2);
    CHECK(statusOf(quantizeDesc(6, 40, weights(format, NIB_GRANULARITY_TENSOR, 0, 0, NIB_TYPE_F16)), x, 6)
              .saturated_count == 1);
    // Columns 5, 6 and 0.
    CHECK(statusOf(quantizeDesc(6, 40, weights(format, NIB_GRANULARITY_COLUMN, 0, 0, NIB_TYPE_F16)), x, 6)
              .saturated_count == 3);
    CHECK(statusOf(quantizeDesc(6, 40, weights(format, NIB_GRANULARITY_ROW, 0)), x, 6).saturated_count == 0);
    CHECK(statusOf(quantizeDesc(6, 40, rows, NIB_TYPE_F32, NIB_QUANTIZE_GIVEN_SCALES), x, 6).saturated_count == 0);
    // A group with a NaN has no scale that could saturate.
    x[47] = kNaN;
    const NibStatus status = statusOf(quantizeDesc(6, 40, rows), x, 6);
    CHECK(status.saturated_count == 1);
    CHECK(status.nonfinite_count == 1);
  }
}

TEST_CASE("without the flag there is no status, and the codes are the same") {
  for (const NibFormatInfo* info : scaledFormats()) {
    const NibQuantizeDesc with =
        quantizeDesc(6, 40, weights(info->format, NIB_GRANULARITY_GROUP, info->group_multiple));
    NibQuantizeDesc without = with;
    without.flags = 0;
    Ranges a(asOp(with)), b(asOp(without));
    CHECK(b.memory.range[NIB_ROLE_AUX].size_bytes == 0);
    a.clearStatus();
    a.write(NIB_ROLE_INPUT, withNonfinite({3, 77}));
    b.write(NIB_ROLE_INPUT, withNonfinite({3, 77}));
    REQUIRE(a.run(6) == NIB_SUCCESS);
    REQUIRE(b.run(6) == NIB_SUCCESS);
    CHECK(a.copy(NIB_ROLE_WEIGHTS) == b.copy(NIB_ROLE_WEIGHTS));
  }
}
