// Blocks of GPTQ: the reference quantizes the block's columns, row by row; the columns beyond it, which are most of the
// work, are updated in tiles that stay in the caches. Every element goes through the reference's operations in the
// reference's order, so the bytes are the same.
#include "numerics/gptq.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>

#include "ops/gptq_shape.h"
#include "simd/kernels.h"
#include "simd/run.h"
#include "simd/twins.h"

namespace nib::simd {
namespace {

constexpr uint32_t kTileCols = 64;  // of a task: the block's rows of U take 32 KiB
class Update {
 public:
  Update(const NibGptqDesc& desc, const GptqShape& shape, const HostRun& run) : desc_(desc), shape_(shape), run_(run) {
    factor_ = nib::partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_FACTOR);
    result_ = nib::partOf<float>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
    const uint8_t* aux = static_cast<const uint8_t*>(run.binding.range[NIB_ROLE_AUX].data);
    errors_ = reinterpret_cast<const float*>(aux + shape.errors_offset);
    first_ = uint64_t(run.first_row) + shape.block;
  }

  uint32_t tiles() const { return first_ < desc_.cols ? uint32_t(ceilDiv(desc_.cols - first_, kTileCols)) : 0; }

  // False if memory is lacking.
  bool runTile(uint32_t tile) const {
    const uint32_t from = uint32_t(first_) + tile * kTileCols, cols = std::min(desc_.cols - from, kTileCols);
    const std::unique_ptr<float[]> factor = allocate<float>(size_t(run_.n) * kTileCols);
    if (!factor) return false;
    for (uint32_t i = 0; i < run_.n; ++i) {
      const uint32_t* u = factor_ + uint64_t(run_.first_row + i) * desc_.cols + from;
      for (uint32_t c = 0; c < kTileCols; ++c)
        factor[size_t(i) * kTileCols + c] = exact::floatOf(c < cols ? gptq::factorBits(u[c]) : 0u);
    }
    for (uint32_t row = 0; row < desc_.rows; row += kStripRows) {
      for (uint32_t col = 0; col < cols; col += kStripCols) updateRows(row, from + col, factor.get() + col);
    }
    return true;
  }

 private:
  void updateRows(uint32_t row, uint32_t col, const float* factor) const {
    const uint32_t rows = std::min(desc_.rows - row, kStripRows), cols = std::min(desc_.cols - col, kStripCols);
    float* at[kStripRows];
    if (rows == kStripRows && cols == kStripCols) {
      for (uint32_t r = 0; r < kStripRows; ++r) at[r] = result_ + uint64_t(row + r) * desc_.cols + col;
      kernels().updateStrip(errors_ + row, shape_.errors_stride, factor, kTileCols, run_.n, at);
      return;
    }
    // Columns of errors have whole groups of four rows.
    float edge[kStripRows][kStripCols] = {};
    for (uint32_t r = 0; r < kStripRows; ++r) at[r] = edge[r];
    for (uint32_t r = 0; r < rows; ++r) std::copy_n(result_ + uint64_t(row + r) * desc_.cols + col, cols, edge[r]);
    kernels().updateStrip(errors_ + row, shape_.errors_stride, factor, kTileCols, run_.n, at);
    for (uint32_t r = 0; r < rows; ++r) std::copy_n(edge[r], cols, result_ + uint64_t(row + r) * desc_.cols + col);
  }

  const NibGptqDesc& desc_;
  const GptqShape& shape_;
  const HostRun& run_;
  const uint32_t* factor_;
  const float* errors_;
  float* result_;
  uint64_t first_;
};

}  // namespace

Outcome runGptq(const NibGptqDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                const NibParallelFor& parallel) {
  if (desc.stage != NIB_GPTQ_COLUMNS || run.n == 0) return Outcome::kNoTwin;
  GptqShape shape;
  if (makeGptqShape(desc, Log(), &shape) != NIB_SUCCESS) return Outcome::kNoTwin;
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  if (run.n > shape.block || !isValid(op, binding, run, desc.cols)) return Outcome::kNoTwin;
  NibMemory memory{sizeof(NibMemory)};
  if (nibGetMemory(op, nullptr, &memory) != NIB_SUCCESS) return Outcome::kNoTwin;
  NibCpuBinding moved = binding;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (moved.range[role].data != nullptr)
      moved.range[role].data = static_cast<char*>(moved.range[role].data) + run.offset_bytes[role];
  }
  for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
    if (binding.part_offset_bytes[p] != 0) memory.part[p].offset_bytes = binding.part_offset_bytes[p];
  }
  const HostRun host{memory, moved, run.n, run.first_row, &parallel};
  gptqBlockReference(desc, shape, host);
  struct Work {
    Update update;
    std::atomic<bool> failed{false};
  } work{{desc, shape, host}};
  const auto body = [](void* user, uint32_t index) {
    Work& w = *static_cast<Work*>(user);
    if (!w.update.runTile(index)) w.failed = true;
  };
  if (work.update.tiles() != 0) parallel.run(parallel.parallel_user, work.update.tiles(), body, &work);
  return work.failed ? Outcome::kNoMemory : Outcome::kDone;
}

}  // namespace nib::simd
