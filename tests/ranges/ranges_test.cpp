// Ranges from histograms: edges against ONNX Runtime's calibrator and independent implementations (expected.inc),
// degenerate histograms, and scales.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <cmath>
#include <limits>

#include "../cpu/run_op.h"
#include "histograms.h"

using namespace nib;
using namespace nib::tests;

namespace {

struct Expected {
  const char* histogram;
  NibRangeMethod method;
  bool symmetric;
  double percentile;
  int32_t low, high;
};

const Expected kExpected[] = {
#include "expected.inc"
};

NibRange find(const HostHistogram& h, NibRangeMethod method, bool symmetric, double percentile = 0) {
  const NibRangeDesc desc{sizeof desc, uint32_t(method), symmetric ? uint32_t(NIB_RANGE_SYMMETRIC) : 0u, 0, percentile};
  LogLines lines;
  const NibLog log = lines.log();
  NibRange range{sizeof(NibRange)};
  const NibRangeData data = dataOf(h);
  REQUIRE(nibFindRange(&desc, &data, &log, &range) == NIB_SUCCESS);
  CHECK(lines.lines.empty());
  return range;
}

// The line of the log, "" if the description was accepted.
std::string refusal(const HostHistogram& h, const NibRangeDesc& desc) {
  LogLines lines;
  const NibLog log = lines.log();
  NibRange range{sizeof range, 0, -7, -7, -7, -7, -7};
  const NibRangeData data = dataOf(h);
  const NibResult result = nibFindRange(&desc, &data, &log, &range);
  if (result == NIB_SUCCESS) return "";
  CHECK(result == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(range.min == -7);
  REQUIRE(lines.lines.size() == 1);
  return lines.lines[0];
}

double absmax(const HostHistogram& h) { return std::max(-double(h.head.min), double(h.head.max)); }

constexpr NibRangeMethod kMethods[] = {NIB_RANGE_MINMAX, NIB_RANGE_PERCENTILE, NIB_RANGE_MSE, NIB_RANGE_ENTROPY_ORT,
                                       NIB_RANGE_ENTROPY_TRT};

}  // namespace

TEST_CASE("ranges equal those of ONNX Runtime and of independent implementations, to the bin") {
  CHECK(std::size(kExpected) >= 120);
  for (const Expected& e : kExpected) {
    CAPTURE(e.histogram);
    CAPTURE(e.method);
    CAPTURE(e.symmetric);
    CAPTURE(e.percentile);
    const HostHistogram h = makeHistogram(e.histogram);
    const NibRange range = find(h, e.method, e.symmetric, e.percentile);
    CHECK(range.low_edge == e.low);
    CHECK(range.high_edge == e.high);
  }
}

TEST_CASE("a range is within the data's range, contains zero, and is symmetric if requested") {
  for (const std::string& name : kHistogramNames) {
    const HostHistogram h = makeHistogram(name);
    for (const NibRangeMethod method : kMethods) {
      for (const bool symmetric : {false, true}) {
        CAPTURE(name);
        CAPTURE(method);
        const NibRange r = find(h, method, symmetric, 99.9);
        CHECK(r.max > 0);
        CHECK(r.max <= (symmetric ? absmax(h) : std::max(0.0, double(h.head.max))));
        CHECK(r.min >= (symmetric ? -absmax(h) : std::min(0.0, double(h.head.min))));
        if (symmetric) CHECK(r.min == -r.max);
        if (!symmetric) CHECK(r.min <= 0);
        // Entropy and percentiles end at bin edges, unless these are outside the data's range.
        if (method == NIB_RANGE_PERCENTILE && !symmetric)
          CHECK((r.max == r.high_edge * kWidth || r.max == double(h.head.max)));
        if (method == NIB_RANGE_ENTROPY_TRT && symmetric) CHECK((r.max == r.high_edge * kWidth || r.max == absmax(h)));
      }
    }
  }
}

TEST_CASE("a histogram of magnitudes gives the same as the signed one") {
  for (const std::string& name : kHistogramNames) {
    const HostHistogram h = makeHistogram(name);
    HostHistogram folded = h;
    folded.bins = kSide;
    folded.flags = 0;
    folded.counts.assign(kSide, 0);
    for (uint32_t k = 0; k < kSide; ++k) folded.counts[k] = h.counts[kSide + k] + h.counts[kSide - 1 - k];
    for (const NibRangeMethod method : {NIB_RANGE_PERCENTILE, NIB_RANGE_MSE, NIB_RANGE_ENTROPY_TRT}) {
      const NibRange a = find(h, method, true, 99.9), b = find(folded, method, true, 99.9);
      CHECK(a.max == b.max);
      CHECK(a.high_edge == b.high_edge);
    }
    const NibRangeDesc desc{sizeof desc, NIB_RANGE_ENTROPY_ORT, 0, 0, 0};
    const bool signs_needed = h.head.min < 0.0f;
    CHECK((refusal(folded, desc).find("NIB_HISTOGRAM_SIGNED") != std::string::npos) == signs_needed);
  }
}

TEST_CASE("histograms without values, of zeros, and of NaNs give the range 0") {
  HostHistogram h;
  for (const uint64_t zeros : {0, 1, 1000}) {
    h.head.finite_count = zeros;
    h.head.nonfinite_count = 3;
    h.counts[kSide] = zeros;
    for (const NibRangeMethod method : kMethods) {
      for (const bool symmetric : {false, true}) {
        const NibRange r = find(h, method, symmetric, 99.9);
        CHECK(r.min == 0);
        CHECK(r.max == 0);
      }
    }
  }
}

TEST_CASE("one value gives a range up to it, or up to less than a bin below it") {
  for (const float value : {1.5f, -1.5f, 3e38f, 1.2e-38f, -4e-30f}) {
    HostHistogram h;
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    h.head = {bits >> 23 & 255u, 0, value, value, 5, 0};
    const double width = std::ldexp(1.0, int(h.head.exponent) - 126) / kSide;
    const uint32_t k = uint32_t(std::fabs(double(value)) / width);
    h.counts[value > 0 ? kSide + k : kSide - 1 - k] = 5;
    for (const NibRangeMethod method : kMethods) {
      CAPTURE(value);
      CAPTURE(method);
      const NibRange symmetric = find(h, method, true, 99.9), both = find(h, method, false, 99.9);
      CHECK(symmetric.max <= std::fabs(double(value)));
      // TensorRT's rule allows any threshold above the first bins, which it ignores, for a single value.
      if (method == NIB_RANGE_ENTROPY_TRT) continue;
      CHECK(symmetric.max >= (method == NIB_RANGE_MSE ? 0.98 : 1.0) * std::fabs(double(value)) - 2 * width);
      CHECK(both.max - both.min >= std::fabs(double(value)) - 2 * width);
    }
  }
}

TEST_CASE("with a huge outlier the range is at least one bin width") {
  HostHistogram h;
  h.head = {200, 0, -1.0f, std::ldexp(1.5f, 73), 1000001, 0};
  h.counts[kSide] = 600000;
  h.counts[kSide - 1] = 400000;
  h.counts[kSide + 768] = 1;
  const double width = std::ldexp(1.0, 74) / kSide;
  CHECK(find(h, NIB_RANGE_PERCENTILE, true, 99.9).max == width);
  for (const NibRangeMethod method : kMethods) {
    for (const bool symmetric : {false, true}) {
      const NibRange range = find(h, method, symmetric, 99.9);
      CHECK(range.max >= width);
      CHECK(range.flags == (method == NIB_RANGE_MINMAX ? 0u : uint32_t(NIB_RANGE_COARSE)));
    }
  }
}

TEST_CASE("with few bins the range is from the smallest to the largest value") {
  HostHistogram h;
  h.bins = 128;
  h.counts.assign(128, 7);
  h.head = {127, 0, -1.9f, 1.7f, 7 * 128, 0};
  for (const NibRangeMethod method : {NIB_RANGE_MSE, NIB_RANGE_ENTROPY_ORT, NIB_RANGE_ENTROPY_TRT}) {
    CHECK(find(h, method, true).max == double(1.9f));
    CHECK(find(h, method, false).min == double(-1.9f));
    CHECK(find(h, method, false).max == double(1.7f));
  }
}

TEST_CASE("a wrong field of a range is refused and named") {
  const HostHistogram right = makeHistogram("bell");
  const auto refused = [&](NibRangeDesc desc, auto&& spoil) {
    HostHistogram h = right;
    spoil(desc, h);
    return refusal(h, desc);
  };
  const NibRangeDesc desc{sizeof desc, NIB_RANGE_PERCENTILE, 0, 0, 99.9};
  CHECK(refusal(right, desc) == "");
  const auto names = [&](const char* field, auto&& spoil) {
    CHECK(refused(desc, spoil).find(field) != std::string::npos);
  };
  names("method", [](NibRangeDesc& d, HostHistogram&) { d.method = 5; });
  names("flags", [](NibRangeDesc& d, HostHistogram&) { d.flags = 2; });
  names("percentile", [](NibRangeDesc& d, HostHistogram&) { d.percentile = 50; });
  names("percentile", [](NibRangeDesc& d, HostHistogram&) { d.percentile = 100.1; });
  names("percentile", [](NibRangeDesc& d, HostHistogram&) { d.percentile = std::nan(""); });
  names("bins", [](NibRangeDesc&, HostHistogram& h) { h.bins = 1000; });
  names("bins", [](NibRangeDesc&, HostHistogram& h) { h.bins = 8192; });
  names("bins", [](NibRangeDesc&, HostHistogram& h) { h.flags = 8; });
  names("head", [](NibRangeDesc&, HostHistogram& h) { h.head.exponent = 255; });
  names("head", [](NibRangeDesc&, HostHistogram& h) { h.head.min = 3; });
  names("head", [](NibRangeDesc&, HostHistogram& h) { h.head.max = std::numeric_limits<float>::infinity(); });
}

TEST_CASE("scales of ranges: full symmetric, asymmetric with zero points, fp8") {
  float scale;
  int32_t zero;
  const auto make = [&](uint32_t format, uint32_t flags, double min, double max) {
    return nibRangeScale(format, flags, min, max, nullptr, &scale, &zero);
  };
  REQUIRE(make(NIB_FORMAT_INT8, NIB_RANGE_SYMMETRIC, -127.5, 127.5) == NIB_SUCCESS);
  CHECK(scale == 1.0f);
  CHECK(zero == 0);
  REQUIRE(make(NIB_FORMAT_INT8, 0, -1, 254) == NIB_SUCCESS);
  CHECK(scale == 1.0f);
  CHECK(zero == -127);
  REQUIRE(make(NIB_FORMAT_INT8, 0, 0, 510) == NIB_SUCCESS);
  CHECK(scale == 2.0f);
  CHECK(zero == -128);
  REQUIRE(make(NIB_FORMAT_INT8, 0, -510, 0) == NIB_SUCCESS);
  CHECK(zero == 127);
  // A tie: 0.5 steps below the first code.
  REQUIRE(make(NIB_FORMAT_INT8, 0, -2.5, 252.5) == NIB_SUCCESS);
  CHECK(zero == -126);
  REQUIRE(make(NIB_FORMAT_INT8, 0, -3e38, 3e38) == NIB_SUCCESS);
  CHECK(scale == doctest::Approx(6e38 / 255));
  REQUIRE(make(NIB_FORMAT_FP8, 0, -896, 448) == NIB_SUCCESS);
  CHECK(scale == 2.0f);
  CHECK(zero == 0);
  REQUIRE(make(NIB_FORMAT_INT8, 0, 0, 0) == NIB_SUCCESS);
  CHECK(scale == 0.0f);
  CHECK(zero == 0);
  CHECK(make(NIB_FORMAT_INT4, 0, -1, 1) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(make(NIB_FORMAT_INT8, 0, 0.5, 1) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(make(NIB_FORMAT_INT8, 0, -1, 1e39) == NIB_ERROR_INVALID_ARGUMENT);
}

TEST_CASE("a moving average starts with the first batch and includes the others in order") {
  NibEma ema{};
  const NibExtent batches[] = {{-2, 8, 8, 0}, {-6, 0, 6, 0}, {2, 4, 4, 0}};
  nibEmaAdd(&ema, &batches[0], 0.25);
  CHECK(ema.min == -2);
  CHECK(ema.max == 8);
  nibEmaAdd(&ema, &batches[1], 0.25);
  CHECK(ema.min == -3);
  CHECK(ema.max == 6);
  nibEmaAdd(&ema, &batches[2], 0.25);
  CHECK(ema.min == -1.75);
  CHECK(ema.max == 5.5);
  CHECK(ema.batches == 3);
}

TEST_CASE("histograms merge to the same bytes in any order, over any distance of exponents") {
  const auto random = [](uint32_t seed, uint32_t exponent) {
    HostHistogram h;
    Noise noise(seed);
    for (uint64_t& c : h.counts) c = noise.next() << (noise.next() % 40);
    h.head = {exponent, 0, float(-double(seed)), float(seed * 2), 0, seed};
    for (const uint64_t c : h.counts) h.head.finite_count += c;
    return h;
  };
  const auto merge = [](HostHistogram& into, const HostHistogram& from) {
    REQUIRE(nibHistogramMerge(into.bins, into.flags, &into.head, into.counts.data(), &from.head, from.counts.data(),
                              nullptr) == NIB_SUCCESS);
  };
  const HostHistogram parts[] = {random(1, 120), random(2, 123), random(3, 121), random(4, 90), random(5, 200)};
  HostHistogram forward, backward;
  for (size_t i = 0; i < std::size(parts); ++i) {
    merge(forward, parts[i]);
    merge(backward, parts[std::size(parts) - 1 - i]);
  }
  CHECK(forward.counts == backward.counts);
  CHECK(std::memcmp(&forward.head, &backward.head, sizeof forward.head) == 0);
  uint64_t total = 0;
  for (const uint64_t c : forward.counts) total += c;
  CHECK(total == forward.head.finite_count);
  CHECK(forward.head.exponent == 200);
  // One doubling merges pairs of bins, on either side from zero outwards.
  HostHistogram a = parts[0], wide;
  wide.head.exponent = 121;
  merge(a, wide);
  CHECK(a.counts[kSide + 3] == parts[0].counts[kSide + 6] + parts[0].counts[kSide + 7]);
  CHECK(a.counts[kSide - 1 - 3] == parts[0].counts[kSide - 1 - 6] + parts[0].counts[kSide - 1 - 7]);
  CHECK(a.counts[kSide + 512] == 0);
  wide.head.exponent = 255;
  CHECK(nibHistogramMerge(a.bins, a.flags, &a.head, a.counts.data(), &wide.head, wide.counts.data(), nullptr) ==
        NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibHistogramMerge(1000, a.flags, &a.head, a.counts.data(), &a.head, a.counts.data(), nullptr) ==
        NIB_ERROR_INVALID_ARGUMENT);
}
