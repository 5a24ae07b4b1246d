// Hadamard transforms: the matrices of every order against their definitions, orthogonality, every case of the shared
// list within its bound, numbers worked out by hand, and refusals.
#include <doctest/doctest.h>

#include <bit>
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

using Desc = NibHadamardDesc;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

Desc hadamardDesc(uint32_t rows, uint32_t cols, uint32_t size = 0, uint32_t flags = 0, uint32_t type = NIB_TYPE_F32) {
  Desc d = selftest::describe<Desc>(NIB_OP_HADAMARD);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.size = size;
  d.source_type = d.result_type = type;
  return d;
}

void checkMemory() {
  struct Shape {
    uint32_t rows, cols, size;
    bool scratch;
  };
  for (const Shape& s :
       {Shape{3, 2, 0, false}, Shape{1, 4096, 0, false}, Shape{2, 8192, 0, true}, Shape{5, 8192, 4096, false},
        Shape{7, 3584, 0, false}, Shape{7, 7168, 3584, false}, Shape{1, 11008, 0, true}, Shape{3, 11008, 172, false},
        Shape{1u << 20, 2048, 128, false}, Shape{2, 4032, 0, true}, Shape{2, 4080, 0, true}}) {
    for (uint32_t type = 0; type < 3; ++type) {
      for (const uint32_t flags : {0u, uint32_t(NIB_HADAMARD_SIGNS)}) {
        if (nibHadamardOrder(s.size != 0 ? s.size : s.cols) == 0) continue;
        INFO(s.rows, "x", s.cols, " size ", s.size, " type ", type);
        const NibMemory memory = memoryOf(hadamardDesc(s.rows, s.cols, s.size, flags, type));
        uint64_t end = checkNext(memory, NIB_PART_SIGNS, 0, flags != 0 ? uint64_t(s.cols) * 4 : 0);
        CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == end);
        const uint64_t dense = denseBytes(s.rows, s.cols, s.cols, type);
        end = checkNext(memory, NIB_PART_SOURCE, 0, dense);
        CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
        end = checkNext(memory, NIB_PART_RESULT, 0, dense);
        CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == end);
        end = checkNext(memory, NIB_PART_SCRATCH, 0, s.scratch ? uint64_t(s.rows) * s.cols * 4 : 0);
        CHECK(memory.range[NIB_ROLE_AUX].size_bytes == end);
      }
    }
  }
}

void checkRefusals() {
  const std::vector<Wrong<Desc>> list = {
      {"flags", kInvalid, [](Desc& d) { d.flags = 2; }},
      {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
      {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
      {"size", kInvalid, [](Desc& d) { d.size = 16, d.cols = 72; }},
      {"size", kInvalid, [](Desc& d) { d.size = 128; }},
      {"size", kUnsupported, [](Desc& d) { d.size = 1; }},
      {"size", kUnsupported, [](Desc& d) { d.size = 6, d.cols = 96; }},
      {"size", kUnsupported, [](Desc& d) { d.size = 52, d.cols = 104; }},
      {"cols", kUnsupported, [](Desc& d) { d.cols = 63; }},
      {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
      {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
      {"result_type", kInvalid, [](Desc& d) { d.result_type = 4; }},
      {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 65, d.result_type = NIB_TYPE_F16; }},
      {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 62; }},
  };
  expectEachRefused(hadamardDesc(4, 64), "hadamard", list);
}

// Column `col` of the transform of a size times the root of the size, whose entries are 1 and -1.
std::vector<int> columnOf(uint32_t size, uint32_t col) {
  Doubles x(size, 0.0);
  x[col] = 1;
  REQUIRE(nibHadamardTransform(x.data(), size, nullptr) == NIB_SUCCESS);
  std::vector<int> entries;
  for (const double v : x) entries.push_back(int(std::lround(v * std::sqrt(double(size)))));
  return entries;
}

std::vector<std::vector<int>> matrixOf(uint32_t size) {
  std::vector<std::vector<int>> columns;
  for (uint32_t col = 0; col < size; ++col) columns.push_back(columnOf(size, col));
  return columns;
}

// a^((q - 1) / 2) modulo q (Euler).
int characterOf(uint64_t a, uint64_t q) {
  uint64_t power = 1;
  for (uint64_t i = 0; i < (q - 1) / 2; ++i) power = power * a % q;
  return power == 0 ? 0 : power == 1 ? 1 : -1;
}

Floats transformed(const Desc& d, const Floats& source, const Floats& signs = {}) {
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  ranges.write(NIB_ROLE_INPUT, source);
  if (!signs.empty()) ranges.write(NIB_ROLE_WEIGHTS, signs);
  REQUIRE(ranges.run(d.rows) == NIB_SUCCESS);
  return ranges.read<float>(NIB_ROLE_OUTPUT, 0, source.size());
}

}  // namespace

NIB_DEFINE_OP_TEST(hadamard, checkMemory, checkRefusals)

TEST_SUITE_BEGIN("hadamard");

TEST_CASE("matrices of every order up to 256, and of some above, are orthogonal with entries of one size") {
  uint32_t orders = 0;
  for (uint32_t size = 2; size <= 1020; size += 2) {
    if (size > 256 && size != 312 && size != 344) continue;
    const uint32_t order = nibHadamardOrder(size);
    if (order == 0) continue;
    INFO("size ", size, " order ", order);
    const auto columns = matrixOf(size);
    bool ones = true, orthogonal = true;
    for (uint32_t a = 0; a < size; ++a) {
      for (uint32_t b = 0; b <= a; ++b) {
        int dot = 0;
        for (uint32_t i = 0; i < size; ++i) dot += columns[a][i] * columns[b][i];
        orthogonal = orthogonal && dot == (a == b ? int(size) : 0);
      }
      for (const int entry : columns[a]) ones = ones && (entry == 1 || entry == -1);
    }
    CHECK(ones);
    CHECK(orthogonal);
    orders += order == size ? 1 : 0;
  }
  // 12, 20, 28, 36, 44, 60, 68, 76, 84, 104, 108, 124, 132, 140, 148, 164, 172, 180, 196, 200, 204, 212, 220, 228, 252,
  // 312.
  CHECK(orders == 26);
}

TEST_CASE("matrices follow their constructions") {
  const auto matrix4 = matrixOf(4);
  CHECK(matrix4 == std::vector<std::vector<int>>{{1, 1, 1, 1}, {1, -1, 1, -1}, {1, 1, -1, -1}, {1, -1, -1, 1}});
  // Sylvester: the sign is the parity of the common bits.
  const auto sylvester = matrixOf(32);
  for (uint32_t i = 0; i < 32; ++i) {
    for (uint32_t j = 0; j < 32; ++j) CHECK(sylvester[j][i] == (std::popcount(i & j) % 2 != 0 ? -1 : 1));
  }
  for (const uint32_t q : {11u, 19u, 43u, 59u, 107u, 139u, 179u}) {
    INFO("Paley I of ", q);
    const auto columns = matrixOf(q + 1);
    for (uint32_t i = 0; i <= q; ++i) {
      for (uint32_t j = 0; j <= q; ++j) {
        const int character = characterOf(i + q - j, q);
        const int entry = i == 0 ? 1 : j == 0 ? -1 : i == j ? 1 : character;
        CHECK(columns[j][i] == entry);
      }
    }
  }
  for (const uint32_t q : {13u, 17u, 37u, 73u}) {
    INFO("Paley II of ", q);
    const auto columns = matrixOf(2 * (q + 1));
    for (uint32_t i = 0; i < 2 * (q + 1); ++i) {
      for (uint32_t j = 0; j < 2 * (q + 1); ++j) {
        const uint32_t a = i / 2, b = j / 2;
        const int c = a == b ? 0 : a == 0 || b == 0 ? 1 : characterOf(a + q - b, q);
        const int block = i % 2 == 1 && j % 2 == 1 ? -c : c;
        const int zero = i % 2 == 0 && j % 2 == 0 ? 1 : -1;
        CHECK(columns[j][i] == (c == 0 ? zero : block));
      }
    }
  }
  // Blocks of Williamson's matrix are circulant and symmetric.
  const auto williamson = matrixOf(172);
  for (uint32_t i = 0; i < 43; ++i) {
    for (uint32_t j = 0; j < 43; ++j) {
      for (uint32_t block = 0; block < 16; ++block) {
        const uint32_t row = block / 4 * 43, col = block % 4 * 43, away = (i + 43 - j) % 43;
        CHECK(williamson[col + j][row + i] == williamson[col][row + away]);
        CHECK(williamson[col + j][row + i] == williamson[col][row + (43 - away) % 43]);
      }
    }
  }
}

TEST_CASE("longer sizes are Kronecker products with Sylvester's matrices") {
  for (const uint32_t size : {48u, 112u, 144u, 344u}) {
    const uint32_t order = nibHadamardOrder(size), length = size / order;
    INFO("size ", size, " order ", order);
    const auto whole = matrixOf(size), first = matrixOf(order), last = matrixOf(length);
    bool same = true;
    for (uint32_t i = 0; i < size; ++i) {
      for (uint32_t j = 0; j < size; ++j) {
        same = same && whole[j][i] == first[j / length][i / length] * last[j % length][i % length];
      }
    }
    CHECK(same);
  }
}

TEST_CASE("orders of the sizes that models have") {
  const std::vector<std::pair<uint32_t, uint32_t>> list = {
      {128, 1},     {896, 28},    {1536, 12},   {2880, 180}, {3584, 28},   {4096, 1},       {4864, 76},
      {5120, 20},   {8192, 1},    {8960, 140},  {9728, 76},  {11008, 172}, {13824, 108},    {14336, 28},
      {18944, 148}, {25600, 200}, {27648, 108}, {28672, 28}, {29568, 924}, {2, 1},          {0, 0},
      {1, 0},       {7, 0},       {6, 0},       {52, 0},     {104, 104},   {4294967294u, 0}};
  for (const auto& [size, order] : list) {
    INFO(size);
    CHECK(nibHadamardOrder(size) == order);
  }
  double x[4] = {1, 2, 3, 4};
  CHECK(nibHadamardTransform(x, 52, nullptr) == NIB_ERROR_UNSUPPORTED);
  CHECK(nibHadamardTransform(nullptr, 4, nullptr) == NIB_ERROR_INVALID_ARGUMENT);
}

TEST_CASE("every case of hadamard is within its bound of double precision") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_HADAMARD, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 200);
  for (const selftest::Case& c : list) expectWithinBound(c);
}

TEST_CASE("transforms by hand") {
  CHECK(transformed(hadamardDesc(1, 4), {1, 2, 3, 4}) == Floats{5, -1, -2, 0});
  CHECK(transformed(hadamardDesc(1, 8, 4), {1, 2, 3, 4, 0, 0, 8, 0}) == Floats{5, -1, -2, 0, 4, 4, -4, -4});
  CHECK(transformed(hadamardDesc(1, 4, 0, NIB_HADAMARD_SIGNS), {1, 2, 3, 4}, {1, -1, 5, -0.0f}) ==
        Floats{-1, 5, 0, -2});
  // An outlier spreads over all elements.
  Floats x(16, 0.0f);
  x[5] = 8;
  for (const float y : transformed(hadamardDesc(1, 16), x)) CHECK(std::fabs(y) == 2);
}

TEST_CASE(
    "a transform in place gives the bytes of one that is not, and a product with transformed weights is the same") {
  for (const uint32_t size : {64u, 96u, 8192u}) {
    const Desc d = hadamardDesc(2, size);
    const Floats source = [&] {
      Floats values(size_t(size) * 2);
      selftest::Random random(size);
      for (float& v : values) v = float(random.unit() - 0.5);
      return values;
    }();
    Ranges ranges(asOp(d));
    REQUIRE(ranges.valid());
    ranges.write(NIB_ROLE_INPUT, source);
    ranges.binding.range[NIB_ROLE_OUTPUT].data = ranges.binding.range[NIB_ROLE_INPUT].data;
    REQUIRE(ranges.run(2) == NIB_SUCCESS);
    const Floats in_place = ranges.read<float>(NIB_ROLE_INPUT, 0, source.size());
    CHECK(in_place == transformed(d, source));
    Doubles a(source.begin(), source.begin() + size), b(source.begin() + size, source.end());
    double before = 0, after = 0;
    for (uint32_t i = 0; i < size; ++i) before += a[i] * b[i];
    REQUIRE(nibHadamardTransform(b.data(), size, nullptr) == NIB_SUCCESS);
    for (uint32_t i = 0; i < size; ++i) after += double(in_place[i]) * b[i];
    CHECK(after == doctest::Approx(before).epsilon(1e-5));
  }
}

TEST_SUITE_END();
