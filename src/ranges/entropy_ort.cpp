// The threshold of ONNX Runtime's EntropyCalibrater (onnxruntime/python/tools/quantization/calibrate.py,
// get_entropy_threshold; quant_utils.py, smooth_distribution), in fp64 where releases differ in what they round to fp32.
#include "ranges/histogram_view.h"

namespace nib::ranges {
namespace {

constexpr double kSmoothing = 1e-4;

// Bins [start, end) of the histogram as reference p and candidate q, bin by bin.
struct Candidate {
  const HistogramView& view;
  uint32_t start, end;
  uint64_t below, above;  // outliers

  uint32_t size() const { return end - start; }
  uint64_t raw(uint32_t i) const { return view.fromBelow(start + i); }
  uint64_t p(uint32_t i) const { return raw(i) + (i == 0 ? below : 0) + (i + 1 == size() ? above : 0); }

  // body(p, q) for every bin.
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
      // The last level counts the bins that are left over, without being spread over them.
      for (uint32_t i = kLevels * merged; level + 1 == kLevels && i < size(); ++i) sum += raw(i);
      const double q = nonzeros != 0 ? std::floor(double(sum) / nonzeros) : 0.0;
      for (uint32_t i = first; i < first + merged; ++i) body(double(p(i)), q);
    }
    for (uint32_t i = kLevels * merged; i < size(); ++i) body(double(p(i)), 0.0);
  }
};

// Zeros become kSmoothing, what that adds is taken off the others.
struct Smoothed {
  uint32_t zeros = 0, others = 0;
  double taken = 0, sum = 0;

  void count(double x) { ++(x == 0 ? zeros : others); }
  void finish() { taken = kSmoothing * zeros / others; }
  double at(double x) const { return x == 0 ? kSmoothing : x - taken; }
};

// Kullback-Leibler divergence of p from q, in nats.
double divergence(const Candidate& candidate) {
  Smoothed p, q;
  candidate.forEach([&](double of_p, double of_q) {
    p.count(of_p);
    q.count(of_q);
  });
  if (p.others == 0 || q.others == 0) return HUGE_VAL;
  p.finish();
  q.finish();
  candidate.forEach([&](double of_p, double of_q) {
    p.sum += p.at(of_p);
    q.sum += q.at(of_q);
  });
  double sum = 0;
  candidate.forEach([&](double of_p, double of_q) {
    const double share = p.at(of_p) / p.sum;
    sum += share * std::log(share / (q.at(of_q) / q.sum));
  });
  return sum;
}

}  // namespace

void entropyOrt(const HistogramView& view, NibRange* out) {
  const uint32_t zero = view.length, count = 2 * view.length;
  uint64_t below = 0, above = 0;
  for (uint32_t i = 0; i < zero - kLevels / 2; ++i) below += view.fromBelow(i);
  for (uint32_t i = zero + kLevels / 2 + 1; i < count; ++i) above += view.fromBelow(i);
  // If no candidate has anything of the reference's, as with all counts in the outermost bin, the range is whole.
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
    // The next candidate takes in a bin on either side.
    if (i < zero) below -= view.fromBelow(zero - i - 1);
    if (end < count) above -= view.fromBelow(end);
  }
}

}  // namespace nib::ranges
