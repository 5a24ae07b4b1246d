// Log-spaced counts against their definition in double precision: the same bytes for any split and order of the data.
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"

using namespace nib;
using namespace nib::tests;

namespace {

using model::Bytes;
using Desc = NibLogHistogramDesc;

// The distance of a value's bin from that of zeros, found from the value: 2^bits bins in each binade from 2^-126 on.
int64_t distanceOf(double v, uint32_t bits) {
  if (v == 0) return 0;
  const int binade = std::ilogb(v);
  const double steps = std::floor((std::ldexp(std::fabs(v), -binade) - 1) * std::ldexp(1.0, int(bits)));
  const int64_t k = int64_t(binade + 126) * (int64_t(1) << bits) + int64_t(steps) + 1;
  return v < 0 ? -k : k;
}

uint64_t binsOf(uint32_t bits) { return 2 * (uint64_t(254) << bits) + 1; }

// The output range after a run, given its bytes before.
Bytes modelled(const Desc& d, const uint8_t* source, uint32_t n, Bytes output) {
  const uint64_t stride = d.source_stride != 0 ? d.source_stride : d.cols, bins = binsOf(d.mantissa_bits);
  std::map<uint64_t, uint64_t> more;
  for (uint64_t row = 0; row < n; ++row) {
    for (uint64_t col = 0; col < d.cols; ++col) {
      const double v = model::load(source, d.source_type, row * stride + col);
      if (!std::isfinite(v)) continue;
      const uint64_t histogram = d.granularity == NIB_GRANULARITY_COLUMN ? col : 0;
      ++more[histogram * bins + uint64_t(int64_t(bins / 2) + distanceOf(v, d.mantissa_bits))];
    }
  }
  for (const auto& [bin, count] : more) {
    uint64_t sum;
    std::memcpy(&sum, &output[size_t(bin * 8)], 8);
    sum += count;
    std::memcpy(&output[size_t(bin * 8)], &sum, 8);
  }
  return output;
}

Desc logDesc(uint32_t rows, uint32_t cols, uint32_t granularity, uint32_t bits, uint32_t type = NIB_TYPE_F32) {
  Desc d = selftest::describe<Desc>(NIB_OP_LOG_HISTOGRAM);
  d.rows = rows;
  d.cols = cols;
  d.source_type = type;
  d.granularity = granularity;
  d.mantissa_bits = bits;
  return d;
}

// Runs over rows [first, first + count) of `source` in the given order, into counts that begin as zeros.
Bytes collected(uint32_t cols, uint32_t granularity, const std::vector<float>& source,
                const std::vector<std::pair<uint32_t, uint32_t>>& runs) {
  Bytes output;
  for (const auto& [first, rows] : runs) {
    const Desc d = logDesc(rows, cols, granularity, 3);
    Ranges ranges(asOp(d));
    REQUIRE(ranges.valid());
    if (output.empty()) output.assign(ranges.size(NIB_ROLE_OUTPUT), 0);
    ranges.write(NIB_ROLE_OUTPUT, output);
    ranges.write(NIB_ROLE_INPUT,
                 std::vector<float>(source.begin() + first * cols, source.begin() + (first + rows) * cols));
    REQUIRE(ranges.run(rows) == NIB_SUCCESS);
    output = ranges.copy(NIB_ROLE_OUTPUT);
  }
  return output;
}

void checkMemory() {
  for (const Extents& shape : kExtents) {
    for (const NibGranularity granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_COLUMN}) {
      for (const uint32_t bits : {0u, 3u, 9u}) {
        if (granularity == NIB_GRANULARITY_COLUMN && (bits > 3 || shape.cols > (1u << 17))) continue;
        const uint64_t count = granularity == NIB_GRANULARITY_TENSOR ? 1 : shape.cols;
        const NibMemory memory = memoryOf(logDesc(shape.rows, shape.cols, granularity, bits));
        CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == denseBytes(shape.rows, shape.cols, shape.cols, NIB_TYPE_F32));
        CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 8 * binsOf(bits) * count);
        CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
        CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
      }
    }
  }
}

void checkRefusals() {
  Desc right = logDesc(4, 64, NIB_GRANULARITY_TENSOR, 9);
  right.source_stride = 66;
  expectEachRefused<Desc>(right, "log_histogram",
                          {
                              {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
                              {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
                              {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = d.source_stride = 65536; }},
                              {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
                              {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
                              {"granularity", kInvalid, [](Desc& d) { d.granularity = NIB_GRANULARITY_ROW; }},
                              {"granularity", kInvalid, [](Desc& d) { d.granularity = NIB_GRANULARITY_GROUP; }},
                              {"mantissa_bits", kInvalid, [](Desc& d) { d.mantissa_bits = 10; }},
                              {"mantissa_bits", kInvalid,
                               [](Desc& d) {
                                 d.granularity = NIB_GRANULARITY_COLUMN;
                                 d.mantissa_bits = 4;
                               }},
                              {"mantissa_bits", kInvalid,
                               [](Desc& d) {
                                 d.granularity = NIB_GRANULARITY_COLUMN;
                                 d.mantissa_bits = 3;
                                 d.cols = d.source_stride = 1u << 20;
                               }},
                          });
}

}  // namespace

NIB_DEFINE_OP_TEST(log_histogram, .memory = checkMemory, .refusals = checkRefusals)

TEST_CASE("log-spaced counts of every case of the shared list are the model's bytes") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_LOG_HISTOGRAM, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 60);
  for (const selftest::Case& c : list) {
    Ranges ranges(c.desc());
    REQUIRE(ranges.valid());
    prepare(c, ranges);
    const Bytes source = ranges.copy(NIB_ROLE_INPUT);
    const Bytes result = modelled(c.as<Desc>(), source.data(), c.n, ranges.copy(NIB_ROLE_OUTPUT));
    REQUIRE(ranges.run(c.n) == NIB_SUCCESS);
    const std::string difference = firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size());
    INFO(c.name());
    CHECK(ranges.guardsHold());
    CHECK(difference == "");
    CHECK(ranges.copy(NIB_ROLE_INPUT) == source);
  }
}

TEST_CASE("any split of a stream, in any order, gives log-spaced counts of the same bytes") {
  constexpr uint32_t kRows = 60, kCols = 37;
  selftest::Random random(98);
  std::vector<float> source(kRows * kCols);
  for (float& v : source) v = float(std::ldexp(random.unit() - 0.5, int(random.below(30)) - 15));
  source[700] = -0.0f;
  source[900] = std::numeric_limits<float>::infinity();
  source[kRows * kCols - 1] = 1e30f;
  for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_COLUMN}) {
    const Bytes whole = collected(kCols, granularity, source, {{0, kRows}});
    CHECK(collected(kCols, granularity, source, {{0, 1}, {1, 29}, {30, 30}}) == whole);
    CHECK(collected(kCols, granularity, source, {{59, 1}, {20, 39}, {0, 20}}) == whole);
    // Two histograms merge by adding their counts.
    const Bytes one = collected(kCols, granularity, source, {{0, 25}}),
                other = collected(kCols, granularity, source, {{25, 35}});
    for (size_t at = 0; at < whole.size(); at += 8) {
      uint64_t a, b, sum;
      std::memcpy(&a, &one[at], 8);
      std::memcpy(&b, &other[at], 8);
      std::memcpy(&sum, &whole[at], 8);
      if (a + b != sum) FAIL_CHECK("bin " << at / 8);
    }
  }
}

TEST_CASE("log-spaced bins count the values between their edges, beyond 2^32, and leave out what is not finite") {
  const Desc d = logDesc(1, 12, NIB_GRANULARITY_TENSOR, 2);
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  constexpr size_t kZero = 254 * 4;
  std::vector<uint64_t> counts(2 * kZero + 1, 0);
  counts[kZero] = 0xffffffffull;
  ranges.write(NIB_ROLE_OUTPUT, counts);
  const float most = std::numeric_limits<float>::max(), least = std::numeric_limits<float>::min();
  const float infinite = std::numeric_limits<float>::infinity();
  // 1, 1.25, 1.5 and 1.75 begin bins; 1 is 126 binades above the first bin.
  ranges.write(NIB_ROLE_INPUT, std::vector<float>{0.0f, -0.0f, least / 2, 1.0f, 1.25f, std::nextafter(1.5f, 0.0f),
                                                  -1.0f, least, most, -most, infinite, std::nanf("")});
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  std::memcpy(counts.data(), ranges.bytes(NIB_ROLE_OUTPUT), counts.size() * 8);
  CHECK(counts[kZero] == 0x100000002ull);
  CHECK(counts[kZero + 126 * 4 + 1] == 1);
  CHECK(counts[kZero + 126 * 4 + 2] == 2);
  CHECK(counts[kZero - 126 * 4 - 1] == 1);
  CHECK(counts[kZero + 1] == 1);
  CHECK(counts[2 * kZero] == 1);
  CHECK(counts[0] == 1);
  uint64_t total = 0;
  for (const uint64_t count : counts) total += count;
  CHECK(total == 0xffffffffull + 10);
}
