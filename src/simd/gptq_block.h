// The columns of a block of GPTQ: each is rounded, and those of the block after it are updated. Every element gets the
// reference's operations in the reference's order, so the bytes are the same.
#ifndef NIB_SIMD_GPTQ_BLOCK_H
#define NIB_SIMD_GPTQ_BLOCK_H

#include <algorithm>
#include <atomic>
#include <memory>

#include "ops/gptq_shape.h"
#include "reference/gptq_rows.h"
#include "simd/kernels.h"
#include "simd/run.h"

namespace nib::simd {

// Where the errors of kStripRows rows are in the workspace. They are [rows / kStripRows, block, kStripRows] here, which
// is not the reference's layout: one row of it is in as many cache lines as the block has columns.
inline uint64_t stripErrors(const reference::GptqRows& rows, uint32_t strip) {
  return uint64_t(strip) * rows.shape.block * kStripRows;
}

class GptqBlock {
 public:
  explicit GptqBlock(const reference::GptqRows& rows)
      : rows_(rows),
        first_(rows.run.first_row),
        end_(first_ + std::min(rows.d.cols - first_, rows.shape.block)),
        width_(end_ - first_) {}

  // Copies the block's part of U, as it is used. False if memory is lacking.
  bool load() {
    factor_ = allocate<float>(size_t(rows_.run.n) * width_);
    if (!factor_) return false;
    for (uint32_t i = 0; i < rows_.run.n; ++i) {
      const uint32_t* u = rows_.factor + uint64_t(first_ + i) * rows_.d.cols + first_;
      for (uint32_t c = i; c < width_; ++c) factor_[size_t(i) * width_ + c] = exact::floatOf(gptq::factorBits(u[c]));
    }
    return true;
  }

  // Rows from `from` up to `to`. False if memory is lacking.
  bool run(uint32_t from, uint32_t to) const {
    const uint32_t groups = rows_.shape.measures() ? 0 : rows_.shape.g.groups_per_row;
    const std::unique_ptr<Known[]> known = allocate<Known>(groups + 1);
    if (!known) return false;
    for (uint32_t g = 0; g < groups; ++g) known[g].row = kNoRow;
    for (uint32_t row = from; row < to; ++row) columns(row, known.get());
    return true;
  }

 private:
  static constexpr uint32_t kNoRow = UINT32_MAX;

  // A scale as it is used, with its reciprocal, which is slow to compute.
  struct Known {
    uint32_t row;
    StoredScale scale;
  };

  const StoredScale& scaleAt(uint32_t row, uint32_t p, Known* known) const {
    const uint32_t column = std::min(rows_.storedAt(p), rows_.d.cols - 1);
    Known& at = known[column / rows_.shape.g.group];
    if (at.row != row) at = {row, rows_.scaleAt(row, p)};
    return at.scale;
  }

  // gptq::errorBits by the processor's division. Both round to nearest, and differ in quotients that are 0 or the
  // largest error in the end.
  static float errorOf(float difference, float diagonal) {
    if (diagonal == 0) return 0;
    const uint32_t bits = exact::bitsOf(difference / diagonal), magnitude = exact::magnitudeOf(bits);
    if (magnitude < gptq::kLeastError) return 0;
    return exact::floatOf(exact::signOf(bits) | std::min(magnitude, gptq::kLargestError));
  }

  void columns(uint32_t row, Known* known) const {
    const reference::GptqRows& r = rows_;
    const uint32_t group = r.shape.g.group, last = first_ + r.run.n;
    const bool finds = r.finds(), parity = r.has(NIB_GPTQ_PARITY), measures = r.shape.measures();
    uint32_t* x = r.rowOf(row);
    float* errors = r.errors + stripErrors(r, row / kStripRows) + row % kStripRows;
    if (finds && parity) {
      for (uint32_t p = first_; p < last; ++p) {
        if (p % group == 0) r.findScale(row, p);
      }
    }
    float sum = first_ == 0 ? 0.0f : r.loss[row];
    for (uint32_t p = first_; p < last; ++p) {
      if (finds && !parity && p % group == 0) r.findScale(row, p);
      const uint32_t difference = r.roundAt(x, p, measures ? StoredScale{} : scaleAt(row, p, known));
      const uint32_t i = p - first_;
      const float* u = factor_.get() + size_t(i) * width_;
      const float e = errorOf(exact::floatOf(difference), u[i]);
      if (measures) x[p] = exact::bitsOf(e);
      errors[uint64_t(i) * kStripRows] = e;
      const float square = e * e;
      sum += square;
      kernels().subtractScaled(reinterpret_cast<float*>(x + p + 1), e, u + i + 1, width_ - i - 1);
    }
    r.loss[row] = sum;
  }

  const reference::GptqRows& rows_;
  const uint32_t first_, end_, width_;
  std::unique_ptr<float[]> factor_;  // [run.n, width_]; nothing is left of the diagonal
};

}  // namespace nib::simd
#endif
