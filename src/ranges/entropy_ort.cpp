// The threshold of ONNX Runtime's EntropyCalibrater (onnxruntime/python/tools/quantization/calibrate.py,
// get_entropy_threshold; quant_utils.py, smooth_distribution). Everything is fp64, because releases differ in what they
// round to fp32.
#include "ranges/histogram_view.h"

namespace nib::ranges {
namespace {

constexpr double kSmoothing = 1e-4;

// Bins [start, end) of the histogram: the reference counts p and the quantized candidate q of each bin.
struct Candidate {
  const HistogramView& view;
  uint32_t start, end;
  uint64_t below, above;  // counts outside, which p adds to the first and the last bin

  uint32_t size() const { return end - start; }
  uint64_t raw(uint32_t i) const { return view.ascendingBin(start + i); }
  uint64_t p(uint32_t i) const { return raw(i) + (i == 0 ? below : 0) + (i + 1 == size() ? above : 0); }

  // Calls body(p, q) for every bin.
  template <class Body>
  void forEach(Body&& body) const {
    const uint32_t merged = size() / kLevels;
    for (uint32_t level = 0; level < kLevels; ++level) {
      const uint32_t first = level * merged;
      uint64_t sum = 0;
      uint32_t nonzeros = 0;
      for (uint32_t i = first; i < first + merged; ++i) {
        sum += raw(i);
        nonzeros += p(i) != 0 ? 1u : 0u;
      }
      // The last level also counts the bins that are left over, but q stays 0 there.
      for (uint32_t i = kLevels * merged; level + 1 == kLevels && i < size(); ++i) sum += raw(i);
      const double q = nonzeros != 0 ? std::floor(double(sum) / nonzeros) : 0.0;
      for (uint32_t i = first; i < first + merged; ++i) body(double(p(i)), q);
    }
    for (uint32_t i = kLevels * merged; i < size(); ++i) body(double(p(i)), 0.0);
  }
};

// Zero counts become kSmoothing. The total added is subtracted from the other counts in equal parts.
struct Smoothed {
  uint32_t zeros = 0, others = 0;
  double part = 0, sum = 0;

  void count(double x) { ++(x == 0 ? zeros : others); }
  void finish() { part = kSmoothing * zeros / others; }
  double at(double x) const { return x == 0 ? kSmoothing : x - part; }
};

// Kullback-Leibler divergence of p from q, in nats.
double divergence(const Candidate& candidate) {
  Smoothed p, q;
  candidate.forEach([&](double p_count, double q_count) {
    p.count(p_count);
    q.count(q_count);
  });
  if (p.others == 0 || q.others == 0) return HUGE_VAL;
  p.finish();
  q.finish();
  candidate.forEach([&](double p_count, double q_count) {
    p.sum += p.at(p_count);
    q.sum += q.at(q_count);
  });
  double sum = 0;
  candidate.forEach([&](double p_count, double q_count) {
    const double share = p.at(p_count) / p.sum;
    sum += share * std::log(share / (q.at(q_count) / q.sum));
  });
  return sum;
}

}  // namespace

void entropyOrt(const HistogramView& view, NibRange* out) {
  const uint32_t zero = view.length, count = 2 * view.length;
  uint64_t below = 0, above = 0;
  for (uint32_t i = 0; i < zero - kLevels / 2; ++i) below += view.ascendingBin(i);
  for (uint32_t i = zero + kLevels / 2 + 1; i < count; ++i) above += view.ascendingBin(i);
  // The whole range, if the divergence of every candidate is infinite, as with all counts in the outermost bin.
  out->score = HUGE_VAL;
  out->low_edge = -int32_t(zero);
  out->high_edge = int32_t(zero);
  for (uint32_t i = kLevels / 2; i <= zero; ++i) {
    const uint32_t end = zero + i + 1 < count ? zero + i + 1 : count;
    const double score = divergence({view, zero - i, end, below, above});
    if (score < out->score) {
      out->score = score;
      out->low_edge = -int32_t(i);
      out->high_edge = int32_t(end - zero);
    }
    // The next candidate is larger by a bin on each side.
    if (i < zero) below -= view.ascendingBin(zero - i - 1);
    if (end < count) above -= view.ascendingBin(end);
  }
}

}  // namespace nib::ranges
