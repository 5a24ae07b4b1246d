#include "bench/percentile.h"

#include <algorithm>
#include <cmath>

namespace nib::bench {

double percentile(std::span<const double> ascending, double fraction) {
  const double rank = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(ascending.size() - 1);
  const size_t below = static_cast<size_t>(std::floor(rank));
  const size_t above = std::min(below + 1, ascending.size() - 1);
  return ascending[below] + (ascending[above] - ascending[below]) * (rank - static_cast<double>(below));
}

Spread spreadOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {percentile(values, 0.5), percentile(values, 0.05), percentile(values, 0.95), percentile(values, 0.99)};
}

}  // namespace nib::bench
