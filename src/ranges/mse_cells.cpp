// The range with the least squared error of int8 codes by cells, for thresholds of all magnitudes.
#include "ranges/cells.h"

namespace nib::ranges {
namespace {

constexpr int kStepsOfBinade = 32;
constexpr double kLeastThreshold = 1.0 / 16;  // of the percentile that most values are below

// Values of one sign, or magnitudes, have the codes 0 to `last` steps of `scale`.
struct Codes {
  double scale, last;

  double error(double x) const { return x - scale * std::fmin(std::nearbyint(x / scale), last); }
  // The integral of error^2 from 0 to x: each whole step adds scale^3 / 12.
  double integral(double x) const {
    const double steps = std::fmin(std::nearbyint(x / scale), last), rest = x - scale * steps;
    return steps * (scale * scale * scale / 12) + rest * rest * rest / 3;
  }
  // The mean over a cell.
  double squared(const Cell& cell) const {
    const double width = cell.high - cell.low;
    if (width > cell.high * 1e-6) return (integral(cell.high) - integral(cell.low)) / width;
    const double e = error((cell.low + cell.high) / 2);
    return e * e;
  }
};

// Thresholds that are tried in one pass over the cells.
struct Tries {
  static constexpr int kMost = 64;
  int count = 0;
  double low[kMost], high[kMost];
  double sum[kMost];  // of squared errors
  Codes negative[kMost], positive[kMost];

  void add(double from, double to, bool symmetric) {
    low[count] = from;
    high[count] = to;
    sum[count] = 0;
    const double scale = symmetric ? to / 127.5 : (to - from) / 255;
    const double zero = symmetric ? 127 : std::nearbyint(-from / scale);
    negative[count] = {scale, zero};
    positive[count++] = {scale, symmetric ? 127 : 255 - zero};
  }
  void measure(const Data& data, Side side) {
    Cells cells(data, side);
    const Codes* const codes = side == Side::kNegative ? negative : positive;
    for (Cell cell; cells.next(&cell);) {
      for (int i = 0; i < count; ++i) sum[i] += double(cell.count) * codes[i].squared(cell);
    }
  }
};

}  // namespace

void mseOfCells(const Data& data, bool symmetric, NibRange* out) {
  const double largest = data.view.absmax(), least = kLeastThreshold * coarseMagnitude(data);
  const double low = std::fmin(data.view.head->min, 0.0), high = std::fmax(data.view.head->max, 0.0);
  double best = HUGE_VAL;
  double t = largest;
  for (int i = 0; t >= least && t > 0;) {
    Tries tries;
    for (; tries.count < Tries::kMost && t >= least; t = largest * std::exp2(-double(++i) / kStepsOfBinade)) {
      tries.add(symmetric ? -t : std::fmax(low, -t), symmetric ? t : std::fmin(high, t), symmetric);
    }
    if (!symmetric) tries.measure(data, Side::kNegative);
    tries.measure(data, symmetric ? Side::kBoth : Side::kPositive);
    for (int k = 0; k < tries.count; ++k) {
      if (tries.sum[k] >= best) continue;
      best = tries.sum[k];
      out->min = tries.low[k];
      out->max = tries.high[k];
    }
  }
  out->score = best / double(data.view.head->finite_count);
}

}  // namespace nib::ranges
