// Reference of the kernel outliers.
#include "reference/outliers.h"

#include <cstring>

namespace nib::reference {
namespace {

struct Split {
  const DynamicProduct& p;
  const void* source;
  uint8_t* blob;
  StatusCounter& status;

  uint32_t load(uint32_t token, uint32_t col) const {
    const NibQuantizeDesc& d = p.quantize;
    const uint64_t stride = d.source_stride != 0 ? d.source_stride : d.cols;
    return loadDense(source, d.source_type, token * stride + col);
  }

  void token(uint32_t number) const {
    const Geometry& g = p.product.input;
    uint32_t* list = reinterpret_cast<uint32_t*>(blob + p.product.outliers_offset) +
                     uint64_t(number) * listWords(p.product.max_outliers);
    bool finite = true;
    for (uint32_t col = 0; col < g.cols; ++col) {
      if (!exact::nibIsNonFinite(load(number, col))) continue;
      status.nonFinite(uint64_t(number) * g.cols + col);
      finite = false;
    }
    uint32_t count = 0, absmax = 0;
    for (uint32_t col = 0; finite && col < g.cols; ++col) {
      const uint32_t bits = load(number, col), magnitude = exact::magnitudeOf(bits);
      if (magnitude >= p.threshold && count < p.product.max_outliers) {
        list[1 + 2 * count] = col;
        list[2 + 2 * count] = bits;
        ++count;
      } else if (magnitude > absmax) {
        absmax = magnitude;
      }
    }
    list[0] = count;
    status.outliers(count);

    const NibWeights& w = p.quantize.weights;
    StoredScale scale = g.format->findScale({0, 0, absmax, 0}, w);
    if (scale.saturated) status.saturated();
    saveStored(blob + g.scales_offset, 4, number, scaleToStored(scale.scale_bits, w.scale_type));
    scale.scale_bits = ruledScale(scale.scale_bits);
    scale.rcp_bits = scale.scale_bits != 0u ? exact::nibDivBits(0x3f800000u, scale.scale_bits) : 0u;
    uint8_t* codes = blob + uint64_t(number) * g.row_words * 4u;
    std::memset(codes, 0, size_t(g.row_words) * 4u);
    uint32_t met = 0;  // of the list
    for (uint32_t col = 0; finite && col < g.cols; ++col) {
      if (met < count && list[1 + 2 * met] == col) {
        ++met;
      } else {
        codes[col] = uint8_t(g.format->encode(load(number, col), scale, w, false));
      }
    }
  }
};

}  // namespace

void splitOutliers(const DynamicProduct& product, const void* source, uint8_t* blob, NibStatus* status, uint32_t n,
                   const NibParallelFor* parallel) {
  StatusCounter counter((product.quantize.flags & NIB_QUANTIZE_STATUS) != 0 ? status : nullptr);
  const Split split{product, source, blob, counter};
  auto body = [&](uint32_t number) { split.token(number); };
  forEach(parallel, n, body);
}

}  // namespace nib::reference
