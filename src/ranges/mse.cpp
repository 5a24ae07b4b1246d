// Ranges with the least squared error of int8 codes, where every element counts as the centre of its bin.
#include "ranges/histogram_view.h"

namespace nib::ranges {
namespace {

constexpr int kSteps = 128, kLeastSteps = 32;

uint64_t countOf(const HistogramView& view) {
  uint64_t count = 0;
  for (uint32_t k = 0; k < view.length; ++k) count += view.magnitudeBin(k);
  return count;
}

}  // namespace

void mseSymmetric(const HistogramView& view, NibRange* out) {
  const double count = double(countOf(view));
  out->score = HUGE_VAL;
  for (uint32_t i = kLevels; i < view.length; ++i) {
    // In units of the bin width, so that nothing under- or overflows.
    const double scale = (i + 0.5) / 127.5;
    double sum = 0;
    for (uint32_t k = 0; k < view.length && sum < out->score * count; ++k) {
      const uint64_t bin = view.magnitudeBin(k);
      if (bin == 0) continue;
      const double centre = k + 0.5;
      const double error = centre - scale * std::fmin(std::nearbyint(centre / scale), 127.0);
      sum += double(bin) * (error * error);
    }
    if (sum / count < out->score) {
      out->score = sum / count;
      out->high_edge = int32_t(i);
    }
  }
  out->low_edge = -out->high_edge;
  out->score *= view.width * view.width;
  out->max = std::fmin((out->high_edge + 0.5) * view.width, view.absmax());
  out->min = -out->max;
}

void mseBothEnds(const HistogramView& view, NibRange* out) {
  const double count = double(countOf(view));
  const double low = std::fmin(view.head->min, 0.0) / view.width, high = std::fmax(view.head->max, 0.0) / view.width;
  int best = kSteps;
  out->score = HUGE_VAL;
  for (int step = kLeastSteps; step <= kSteps; ++step) {
    const double scale = (high - low) * step / kSteps / 255.0;
    const double zero = std::nearbyint(-low * step / kSteps / scale);
    double sum = 0;
    for (uint32_t i = 0; i < 2 * view.length && sum < out->score * count; ++i) {
      const uint64_t bin = view.ascendingBin(i);
      if (bin == 0) continue;
      const double centre = double(i) - view.length + 0.5;
      const double code = std::fmax(0.0, std::fmin(255.0, std::nearbyint(centre / scale) + zero));
      const double error = centre - scale * (code - zero);
      sum += double(bin) * (error * error);
    }
    if (sum / count < out->score) {
      out->score = sum / count;
      best = step;
    }
  }
  out->score *= view.width * view.width;
  out->min = low * view.width * best / kSteps;
  out->max = high * view.width * best / kSteps;
  out->low_edge = out->high_edge = best;
}

}  // namespace nib::ranges
