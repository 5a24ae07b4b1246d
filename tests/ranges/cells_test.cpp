// Ranges and clipped shares from log-spaced counts beside the histogram, against the values themselves: massive values
// do not blur the others.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <vector>

#include "../cpu/run_op.h"
#include "histograms.h"

using namespace nib;
using namespace nib::tests;

namespace {

using Values = std::vector<float>;

// Roughly normal: the sum of twelve uniform numbers, less six, times `deviation`.
Values normal(size_t count, double deviation, uint32_t seed = 7) {
  Noise noise(seed);
  Values values(count);
  for (float& v : values) {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += double(noise.next()) / 65536;
    v = float(sum * deviation);
  }
  return values;
}

Values with(Values values, std::initializer_list<float> more) {
  size_t at = values.size() / 3;
  for (const float v : more) values[at += 11] = v;
  return values;
}

// The upper 16 bits, and a mantissa of ten bits, as bfloat16 and fp16 have.
Values truncated(Values values, uint32_t dropped_bits) {
  for (float& v : values) v = std::bit_cast<float>(std::bit_cast<uint32_t>(v) & ~0u << dropped_bits);
  return values;
}

// A histogram and log-spaced counts by their definitions.
struct Statistics {
  HostHistogram histogram;
  uint32_t bits;
  std::vector<uint64_t> log_counts;

  Statistics(const Values& values, uint32_t bins = 4096, uint32_t mantissa_bits = 9) : bits(mantissa_bits) {
    histogram.bins = bins;
    histogram.counts.assign(bins, 0);
    const size_t zero = size_t(254) << bits;
    log_counts.assign(2 * zero + 1, 0);
    NibHistogramHead& head = histogram.head;
    head.min = *std::min_element(values.begin(), values.end()) + 0.0f;
    head.max = *std::max_element(values.begin(), values.end()) + 0.0f;
    head.finite_count = values.size();
    const double absmax = std::max(-double(head.min), double(head.max));
    if (absmax != 0) head.exponent = uint32_t(std::ilogb(absmax) + 127);
    const double width = std::ldexp(1.0, int(head.exponent) - 126) / (bins / 2);
    for (const double v : values) {
      const size_t k = size_t(std::floor(std::fabs(v) / width));
      ++histogram.counts[v < 0 ? bins / 2 - 1 - k : bins / 2 + k];
      if (v == 0) {
        ++log_counts[zero];
        continue;
      }
      const int binade = std::ilogb(v);
      const double in_binade = std::ldexp(std::fabs(v), -binade) - 1;
      const size_t from_zero =
          (size_t(binade + 126) << bits) + size_t(std::floor(std::ldexp(in_binade, int(bits)))) + 1;
      ++log_counts[v < 0 ? zero - from_zero : zero + from_zero];
    }
  }
  NibRangeData data(bool with_log = true) const {
    NibRangeData d = dataOf(histogram);
    d.mantissa_bits = bits;
    if (with_log) d.log_counts = log_counts.data();
    return d;
  }
};

NibRange find(const NibRangeData& data, NibRangeMethod method, bool symmetric, double percentile = 0) {
  const NibRangeDesc desc{sizeof desc, uint32_t(method), symmetric ? uint32_t(NIB_RANGE_SYMMETRIC) : 0u, 0, percentile};
  NibRange range{sizeof(NibRange)};
  REQUIRE(nibFindRange(&desc, &data, nullptr, &range) == NIB_SUCCESS);
  return range;
}

double clipped(const NibRangeData& data, double min, double max) {
  double share = -1;
  REQUIRE(nibClippedShare(&data, min, max, nullptr, &share) == NIB_SUCCESS);
  return share;
}

// numpy.percentile(values, p), of |x| if `magnitudes`.
double percentileOf(Values values, double p, bool magnitudes) {
  if (magnitudes) {
    for (float& v : values) v = std::fabs(v);
  }
  std::sort(values.begin(), values.end());
  const double rank = p / 100 * double(values.size() - 1);
  const size_t below = size_t(rank), above = std::min(below + 1, values.size() - 1);
  return values[below] + (rank - double(below)) * (double(values[above]) - values[below]);
}

// The mean squared error of int8 codes.
double errorOf(const Values& values, double min, double max, bool symmetric) {
  const double scale = symmetric ? max / 127.5 : (max - min) / 255, zero = symmetric ? 0 : std::nearbyint(-min / scale);
  double sum = 0;
  for (const double v : values) {
    const double code =
        std::clamp(std::nearbyint(v / scale) + zero, symmetric ? -127.0 : 0.0, symmetric ? 127.0 : 255.0);
    sum += (v - scale * (code - zero)) * (v - scale * (code - zero));
  }
  return sum / double(values.size());
}

void checkPercentiles(const Values& values, double bound, uint32_t bins = 4096, uint32_t bits = 9) {
  const Statistics statistics(values, bins, bits);
  for (const double p : {90.0, 99.0, 99.9, 99.99}) {
    CAPTURE(p);
    const NibRange symmetric = find(statistics.data(), NIB_RANGE_PERCENTILE, true, p);
    const double threshold = percentileOf(values, p, true);
    CHECK(std::fabs(symmetric.max - threshold) <= bound * threshold);
    CHECK(symmetric.min == -symmetric.max);
    CHECK(symmetric.flags == 0);
    const NibRange both = find(statistics.data(), NIB_RANGE_PERCENTILE, false, p);
    const double low = std::min(percentileOf(values, (100 - p) / 2, false), 0.0);
    const double high = std::max(percentileOf(values, 100 - (100 - p) / 2, false), 0.0);
    CHECK(std::fabs(both.min - low) <= bound * std::fabs(low));
    CHECK(std::fabs(both.max - high) <= bound * high);
  }
}

}  // namespace

TEST_CASE("percentiles are numpy's within one part in 500, whatever the largest values are") {
  const Values values = normal(100000, 0.1);
  checkPercentiles(values, 1.0 / 500);
  for (const float massive : {15.0f, 150.0f, 1500.0f, 15000.0f, -1500.0f, 3e38f, -1e-3f}) {
    CAPTURE(massive);
    checkPercentiles(with(values, {massive}), 1.0 / 500);
    checkPercentiles(with(values, {massive, -massive / 2, massive / 3}), 1.0 / 500);
    // Types with few mantissa bits have all values on the lower edges of bins.
    checkPercentiles(truncated(with(values, {massive}), 16), 1.0 / 500);
    checkPercentiles(truncated(with(values, {massive}), 13), 1.0 / 500);
  }
  // Sides of different magnitudes, and of one sign.
  Values skewed = with(values, {900.0f});
  for (float& v : skewed) v = v < 0 ? v / 50 : v;
  checkPercentiles(skewed, 1.0 / 500);
  for (float& v : skewed) v = -std::fabs(v);
  checkPercentiles(skewed, 1.0 / 500);
  // Tiny and huge values in general.
  for (const double deviation : {1e-30, 1e30}) checkPercentiles(normal(20000, deviation), 1.0 / 500);
}

TEST_CASE("percentiles of channels, which have fewer bins, use the finer of both kinds") {
  const Values values = normal(50000, 0.1);
  // 256 bins up to 1, 8 in each binade: a value among the last percent lies in a cell of 1/256.
  checkPercentiles(values, 0.01, 512, 3);
  checkPercentiles(values, 0.01, 512, 0);
  checkPercentiles(with(values, {1500}), 0.03, 512, 3);
  checkPercentiles(with(values, {1500}), 0.06, 512, 2);
}

TEST_CASE("a percentile of few values, of the ends, and of mostly zeros") {
  // Rank 0.9 * 4 = 3.6 between 4 and 100.
  CHECK(find(Statistics({1, 2, 3, 4, 100}).data(), NIB_RANGE_PERCENTILE, true, 90).max ==
        doctest::Approx(4 + 0.6 * 96).epsilon(1.0 / 500));
  CHECK(find(Statistics({7, 7, 7}).data(), NIB_RANGE_PERCENTILE, true, 99).max == 7);
  CHECK(find(Statistics({-7}).data(), NIB_RANGE_PERCENTILE, false, 99).min == -7);
  // One value in 2200 is not zero: numpy's percentile is 0, which would be no range.
  Values sparse(20000, 0.0f);
  for (size_t i = 0; i < 9; ++i) sparse[i * 2000] = float(i + 1);
  CHECK(percentileOf(sparse, 99.9, true) == 0);
  CHECK(percentileOf(sparse, 99.95, false) == 0);
  Values others;
  for (const float v : sparse) {
    if (v != 0) others.push_back(v);
  }
  const NibRange range = find(Statistics(sparse).data(), NIB_RANGE_PERCENTILE, true, 99.9);
  CHECK(range.max == doctest::Approx(percentileOf(others, 99.9, true)).epsilon(1.0 / 500));
  CHECK(find(Statistics(sparse).data(), NIB_RANGE_PERCENTILE, false, 99.9).max ==
        doctest::Approx(percentileOf(others, 99.95, false)).epsilon(1.0 / 500));
}

TEST_CASE("log-spaced counts change no range of MSE and entropy while the histogram resolves the values") {
  const Statistics statistics(normal(100000, 0.1));
  for (const NibRangeMethod method : {NIB_RANGE_MINMAX, NIB_RANGE_MSE, NIB_RANGE_ENTROPY_ORT, NIB_RANGE_ENTROPY_TRT}) {
    for (const bool symmetric : {false, true}) {
      const NibRange a = find(statistics.data(), method, symmetric),
                     b = find(statistics.data(false), method, symmetric);
      CHECK(a.flags == 0);
      CHECK(a.min == b.min);
      CHECK(a.max == b.max);
      CHECK(a.score == b.score);
    }
  }
}

TEST_CASE("entropy ranges with a massive value are those of the other values") {
  const Values values = normal(100000, 0.1);
  // As the finer histogram: 2048 bins up to 1.
  const Statistics plain(with(values, {0.99f}));
  for (const NibRangeMethod method : {NIB_RANGE_ENTROPY_ORT, NIB_RANGE_ENTROPY_TRT}) {
    for (const bool symmetric : {false, true}) {
      const NibRange expected = find(plain.data(), method, symmetric);
      CHECK(expected.flags == 0);
      for (const float massive : {150.0f, -1500.0f, 15000.0f}) {
        CAPTURE(massive);
        const Statistics statistics(with(values, {massive, -massive / 2}));
        const NibRange range = find(statistics.data(), method, symmetric);
        CHECK(range.flags == NIB_RANGE_COARSE);
        CHECK(range.max == doctest::Approx(expected.max).epsilon(0.05));
        CHECK(range.min == doctest::Approx(expected.min).epsilon(0.05));
        // The histogram alone cannot tell.
        const NibRange blurred = find(statistics.data(false), method, symmetric);
        CHECK(blurred.flags == NIB_RANGE_COARSE);
        CHECK(blurred.max > 4 * expected.max);
      }
      // Eight bins in a binade tell no more than where the finer histogram ends.
      CHECK(find(Statistics(with(values, {1500.0f}), 512, 3).data(), method, symmetric).max <= 1);
    }
  }
}

TEST_CASE("the MSE range with massive values has nearly the least error of the values") {
  const Values values = normal(100000, 0.1);
  for (const float massive : {9.0f, -20.0f, 60.0f, 1500.0f}) {
    const Values all = with(values, {massive, massive / 3});
    const Statistics statistics(all);
    for (const bool symmetric : {false, true}) {
      CAPTURE(massive);
      CAPTURE(symmetric);
      const NibRange range = find(statistics.data(), NIB_RANGE_MSE, symmetric);
      CHECK(range.flags == NIB_RANGE_COARSE);
      const double low = symmetric ? -HUGE_VAL : double(statistics.histogram.head.min);
      const double high = symmetric ? HUGE_VAL : double(statistics.histogram.head.max);
      double least = HUGE_VAL;
      for (double t = 0.1; t <= 1600; t *= 1.05) {
        least = std::min(least, errorOf(all, std::max(-t, low), std::min(t, high), symmetric));
      }
      // The least one depends on where the codes happen to be next to the massive values.
      CHECK(errorOf(all, range.min, range.max, symmetric) <= 1.06 * least);
      CHECK(range.score == doctest::Approx(errorOf(all, range.min, range.max, symmetric)).epsilon(0.03));
    }
  }
}

TEST_CASE("the clipped share is that of the values, with massive ones too") {
  const Values values = normal(100000, 0.1);
  for (const float massive : {0.6f, 1500.0f, -1500.0f}) {
    const Values all = with(values, {massive, 0, massive / 2});
    const Statistics statistics(all), channel(all, 512, 3);
    for (const double low : {0.0, 0.05, 0.3, 2000.0}) {
      for (const double high : {0.0, 0.1, 0.3337, 800.0, 2000.0}) {
        const auto beyond = [&](float v) { return v < -low || v > high; };
        const double share = double(std::count_if(all.begin(), all.end(), beyond)) / double(all.size());
        CHECK(clipped(statistics.data(), -low, high) == doctest::Approx(share).epsilon(1e-4).scale(1));
        CHECK(clipped(channel.data(), -low, high) == doctest::Approx(share).epsilon(1e-2).scale(1));
      }
    }
    // Without log-spaced counts, while the bins are narrow enough.
    if (massive > 1 || massive < 0) continue;
    const double share = clipped(statistics.data(), -0.3337, 0.3337);
    CHECK(clipped(statistics.data(false), -0.3337, 0.3337) == doctest::Approx(share).epsilon(1e-4).scale(1));
  }
  CHECK(clipped(Statistics({0, 0}).data(), 0, 0) == 0);
}

TEST_CASE("wrong data of a range are refused and named") {
  const Statistics statistics(normal(1000, 1));
  const auto refusal = [&](auto&& spoil) {
    NibRangeData data = statistics.data();
    spoil(data);
    const NibRangeDesc desc{sizeof desc, NIB_RANGE_PERCENTILE, 0, 0, 99};
    LogLines lines;
    const NibLog log = lines.log();
    NibRange range{sizeof range};
    double share = -7;
    CHECK(nibFindRange(&desc, &data, &log, &range) == NIB_ERROR_INVALID_ARGUMENT);
    CHECK(nibClippedShare(&data, -1, 1, &log, &share) == NIB_ERROR_INVALID_ARGUMENT);
    CHECK(share == -7);
    REQUIRE(lines.lines.size() == 2);
    CHECK(lines.lines[0].substr(5) == lines.lines[1].substr(13));  // "range", "clipped share"
    return lines.lines[0];
  };
  std::vector<uint64_t> counts = statistics.log_counts;
  ++counts[5];
  CHECK(refusal([&](NibRangeData& d) { d.log_counts = counts.data(); }).find("log_counts") != std::string::npos);
  CHECK(refusal([](NibRangeData& d) { d.mantissa_bits = 10; }).find("mantissa_bits") != std::string::npos);
  CHECK(refusal([](NibRangeData& d) { d.histogram_flags = 0; }).find("NIB_HISTOGRAM_SIGNED") != std::string::npos);
  CHECK(refusal([](NibRangeData& d) { d.bins = 1000; }).find("bins") != std::string::npos);
  CHECK(refusal([](NibRangeData& d) { d.struct_bytes = 8; }).find("struct_bytes") != std::string::npos);
  CHECK(refusal([](NibRangeData& d) { d.counts = nullptr; }).find("counts") != std::string::npos);
  double share = -7;
  const NibRangeData right = statistics.data();
  CHECK(nibClippedShare(&right, 1, 2, nullptr, &share) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibClippedShare(&right, -1, HUGE_VAL, nullptr, &share) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(share == -7);
}
