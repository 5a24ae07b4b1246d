// Sums of outer products of activations: kTokens tokens at a time are widened to fp32, and their products are added to
// panels of rows of the result by a matrix library.
#include "numerics/exact.h"
#include "simd/fast_kernels.h"
#include "simd/kernels.h"
#include "simd/run.h"
#include "simd/widen.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace nib::simd {
namespace {

constexpr uint32_t kPanelRows = 128;  // rows of the result of a task
constexpr uint32_t kPanelCols = 512;  // columns of it at a time
constexpr uint32_t kTokens = 256;     // at a time
constexpr uint32_t kFewTokens = 4;    // fewer are not worth it

struct Hessian {
  const NibHessianDesc& d;
  const NibRun& run;
  const char* source;
  const uint32_t* mask;  // NULL = every token counts
  float* result;
  float* diagonal;
  float* widened;  // [kTokens, cols]; NULL = the source is used as it is

  uint64_t stride() const { return d.source_stride != 0 ? d.source_stride : d.cols; }
  uint64_t elementBytes() const { return d.source_type == NIB_TYPE_F32 ? 4 : 2; }

  // A token becomes row i of `widened`; zeros if it does not count.
  void widen(uint32_t token, uint32_t i) const {
    float* to = widened + uint64_t(i) * d.cols;
    if (mask != nullptr && (mask[token / 32] >> token % 32 & 1u) == 0) {
      std::fill_n(to, d.cols, 0.0f);
      return;
    }
    simd::widen(source + token * stride() * elementBytes(), NibType(d.source_type), d.cols, to);
  }

  // Adds the products of some tokens to rows [first, first + kPanelRows) of the result. False if memory is lacking.
  bool addPanel(uint32_t first, const float* x, uint64_t x_stride, uint32_t tokens) const {
    const uint32_t rows = std::min(d.cols - first, kPanelRows);
    const std::unique_ptr<float[]> sums = allocate<float>(size_t(kPanelRows) * kPanelCols);
    if (!sums) return false;
    for (uint32_t col = 0; col < first + rows; col += kPanelCols) {
      const uint32_t cols = std::min(first + rows - col, kPanelCols);
      kernels().multiply({x + first, size_t(x_stride), true}, {x + col, size_t(x_stride)}, sums.get(), kPanelCols, rows,
                         cols, tokens, false);
      for (uint32_t r = 0; r < rows; ++r) {
        float* to = result + uint64_t(first + r) * d.cols + col;
        const float* from = sums.get() + uint64_t(r) * kPanelCols;
        const uint32_t end = std::min(cols, first + r >= col ? first + r - col + 1 : 0u);
        for (uint32_t c = 0; c < end; ++c) to[c] += from[c];
      }
    }
    return true;
  }
};

Outcome runHessian(const NibHessianDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                   const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  NibMemory memory{sizeof(NibMemory)};
  if (run.n < kFewTokens || nibGetMemory(op, nullptr, &memory) != NIB_SUCCESS ||
      !isValid(op, binding, run, desc.tokens)) {
    return Outcome::kUnsupported;
  }
  const bool masked = (desc.flags & NIB_HESSIAN_MASK) != 0;
  Hessian h{desc,
            run,
            partOf<const char>(memory, binding, run, NIB_PART_SOURCE),
            masked ? partOf<const uint32_t>(memory, binding, run, NIB_PART_MASK) : nullptr,
            partOf<float>(memory, binding, run, NIB_PART_RESULT),
            partOf<float>(memory, binding, run, NIB_PART_DIAGONAL),
            nullptr};
  std::unique_ptr<float[]> widened;
  if (masked || desc.source_type != NIB_TYPE_F32) {
    widened = allocate<float>(size_t(kTokens) * desc.cols);
    if (!widened) return Outcome::kNoMemory;
    h.widened = widened.get();
  }
  std::atomic<bool> failed{false};
  const uint32_t panels = (desc.cols + kPanelRows - 1) / kPanelRows;
  for (uint32_t first = 0; first < run.n; first += kTokens) {
    const uint32_t tokens = std::min(run.n - first, kTokens);
    const float* data = h.widened;
    uint64_t stride = desc.cols;
    if (h.widened != nullptr) {
      forEach(parallel, tokens, [&](uint32_t i) { h.widen(first + i, i); });
    } else {
      stride = h.stride();
      data = reinterpret_cast<const float*>(h.source) + first * stride;
    }
    // The last panels are the longest, so they start first.
    forEach(parallel, panels, [&](uint32_t i) {
      if (!h.addPanel((panels - 1 - i) * kPanelRows, data, stride, tokens)) failed = true;
    });
  }
  if (failed) return Outcome::kNoMemory;
  for (uint64_t i = 0; i < desc.cols; ++i) h.diagonal[i] = h.result[i * desc.cols + i];
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(hessian, NIB_OP_HESSIAN, NibHessianDesc, runHessian)

}  // namespace nib::simd
