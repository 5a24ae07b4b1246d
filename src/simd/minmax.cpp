// Extents: the reference's bytes. Extents of columns are left to the reference.
#include <algorithm>
#include <memory>

#include "reference/reference.h"
#include "simd/fast_kernels.h"
#include "simd/rows.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

struct Rows {
  const void* data;
  uint32_t type;
  uint64_t stride;
  uint32_t cols;

  reference::Extent extentOf(uint32_t row) const {
    alignas(64) float x[kPiece];
    reference::Extent extent;
    for (uint64_t col = 0; col < cols; col += kPiece) {
      const uint32_t count = uint32_t(std::min<uint64_t>(kPiece, cols - col));
      loadPiece(data, type, row * stride + col, count, x);
      GroupExtent piece;
      kernels().findExtents(x, 1, count, &piece);
      if (piece.finite) {
        extent.add(exact::bitsOf(piece.min));
        extent.add(exact::bitsOf(piece.max));
      } else {
        for (uint32_t i = 0; i < count; ++i) extent.add(exact::bitsOf(x[i]));
      }
    }
    return extent;
  }
};

Outcome runMinmax(const NibMinMaxDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                  const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  if (kernels().findExtents == nullptr || run.n == 0 || desc.granularity == NIB_GRANULARITY_COLUMN ||
      !isValid(op, binding, run, desc.rows)) {
    return Outcome::kUnsupported;
  }
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (!moveOperands(op, binding, run, &memory, &moved)) return Outcome::kUnsupported;
  const Rows source{moved.range[NIB_ROLE_INPUT].data, desc.source_type,
                    desc.source_stride != 0 ? desc.source_stride : desc.cols, desc.cols};
  NibExtent* out = static_cast<NibExtent*>(moved.range[NIB_ROLE_OUTPUT].data);
  const auto result = [](const reference::Extent& extent) {
    return NibExtent{exact::floatOf(extent.minBits()), exact::floatOf(extent.maxBits()),
                     exact::floatOf(extent.absmaxBits()), extent.nonfinite};
  };
  if (desc.granularity == NIB_GRANULARITY_ROW) {
    forEach(parallel, run.n, [&](uint32_t row) { out[run.first_row + row] = result(source.extentOf(row)); });
    return Outcome::kDone;
  }
  const std::unique_ptr<reference::Extent[]> extents = allocate<reference::Extent>(run.n);
  if (extents == nullptr) return Outcome::kNoMemory;
  forEach(parallel, run.n, [&](uint32_t row) { extents[row] = source.extentOf(row); });
  reference::Extent whole;
  for (uint32_t row = 0; row < run.n; ++row) {
    whole.low = std::min(whole.low, extents[row].low);
    whole.high = std::max(whole.high, extents[row].high);
    whole.nonfinite += extents[row].nonfinite;
  }
  out[0] = result(whole);
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(minmax, NIB_OP_MINMAX, NibMinMaxDesc, runMinmax)

}  // namespace nib::simd
