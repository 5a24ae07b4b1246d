// Sums, products, gated products and soft caps. The first two give the reference's bytes; pieces with products that
// floats round otherwise are left to its arithmetic.
#include <algorithm>

#include "formats/geometry.h"
#include "numerics/float_bits.h"
#include "simd/fast_kernels.h"
#include "simd/rows.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

void multiply(const float* x, const float* y, uint32_t count, float* z) {
  float product[kPiece];
  if (kernels().multiplyElements(x, y, count, product)) {
    std::copy(product, product + count, z);
    return;
  }
  for (uint32_t i = 0; i < count; ++i) {
    z[i] = exact::floatOf(exact::nibProductBits(exact::bitsOf(x[i]), exact::bitsOf(y[i])));
  }
}

Outcome runElementwise(const NibElementwiseDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                       const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  const bool gated = desc.kind == NIB_ELEMENTWISE_GATED, scale = desc.kind == NIB_ELEMENTWISE_SCALE;
  const bool cap = desc.kind == NIB_ELEMENTWISE_CAP;
  const bool halves = (desc.flags & NIB_ELEMENTWISE_HALVES) != 0;
  const bool one_row = (desc.flags & NIB_ELEMENTWISE_ONE_ROW) != 0;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  uint32_t result_stride = desc.result_stride;
  if (kernels().addElements == nullptr || run.n == 0 ||
      checkDense("elementwise", "result", desc.rows, desc.cols, desc.result_type, true, Log(), &result_stride) !=
          NIB_SUCCESS ||
      !isValid(op, binding, run, desc.rows) || !moveOperands(op, binding, run, &memory, &moved)) {
    return Outcome::kUnsupported;
  }
  const void* source = nib::partOf<void>(memory, moved, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  const void* second = halves ? source : nib::partOf<void>(memory, moved, NIB_ROLE_INPUT, NIB_PART_SECOND);
  void* result = nib::partOf<void>(memory, moved, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  const uint32_t second_type = halves ? desc.source_type : desc.second_type;
  const uint64_t source_stride = desc.source_stride != 0 ? desc.source_stride : uint64_t(desc.cols) * (halves ? 2 : 1);
  const uint64_t second_stride = one_row ? 0 : desc.second_stride != 0 ? desc.second_stride : desc.cols;
  float factor = desc.factor;
  kernels().canonicalize(&factor, 1);

  forEach(parallel, run.n, [&](uint32_t row) {
    alignas(64) float x[kPiece], y[kPiece];
    const uint64_t from = row * source_stride, to = (uint64_t(run.first_row) + row) * result_stride;
    const uint64_t other = halves ? from + desc.cols : row * second_stride;
    for (uint64_t col = 0; col < desc.cols; col += kPiece) {
      const uint32_t count = uint32_t(std::min<uint64_t>(kPiece, desc.cols - col));
      loadPiece(source, desc.source_type, from + col, count, x);
      kernels().canonicalize(x, count);
      if (scale || cap) {
        std::fill(y, y + count, factor);
      } else {
        loadPiece(second, second_type, other + col, count, y);
        kernels().canonicalize(y, count);
      }
      if (gated) {
        kernels().gateElements(desc.activation, x, y, count, x);
      } else if (cap) {
        kernels().capElements(factor, x, count);
      } else if (desc.kind == NIB_ELEMENTWISE_ADD) {
        kernels().addElements(x, y, count, x);
      } else {
        multiply(x, y, count, x);
      }
      storePiece(x, count, result, desc.result_type, to + col);
    }
    // The unused half of the last word is 0.
    if (desc.result_type != NIB_TYPE_F32 && desc.cols % 2 != 0) {
      storeDense(result, desc.result_type, to + desc.cols, 0);
    }
  });
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(elementwise, NIB_OP_ELEMENTWISE, NibElementwiseDesc, runElementwise)

}  // namespace nib::simd
