// Histograms against their definition in double precision: the same bytes for any split, order and merge of the data.
#include <doctest/doctest.h>

#include <algorithm>
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

// A histogram as the header describes it, on values instead of bit patterns.
struct Model {
  NibHistogramHead head{};
  std::map<int64_t, uint64_t> counts;  // by floor(|x| / width); for negative values -1 minus it
  uint32_t side = 0;

  double width() const { return std::ldexp(1.0, int(head.exponent) - 126) / side; }
  void grow(uint32_t exponent) {
    for (; head.exponent < exponent; ++head.exponent) {
      std::map<int64_t, uint64_t> merged;
      for (const auto& [k, count] : counts) merged[k >= 0 ? k / 2 : -1 - (-1 - k) / 2] += count;
      counts = merged;
      if (merged.size() <= 2 && (merged.empty() || (merged.begin()->first >= -1 && merged.rbegin()->first <= 0))) {
        head.exponent = exponent;  // all counts are in the bins at zero
        return;
      }
    }
  }
  void add(const std::vector<double>& values, bool is_signed) {
    double largest = 0;
    for (const double v : values) {
      if (std::isfinite(v)) largest = std::max(largest, std::fabs(v));
    }
    if (largest != 0) grow(std::max(head.exponent, uint32_t(std::ilogb(largest) + 127)));
    for (const double v : values) {
      if (!std::isfinite(v)) {
        ++head.nonfinite_count;
        continue;
      }
      // + 0.0 turns -0 into +0.
      head.min = head.finite_count == 0 ? float(v + 0.0) : float(std::min(double(head.min), v + 0.0));
      head.max = head.finite_count == 0 ? float(v + 0.0) : float(std::max(double(head.max), v + 0.0));
      ++head.finite_count;
      const int64_t k = v == 0 ? 0 : int64_t(std::floor(std::fabs(v) / width()));
      ++counts[is_signed && v < 0 ? -1 - k : k];
    }
  }
};

uint64_t countOf(const NibHistogramDesc& d) {
  return d.granularity == NIB_GRANULARITY_ROW ? d.rows : d.granularity == NIB_GRANULARITY_COLUMN ? d.cols : 1;
}

Model load(const NibHistogramDesc& d, const Bytes& output, const NibMemory& memory, uint64_t index, bool fresh) {
  Model m;
  const bool is_signed = (d.flags & NIB_HISTOGRAM_SIGNED) != 0;
  m.side = is_signed ? d.bins / 2 : d.bins;
  if (fresh) return m;
  std::memcpy(&m.head, &output[size_t(memory.part[NIB_PART_HEADS].offset_bytes + index * sizeof m.head)],
              sizeof m.head);
  for (uint32_t i = 0; i < d.bins; ++i) {
    uint64_t count;
    std::memcpy(&count, &output[size_t(memory.part[NIB_PART_COUNTS].offset_bytes + (index * d.bins + i) * 8)], 8);
    if (count != 0) m.counts[int64_t(i) - (is_signed ? m.side : 0)] = count;
  }
  return m;
}

void store(const NibHistogramDesc& d, const Model& m, const NibMemory& memory, uint64_t index, Bytes& output) {
  std::memcpy(&output[size_t(memory.part[NIB_PART_HEADS].offset_bytes + index * sizeof m.head)], &m.head,
              sizeof m.head);
  for (uint32_t i = 0; i < d.bins; ++i) {
    const auto found = m.counts.find(int64_t(i) - ((d.flags & NIB_HISTOGRAM_SIGNED) != 0 ? m.side : 0));
    const uint64_t count = found != m.counts.end() ? found->second : 0;
    std::memcpy(&output[size_t(memory.part[NIB_PART_COUNTS].offset_bytes + (index * d.bins + i) * 8)], &count, 8);
  }
}

// The output range after a run, given its bytes before.
Bytes modelled(const NibHistogramDesc& d, const NibMemory& memory, const uint8_t* source, uint32_t n, Bytes output) {
  const uint64_t stride = d.source_stride != 0 ? d.source_stride : d.cols;
  const bool fresh = (d.flags & NIB_HISTOGRAM_ACCUMULATE) == 0;
  std::vector<std::vector<double>> values(size_t(countOf(d)));
  for (uint64_t row = 0; row < n; ++row) {
    for (uint64_t col = 0; col < d.cols; ++col) {
      const uint64_t index = d.granularity == NIB_GRANULARITY_ROW      ? row
                             : d.granularity == NIB_GRANULARITY_COLUMN ? col
                                                                       : 0;
      values[size_t(index)].push_back(model::load(source, d.source_type, row * stride + col));
    }
  }
  for (uint64_t i = 0; i < (d.granularity == NIB_GRANULARITY_ROW ? n : countOf(d)); ++i) {
    Model m = load(d, output, memory, i, fresh);
    m.add(values[size_t(i)], (d.flags & NIB_HISTOGRAM_SIGNED) != 0);
    store(d, m, memory, i, output);
  }
  return output;
}

NibHistogramDesc histogramDesc(uint32_t rows, uint32_t cols, uint32_t granularity, uint32_t flags, uint32_t bins) {
  NibHistogramDesc d = selftest::describe<NibHistogramDesc>(NIB_OP_HISTOGRAM);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.granularity = granularity;
  d.bins = bins;
  return d;
}

// Runs over the rows of `source` in the given order, all into one output range that starts with zeros.
Bytes collected(uint32_t cols, uint32_t granularity, const std::vector<float>& source,
                const std::vector<std::pair<uint32_t, uint32_t>>& runs) {
  Bytes output;
  for (const auto& [first, rows] : runs) {
    const NibHistogramDesc d =
        histogramDesc(rows, cols, granularity, NIB_HISTOGRAM_SIGNED | NIB_HISTOGRAM_ACCUMULATE, 256);
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

std::vector<float> stream(uint32_t count) {
  selftest::Random random(99);
  std::vector<float> values(count);
  for (float& v : values) v = float(std::ldexp(random.unit() - 0.5, int(random.below(30)) - 15));
  values[count / 3] = -0.0f;
  values[count / 2] = std::numeric_limits<float>::infinity();
  values[count - 1] = 1e30f;
  return values;
}

void checkMemory() {
  for (const Extents& shape : kExtents) {
    for (const NibGranularity granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN}) {
      const uint64_t count = granularity == NIB_GRANULARITY_TENSOR ? 1
                             : granularity == NIB_GRANULARITY_ROW  ? shape.rows
                                                                   : shape.cols;
      if (count > (1u << 22)) continue;
      const NibMemory memory = memoryOf(histogramDesc(shape.rows, shape.cols, granularity, 0, 128));
      CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == denseBytes(shape.rows, shape.cols, shape.cols, NIB_TYPE_F32));
      CHECK(memory.part[NIB_PART_HEADS].offset_bytes == 0);
      CHECK(memory.part[NIB_PART_HEADS].size_bytes == 32 * count);
      CHECK(checkNext(memory, NIB_PART_COUNTS, 32 * count, 1024 * count) == memory.range[NIB_ROLE_OUTPUT].size_bytes);
      CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
    }
  }
}

void checkRefusals() {
  using Desc = NibHistogramDesc;
  Desc right = histogramDesc(4, 64, NIB_GRANULARITY_ROW, NIB_HISTOGRAM_SIGNED, 2048);
  right.source_stride = 66;
  expectEachRefused<Desc>(right, "histogram",
                          {
                              {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
                              {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
                              {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = d.source_stride = 65536; }},
                              {"flags", kInvalid, [](Desc& d) { d.flags = 4; }},
                              {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
                              {"granularity", kInvalid, [](Desc& d) { d.granularity = NIB_GRANULARITY_GROUP; }},
                              {"bins", kInvalid, [](Desc& d) { d.bins = 0; }},
                              {"bins", kInvalid, [](Desc& d) { d.bins = 64; }},
                              {"bins", kInvalid, [](Desc& d) { d.bins = 1000; }},
                              {"bins", kInvalid, [](Desc& d) { d.bins = 8192; }},
                              {"bins", kInvalid, [](Desc& d) { d.rows = 1u << 20, d.cols = d.source_stride = 1; }},
                          });
}

}  // namespace

NIB_DEFINE_OP_TEST(histogram, .memory = checkMemory, .refusals = checkRefusals)

TEST_CASE("histograms of every case of the shared list are the model's bytes") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_HISTOGRAM, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 100);
  for (const selftest::Case& c : list) {
    Ranges ranges(c.desc());
    REQUIRE(ranges.valid());
    prepare(c, ranges);
    const Bytes source = ranges.copy(NIB_ROLE_INPUT);
    const Bytes result =
        modelled(c.as<NibHistogramDesc>(), ranges.memory, source.data(), c.n, ranges.copy(NIB_ROLE_OUTPUT));
    REQUIRE(ranges.run(c.n) == NIB_SUCCESS);
    const std::string difference = firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size());
    INFO(c.name());
    CHECK(ranges.guardsHold());
    CHECK(difference == "");
    CHECK(ranges.copy(NIB_ROLE_INPUT) == source);
  }
}

TEST_CASE("any split of a stream, in any order, gives histograms of the same bytes") {
  constexpr uint32_t kRows = 60, kCols = 37;
  const std::vector<float> source = stream(kRows * kCols);
  for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_COLUMN}) {
    const Bytes whole = collected(kCols, granularity, source, {{0, kRows}});
    CHECK(collected(kCols, granularity, source, {{0, 1}, {1, 29}, {30, 30}}) == whole);
    CHECK(collected(kCols, granularity, source, {{59, 1}, {20, 39}, {0, 20}}) == whole);
    CHECK(collected(kCols, granularity, source, {{40, 20}, {0, 20}, {20, 20}}) == whole);
    // The same by merging two histograms.
    Bytes one = collected(kCols, granularity, source, {{0, 25}}),
          other = collected(kCols, granularity, source, {{25, 35}});
    const NibHistogramDesc d = histogramDesc(kRows, kCols, granularity, NIB_HISTOGRAM_SIGNED, 256);
    NibMemory memory{sizeof(NibMemory)};
    REQUIRE(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
    for (uint64_t i = 0; i < countOf(d); ++i) {
      NibHistogramHead heads[2];
      std::vector<uint64_t> counts[2];
      const auto at = [&](Bytes& bytes, NibPart part, uint64_t size) {
        return &bytes[size_t(memory.part[part].offset_bytes + i * size)];
      };
      for (int s = 0; s < 2; ++s) {
        Bytes& bytes = s == 0 ? one : other;
        std::memcpy(&heads[s], at(bytes, NIB_PART_HEADS, 32), 32);
        counts[s].resize(256);
        std::memcpy(counts[s].data(), at(bytes, NIB_PART_COUNTS, 2048), 2048);
      }
      REQUIRE(nibHistogramMerge(256, NIB_HISTOGRAM_SIGNED, &heads[0], counts[0].data(), &heads[1], counts[1].data(),
                                nullptr) == NIB_SUCCESS);
      std::memcpy(at(one, NIB_PART_HEADS, 32), &heads[0], 32);
      std::memcpy(at(one, NIB_PART_COUNTS, 2048), counts[0].data(), 2048);
    }
    CHECK(one == whole);
  }
}

TEST_CASE("bins count the values between their edges, beyond 2^32") {
  const NibHistogramDesc d =
      histogramDesc(1, 6, NIB_GRANULARITY_TENSOR, NIB_HISTOGRAM_SIGNED | NIB_HISTOGRAM_ACCUMULATE, 128);
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  std::vector<uint64_t> counts(128, 0);
  counts[64] = 0xffffffffull;
  NibHistogramHead head{128, 0, -1.0f, 2.0f, 0xffffffffull, 0};  // [0, 4) in 64 bins of 1/16
  std::memcpy(ranges.part(NIB_ROLE_OUTPUT, NIB_PART_HEADS), &head, sizeof head);
  std::memcpy(ranges.part(NIB_ROLE_OUTPUT, NIB_PART_COUNTS), counts.data(), 1024);
  ranges.write(NIB_ROLE_INPUT,
               std::vector<float>{0.0f, -0.0f, 0.0625f, -0.0625f, 3.999f, std::nextafter(-0.0625f, 0.0f)});
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  std::memcpy(&head, ranges.part(NIB_ROLE_OUTPUT, NIB_PART_HEADS), sizeof head);
  std::memcpy(counts.data(), ranges.part(NIB_ROLE_OUTPUT, NIB_PART_COUNTS), 1024);
  CHECK(counts[64] == 0x100000001ull);
  CHECK(counts[65] == 1);
  CHECK(counts[62] == 1);
  CHECK(counts[63] == 1);
  CHECK(counts[127] == 1);
  CHECK(head.exponent == 128);
  CHECK(head.max == 3.999f);
  CHECK(head.min == -1.0f);
  CHECK(head.finite_count == 0x100000005ull);
  // 4 and -8 are beyond the range: pairs of bins merge, twice.
  ranges.write(NIB_ROLE_INPUT, std::vector<float>{4.0f, 0, 0, 0, 0, -8.0f});
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  std::memcpy(&head, ranges.part(NIB_ROLE_OUTPUT, NIB_PART_HEADS), sizeof head);
  std::memcpy(counts.data(), ranges.part(NIB_ROLE_OUTPUT, NIB_PART_COUNTS), 1024);
  CHECK(head.exponent == 130);  // [0, 16) in bins of 1/4
  CHECK(counts[64] == 0x100000006ull);
  CHECK(counts[63] == 2);
  CHECK(counts[64 + 15] == 1);
  CHECK(counts[64 + 16] == 1);
  CHECK(counts[63 - 32] == 1);
}
