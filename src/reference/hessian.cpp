// Reference of NIB_OP_HESSIAN: sums in double, in the order of the tokens.
#include "reference/reference.h"
#include "reference/rounding.h"

namespace nib {
namespace {

double valueOf(uint32_t bits) { return double(exact::floatOf(exact::nibFlushBits(bits))); }

}  // namespace

void hessianReference(const NibHessianDesc& desc, uint32_t source_stride, const HostRun& run) {
  constexpr uint32_t kCols = 64;  // summed at a time
  const void* source = partOf<void>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  const uint32_t* mask = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_MASK);
  uint32_t* result = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  uint32_t* diagonal = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_DIAGONAL);
  const auto at = [&](uint32_t token, uint32_t col) {
    return valueOf(loadDense(source, desc.source_type, uint64_t(token) * source_stride + col));
  };
  auto body = [&](uint32_t row) {
    uint32_t* to = result + uint64_t(row) * desc.cols;
    for (uint32_t first = 0; first <= row; first += kCols) {
      const uint32_t count = row + 1 - first < kCols ? row + 1 - first : kCols;
      double sum[kCols];
      for (uint32_t i = 0; i < count; ++i) sum[i] = valueOf(to[first + i]);
      for (uint32_t token = 0; token < run.n; ++token) {
        if (mask != nullptr && (mask[token / 32] >> token % 32 & 1u) == 0) continue;
        const double x = at(token, row);
        for (uint32_t i = 0; i < count; ++i) sum[i] += x * at(token, first + i);
      }
      for (uint32_t i = 0; i < count; ++i) to[first + i] = reference::roundedBits(sum[i]);
    }
    diagonal[row] = to[row];
  };
  reference::forEach(run.parallel, run.n != 0 ? desc.cols : 0, body);
}

}  // namespace nib
