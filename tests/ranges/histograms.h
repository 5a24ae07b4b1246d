// The histograms of histograms.py, computed with integers only.
#ifndef NIB_TESTS_RANGES_HISTOGRAMS_H
#define NIB_TESTS_RANGES_HISTOGRAMS_H

#include <nibble/nibble.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

namespace nib::tests {

constexpr uint32_t kSide = 1024, kExponent = 127;
constexpr double kWidth = 2.0 / kSide;
const std::vector<std::string> kHistogramNames = {"bell",   "relu",  "outliers", "tail",     "noise",
                                                  "sparse", "hills", "steps",    "positive", "narrow"};

class Noise {
 public:
  explicit Noise(uint32_t seed) : state_(seed) {}
  uint64_t next() { return (state_ = state_ * 1664525u + 1013904223u) >> 16; }

 private:
  uint32_t state_;
};

inline std::vector<uint64_t> bell(uint64_t height, uint64_t rate) {
  std::vector<uint64_t> counts;
  uint64_t value = height << 16;
  for (uint64_t k = 0; k < kSide; ++k) {
    counts.push_back(value >> 16);
    value -= (value >> 16) * std::min<uint64_t>(k * rate, 65536);
  }
  return counts;
}

// Counts by magnitude for the positive or the negative side.
inline std::vector<uint64_t> sideCounts(const std::string& name, uint32_t negative) {
  const auto found = std::find(kHistogramNames.begin(), kHistogramNames.end(), name);
  Noise noise(uint32_t(found - kHistogramNames.begin()) * 2 + negative + 1);
  std::vector<uint64_t> counts(kSide, 0);
  if (name == "bell") {
    counts = bell(4000000 - 70000 * negative, 3);
    for (uint64_t& c : counts) c += noise.next() % 5;
    counts.resize(1000 - 40 * negative);
  } else if (name == "relu") {
    if (negative != 0) return {};
    counts = bell(1500000, 2);
    for (size_t k = 0; k < kSide; ++k) counts[k] += k == 0 ? 9000000 : noise.next() % 3;
    counts.resize(900);
  } else if (name == "outliers") {
    counts = bell(3000000, 900);
    for (size_t k = 100; k < kSide; ++k) counts[k] = noise.next() % 41 == 0 ? 1 : 0;
  } else if (name == "tail") {
    counts.resize(980);
    for (uint64_t k = 0; k < 980; ++k) counts[k] = 2000000000 / ((k + 1) * (k + 2 + negative));
  } else if (name == "noise") {
    for (uint64_t& c : counts) c = noise.next() % 1000;
  } else if (name == "sparse") {
    counts.resize(700 + 300 * negative);
    // The second draw happens only if the condition holds, as in histograms.py.
    for (uint64_t& c : counts) c = noise.next() % 7 == 0 ? noise.next() % 50 : 0;
  } else if (name == "hills") {
    for (int k = 0; k < int(kSide); ++k) {
      counts[size_t(k)] = noise.next() % 9 +
                          uint64_t(std::max(0, 300 - std::abs(k - 400)) * 90 + std::max(0, 60 - std::abs(k - 900)) * 5);
    }
  } else if (name == "steps") {
    for (uint64_t k = 0; k < kSide; k += 16) counts[k] = 100000 / (k / 16 + 1);
  } else if (name == "positive") {
    if (negative != 0) return {};
    counts.resize(800);
    for (size_t k = 200; k < 800; ++k) counts[k] = noise.next() % 100 + 1;
  } else {
    counts.resize(160 - 20 * negative);
    for (uint64_t k = 0; k < counts.size(); ++k) counts[k] = 50000 / (k + 1);
  }
  while (!counts.empty() && counts.back() == 0) counts.pop_back();
  return counts;
}

struct HostHistogram {
  uint32_t bins = 2 * kSide, flags = NIB_HISTOGRAM_SIGNED;
  NibHistogramHead head{};
  std::vector<uint64_t> counts = std::vector<uint64_t>(2 * kSide, 0);
};

// As nibFindRange takes it, without log-spaced counts.
inline NibRangeData dataOf(const HostHistogram& h) {
  return {sizeof(NibRangeData), h.bins, h.flags, 0, &h.head, h.counts.data(), nullptr};
}

inline HostHistogram makeHistogram(const std::string& name) {
  HostHistogram h;
  const std::vector<uint64_t> positive = sideCounts(name, 0), negative = sideCounts(name, 1);
  for (size_t k = 0; k < positive.size(); ++k) h.counts[kSide + k] = positive[k];
  for (size_t k = 0; k < negative.size(); ++k) h.counts[kSide - 1 - k] = negative[k];
  h.head.exponent = kExponent;
  h.head.max = float((double(positive.size()) - 0.75) * kWidth);
  h.head.min = negative.empty() ? name == "positive" ? float(200 * kWidth) : 0.0f
                                : float(-(double(negative.size()) - 0.75) * kWidth);
  for (const uint64_t c : h.counts) h.head.finite_count += c;
  return h;
}

}  // namespace nib::tests
#endif
