// Norms of rows that fit a buffer, with a float result. Others are left to the reference.
#include <algorithm>
#include <cmath>

#include "formats/geometry.h"
#include "simd/fast_kernels.h"
#include "simd/rows.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

Outcome runNorm(const NibNormDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  const bool residual = (desc.flags & NIB_NORM_RESIDUAL) != 0, centred = (desc.flags & NIB_NORM_MEAN) != 0;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  uint32_t result_stride = desc.result_stride;
  if (kernels().normalize == nullptr || run.n == 0 || desc.cols > kPiece || (desc.flags & NIB_NORM_CODES) != 0 ||
      (residual && desc.residual_type != NIB_TYPE_F32) ||
      checkDense("norm", "result", desc.rows, desc.cols, desc.result_type, true, Log(), &result_stride) !=
          NIB_SUCCESS ||
      !isValid(op, binding, run, desc.rows) || !moveOperands(op, binding, run, &memory, &moved)) {
    return Outcome::kUnsupported;
  }
  const uint64_t source_stride = desc.source_stride != 0 ? desc.source_stride : desc.cols;
  const uint64_t residual_stride = desc.residual_stride != 0 ? desc.residual_stride : desc.cols;
  const void* source = nib::partOf<void>(memory, moved, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  const float* residual_in = nib::partOf<float>(memory, moved, NIB_ROLE_INPUT, NIB_PART_RESIDUAL_IN);
  float* residual_out = nib::partOf<float>(memory, moved, NIB_ROLE_OUTPUT, NIB_PART_RESIDUAL_OUT);
  void* result = nib::partOf<void>(memory, moved, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  const float* gain = nib::partOf<float>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_GAIN);
  const float* bias = nib::partOf<float>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_BIAS);
  forEach(parallel, run.n, [&](uint32_t row) {
    alignas(64) float x[kPiece], y[kPiece];
    const uint32_t cols = desc.cols;
    loadPiece(source, desc.source_type, row * source_stride, cols, x);
    kernels().canonicalize(x, cols);
    if (residual) {
      loadPiece(residual_in, NIB_TYPE_F32, row * residual_stride, cols, y);
      kernels().canonicalize(y, cols);
      kernels().addElements(x, y, cols, x);
    }
    const float mean = centred ? kernels().sumOf(x, cols) / float(cols) : 0.0f;
    const double square = double(kernels().sumOfSquares(x, mean, cols)) / cols;
    const float factor = float(1.0 / std::sqrt(square + double(desc.epsilon)));
    kernels().normalize(x, mean, factor, gain, bias, cols, y);
    kernels().canonicalize(y, cols);
    const uint64_t to = uint64_t(run.first_row) + row;
    // The source may be in the place of the sums.
    storePiece(y, cols, result, desc.result_type, to * result_stride);
    if (desc.result_type != NIB_TYPE_F32 && cols % 2 != 0) {
      storeDense(result, desc.result_type, to * result_stride + cols, 0);
    }
    if (residual) std::copy(x, x + cols, residual_out + to * residual_stride);
  });
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(norm, NIB_OP_NORM, NibNormDesc, runNorm)

}  // namespace nib::simd
