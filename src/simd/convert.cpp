// Conversion between dense types: the reference's bytes. Pieces with numbers that are not finite, or become infinite,
// are left to a plain loop.
#include <algorithm>

#include "formats/geometry.h"
#include "reference/reference.h"
#include "simd/fast_kernels.h"
#include "simd/rows.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

// The largest magnitude that rounds to a finite number, as bits.
uint32_t largestBits(uint32_t type) {
  return type == NIB_TYPE_F16 ? 0x477fefffu : type == NIB_TYPE_BF16 ? 0x7f7f7fffu : exact::kMaxFiniteBits;
}

Outcome runConvert(const NibConvertDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                   const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  if (kernels().findExtents == nullptr || run.n == 0 || !isValid(op, binding, run, desc.rows)) {
    return Outcome::kUnsupported;
  }
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  uint32_t source_stride = desc.source_stride, result_stride = desc.result_stride;
  if (!moveOperands(op, binding, run, &memory, &moved) ||
      checkDense("convert", "source", desc.rows, desc.cols, desc.source_type, false, Log(), &source_stride) !=
          NIB_SUCCESS ||
      checkDense("convert", "result", desc.rows, desc.cols, desc.result_type, true, Log(), &result_stride) !=
          NIB_SUCCESS) {
    return Outcome::kUnsupported;
  }
  const void* source = moved.range[NIB_ROLE_INPUT].data;
  void* result = moved.range[NIB_ROLE_OUTPUT].data;
  reference::StatusCounter status(nib::partOf<NibStatus>(memory, moved, NIB_ROLE_AUX, NIB_PART_STATUS));
  const uint32_t largest = largestBits(desc.result_type);
  const uint32_t largest_stored = desc.result_type == NIB_TYPE_F16 ? 0x477fe000u : 0x7f7f0000u;

  forEach(parallel, run.n, [&](uint32_t row) {
    alignas(64) float x[kPiece];
    const uint64_t from = uint64_t(row) * source_stride, to = uint64_t(run.first_row + row) * result_stride;
    for (uint64_t col = 0; col < desc.cols; col += kPiece) {
      const uint32_t count = uint32_t(std::min<uint64_t>(kPiece, desc.cols - col));
      loadPiece(source, desc.source_type, from + col, count, x);
      uint32_t most = 0;
      for (uint32_t i = 0; i < count; ++i) {
        uint32_t bits = exact::bitsOf(x[i]);
        const uint32_t magnitude = exact::magnitudeOf(bits);
        most = std::max(most, magnitude);
        bits = magnitude < 0x00800000u ? bits & exact::kSignBit : bits;
        x[i] = exact::floatOf(bits);
      }
      for (uint32_t i = 0; most > largest && i < count; ++i) {
        const uint32_t bits = exact::bitsOf(x[i]), magnitude = exact::magnitudeOf(bits);
        if (magnitude <= largest) continue;
        if (magnitude < exact::kInfBits) {
          status.saturated();
          if (desc.flags & NIB_CONVERT_SATURATE) x[i] = exact::floatOf(exact::signOf(bits) | largest_stored);
        } else {
          status.nonFinite(uint64_t(row) * desc.cols + col + i);
          if (magnitude > exact::kInfBits) x[i] = exact::floatOf(exact::signOf(bits) | exact::kNanBits);
        }
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

NIB_DEFINE_FAST_KERNEL(convert, NIB_OP_CONVERT, NibConvertDesc, runConvert)

}  // namespace nib::simd
