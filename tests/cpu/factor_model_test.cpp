// The factorization against its definition in double precision: every run (selftest/cases/factor.cpp judges every
// case), whole factorizations by their residuals, numbers worked out by hand, dead columns, and pivots that fail.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "case_bound.h"
#include "factor_chain.h"
#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"
#include "selftest/op_cases.h"

using namespace nib;
using namespace nib::tests;

namespace {

using Desc = NibFactorDesc;

void checkMemory() {
  for (const uint32_t cols : {1u, 2u, 31u, 64u, 65u, 704u, 1023u, 4096u, 18944u, 65519u}) {
    for (uint32_t stage = 0; stage < 3; ++stage) {
      for (const uint32_t block : {0u, 32u, 64u}) {
        for (const uint32_t flags : {0u, uint32_t(NIB_FACTOR_ORDER)}) {
          INFO(cols, " columns, stage ", stage, ", block ", block, ", flags ", flags);
          const NibMemory memory = memoryOf(factorDesc(stage, cols, block, flags));
          const uint64_t matrix = uint64_t(cols) * cols * 4, vector = uint64_t(cols) * 4;
          uint64_t end = checkNext(memory, NIB_PART_SOURCE, 0, matrix);
          end = checkNext(memory, NIB_PART_DIAGONAL, end, vector);
          end = checkNext(memory, NIB_PART_ORDER, end, flags != 0 ? vector : 0);
          CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
          end = checkNext(memory, NIB_PART_RESULT, 0, matrix);
          end = checkNext(memory, NIB_PART_FACTOR_INFO, end, 32);
          CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == end);
          const uint64_t b = block != 0 ? block : 64;
          CHECK(checkNext(memory, NIB_PART_SCRATCH, 0, (b + (uint64_t(cols) + 3) / 4 * 4) * b * 4) ==
                memory.range[NIB_ROLE_AUX].size_bytes);
          CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
          CHECK(memory.part[NIB_PART_DIAGONAL].role == uint32_t(NIB_ROLE_INPUT));
          CHECK(memory.part[NIB_PART_ORDER].role == (flags != 0 ? uint32_t(NIB_ROLE_INPUT) : 0));
          CHECK(memory.part[NIB_PART_FACTOR_INFO].role == uint32_t(NIB_ROLE_OUTPUT));
        }
      }
    }
  }
}

void checkRefusals() {
  const std::vector<Wrong<Desc>> list = {
      {"flags", kInvalid, [](Desc& d) { d.flags = 2; }},    {"stage", kInvalid, [](Desc& d) { d.stage = 3; }},
      {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},      {"cols", kInvalid, [](Desc& d) { d.cols = 65536; }},
      {"block", kInvalid, [](Desc& d) { d.block = 16; }},   {"block", kInvalid, [](Desc& d) { d.block = 128; }},
      {"damp", kInvalid, [](Desc& d) { d.damp = -0.01f; }}, {"damp", kInvalid, [](Desc& d) { d.damp = std::nanf(""); }},
      {"damp", kInvalid, [](Desc& d) { d.damp = 2e6f; }},
  };
  expectEachRefused(factorDesc(NIB_FACTOR_PREPARE, 64), "factor", list);
}

// Runs all stages on the reference, in one set of ranges.
FactorResults runChain(uint32_t cols, const Matrix& h, uint32_t block = 0, float damp = 0,
                       const std::vector<uint32_t>& order = {}) {
  const uint32_t flags = order.empty() ? 0u : uint32_t(NIB_FACTOR_ORDER);
  const Desc prepare = factorDesc(NIB_FACTOR_PREPARE, cols, block, flags, damp);
  Ranges ranges(asOp(prepare));
  REQUIRE(ranges.valid());
  ranges.write(NIB_ROLE_INPUT, h);
  const Matrix diagonal = diagonalOf(h, cols);
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_DIAGONAL), diagonal.data(), diagonal.size() * 4);
  if (!order.empty()) std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_ORDER), order.data(), order.size() * 4);
  FactorResults results;
  for (uint32_t stage = 0; stage < 3; ++stage) {
    const Desc d = factorDesc(stage, cols, block, flags, damp);
    for (const uint32_t n : factorRuns(d)) {
      NibRun run{sizeof(NibRun)};
      run.n = n;
      run.slice_count = UINT32_MAX;
      REQUIRE(nibCpuRun(asOp(d), &ranges.binding, &run, nullptr, nullptr) == NIB_SUCCESS);
    }
    Matrix* const to[] = {&results.prepared, &results.m, &results.u};
    *to[stage] = ranges.read<float>(NIB_ROLE_OUTPUT, 0, size_t(cols) * cols);
  }
  std::memcpy(&results.info, ranges.part(NIB_ROLE_OUTPUT, NIB_PART_FACTOR_INFO), sizeof results.info);
  CHECK(ranges.guardsHold());
  return results;
}

}  // namespace

NIB_DEFINE_OP_TEST(factor, checkMemory, checkRefusals)

TEST_SUITE_BEGIN("factor");

TEST_CASE("every case of factor is within its bounds of double precision") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_FACTOR, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 60);
  for (const selftest::Case& c : list) expectWithinBound(c);
}

TEST_CASE("residuals of whole factorizations hold for every condition number") {
  struct Problem {
    uint32_t cols, block;
    double condition;
  };
  std::vector<Problem> list;
  for (const double condition : {1.0, 1e2, 1e4, 1e6}) {
    for (const uint32_t cols : {2u, 37u, 64u, 130u, 257u}) list.push_back({cols, cols % 2 != 0 ? 32u : 0u, condition});
  }
  list.push_back({1024, 0, 1e5});
  for (const Problem& p : list) {
    INFO(p.cols, " columns, condition ", p.condition, ", block ", p.block);
    const FactorResults results = runChain(p.cols, conditioned(p.cols, p.condition, p.cols), p.block);
    CHECK(results.info.failed == 0);
    const FactorResiduals residuals = residualsOf(results, p.cols);
    const double unit = 4 * p.cols * 0x1p-24;
    CHECK(residuals.factor <= unit);
    CHECK(residuals.inverse <= unit * p.condition);
  }
}

// H = [4 2; 2 5], damped by a quarter of the mean 4.5: unit 4, H' = [1 1/2; 1/2 5/4] + 9/32 I = [41/32 1/2; 1/2 49/32].
TEST_CASE("a factor by hand") {
  const FactorResults r = runChain(2, {4, NAN, 2, 5}, 0, 0.25f);
  CHECK(r.info.failed == 0);
  CHECK(r.info.dead == 0);
  CHECK(r.info.mean == 4.5f);
  CHECK(r.info.unit == 4);
  CHECK(r.info.damp == 0.28125f);
  CHECK(r.prepared == Matrix{1.28125f, 0.5f, 0, 1.53125f});
  const double m11 = std::sqrt(1.53125), m01 = 0.5 / m11, m00 = std::sqrt(1.28125 - m01 * m01);
  const double m[] = {m00, m01, 0, m11}, u[] = {1 / m00, -m01 / (m00 * m11), 0, 1 / m11};
  for (size_t i = 0; i < 4; ++i) {
    CHECK(double(r.m[i]) == doctest::Approx(m[i]).epsilon(1e-6));
    CHECK(double(r.u[i]) == doctest::Approx(u[i]).epsilon(1e-6));
  }
}

TEST_CASE("an order permutes rows and columns, and dead columns count as the mean") {
  // Column 1 is dead; the others have 2, 6 and 4, whose mean is 4.
  const Matrix h = {2, NAN, NAN, NAN, 0, 0, NAN, NAN, 1, 0, 6, NAN, -1, 0, 0.5f, 4};
  const FactorResults r = runChain(4, h, 0, 0, {2, 0, 3, 1});
  CHECK(r.info.dead == 1);
  CHECK(r.info.mean == 4);
  CHECK(r.info.unit == 4);
  CHECK(r.info.damp == 0);
  CHECK(r.prepared == Matrix{1.5f, 0.25f, 0.125f, 0, 0, 0.5f, -0.25f, 0, 0, 0, 1, 0, 0, 0, 0, 1});
  // All dead: the mean counts as 1.
  const FactorResults dead = runChain(3, Matrix(9, 0.0f), 0, 0.5f);
  CHECK(dead.info.dead == 3);
  CHECK(dead.info.mean == 1);
  CHECK(dead.prepared == Matrix{1.5f, 0, 0, 0, 1.5f, 0, 0, 0, 1.5f});
}

TEST_CASE("a pivot that is not positive is named, and every run ends") {
  Matrix h = conditioned(150, 10, 3);
  h[size_t(100) * 150 + 100] = -1;
  CHECK(runChain(150, h).info.failed == 101);
  h[size_t(140) * 150 + 140] = -2;
  CHECK(runChain(150, h).info.failed == 141);  // the factorization begins with the last column
  for (const float bad : {INFINITY, NAN}) {
    h = conditioned(150, 10, 3);
    h[size_t(149) * 150 + 70] = bad;
    CHECK(runChain(150, h).info.failed == 71);
    h[size_t(70) * 150 + 70] = bad;
    CHECK(runChain(150, h).info.failed != 0);
  }
  // A vector of zeros times itself, undamped: singular, but nothing is dead.
  CHECK(runChain(2, {1, NAN, 1, 1}).info.failed == 1);
}

TEST_CASE("a run of n is the factorization of the first n columns, and leaves the others") {
  const uint32_t cols = 100, n = 70;
  const Matrix h = conditioned(cols, 100, 5);
  const Desc d = factorDesc(NIB_FACTOR_CHOLESKY, cols);
  Ranges ranges(asOp(d));
  ranges.write(NIB_ROLE_OUTPUT, h);
  std::memset(ranges.part(NIB_ROLE_OUTPUT, NIB_PART_FACTOR_INFO), 0, sizeof(NibFactorInfo));
  REQUIRE(ranges.run(n) == NIB_SUCCESS);
  REQUIRE(ranges.run(64) == NIB_SUCCESS);
  const Matrix m = ranges.read<float>(NIB_ROLE_OUTPUT, 0, h.size());
  for (uint32_t i = 0; i < cols; ++i) {
    for (uint32_t j = 0; j < cols; ++j) {
      const size_t at = size_t(i) * cols + j;
      if (j < i || j >= n) {
        CHECK(m[at] == h[at]);
        continue;
      }
      double sum = 0;
      for (uint32_t k = j; k < n; ++k) sum += double(m[size_t(i) * cols + k]) * double(m[size_t(j) * cols + k]);
      CHECK(sum == doctest::Approx(double(h[at])).epsilon(1e-5));
    }
  }
}

TEST_SUITE_END();
