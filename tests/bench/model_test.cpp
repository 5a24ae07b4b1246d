// The bench's bytes, operations and expected results of its rows and ceilings, computed independently.
#include <doctest/doctest.h>

#include "bench/compare.h"
#include "bench/peak_model.h"
#include "bench/suite.h"
#if !defined(NIB_NO_VULKAN)
#include "shaders/ops/peak_coopmat.h"
#endif

#include <algorithm>
#include <optional>
#include <set>

using namespace nib;
using namespace nib::bench;

namespace {

uint64_t words(uint64_t bytes) { return (bytes + 3) / 4 * 4; }
uint64_t elementBytes(const std::string& type) { return type == "f32" ? 4 : type == "e8m0" ? 1 : 2; }

// From the names of the row and the width of its codes; other tests compare the widths with literal values. No value
// for ops that this function does not know; products of codes are tested below.
std::optional<uint64_t> expectedBytes(const RowNames& row) {
  const uint64_t m = row.m, k = row.k;
  if (row.op == "minmax") {
    const uint64_t extents = row.granularity == "tensor" ? 1 : row.granularity == "row" ? m : k;
    return words(m * k * elementBytes(row.source)) + 16 * extents;
  }
  if (row.op == "convert") {
    const uint64_t stride = row.type == "f32" ? k : (k + 1) / 2 * 2;
    return words(m * k * elementBytes(row.source)) + words(((m - 1) * stride + k) * elementBytes(row.type));
  }
  if (row.op == "errors") {
    const uint64_t reference = (m * k * elementBytes(row.source) + 255) / 256 * 256;
    return reference + words(m * k * elementBytes(row.type)) + 72 * ((m * k + 1023) / 1024);
  }
  if (row.op == "histogram") {
    const uint64_t histograms = row.granularity == "tensor" ? 1 : k, bins = row.granularity == "tensor" ? 4096 : 1024;
    return words(m * k * elementBytes(row.source)) + (32 * histograms + 255) / 256 * 256 + 8 * bins * histograms;
  }
  if (row.op == "log_histogram") {
    const uint64_t bins = row.granularity == "tensor" ? 2 * 254 * 512 + 1 : k * (2 * 254 * 4 + 1);
    return words(m * k * elementBytes(row.source)) + 8 * bins;
  }
  if (row.op == "moments") {
    const uint64_t tiles = row.granularity == "tensor" ? (m * k + 1023) / 1024 : (m + 255) / 256 * k;
    return words(m * k * elementBytes(row.source)) + 32 * tiles;
  }
  if (row.op != "quantize" && row.op != "dequantize") return std::nullopt;
  const uint64_t bits = nibFormatByName(row.type.c_str())->bits;
  bool flat = false, asymmetric = false;
  for (const std::string& mode : row.modes) {
    flat = flat || mode == "flat";
    asymmetric = asymmetric || mode == "asymmetric";
  }
  const uint64_t rows = flat ? 1 : m, cols = flat ? m * k : k;
  uint64_t scales = 1;
  if (row.granularity == "row") scales = rows;
  if (row.granularity == "column") scales = cols;
  if (row.granularity == "group") scales = rows * ((cols + row.group_size - 1) / row.group_size);
  // Three and five bits: whole 32 codes.
  uint64_t bytes =
      bits == 3 || bits == 5 || bits == 6 ? rows * ((cols + 31) / 32 * bits * 4) : rows * ((cols * bits + 31) / 32 * 4);
  if (row.scale_type == "byte") {
    // Bytes of sub-blocks, of their minima, and a word of each super-block.
    const uint64_t supers = rows * ((cols + 255) / 256), subs = supers * (256 / row.group_size);
    const bool minima = row.type == "q2_k" || row.type == "q4_k" || row.type == "q5_k";
    bytes += subs * (minima ? 2 : 1) + supers * 4;
  } else {
    bytes += words(scales * elementBytes(row.scale_type));
  }
  if (asymmetric) bytes += words(scales);
  if (row.type == "q4_1" || row.type == "q5_1") bytes += words(scales * 2);  // minima
  if (row.op == "quantize") bytes += words(m * k * elementBytes(row.source));
  if (row.op == "dequantize") {
    // Rows of 16-bit results begin on a word.
    const uint64_t stride = row.result == "f32" ? k : (k + 1) / 2 * 2;
    bytes += words(((m - 1) * stride + k) * elementBytes(row.result));
  }
  return bytes;
}

}  // namespace

TEST_CASE("bytes of every row, by formula") {
  std::vector<selftest::Case> rows = suiteRows({.suite = "full"});
  for (const selftest::Case& row : suiteRows({.suite = "calibrate"})) rows.push_back(row);
  for (const Shape shape : {Shape{3, 1, 5}, Shape{64, 1, 256}, Shape{7, 1, 129}}) {
    const std::vector<selftest::Case> more = suiteRows({.suite = "full", .shape = shape});
    rows.insert(rows.end(), more.begin(), more.end());
  }
  CHECK(rows.size() > 100);
  std::set<std::string> known;
  for (const selftest::Case& row : rows) {
    const RowNames names = namesOf(row);
    const std::optional<uint64_t> expected = expectedBytes(names);
    if (expected) {
      known.insert(names.op);
      CHECK_MESSAGE(bytesMoved(row) == *expected, row.name());
      continue;
    }
    // At least a word, and no more than all ranges.
    NibMemory memory;
    REQUIRE(nibGetMemory(row.desc(), nullptr, &memory) == NIB_SUCCESS);
    uint64_t all = 0;
    for (const NibMemoryRange& range : memory.range) all += range.size_bytes;
    CHECK_MESSAGE(bytesMoved(row) >= 4, row.name());
    CHECK_MESSAGE(bytesMoved(row) <= all, row.name());
  }
  CHECK(known == std::set<std::string>{"convert", "dequantize", "errors", "histogram", "log_histogram", "minmax",
                                       "moments", "quantize"});
}

TEST_CASE("bytes and multiply-adds of products of codes, by formula") {
  const std::vector<selftest::Case> rows = suiteRows({.suite = "gemm"});
  uint32_t count = 0, squares = 0;
  for (const selftest::Case& row : rows) {
    if (row.op() != NIB_OP_INT8_GEMM) continue;
    ++count;
    const NibInt8GemmDesc& d = row.as<NibInt8GemmDesc>();
    squares += d.rows == d.cols && d.cols == d.tokens;
    const RowNames names = namesOf(row);
    const uint64_t m = names.m, n = names.n, k = names.k;
    CHECK(names.op == "int8_gemm");
    CHECK(names.type == "int8");
    CHECK(multiplyAdds(row) == double(m) * double(n) * double(k));
    // Codes and scales of both, and floats; 256 divides the codes of these shapes.
    CHECK(bytesMoved(row) == m * k + 4 * m + n * k + 4 * n + 4 * m * n);
  }
  CHECK(count == 20);  // four layers of four numbers of tokens, and four squares
  CHECK(squares == 4);
}

TEST_CASE("the longest products come last, so that a budget drops them first") {
  for (const char* suite : {"gemv", "gemm"}) {
    double before = 0;
    for (const selftest::Case& row : suiteRows({.suite = suite})) {
      CHECK(multiplyAdds(row) >= before);
      before = multiplyAdds(row);
    }
    CHECK(before > 0);
  }
}

TEST_CASE("the suites' own tensors exceed any cache, and one has tails") {
  for (const std::string& suite : suiteNames()) {
    bool tails = false;
    for (const selftest::Case& row : suiteRows({.suite = suite})) {
      const RowNames names = namesOf(row);
      if (row.op() == NIB_OP_INT8_GEMM || (names.m == names.n && names.n == names.k))
        continue;                                                          // read their previous result
      if (row.op() == NIB_OP_LOSS || row.op() == NIB_OP_SELECT) continue;  // as many logits as a step makes
      if (row.op() == NIB_OP_ATTENTION) continue;                          // a cache as long as a prompt
      CHECK(uint64_t{names.m} * names.k >= uint64_t{16} << 20);
      tails = tails || names.k % 16 != 0;
    }
    // Products have shapes of layers.
    CHECK(tails == (suite != "quick" && suite != "gemv" && suite != "gemm"));
  }
}

TEST_CASE("every format has rows of both directions, and a type selects") {
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const std::string name = nibFormatAt(i)->name;
    bool quantize = false, dequantize = false;
    for (const selftest::Case& row : suiteRows({.suite = "quick", .types = {name}})) {
      CHECK(namesOf(row).type == name);
      quantize = quantize || row.op() == NIB_OP_QUANTIZE;
      dequantize = dequantize || row.op() == NIB_OP_DEQUANTIZE;
    }
    CHECK_MESSAGE((quantize && dequantize), name);
  }
  // A dense type selects all its rows, in any letter case. New ops add rows.
  size_t dense = 0;
  for (const selftest::Case& row : suiteRows({.suite = "quick"})) dense += namesOf(row).type == "f32" ? 1 : 0;
  const std::vector<selftest::Case> selected = suiteRows({.suite = "quick", .types = {"F32"}});
  CHECK(selected.size() == dense);
  CHECK(dense >= 8);
  for (const selftest::Case& row : selected) CHECK(namesOf(row).type == "f32");
}

TEST_CASE("one or several types and ops select rows and keep their order") {
  std::vector<std::string> all, some;
  for (const selftest::Case& row : suiteRows({.suite = "quick"})) {
    const RowNames names = namesOf(row);
    if ((names.type == "int4" || names.type == "nf4") && (names.op == "quantize" || names.op == "gather"))
      all.push_back(row.name());
  }
  for (const selftest::Case& row :
       suiteRows({.suite = "quick", .types = {"nf4", "INT4"}, .ops = {"gather", "quantize"}})) {
    some.push_back(row.name());
  }
  CHECK(!all.empty());
  CHECK(some == all);
}

TEST_CASE("the fma model is the kernel's arithmetic") {
  for (const uint32_t steps : {1u, 7u, 512u, kMaxFmaSteps}) {
    for (const uint32_t id : {0u, 1u, 255u, 256u, 100000u}) {
      float sum[4] = {};
      for (int lane = 0; lane < 4; ++lane) {
        float chain[3];
        for (int j = 0; j < 3; ++j) {
          chain[j] = float(id & 255u) * 1.0f + float(j);
          for (uint32_t step = 0; step < 4 * steps; ++step) chain[j] = chain[j] * 1.0f + 0.125f;
        }
        sum[lane] = (chain[0] + chain[1]) + chain[2];
      }
      CHECK(fmaResult(id, steps) == (sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
  }
}

TEST_CASE("the dot4 model is the kernel's arithmetic") {
  // The four steps of a round, with unpacked lanes.
  const auto dot = [](uint32_t a, uint32_t b) {
    int sum = 0;
    for (int lane = 0; lane < 4; ++lane) {
      sum += (int((a >> (8 * lane) & 0xff) ^ 0x80) - 0x80) * (int((b >> (8 * lane) & 0xff) ^ 0x80) - 0x80);
    }
    return uint32_t(sum);
  };
  CHECK(dot(0x01ff, 0x0201) == uint32_t(-1 * 1 + 1 * 2));
  const uint32_t seed = 0x1ff, id = 0x7f0134;
  uint32_t a[4], b[4], c[4], d[4];
  for (uint32_t i = 0; i < 4; ++i) a[i] = seed + id + i, b[i] = a[i] + 4, c[i] = a[i] + 8, d[i] = a[i] + 12;
  const auto step = [&](const uint32_t* from) {
    const uint32_t w[4] = {from[0], from[1], from[2], from[3]};
    for (uint32_t i = 0; i < 4; ++i) {
      a[i] += dot(w[i], seed), b[i] += dot(w[i], seed + 1), c[i] += dot(w[i], seed + 2), d[i] += dot(w[i], seed + 3);
    }
  };
  for (int round = 0; round < 3; ++round) step(a), step(b), step(c), step(d);
  uint32_t expected = 0;
  for (uint32_t i = 0; i < 4; ++i) expected ^= a[i] ^ b[i] ^ c[i] ^ d[i];
  CHECK(dot4Result(id, seed, 3) == expected);
  CHECK(dot4Result(id, seed, 2) != expected);
}

#if !defined(NIB_NO_VULKAN)
TEST_CASE("the matrix models are the kernels' loop") {
  const uint32_t m = 3, n = 2, k = 4, seed = 5, tile = 11, steps = 7;
  for (const uint32_t bits : {8u, 4u}) {
    std::vector<int32_t> left(4 * m * k), right(4 * k * n), sums(4 * m * n, 0);
    for (uint32_t i = 0; i < left.size(); ++i) left[i] = peakCoopmatElement(i, seed, bits);
    for (uint32_t i = 0; i < right.size(); ++i) right[i] = peakCoopmatElement(i, seed + 1 + tile % 8, bits);
    uint32_t a[4] = {0, 1, 2, 3};
    for (uint32_t step = 0; step < steps; ++step) {
      for (uint32_t i = 0; i < 4; ++i) {
        for (uint32_t j = 0; j < 4; ++j) {
          for (uint32_t row = 0; row < m; ++row) {
            for (uint32_t col = 0; col < n; ++col) {
              for (uint32_t inner = 0; inner < k; ++inner) {
                sums[(j * m + row) * n + col] +=
                    left[(a[i] * m + row) * k + inner] * right[((i + j) % 4 * k + inner) * n + col];
              }
            }
          }
        }
      }
      const uint32_t first = a[0];
      a[0] = a[1], a[1] = a[2], a[2] = a[3], a[3] = first;
    }
    CHECK(coopmatResult({m, n, k}, tile, seed, steps, bits) == sums);
    CHECK(*std::min_element(left.begin(), left.end()) < -(1 << (bits - 1)) / 2);
    CHECK(*std::max_element(left.begin(), left.end()) < 1 << (bits - 1));
  }
}
#endif

namespace {

nlohmann::ordered_json row(const char* type, const char* path, nlohmann::ordered_json us) {
  return {{"op", "dequantize"},
          {"type", type},
          {"m", 8},
          {"n", 1},
          {"k", 8},
          {"device", "d"},
          {"path", path},
          {"median_us", us},
          {"source", nullptr},
          {"result", "f32"},
          {"granularity", "row"},
          {"modes", {"flat"}}};
}

nlohmann::ordered_json runOf(std::vector<nlohmann::ordered_json> rows) {
  return {{"schema", 1}, {"machine", {{"device", "d"}}}, {"rows", rows}};
}

}  // namespace

TEST_CASE("a comparison pairs rows and marks what got slower") {
  const Comparison comparison =
      compareRuns(runOf({row("int4", "a", 100), row("int8", "a", 100), row("nf4", "a", 100)}),
                  runOf({row("int8", "b", 105), row("int4", "a", 111), row("fp4", "a", 1), row("nf4", "a", nullptr)}));
  REQUIRE(comparison.rows.size() == 2);
  CHECK(comparison.rows[0].ratio == doctest::Approx(1.05));
  CHECK(!comparison.rows[0].slower);
  CHECK(comparison.rows[0].path_changed);
  CHECK(comparison.rows[1].ratio == doctest::Approx(1.11));
  CHECK(comparison.rows[1].slower);
  CHECK(!comparison.rows[1].path_changed);
  REQUIRE(comparison.only_new.size() == 2);
  CHECK(comparison.only_new[0].find("fp4") != std::string::npos);
  CHECK(comparison.only_old.empty());
}

TEST_CASE("a file that is not a result is refused by name") {
  CHECK_THROWS_WITH(compareRuns({{"rows", 1}}, runOf({})), "the old file is not a result of nibble bench --json");
  nlohmann::ordered_json other = runOf({});
  other["schema"] = 2;
  CHECK_THROWS_WITH(compareRuns(runOf({}), other), "the new run has schema 2, 1 is known");
}
