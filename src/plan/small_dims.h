// The sizes that a self-test tries for its small problem. Each op lists its own, because only the op knows at which
// lengths its kernels change.
#ifndef NIB_PLAN_SMALL_DIMS_H
#define NIB_PLAN_SMALL_DIMS_H

#include "formats/geometry.h"

namespace nib {

// A small problem of at least this size is preferred: a fault that hits few elements then shows.
inline constexpr uint32_t kAmpleElements = 1u << 14;
inline constexpr uint32_t kAmpleCols = 272;

// In the order in which they are tried. Among equally good ones the smallest is taken.
class SmallDims {
 public:
  static constexpr uint32_t kMost = 24;

  void add(uint32_t rows, uint32_t cols) {
    for (uint32_t i = 0; i < count_; ++i) {
      if (dims_[i].rows == rows && dims_[i].cols == cols) return;
    }
    if (count_ < kMost) dims_[count_++] = {rows, cols};
  }
  uint32_t count() const { return count_; }
  const Dims* begin() const { return dims_; }
  const Dims* end() const { return dims_ + count_; }

 private:
  Dims dims_[kMost];
  uint32_t count_ = 0;
};

// A few more columns than `bound`, with the tail of `cols`: every load is aligned, and every run and step full, as in
// the plan.
inline uint32_t colsAbove(uint64_t bound, uint32_t cols) { return uint32_t(alignUp(bound, 64)) + 64u + cols % 64u; }

// An odd number of at least `least` rows, enough for an ample problem. One row stays one, because kernels load it
// whatever its stride.
inline uint32_t ampleRows(uint32_t rows, uint32_t cols, uint32_t least = 3) {
  if (rows == 1) return 1;
  const uint32_t ample = (kAmpleElements + cols - 1) / cols;
  return (ample > least ? ample : least) | 1u;
}

// More columns than `bound`, and more if there is one row only.
inline void addDimsAbove(uint64_t bound, Dims whole, SmallDims* list) {
  const uint32_t cols = colsAbove(whole.rows == 1 && bound < kAmpleElements ? kAmpleElements : bound, whole.cols);
  list->add(ampleRows(whole.rows, cols), cols);
}

// For ops whose kernels change with the columns' tail only. No workgroup takes more than 4096 elements of a row.
inline void usualSmallDims(Dims whole, SmallDims* list) { addDimsAbove(4096, whole, list); }

}  // namespace nib
#endif
