// Sums of outer products against their definition in double precision (selftest/cases/hessian.cpp judges every case),
// numbers worked out by hand, and non-finite elements.
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

using Desc = NibHessianDesc;
using Floats = std::vector<float>;

Desc hessianDesc(uint32_t tokens, uint32_t cols, uint32_t type = NIB_TYPE_F32, uint32_t flags = 0) {
  Desc d = selftest::describe<Desc>(NIB_OP_HESSIAN);
  d.flags = flags;
  d.tokens = tokens;
  d.cols = cols;
  d.source_type = type;
  return d;
}

void checkMemory() {
  uint32_t turn = 0;
  for (const Extents& shape : kExtents) {
    for (const uint32_t flags : {0u, uint32_t(NIB_HESSIAN_MASK)}) {
      ++turn;
      if (uint64_t(shape.cols) * std::max(shape.rows, shape.cols) > kMostElements) continue;
      INFO(shape.rows, " tokens of ", shape.cols);
      const NibMemory memory = memoryOf(hessianDesc(shape.rows, shape.cols, turn % 3, flags));
      uint64_t end = checkNext(memory, NIB_PART_SOURCE, 0, denseBytes(shape.rows, shape.cols, shape.cols, turn % 3));
      end = checkNext(memory, NIB_PART_MASK, end, flags != 0 ? (uint64_t(shape.rows) + 31) / 32 * 4 : 0);
      CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
      end = checkNext(memory, NIB_PART_RESULT, 0, uint64_t(shape.cols) * shape.cols * 4);
      end = checkNext(memory, NIB_PART_DIAGONAL, end, uint64_t(shape.cols) * 4);
      CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == end);
      CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
      CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
      CHECK(memory.part[NIB_PART_SOURCE].role == uint32_t(NIB_ROLE_INPUT));
      CHECK(memory.part[NIB_PART_DIAGONAL].role == uint32_t(NIB_ROLE_OUTPUT));
    }
  }
}

void checkRefusals() {
  const std::vector<Wrong<Desc>> list = {
      {"flags", kInvalid, [](Desc& d) { d.flags = 2; }},
      {"tokens", kInvalid, [](Desc& d) { d.tokens = 0; }},
      {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
      {"cols", kInvalid, [](Desc& d) { d.cols = 65536; }},
      {"tokens * cols", kInvalid, [](Desc& d) { d.tokens = 0x10000000u; }},
      {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
      {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
  };
  expectEachRefused(hessianDesc(4, 64), "hessian", list);
}

}  // namespace

NIB_DEFINE_OP_TEST(hessian, checkMemory, checkRefusals)

TEST_SUITE_BEGIN("hessian");

TEST_CASE("every case of hessian is within its bound of double precision") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_HESSIAN, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 70);
  for (const selftest::Case& c : list) expectWithinBound(c);
}

// Tokens (1, 2), (3, -1) and (100, 100), of which the last does not count: [1 + 9, 2 - 3; -, 4 + 1].
TEST_CASE("a Hessian by hand gains what a second run adds, and the triangle above keeps its bytes") {
  const Desc d = hessianDesc(3, 2, NIB_TYPE_F32, NIB_HESSIAN_MASK);
  const NibMemory memory = memoryOf(d);
  Ranges ranges(asOp(d));
  ranges.write(NIB_ROLE_INPUT, Floats{1, 2, 3, -1, 100, 100});
  const uint32_t mask = 0xfffffffbu;
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_MASK), &mask, sizeof mask);
  ranges.write(NIB_ROLE_OUTPUT, Floats{0, 77, 0, 0});
  REQUIRE(ranges.run(3) == NIB_SUCCESS);
  CHECK(ranges.read<float>(NIB_ROLE_OUTPUT, 0, 4) == Floats{10, 77, -1, 5});
  CHECK(ranges.read<float>(NIB_ROLE_OUTPUT, memory.part[NIB_PART_DIAGONAL].offset_bytes, 2) == Floats{10, 5});
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  CHECK(ranges.read<float>(NIB_ROLE_OUTPUT, 0, 4) == Floats{11, 77, 1, 9});
  CHECK(ranges.read<float>(NIB_ROLE_OUTPUT, memory.part[NIB_PART_DIAGONAL].offset_bytes, 2) == Floats{11, 9});
  // No tokens: nothing.
  REQUIRE(ranges.run(0) == NIB_SUCCESS);
  CHECK(ranges.read<float>(NIB_ROLE_OUTPUT, 0, 4) == Floats{11, 77, 1, 9});
  CHECK(ranges.guardsHold());
}

TEST_CASE("an element that is not finite shows on the diagonal") {
  for (const float bad : {INFINITY, -INFINITY, NAN, 0x1p100f}) {
    const Desc d = hessianDesc(2, 3);
    const NibMemory memory = memoryOf(d);
    Ranges ranges(asOp(d));
    ranges.write(NIB_ROLE_INPUT, Floats{1, 2, 3, 4, bad, 5});
    ranges.write(NIB_ROLE_OUTPUT, Floats(9, 0.0f));
    REQUIRE(ranges.run(2) == NIB_SUCCESS);
    const Floats diagonal = ranges.read<float>(NIB_ROLE_OUTPUT, memory.part[NIB_PART_DIAGONAL].offset_bytes, 3);
    CHECK(diagonal[0] == 17);
    CHECK_FALSE(std::isfinite(diagonal[1]));
    CHECK(diagonal[2] == 34);
  }
}

TEST_CASE("a first row is refused: tokens only add") {
  const Desc d = hessianDesc(3, 4);
  Ranges ranges(asOp(d));
  LogLines lines;
  const NibLog log = lines.log();
  const NibRun run{sizeof(NibRun), 1, 1, 0, UINT32_MAX, {}};
  CHECK(nibCpuRun(asOp(d), &ranges.binding, &run, nullptr, &log) == NIB_ERROR_INVALID_ARGUMENT);
  REQUIRE(lines.lines.size() == 1);
  CHECK(lines.lines[0].find("first_row") != std::string::npos);
}

TEST_SUITE_END();
