// Merging histograms, and adding the tiles of moments.
#include "base/log.h"

#include <cmath>

using namespace nib;

namespace {

uint64_t& binOf(uint64_t* counts, uint32_t side, bool negative, bool both, uint32_t k) {
  return counts[negative ? side - 1 - k : both ? side + k : k];
}

// Merges every 2^doublings bins into one, in place: writing never overtakes reading.
void widen(uint64_t* counts, uint32_t side, bool both, uint32_t doublings) {
  for (uint32_t negative = 0; negative < (both ? 2u : 1u); ++negative) {
    uint32_t from = 0;
    for (uint32_t k = 0; k < side; ++k) {
      const uint64_t end = doublings < 32 ? uint64_t(k + 1) << doublings : side;
      uint64_t sum = 0;
      for (; from < end && from < side; ++from) sum += binOf(counts, side, negative != 0, both, from);
      binOf(counts, side, negative != 0, both, k) = sum;
    }
  }
}

}  // namespace

extern "C" NibResult nibHistogramMerge(uint32_t bins, uint32_t flags, NibHistogramHead* into, uint64_t* into_counts,
                                       const NibHistogramHead* from, const uint64_t* from_counts,
                                       const NibLog* log_callback) {
  const Log log(log_callback);
  if (into == nullptr || into_counts == nullptr || from == nullptr || from_counts == nullptr) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "histogram merge: NULL argument");
  }
  if (bins < NIB_HISTOGRAM_MIN_BINS || bins > NIB_HISTOGRAM_MAX_BINS || (bins & (bins - 1)) != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "histogram merge: bins %u must be a power of two from %d to %d", bins,
                    int(NIB_HISTOGRAM_MIN_BINS), int(NIB_HISTOGRAM_MAX_BINS));
  }
  if (into->exponent > 254 || from->exponent > 254) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "histogram merge: exponents %u and %u must be at most 254",
                    into->exponent, from->exponent);
  }
  const bool both = (flags & NIB_HISTOGRAM_SIGNED) != 0;
  const uint32_t side = both ? bins / 2 : bins;
  if (from->exponent > into->exponent) {
    widen(into_counts, side, both, from->exponent - into->exponent);
    into->exponent = from->exponent;
  }
  const uint32_t doublings = into->exponent - from->exponent;
  for (uint32_t negative = 0; negative < (both ? 2u : 1u); ++negative) {
    for (uint32_t k = 0; k < side; ++k) {
      const uint64_t* count = from_counts + (negative != 0 ? side - 1 - k : both ? side + k : k);
      binOf(into_counts, side, negative != 0, both, doublings < 32 ? k >> doublings : 0) += *count;
    }
  }
  if (from->finite_count != 0) {
    const bool first = into->finite_count == 0;
    if (first || from->min < into->min) into->min = from->min;
    if (first || from->max > into->max) into->max = from->max;
  }
  into->finite_count += from->finite_count;
  into->nonfinite_count += from->nonfinite_count;
  return NIB_SUCCESS;
}

extern "C" void nibMomentsAdd(NibMoments* moments, const NibMomentTile* tiles, uint64_t count, uint64_t stride) {
  for (uint64_t i = 0; i < count; ++i) {
    const NibMomentTile& tile = tiles[i * stride];
    moments->finite_count += tile.finite_count;
    moments->nonfinite_count += tile.nonfinite_count;
    if (tile.absmax == 0.0f) continue;
    if (tile.absmax > moments->absmax) moments->absmax = tile.absmax;
    const int exponent = std::ilogb(tile.absmax) - 30;
    moments->sum += std::ldexp(double(tile.sum[0]) + double(tile.sum[1]), exponent);
    moments->squares += std::ldexp(double(tile.squares[0]) + double(tile.squares[1]), 2 * exponent);
  }
}
