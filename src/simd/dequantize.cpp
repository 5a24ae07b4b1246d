// Dequantization: the reference's bytes, a piece of a row at a time.
#include <algorithm>

#include "simd/fast_kernels.h"
#include "simd/row_decoder.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

Outcome runDequantize(const NibDequantizeDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                      const NibParallelFor& parallel) {
  if (run.n == 0 || !RowDecoder::canDecode(desc.weights)) return Outcome::kUnsupported;
  Geometry g;
  if (makeGeometry("dequantize", "weights", desc.rows, desc.cols, desc.weights, Log(), &g) != NIB_SUCCESS) {
    return Outcome::kUnsupported;
  }
  const bool flat = (desc.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  const uint32_t rows = flat ? 1u : run.n, pieces = uint32_t(ceilDiv(g.cols, kPiece));
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  uint32_t stride = flat ? 0 : desc.result_stride;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (checkDense("dequantize", "result", g.rows, g.cols, desc.result_type, true, Log(), &stride) != NIB_SUCCESS ||
      (flat && run.n != desc.rows) || uint64_t(rows) * pieces > UINT32_MAX || !isValid(op, binding, run, desc.rows) ||
      !moveOperands(op, binding, run, &memory, &moved)) {
    return Outcome::kUnsupported;
  }
  const RowDecoder weights(desc.weights, g, memory, moved);
  void* result = moved.range[NIB_ROLE_OUTPUT].data;
  forEach(parallel, rows * pieces, [&](uint32_t i) {
    alignas(64) float y[kPiece];
    const uint32_t row = run.first_row + i / pieces, col = i % pieces * kPiece, count = std::min(kPiece, g.cols - col);
    weights.decode(row, col, count, y);
    storePiece(y, count, result, desc.result_type, uint64_t(row) * stride + col);
    // The unused half of the last word is 0.
    if (count == g.cols - col && desc.result_type != NIB_TYPE_F32 && g.cols % 2 != 0) {
      storeDense(result, desc.result_type, uint64_t(row) * stride + g.cols, 0);
    }
  });
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(dequantize, NIB_OP_DEQUANTIZE, NibDequantizeDesc, runDequantize)

}  // namespace nib::simd
