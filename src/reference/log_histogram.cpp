// Reference of NIB_OP_LOG_HISTOGRAM.
#include "reference/reference.h"

namespace nib {

void logHistogramReference(const NibLogHistogramDesc& desc, const HostRun& run) {
  const void* source = run.binding.range[NIB_ROLE_INPUT].data;
  // Ranges have no larger alignment than words, so a count is two of them, low word first.
  auto* words = static_cast<uint32_t*>(run.binding.range[NIB_ROLE_OUTPUT].data);
  const uint64_t stride = desc.source_stride != 0 ? desc.source_stride : desc.cols;
  const bool by_column = desc.granularity == NIB_GRANULARITY_COLUMN;
  const uint32_t side = NIB_LOG_HISTOGRAM_SIDE(desc.mantissa_bits);
  const uint64_t bins = NIB_LOG_HISTOGRAM_BINS(desc.mantissa_bits);
  const auto binOf = [&](uint32_t bits) {
    const uint32_t magnitude = exact::magnitudeOf(exact::nibFlushBits(bits));
    if (magnitude == 0) return side;
    const uint32_t k = (magnitude >> (23 - desc.mantissa_bits)) - (1u << desc.mantissa_bits) + 1;
    return exact::signOf(bits) != 0 ? side - k : side + k;
  };
  auto body = [&](uint32_t index) {
    uint32_t* const counts = words + index * bins * 2;
    const uint32_t first = by_column ? index : 0, end = by_column ? index + 1 : desc.cols;
    for (uint64_t row = 0; row < run.n; ++row) {
      for (uint64_t col = first; col < end; ++col) {
        const uint32_t bits = loadDense(source, desc.source_type, row * stride + col);
        if (exact::nibIsNonFinite(bits)) continue;
        uint32_t* const count = counts + 2 * uint64_t(binOf(bits));
        if (++count[0] == 0) ++count[1];
      }
    }
  };
  reference::forEach(run.parallel, by_column ? desc.cols : 1, body);
}

}  // namespace nib
