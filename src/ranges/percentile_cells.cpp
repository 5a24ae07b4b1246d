// Percentiles as numpy's, method "linear", of values that are known to their cell.
#include "ranges/cells.h"

#include <initializer_list>

namespace nib::ranges {
namespace {

uint64_t countOf(const Data& data, Side side) {
  uint64_t count = 0;
  for (uint32_t k = data.log.first; k <= data.log.length; ++k) count += data.log.count(side, k);
  return count;
}

// The magnitude of this rank, counted from 0, among the values of a side that are not zero.
double ranked(const Data& data, Side side, uint64_t rank) {
  Cells cells(data, side);
  uint64_t below = 0;
  double last = 0;
  for (Cell cell; cells.next(&cell); below += cell.count) {
    last = cell.high;
    if (rank - below >= cell.count) continue;
    return cell.low + (double(rank - below) + 0.5) / double(cell.count) * (cell.high - cell.low);
  }
  return last;
}

// Values in ascending order, of magnitudes or with their signs.
struct Ordered {
  const Data& data;
  bool magnitudes;
  uint64_t zeros;
  uint64_t negative, positive;  // magnitudes: all are positive

  Ordered(const Data& data_, bool magnitudes_, uint64_t zeros_)
      : data(data_),
        magnitudes(magnitudes_),
        zeros(zeros_),
        negative(magnitudes_ ? 0 : countOf(data_, Side::kNegative)),
        positive(countOf(data_, magnitudes_ ? Side::kBoth : Side::kPositive)) {}

  uint64_t count() const { return negative + zeros + positive; }
  double at(uint64_t rank) const {
    // The ends are known.
    if (rank + 1 == count()) return magnitudes ? data.view.absmax() : data.view.head->max;
    if (rank == 0 && !magnitudes) return data.view.head->min;
    if (rank < negative) return -ranked(data, Side::kNegative, negative - 1 - rank);
    if (rank < negative + zeros) return 0;
    return ranked(data, magnitudes ? Side::kBoth : Side::kPositive, rank - negative - zeros);
  }
  double percentile(double share) const {
    const double rank = share * double(count() - 1), whole = std::floor(rank);
    const double low = at(uint64_t(whole));
    if (rank == whole) return low;
    return low + (rank - whole) * (at(uint64_t(whole) + 1) - low);
  }
};

}  // namespace

double coarseMagnitude(const Data& data) {
  for (const uint64_t zeros : {data.log.zeros(), uint64_t(0)}) {
    const Ordered values(data, true, zeros);
    const double value = values.at(uint64_t(kCoarseShare * double(values.count() - 1)));
    if (value != 0) return value;
  }
  return 0;
}

void percentileOfCells(const Data& data, double percentile, bool symmetric, NibRange* out) {
  const double cut = (100 - percentile) / 200;
  for (const uint64_t zeros : {data.log.zeros(), uint64_t(0)}) {
    const Ordered values(data, symmetric, zeros);
    out->max = std::fmax(values.percentile(symmetric ? percentile / 100 : 1 - cut), 0.0);
    out->min = symmetric ? -out->max : std::fmin(values.percentile(cut), 0.0);
    if (out->max != 0 || out->min != 0) return;
  }
}

}  // namespace nib::ranges
