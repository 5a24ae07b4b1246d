// Blocks of GPTQ: the block's columns are rounded row by row; the columns beyond it, which are most of the work, are
// updated in tiles that stay in the caches. Every element gets the reference's operations in the reference's order, so
// the bytes are the same.
#include "numerics/gptq.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>

#include "ops/gptq_shape.h"
#include "simd/fast_kernels.h"
#include "simd/gptq_block.h"
#include "simd/kernels.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

constexpr uint32_t kTileCols = 64;   // of a task: the block's rows of U take 32 KiB
constexpr uint32_t kBlockRows = 32;  // of a task that rounds

class Update {
 public:
  explicit Update(const reference::GptqRows& rows)
      : rows_(rows), cols_(rows.d.cols), first_(uint64_t(rows.run.first_row) + rows.shape.block) {}

  uint32_t tiles() const { return first_ < cols_ ? uint32_t(ceilDiv(cols_ - first_, kTileCols)) : 0; }

  // False if memory is lacking.
  bool runTile(uint32_t tile) const {
    const uint32_t from = uint32_t(first_) + tile * kTileCols, cols = std::min(cols_ - from, kTileCols);
    const std::unique_ptr<float[]> factor = allocate<float>(size_t(rows_.run.n) * kTileCols);
    if (!factor) return false;
    for (uint32_t i = 0; i < rows_.run.n; ++i) {
      const uint32_t* u = rows_.factor + uint64_t(rows_.run.first_row + i) * cols_ + from;
      for (uint32_t c = 0; c < kTileCols; ++c)
        factor[size_t(i) * kTileCols + c] = exact::floatOf(c < cols ? gptq::factorBits(u[c]) : 0u);
    }
    for (uint32_t row = 0; row < rows_.d.rows; row += kStripRows) {
      for (uint32_t col = 0; col < cols; col += kStripCols) updateRows(row, from + col, factor.get() + col);
    }
    return true;
  }

 private:
  void updateRows(uint32_t row, uint32_t col, const float* factor) const {
    const uint32_t rows = std::min(rows_.d.rows - row, kStripRows), cols = std::min(cols_ - col, kStripCols);
    const float* errors = rows_.errors + stripErrors(rows_, row / kStripRows);
    const auto at = [&](uint32_t r) { return reinterpret_cast<float*>(rows_.rowOf(row + r)) + col; };
    float* to[kStripRows];
    if (rows == kStripRows && cols == kStripCols) {
      for (uint32_t r = 0; r < kStripRows; ++r) to[r] = at(r);
      kernels().updateStrip(errors, factor, kTileCols, rows_.run.n, to);
      return;
    }
    float edge[kStripRows][kStripCols] = {};
    for (uint32_t r = 0; r < kStripRows; ++r) to[r] = edge[r];
    for (uint32_t r = 0; r < rows; ++r) std::copy_n(at(r), cols, edge[r]);
    kernels().updateStrip(errors, factor, kTileCols, rows_.run.n, to);
    for (uint32_t r = 0; r < rows; ++r) std::copy_n(edge[r], cols, at(r));
  }

  const reference::GptqRows& rows_;
  const uint32_t cols_;
  const uint64_t first_;
};

Outcome runGptq(const NibGptqDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                const NibParallelFor& parallel) {
  if (desc.stage != NIB_GPTQ_COLUMNS || run.n == 0) return Outcome::kUnsupported;
  GptqShape shape;
  if (makeGptqShape(desc, Log(), &shape) != NIB_SUCCESS) return Outcome::kUnsupported;
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  if (run.n > shape.block || !isValid(op, binding, run, desc.cols)) return Outcome::kUnsupported;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (!moveOperands(op, binding, run, &memory, &moved)) return Outcome::kUnsupported;
  const HostRun host{memory, moved, run.n, run.first_row, &parallel};
  reference::StatusCounter status(nib::partOf<NibStatus>(memory, moved, NIB_ROLE_AUX, NIB_PART_STATUS));
  const reference::GptqRows rows(desc, shape, host, &status);
  GptqBlock block(rows);
  if (!block.load()) return Outcome::kNoMemory;
  const Update update(rows);
  std::atomic<bool> failed{false};
  forEach(parallel, uint32_t(ceilDiv(desc.rows, kBlockRows)), [&](uint32_t i) {
    const uint32_t from = i * kBlockRows;
    if (!block.run(from, std::min(desc.rows, from + kBlockRows))) failed = true;
  });
  if (failed) return Outcome::kNoMemory;
  if (update.tiles() != 0) {
    forEach(parallel, update.tiles(), [&](uint32_t i) {
      if (!update.runTile(i)) failed = true;
    });
  }
  return failed ? Outcome::kNoMemory : Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(gptq, NIB_OP_GPTQ, NibGptqDesc, runGptq)

}  // namespace nib::simd
