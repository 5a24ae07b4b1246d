// Reference of NIB_OP_CONVERT.
#include <cstring>

#include "reference/reference.h"

namespace nib {
namespace {

// Denormals become zeros and every NaN the quiet one. Signs are kept.
uint32_t canonical(uint32_t bits) {
  if (exact::magnitudeOf(bits) > exact::kInfBits) return exact::signOf(bits) | exact::kNanBits;
  return exact::nibFlushBits(bits);
}

bool overflows(uint32_t bits, uint32_t type) {
  if (exact::nibIsNonFinite(bits)) return false;
  if (type == NIB_TYPE_F16) return (exact::nibF32ToHalfBits(bits) & 0x7fffu) == 0x7c00u;
  if (type == NIB_TYPE_BF16) return (exact::nibF32ToBf16Bits(bits) & 0x7fffu) == 0x7f80u;
  return false;
}

uint32_t largestBits(uint32_t type) {
  return type == NIB_TYPE_F16 ? exact::nibHalfToF32Bits(0x7bffu) : exact::nibBf16ToF32Bits(0x7f7fu);
}

}  // namespace

void convertReference(const NibConvertDesc& desc, const HostRun& run) {
  uint32_t source_stride = desc.source_stride, result_stride = desc.result_stride;
  checkDense("convert", "source", desc.rows, desc.cols, desc.source_type, false, Log(), &source_stride);
  checkDense("convert", "result", desc.rows, desc.cols, desc.result_type, true, Log(), &result_stride);
  const void* source = run.binding.range[NIB_ROLE_INPUT].data;
  void* result = run.binding.range[NIB_ROLE_OUTPUT].data;
  reference::StatusCounter status(partOf<NibStatus>(run.memory, run.binding, NIB_ROLE_AUX, NIB_PART_STATUS));

  auto row_body = [&](uint32_t row) {
    const uint64_t from = uint64_t(row) * source_stride, to = uint64_t(run.first_row + row) * result_stride;
    for (uint32_t col = 0; col < desc.cols; ++col) {
      uint32_t bits = canonical(loadDense(source, desc.source_type, from + col));
      if (exact::nibIsNonFinite(bits)) status.nonFinite(uint64_t(row) * desc.cols + col);
      if (overflows(bits, desc.result_type)) {
        status.saturated();
        if (desc.flags & NIB_CONVERT_SATURATE) bits = exact::signOf(bits) | largestBits(desc.result_type);
      }
      storeDense(result, desc.result_type, to + col, bits);
    }
    // The unused half of the last word is 0.
    if (desc.result_type != NIB_TYPE_F32 && desc.cols % 2 != 0) {
      storeDense(result, desc.result_type, to + desc.cols, 0);
    }
  };
  reference::forEach(run.parallel, run.n, row_body);
}

}  // namespace nib
