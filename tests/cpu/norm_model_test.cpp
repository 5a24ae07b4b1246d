// Norms against their definitions in double precision (selftest/cases/norm.cpp judges every case), numbers worked out
// by hand, and work in place.
#include <nibble/formats.h>

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

NibNormDesc normDesc(uint32_t rows, uint32_t cols, uint32_t flags, uint32_t type = NIB_TYPE_F32) {
  NibNormDesc d = selftest::describe<NibNormDesc>(NIB_OP_NORM);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.source_type = type;
  if (flags & NIB_NORM_RESIDUAL) d.residual_type = type;
  if (!(flags & NIB_NORM_CODES)) d.result_type = type;
  d.epsilon = 0x1p-100f;
  return d;
}

void checkMemory() {
  for (const Extents& shape : kExtents) {
    for (uint32_t flags = 0; flags < 32; ++flags) {
      const uint32_t type = flags % 3;
      const bool residual = (flags & NIB_NORM_RESIDUAL) != 0, codes = (flags & NIB_NORM_CODES) != 0;
      if ((uint64_t(shape.cols) + 1) * shape.rows > kMostElements) continue;
      if (codes && nibFormatById(NIB_FORMAT_INT8) == nullptr) continue;  // refused
      INFO(shape.rows, "x", shape.cols, " flags ", flags);
      const NibMemory memory = memoryOf(normDesc(shape.rows, shape.cols, flags, type));
      const uint64_t even = shape.rows > 1 ? evenStride(shape.cols, type) : shape.cols;
      const uint64_t dense = denseBytes(shape.rows, shape.cols, even, type);
      const uint64_t vector = uint64_t(shape.cols) * 4, packed = (uint64_t(shape.cols) + 3) / 4 * 4 * shape.rows;

      uint64_t end = checkNext(memory, NIB_PART_GAIN, 0, flags & NIB_NORM_GAIN ? vector : 0);
      end = checkNext(memory, NIB_PART_BIAS, end, flags & NIB_NORM_BIAS ? vector : 0);
      CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == end);
      end = checkNext(memory, NIB_PART_SOURCE, 0, denseBytes(shape.rows, shape.cols, shape.cols, type));
      end = checkNext(memory, NIB_PART_RESIDUAL_IN, end, residual ? dense : 0);
      CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
      end = checkNext(memory, NIB_PART_RESULT, 0, codes ? packed : dense);
      end = checkNext(memory, NIB_PART_RESULT_SCALES, end, codes ? uint64_t(shape.rows) * 4 : 0);
      end = checkNext(memory, NIB_PART_RESIDUAL_OUT, end, residual ? dense : 0);
      CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == end);
      CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
    }
  }
}

void checkRefusals() {
  using D = NibNormDesc;
  const std::vector<Wrong<D>> list = {
      {"rows", kInvalid, [](D& d) { d.rows = 0; }},
      {"cols", kInvalid, [](D& d) { d.cols = 0; }},
      {"flags", kInvalid, [](D& d) { d.flags |= 1u << 5; }},
      {"source_type", kInvalid, [](D& d) { d.source_type = 3; }},
      {"source_stride", kInvalid, [](D& d) { d.source_stride = 63; }},
      {"residual_type", kInvalid, [](D& d) { d.residual_type = 3; }},
      {"residual_stride", kInvalid, [](D& d) { d.residual_stride = 65, d.residual_type = NIB_TYPE_F16; }},
      {"residual_type", kInvalid, [](D& d) { d.flags = 0, d.residual_type = NIB_TYPE_F16; }},
      {"residual_stride", kInvalid, [](D& d) { d.flags = 0, d.residual_stride = 64; }},
      {"result_type", kInvalid, [](D& d) { d.result_type = 3; }},
      {"result_stride", kInvalid, [](D& d) { d.result_stride = 65, d.result_type = NIB_TYPE_BF16; }},
      {"result_type", kInvalid, [](D& d) { d.flags |= NIB_NORM_CODES, d.result_type = NIB_TYPE_F16; }},
      {"result_stride", kInvalid, [](D& d) { d.flags |= NIB_NORM_CODES, d.result_stride = 64; }},
      {"epsilon", kInvalid, [](D& d) { d.epsilon = 0; }},
      {"epsilon", kInvalid, [](D& d) { d.epsilon = -1e-5f; }},
      {"epsilon", kInvalid, [](D& d) { d.epsilon = std::nanf(""); }},
      {"epsilon", kInvalid, [](D& d) { d.epsilon = 2e6f; }},
  };
  expectEachRefused(normDesc(4, 64, NIB_NORM_RESIDUAL), "norm", list);
}

using Floats = std::vector<float>;

struct Inputs {
  Floats source, residual, gain, bias;
};

// The parts of OUTPUT.
struct Outputs {
  Floats result, residual;
};

Outputs norm(const NibNormDesc& d, const Inputs& inputs) {
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  const NibMemory memory = memoryOf(d);
  const auto write = [&](NibRole role, NibPart part, const Floats& values) {
    if (!values.empty()) std::memcpy(ranges.part(role, part), values.data(), values.size() * sizeof(float));
  };
  write(NIB_ROLE_INPUT, NIB_PART_SOURCE, inputs.source);
  write(NIB_ROLE_INPUT, NIB_PART_RESIDUAL_IN, inputs.residual);
  write(NIB_ROLE_WEIGHTS, NIB_PART_GAIN, inputs.gain);
  write(NIB_ROLE_WEIGHTS, NIB_PART_BIAS, inputs.bias);
  REQUIRE(ranges.run(d.rows) == NIB_SUCCESS);
  Outputs out;
  const auto read = [&](NibPart part) {
    return ranges.read<float>(NIB_ROLE_OUTPUT, memory.part[part].offset_bytes,
                              size_t(memory.part[part].size_bytes / 4));
  };
  if (!(d.flags & NIB_NORM_CODES)) out.result = read(NIB_PART_RESULT);
  out.residual = read(NIB_PART_RESIDUAL_OUT);
  return out;
}

}  // namespace

NIB_DEFINE_OP_TEST(norm, checkMemory, checkRefusals)

TEST_SUITE_BEGIN("norm");

TEST_CASE("every case of norm is within its bound of double precision") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_NORM, 0, selftest::Extent::kFull);
  CHECK(list.size() >= (nibFormatById(NIB_FORMAT_INT8) != nullptr ? 100u : 60u));
  for (const selftest::Case& c : list) expectWithinBound(c);
}

// The root of the mean square of 3 and 4 twice each is 3.5355; of (1, 1, -1, -1) plus 5 the mean is 5, the deviation 1.
TEST_CASE("norms by hand") {
  const float root = std::sqrt(12.5f);
  Outputs out = norm(normDesc(1, 4, 0), {{3, 4, 3, -4}, {}, {}, {}});
  for (size_t i = 0; i < 4; ++i) CHECK(out.result[i] == doctest::Approx(Floats{3, 4, 3, -4}[i] / root).epsilon(1e-6));
  out = norm(normDesc(1, 4, NIB_NORM_MEAN | NIB_NORM_GAIN | NIB_NORM_BIAS),
             {{6, 6, 4, 4}, {}, {1, 2, 3, 4}, {0.5f, 0.5f, 0.25f, 0}});
  CHECK(out.result == Floats{1.5f, 2.5f, -2.75f, -4});
  out = norm(normDesc(1, 4, NIB_NORM_RESIDUAL), {{1, 1, 1, 1}, {1, 1, 1, -3}, {}, {}});
  CHECK(out.residual == Floats{2, 2, 2, -2});
  CHECK(out.result == Floats{1, 1, 1, -1});
  // A row of zeros stays zero; a constant row has no deviation.
  CHECK(norm(normDesc(1, 3, 0), {{0, 0, 0}, {}, {}, {}}).result == Floats{0, 0, 0});
  CHECK(norm(normDesc(1, 3, NIB_NORM_MEAN), {{7, 7, 7}, {}, {}, {}}).result == Floats{0, 0, 0});
}

TEST_CASE("a sum is rounded to its type before it is normed") {
  NibNormDesc d = normDesc(1, 2, NIB_NORM_RESIDUAL, NIB_TYPE_F32);
  d.residual_type = NIB_TYPE_BF16;
  // The last bit of bfloat16 1 is 2^-7. 1 + 2^-9 rounds to 1; 1 + 3 * 2^-8 is a tie and becomes 1 + 2^-6, which is
  // even.
  const NibMemory memory = memoryOf(d);
  Ranges ranges(asOp(d));
  const uint16_t ones[] = {0x3f80, 0x3f80};
  ranges.write(NIB_ROLE_INPUT, Floats{0x1p-9f, 0x1.8p-7f});
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_RESIDUAL_IN), ones, sizeof ones);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  const auto sums = ranges.read<uint16_t>(NIB_ROLE_OUTPUT, memory.part[NIB_PART_RESIDUAL_OUT].offset_bytes, 2);
  CHECK(sums == std::vector<uint16_t>{0x3f80, 0x3f82});
  const auto result = ranges.read<float>(NIB_ROLE_OUTPUT, 0, 2);
  const double ratio = 1.015625;
  CHECK(double(result[1]) / double(result[0]) == doctest::Approx(ratio).epsilon(1e-6));
}

TEST_CASE("codes of a norm are those of its row, and its scale that of its largest magnitude") {
  if (nibFormatById(NIB_FORMAT_INT8) == nullptr) {
    MESSAGE("skipped: format int8 is not in this build");
    return;
  }
  const NibNormDesc d = normDesc(1, 5, NIB_NORM_CODES);
  const NibMemory memory = memoryOf(d);
  Ranges ranges(asOp(d));
  ranges.write(NIB_ROLE_INPUT, Floats{2, -1.5f, 1, 0, 1});
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  const auto codes = ranges.read<int8_t>(NIB_ROLE_OUTPUT, 0, 8);
  // 2 is 127.5 steps, and no code is above 127; -1.5 is -95.6 steps, 1 is 63.75.
  CHECK(codes == std::vector<int8_t>{127, -96, 64, 0, 64, 0, 0, 0});
  const float scale = ranges.read<float>(NIB_ROLE_OUTPUT, memory.part[NIB_PART_RESULT_SCALES].offset_bytes, 1)[0];
  CHECK(double(scale) == doctest::Approx(2 / std::sqrt(1.65) / 127.5).epsilon(1e-6));
}

TEST_SUITE_END();
