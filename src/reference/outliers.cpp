// Reference of shaders/ops/outliers.comp.
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

  void quantizeToken(uint32_t token) const {
    const Geometry& g = p.product.input;
    uint32_t* list = reinterpret_cast<uint32_t*>(blob + p.product.outliers_offset) +
                     uint64_t(token) * listWords(p.product.max_outliers);
    bool finite = true;
    for (uint32_t col = 0; col < g.cols; ++col) {
      if (!exact::nibIsNonFinite(load(token, col))) continue;
      status.nonFinite(uint64_t(token) * g.cols + col);
      finite = false;
    }
    uint32_t count = 0, absmax = 0;
    for (uint32_t col = 0; finite && col < g.cols; ++col) {
      const uint32_t bits = load(token, col), magnitude = exact::magnitudeOf(bits);
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
    saveStored(blob + g.scales_offset, 4, token, scaleToStored(scale.scale_bits, w.scale_type));
    scale.scale_bits = ruledScale(scale.scale_bits);
    scale.rcp_bits = scale.scale_bits != 0u ? exact::nibDivBits(0x3f800000u, scale.scale_bits) : 0u;
    uint8_t* codes = blob + uint64_t(token) * g.row_words * 4u;
    std::memset(codes, 0, size_t(g.row_words) * 4u);
    uint32_t next = 0;  // index in the list
    for (uint32_t col = 0; finite && col < g.cols; ++col) {
      if (next < count && list[1 + 2 * next] == col) {
        ++next;
      } else {
        codes[col] = uint8_t(g.format->encode(load(token, col), scale, w, false));
      }
    }
  }
};

}  // namespace

void splitOutliers(const DynamicProduct& product, const void* source, uint8_t* blob, NibStatus* status, uint32_t n,
                   const NibParallelFor* parallel) {
  StatusCounter counter((product.quantize.flags & NIB_QUANTIZE_STATUS) != 0 ? status : nullptr);
  const Split split{product, source, blob, counter};
  auto body = [&](uint32_t token) { split.quantizeToken(token); };
  forEach(parallel, n, body);
}

}  // namespace nib::reference
