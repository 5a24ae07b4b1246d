// Elementwise ops against their definitions in double precision (model.h), numbers worked out by hand, and work in
// place. Gated products and soft caps are judged by their bounds (selftest/cases/elementwise.cpp).
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "float_model.h"
#include "memory_checks.h"
#include "model_ops.h"
#include "numerics/float_bits.h"
#include "prepare.h"
#include "refusals.h"
#include "selftest/op_cases.h"

using namespace nib;
using namespace nib::tests;

namespace {

using Desc = NibElementwiseDesc;
using Words = std::vector<uint32_t>;
using Floats = std::vector<float>;

Desc elementwiseDesc(uint32_t kind, uint32_t rows, uint32_t cols, uint32_t source = NIB_TYPE_F32,
                     uint32_t second = NIB_TYPE_F32, uint32_t result = NIB_TYPE_F32) {
  Desc d = selftest::describe<Desc>(NIB_OP_ELEMENTWISE);
  d.kind = kind;
  d.rows = rows;
  d.cols = cols;
  d.source_type = source;
  const bool has_factor = kind == NIB_ELEMENTWISE_SCALE || kind == NIB_ELEMENTWISE_CAP;
  d.second_type = has_factor ? 0 : second;
  d.result_type = result;
  if (has_factor) d.factor = 3;
  if (kind == NIB_ELEMENTWISE_GATED) d.activation = NIB_ACTIVATION_SILU;
  return d;
}

bool isBounded(const Desc& d) { return d.kind == NIB_ELEMENTWISE_GATED || d.kind == NIB_ELEMENTWISE_CAP; }
bool isScale(const Desc& d) { return d.kind == NIB_ELEMENTWISE_SCALE; }

double combined(const Desc& d, double a, double b) {
  return d.kind == NIB_ELEMENTWISE_ADD ? model::sumOf(a, b) : model::productOf(a, b);
}

// The bytes that a run must leave in the result range, which held `result` before. Not of GATED and CAP.
void elementwiseModel(const Desc& d, const NibMemory& memory, const uint8_t* input, uint32_t n, model::Bytes& result) {
  const uint8_t* source = input + memory.part[NIB_PART_SOURCE].offset_bytes;
  const uint8_t* second = input + memory.part[NIB_PART_SECOND].offset_bytes;
  const uint32_t size = model::sizeOf(d.result_type);
  const uint64_t source_stride = d.source_stride != 0 ? d.source_stride : d.cols;
  const uint64_t second_stride = d.flags & NIB_ELEMENTWISE_ONE_ROW ? 0
                                 : d.second_stride != 0            ? d.second_stride
                                                                   : d.cols;
  uint64_t stride = d.result_stride;
  if (stride == 0) stride = size == 2 ? model::roundUp(d.cols, 2) : d.cols;
  for (uint64_t row = 0; row < n; ++row) {
    for (uint64_t col = 0; col < d.cols; ++col) {
      const double a = model::load(source, d.source_type, row * source_stride + col);
      const double b = isScale(d) ? double(d.factor) : model::load(second, d.second_type, row * second_stride + col);
      const double y = model::roundTo(d.result_type, combined(d, a, b));
      model::storeBits(&result[size_t((row * stride + col) * size)], size, model::bitsOf(d.result_type, y));
    }
    if (size == 2 && d.cols % 2 != 0) model::storeBits(&result[size_t((row * stride + d.cols) * 2)], 2, 0);
  }
}

void checkMemory() {
  uint32_t turn = 0;
  for (const Extents& shape : kExtents) {
    for (uint32_t kind = 0; kind <= NIB_ELEMENTWISE_CAP; ++kind) {
      for (uint32_t flags = 0; flags < 3; ++flags, ++turn) {
        const bool has_factor = kind == NIB_ELEMENTWISE_SCALE || kind == NIB_ELEMENTWISE_CAP;
        const bool halves = flags == NIB_ELEMENTWISE_HALVES, one_row = flags == NIB_ELEMENTWISE_ONE_ROW;
        if ((halves && kind != NIB_ELEMENTWISE_GATED) || (one_row && has_factor)) continue;
        const uint64_t source_cols = uint64_t(shape.cols) * (halves ? 2 : 1);
        if ((source_cols + 1) * shape.rows > kMostElements) continue;
        INFO(shape.rows, "x", shape.cols, " kind ", kind, " flags ", flags);
        Desc d = elementwiseDesc(kind, shape.rows, shape.cols, turn % 3, turn / 3 % 3, turn / 2 % 3);
        d.flags = flags;
        if (halves) d.second_type = 0;
        const bool second = !has_factor && !halves;
        const NibMemory memory = memoryOf(d);
        uint64_t end =
            checkNext(memory, NIB_PART_SOURCE, 0, denseBytes(shape.rows, source_cols, source_cols, d.source_type));
        const uint64_t second_bytes = denseBytes(one_row ? 1 : shape.rows, shape.cols, shape.cols, d.second_type);
        end = checkNext(memory, NIB_PART_SECOND, end, second ? second_bytes : 0);
        CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
        const uint64_t stride = shape.rows > 1 ? evenStride(shape.cols, d.result_type) : shape.cols;
        end = checkNext(memory, NIB_PART_RESULT, 0, denseBytes(shape.rows, shape.cols, stride, d.result_type));
        CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == end);
        CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
        CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
        CHECK(memory.part[NIB_PART_SOURCE].role == uint32_t(NIB_ROLE_INPUT));
        CHECK(memory.part[NIB_PART_SECOND].role == uint32_t(second ? NIB_ROLE_INPUT : 0));
        CHECK(memory.part[NIB_PART_RESULT].role == uint32_t(NIB_ROLE_OUTPUT));
      }
    }
  }
}

void checkRefusals() {
  const uint32_t halves = NIB_ELEMENTWISE_HALVES, one_row = NIB_ELEMENTWISE_ONE_ROW;
  const std::vector<Wrong<Desc>> any = {
      {"kind", kInvalid, [](Desc& d) { d.kind = 5; }},
      {"flags", kInvalid, [](Desc& d) { d.flags |= 4; }},
      {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
      {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
      {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = 65536; }},
      {"activation", kInvalid, [](Desc& d) { d.activation = 6; }},
      {"factor", kInvalid, [](Desc& d) { d.factor = INFINITY; }},
      {"factor", kInvalid, [](Desc& d) { d.factor = std::nanf(""); }},
      {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
      {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
      {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 0x40000000u; }},
      {"second_type", kInvalid, [](Desc& d) { d.second_type = 3; }},
      {"second_stride", kInvalid, [](Desc& d) { d.second_stride = 63; }},
      {"result_type", kInvalid, [](Desc& d) { d.result_type = 3; }},
      {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 62; }},
      {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 65, d.result_type = NIB_TYPE_F16; }},
  };
  for (uint32_t kind = 0; kind <= NIB_ELEMENTWISE_CAP; ++kind) {
    expectEachRefused(elementwiseDesc(kind, 4, 64), "elementwise", any);
  }
  expectEachRefused<Desc>(
      elementwiseDesc(NIB_ELEMENTWISE_ADD, 4, 64), "elementwise",
      {
          {"activation", kInvalid, [](Desc& d) { d.activation = NIB_ACTIVATION_SILU; }},
          {"factor", kInvalid, [](Desc& d) { d.factor = 1; }},
          {"HALVES", kInvalid, [](Desc& d) { d.flags = NIB_ELEMENTWISE_HALVES; }},
          {"second_stride", kInvalid, [](Desc& d) { d.flags = NIB_ELEMENTWISE_ONE_ROW, d.second_stride = 64; }},
      });
  for (const uint32_t kind : {NIB_ELEMENTWISE_SCALE, NIB_ELEMENTWISE_CAP}) {
    expectEachRefused<Desc>(elementwiseDesc(kind, 4, 64), "elementwise",
                            {
                                {"ONE_ROW", kInvalid, [=](Desc& d) { d.flags = one_row; }},
                                {"second_type", kInvalid, [](Desc& d) { d.second_type = 1; }},
                                {"second_stride", kInvalid, [](Desc& d) { d.second_stride = 64; }},
                            });
  }
  expectEachRefused<Desc>(elementwiseDesc(NIB_ELEMENTWISE_CAP, 4, 64), "elementwise",
                          {
                              {"factor", kInvalid, [](Desc& d) { d.factor = 0; }},
                              {"factor", kInvalid, [](Desc& d) { d.factor = -3; }},
                              {"factor", kInvalid, [](Desc& d) { d.factor = 0x1p21f; }},
                          });
  Desc right = elementwiseDesc(NIB_ELEMENTWISE_GATED, 4, 64);
  right.flags = halves;
  expectEachRefused<Desc>(right, "elementwise",
                          {
                              {"ONE_ROW", kInvalid, [=](Desc& d) { d.flags = one_row | halves; }},
                              {"second_type", kInvalid, [](Desc& d) { d.second_type = 1; }},
                              {"second_stride", kInvalid, [](Desc& d) { d.second_stride = 64; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 127; }},
                              {"cols", kInvalid, [](Desc& d) { d.cols = 0x80000000u, d.rows = 1; }},
                          });
}

// One row of fp32 patterns through the op.
Words run(const Desc& d, const Words& source, const Words& second) {
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_SOURCE), source.data(), source.size() * 4);
  if (!second.empty()) std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_SECOND), second.data(), second.size() * 4);
  REQUIRE(ranges.run(d.rows) == NIB_SUCCESS);
  return ranges.words(NIB_ROLE_OUTPUT, 0, ranges.size(NIB_ROLE_OUTPUT) / 4);
}

Words bitsOf(const Floats& values) {
  Words words;
  for (const float value : values) words.push_back(model::bitsOfFloat(value));
  return words;
}

}  // namespace

NIB_DEFINE_OP_TEST(elementwise, checkMemory, checkRefusals)

TEST_SUITE_BEGIN("elementwise");

TEST_CASE("every case of elementwise gives the model's bytes, or is within its bound of double precision") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_ELEMENTWISE, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 400);
  for (const selftest::Case& c : list) {
    INFO(c.name());
    const Desc& d = c.as<Desc>();
    Ranges ranges(c.desc());
    REQUIRE(ranges.valid());
    prepare(c, ranges);
    const model::Bytes input = ranges.copy(NIB_ROLE_INPUT);
    model::Bytes result = ranges.copy(NIB_ROLE_OUTPUT);
    if (!isBounded(d)) elementwiseModel(d, ranges.memory, input.data(), c.n, result);
    REQUIRE(ranges.run(c.n) == NIB_SUCCESS);
    CHECK(ranges.guardsHold());
    CHECK(ranges.copy(NIB_ROLE_INPUT) == input);
    if (!isBounded(d)) {
      CHECK(firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size()) == "");
      continue;
    }
    const selftest::Images before = selftest::makeImages(c, ranges.memory);
    const Words after = ranges.words(NIB_ROLE_OUTPUT, 0, ranges.size(NIB_ROLE_OUTPUT) / 4);
    const selftest::Farthest worst = selftest::farthest(c, ranges.memory, before, after.data());
    CHECK_MESSAGE(worst.ratio <= 1, worst.text(c, ranges.memory));
  }
}

TEST_CASE("sums and products of millions of fp32 patterns are those of the model") {
  selftest::Random random(41);
  const Desc add = elementwiseDesc(NIB_ELEMENTWISE_ADD, 1, 1), mul = elementwiseDesc(NIB_ELEMENTWISE_MUL, 1, 1);
  uint64_t wrong = 0;
  for (uint32_t i = 0; i < 4'000'000; ++i) {
    uint32_t a = random.bits(), b = random.bits();
    // Near cancellation and neighbours of 2^-126; the ends of fp32.
    if (i % 4 == 1) b = (a ^ 0x80000000u) + random.below(17) - 8;
    if (i % 4 == 2) b = (b & 0x80ffffffu) | ((0x3f800000u - (a & 0x7f800000u)) & 0x7f800000u);
    if (i % 4 == 3) a |= 0x7e000000u, b |= random.below(2) != 0 ? 0x7e000000u : 0x3f000000u;
    a = exact::nibCanonicalBits(a);
    b = exact::nibCanonicalBits(b);
    const double x = model::valueOf(NIB_TYPE_F32, a), y = model::valueOf(NIB_TYPE_F32, b);
    wrong += exact::nibSumBits(a, b) != model::bitsOf(NIB_TYPE_F32, combined(add, x, y));
    wrong += exact::nibProductBits(a, b) != model::bitsOf(NIB_TYPE_F32, combined(mul, x, y));
  }
  CHECK(wrong == 0);
}

TEST_CASE("sums and products by hand") {
  const uint32_t inf = 0x7f800000u, minus = 0x80000000u, nan = 0x7fc00000u;
  const Desc add = elementwiseDesc(NIB_ELEMENTWISE_ADD, 1, 9), mul = elementwiseDesc(NIB_ELEMENTWISE_MUL, 1, 9);
  // 1 + 2^-24 is a tie; zeros and denormals; the largest number twice; infinities and NaN.
  const Words a{0x3f800000u, 0x3f800001u, minus, 0x007fffffu, 0x7f7fffffu, inf, inf, minus | nan, 0x00800001u};
  const Words b{0x33800000u, 0x33800000u, minus, 0x3f800000u, 0x7f7fffffu, inf, inf | minus, 0, 0x80800000u};
  CHECK(run(add, a, b) == Words{0x3f800000u, 0x3f800002u, 0, 0x3f800000u, inf, inf, nan, nan, 0});
  // 2^-126 * 1/2; 1 - 2^-24 times 2^-126; infinity times 0; (1 + 2^-23) * (1 - 2^-23) * 2^-126 rounds to 2^-126.
  const Words c{0x00800000u, 0x3f7fffffu, inf, inf, minus, 0x7f7fffffu, 0x40400000u, nan | 1, 0x20000001u};
  const Words f{0x3f000000u, 0x00800000u, 0x00000001u, 0xbf800000u, 0x3f800000u,
                0x3f800001u, 0xbf000000u, 0,           0x1ffffffeu};
  CHECK(run(mul, c, f) == Words{0, 0, nan, inf | minus, 0, inf, 0xbfc00000u, nan, 0x00800000u});
  Desc scale = elementwiseDesc(NIB_ELEMENTWISE_SCALE, 1, 3);
  scale.factor = -2;
  CHECK(run(scale, bitsOf({1.5f, -0.25f, 0}), {}) == bitsOf({-3, 0.5f, 0}));
}

TEST_CASE("soft caps by hand: the number itself near 0, the cap far from it, and between") {
  Desc cap = elementwiseDesc(NIB_ELEMENTWISE_CAP, 1, 6);
  cap.factor = 30;
  const Words y = run(cap, bitsOf({0, 1e-3f, -1e-20f, 30, -15, 1000}), {});
  const double exact[] = {0, 1e-3, -1e-20, 22.847824678669293, -13.863514717350386, 30};
  for (size_t i = 0; i < 6; ++i) {
    CHECK(std::abs(double(exact::floatOf(y[i])) - exact[i]) <= 0x1p-19 * std::abs(exact[i]));
  }
}

TEST_CASE("a second operand of one row is combined with every row, and a gate's factors may lie after it") {
  Desc add = elementwiseDesc(NIB_ELEMENTWISE_ADD, 2, 2);
  add.flags = NIB_ELEMENTWISE_ONE_ROW;
  CHECK(run(add, bitsOf({1, 2, 3, 4}), bitsOf({10, 20})) == bitsOf({11, 22, 13, 24}));
  Desc gated = elementwiseDesc(NIB_ELEMENTWISE_GATED, 2, 2);
  gated.activation = NIB_ACTIVATION_RELU;
  CHECK(run(gated, bitsOf({1, -2, 3, 4}), bitsOf({10, 20, 30, 40})) == bitsOf({10, 0, 90, 160}));
  gated.flags = NIB_ELEMENTWISE_HALVES;
  CHECK(run(gated, bitsOf({1, 2, 10, 20, 3, 4, 30, 40}), {}) == bitsOf({10, 40, 90, 160}));
}

TEST_CASE("the result may be in place of either operand") {
  const NibMemory memory = memoryOf(elementwiseDesc(NIB_ELEMENTWISE_ADD, 1, 4));
  const Desc d = elementwiseDesc(NIB_ELEMENTWISE_ADD, 1, 4);
  for (const NibPart part : {NIB_PART_SOURCE, NIB_PART_SECOND}) {
    Floats values(size_t(memory.range[NIB_ROLE_INPUT].size_bytes / 4), 0);
    const size_t second = size_t(memory.part[NIB_PART_SECOND].offset_bytes / 4);
    for (size_t i = 0; i < 4; ++i) values[i] = float(i), values[second + i] = 10;
    NibCpuBinding binding{sizeof(NibCpuBinding)};
    binding.range[NIB_ROLE_INPUT] = {values.data(), values.size() * 4};
    const size_t at = size_t(memory.part[part].offset_bytes / 4);
    binding.range[NIB_ROLE_OUTPUT] = {values.data() + at, 16};
    REQUIRE(cpuRun(asOp(d), &binding, 1, nullptr, nullptr) == NIB_SUCCESS);
    CHECK(Floats(values.begin() + std::ptrdiff_t(at), values.begin() + std::ptrdiff_t(at) + 4) ==
          Floats{10, 11, 12, 13});
  }
}

TEST_SUITE_END();
