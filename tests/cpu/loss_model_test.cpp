// Losses against their definitions in double precision (selftest/cases/loss.cpp judges every case), and numbers worked
// out by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
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

NibLossDesc lossDesc(uint32_t rows, uint32_t cols, uint32_t flags, uint32_t type = NIB_TYPE_F32) {
  NibLossDesc d = selftest::describe<NibLossDesc>(NIB_OP_LOSS);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.candidate_type = type;
  d.reference_type = flags & NIB_LOSS_REFERENCE ? type : 0;
  return d;
}

void checkMemory() {
  for (const Extents& shape : kExtents) {
    for (uint32_t turn = 0; turn < 6; ++turn) {
      if ((uint64_t(shape.cols) + 8) * shape.rows > kMostElements) continue;
      INFO(shape.rows, "x", shape.cols, " turn ", turn);
      NibLossDesc d = lossDesc(shape.rows, shape.cols, turn % 2, turn / 2);
      d.candidate_stride = turn == 3 ? shape.cols + 8 : 0;
      const NibMemory memory = memoryOf(d);
      const uint64_t stride = turn == 3 ? shape.cols + 8 : shape.cols;
      const uint64_t reference = turn % 2 != 0 ? denseBytes(shape.rows, shape.cols, shape.cols, turn / 2) : 0;
      uint64_t end = checkNext(memory, NIB_PART_REFERENCE, 0, reference);
      end = checkNext(memory, NIB_PART_CANDIDATE, end, denseBytes(shape.rows, shape.cols, stride, turn / 2));
      end = checkNext(memory, NIB_PART_INDICES, end, uint64_t(shape.rows) * 4);
      CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
      end = checkNext(memory, NIB_PART_RESULT, 0, uint64_t(shape.rows) * 16);
      CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == end);
      CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
      CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
    }
  }
}

void checkRefusals() {
  using D = NibLossDesc;
  const std::vector<Wrong<D>> list = {
      {"rows", kInvalid, [](D& d) { d.rows = 0; }},
      {"cols", kInvalid, [](D& d) { d.cols = 0; }},
      {"flags", kInvalid, [](D& d) { d.flags |= 2; }},
      {"candidate_type", kInvalid, [](D& d) { d.candidate_type = 3; }},
      {"candidate_stride", kInvalid, [](D& d) { d.candidate_stride = 63; }},
      {"reference_type", kInvalid, [](D& d) { d.reference_type = 3; }},
      {"reference_stride", kInvalid, [](D& d) { d.reference_stride = 63; }},
      {"reference_type", kInvalid, [](D& d) { d.flags = 0, d.reference_type = NIB_TYPE_F16; }},
      {"reference_stride", kInvalid, [](D& d) { d.flags = 0, d.reference_stride = 64; }},
      {"soft_cap", kInvalid, [](D& d) { d.soft_cap = -30; }},
      {"soft_cap", kInvalid, [](D& d) { d.soft_cap = 0x1p-11f; }},
      {"soft_cap", kInvalid, [](D& d) { d.soft_cap = 0x1p21f; }},
      {"soft_cap", kInvalid, [](D& d) { d.soft_cap = std::nanf(""); }},
  };
  expectEachRefused(lossDesc(4, 64, NIB_LOSS_REFERENCE), "loss", list);
}

using Floats = std::vector<float>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The numbers of one row of fp32.
Floats loss(const Floats& candidate, uint32_t target, const Floats& reference = {}, float soft_cap = 0) {
  NibLossDesc d = lossDesc(1, uint32_t(candidate.size()), reference.empty() ? 0 : uint32_t(NIB_LOSS_REFERENCE));
  d.soft_cap = soft_cap;
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_CANDIDATE), candidate.data(), candidate.size() * 4);
  if (!reference.empty()) {
    std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_REFERENCE), reference.data(), reference.size() * 4);
  }
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_INDICES), &target, 4);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  CHECK(ranges.guardsHold());
  return ranges.read<float>(NIB_ROLE_OUTPUT, 0, 4);
}

doctest::Approx near(double x) { return doctest::Approx(x).epsilon(1e-6); }

}  // namespace

NIB_DEFINE_OP_TEST(loss, checkMemory, checkRefusals)

TEST_SUITE_BEGIN("loss");

TEST_CASE("every case of loss is within its bound of double precision") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_LOSS, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 100);
  for (const selftest::Case& c : list) expectWithinBound(c);
}

TEST_CASE("losses by hand") {
  // Probabilities 1/4, 1/4, 1/2.
  const float two = std::log(2.0f);
  Floats out = loss({0, 0, two}, 2);
  CHECK(double(out[0]) == near(std::log(4.0)));
  CHECK(double(out[1]) == near(-std::log(2.0)));
  CHECK(out[2] == 0);
  CHECK(out[3] == 1);
  out = loss({1000, 1000, 1000 + two}, 0);
  CHECK(double(out[0]) == near(1000 + std::log(4.0)));
  CHECK(double(out[1]) == doctest::Approx(-std::log(4.0)).epsilon(1e-4));
  CHECK(out[3] == 0);
  // p = (1/2, 1/4, 1/4) against q = (1/4, 1/4, 1/2): log 2 / 2 - log 2 / 4.
  out = loss({0, 0, two}, UINT32_MAX, {two, 0, 0});
  CHECK(out[1] == 0);
  CHECK(double(out[2]) == near(std::log(2.0) / 4));
  CHECK(out[3] == 0);
  CHECK(loss({0, 0, two}, 0, {0, 0, two})[2] == 0);
}

TEST_CASE("a small divergence is not lost in large logits") {
  // Logits that differ by e in one of two equal entries: the divergence is e^2 / 8.
  const Floats out = loss({500, 500}, 0, {500 + 0x1p-12f, 500});
  CHECK(double(out[2]) == doctest::Approx(0x1p-27).epsilon(1e-3));
}

TEST_CASE("nor that of rows with one large logit") {
  // All but the first entry have P = 4096 e^-38 together in the one, Q = 4096 e^-40 in the other: 2 P - P + Q.
  Floats candidate(4097, 0), reference(4097, 0);
  candidate[0] = 40;
  reference[0] = 38;
  const double p = 4096 * std::exp(-38.0), q = 4096 * std::exp(-40.0);
  CHECK(double(loss(candidate, UINT32_MAX, reference)[2]) == doctest::Approx(p + q).epsilon(1e-6));
}

TEST_CASE("of equal logits the first is the largest") {
  CHECK(loss({1, 5, 5, 0}, 1)[3] == 1);
  CHECK(loss({1, 5, 5, 0}, 2)[3] == 0);
  CHECK(loss({-0.0f, 0}, 0)[3] == 1);
  CHECK(loss({0, -0.0f}, 0)[3] == 1);
  CHECK(loss({3, 3, 3}, UINT32_MAX, {1, 0, 0})[3] == 1);
  CHECK(loss({3, 3, 3}, UINT32_MAX, {0, 1, 0})[3] == 0);
}

TEST_CASE("masked entries have no probability, a target beyond the row none at all") {
  Floats out = loss({-kInfinity, 2, 2, -kInfinity}, 1);
  CHECK(double(out[0]) == near(2 + std::log(2.0)));
  CHECK(double(out[1]) == near(-std::log(2.0)));
  CHECK(loss({-kInfinity, 2}, 0)[1] == -0x1p60f);
  CHECK(std::isnan(loss({1, 2}, 2)[1]));
  CHECK(std::isnan(loss({1, 2}, UINT32_MAX - 1)[1]));
  out = loss({1, std::nanf("")}, UINT32_MAX, {1, 2});
  CHECK(std::isnan(out[0]));
  CHECK(out[1] == 0);
  CHECK(std::isnan(out[2]));
  CHECK(out[3] == 0);
  out = loss({1, 1}, 0, {1, std::nanf("")});
  CHECK(double(out[0]) == near(1 + std::log(2.0)));
  CHECK(std::isnan(out[2]));
}

TEST_CASE("a soft cap bends both rows") {
  const Floats out = loss({40, -40}, 0, {40, -40}, 30);
  const double x = 30 * std::tanh(40.0 / 30);
  CHECK(double(out[0]) == near(x + std::log1p(std::exp(-2 * x))));
  CHECK(out[2] == 0);
  CHECK(out[3] == 1);
}

TEST_SUITE_END();
