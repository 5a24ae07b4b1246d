// Rows by number: the reference's bytes, a piece of a row at a time.
#include <algorithm>

#include "simd/fast_kernels.h"
#include "simd/row_decoder.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

// As NIB_OP_CONVERT leaves them: denormals are zeros of their sign, NaN is the quiet one.
void canonicalize(float* x, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t bits = exact::bitsOf(x[i]), magnitude = exact::magnitudeOf(bits), sign = exact::signOf(bits);
    const uint32_t kept = magnitude > exact::kInfBits ? sign | exact::kNanBits : bits;
    x[i] = exact::floatOf(magnitude < 0x00800000u ? sign : kept);
  }
}

Outcome runGather(const NibGatherDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                  const NibParallelFor& parallel) {
  const bool dense = desc.weights.format == NIB_FORMAT_DENSE, flat = (desc.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  if (run.n == 0 || kernels().decodeValues == nullptr || (!dense && !RowDecoder::canDecode(desc.weights))) {
    return Outcome::kUnsupported;
  }
  Geometry g;
  const NibResult shape = dense ? makeDenseGeometry("gather", "weights", desc.rows, desc.cols, desc.weights, Log(), &g)
                                : makeGeometry("gather", "weights", desc.rows, desc.cols, desc.weights, Log(), &g);
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  uint32_t stride = desc.result_stride;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (shape != NIB_SUCCESS ||
      checkDense("gather", "result", desc.count, desc.cols, desc.result_type, true, Log(), &stride) != NIB_SUCCESS ||
      !isValid(op, binding, run, desc.count) || !moveOperands(op, binding, run, &memory, &moved)) {
    return Outcome::kUnsupported;
  }
  const void* elements = nib::partOf<void>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_CODES);
  const uint32_t* numbers = static_cast<const uint32_t*>(moved.range[NIB_ROLE_INPUT].data);
  void* result = moved.range[NIB_ROLE_OUTPUT].data;
  const auto eachRow = [&](auto&& load) {
    forEach(parallel, run.n, [&](uint32_t i) {
      alignas(64) float y[kPiece];
      const uint32_t row = numbers[i];
      const uint64_t start = uint64_t(run.first_row + i) * stride;
      for (uint64_t col = 0; col < desc.cols; col += kPiece) {
        const uint32_t count = uint32_t(std::min<uint64_t>(kPiece, desc.cols - col));
        if (row < desc.rows) {
          load(row, uint32_t(col), count, y);
        } else {
          std::fill(y, y + count, 0.0f);
        }
        storePiece(y, count, result, desc.result_type, start + col);
      }
      // The unused half of the last word is 0.
      if (desc.result_type != NIB_TYPE_F32 && desc.cols % 2 != 0) {
        storeDense(result, desc.result_type, start + desc.cols, 0);
      }
    });
  };
  if (dense) {
    const uint32_t type = desc.weights.scale_type;
    const uint64_t row_elements = uint64_t(g.row_words) * 4 / typeBytes(type);
    eachRow([&](uint32_t row, uint32_t col, uint32_t count, float* y) {
      loadPiece(elements, type, row * row_elements + col, count, y);
      canonicalize(y, count);
    });
  } else {
    const RowDecoder weights(desc.weights, g, memory, moved);
    eachRow([&](uint32_t row, uint32_t col, uint32_t count, float* y) {
      weights.decode(flat ? 0 : row, flat ? row * desc.cols + col : col, count, y);
    });
  }
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(gather, NIB_OP_GATHER, NibGatherDesc, runGather)

}  // namespace nib::simd
