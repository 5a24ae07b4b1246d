// Percentiles of a list of times.
#ifndef NIB_BENCH_PERCENTILE_H
#define NIB_BENCH_PERCENTILE_H

#include <span>
#include <vector>

namespace nib::bench {

// The percentile of an ascending list that is not empty, interpolated linearly (rank = fraction * (count - 1)).
double percentile(std::span<const double> ascending, double fraction);

struct Spread {
  double median = 0, p5 = 0, p95 = 0, p99 = 0;
};

// In the unit of the values. All zero for an empty list.
Spread spreadOf(std::vector<double> values);

}  // namespace nib::bench
#endif
