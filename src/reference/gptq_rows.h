// Rows of NIB_OP_GPTQ: operands, scales, and rounding of one weight. The reference and the fast CPU kernel share them.
#ifndef NIB_REFERENCE_GPTQ_ROWS_H
#define NIB_REFERENCE_GPTQ_ROWS_H

#include "numerics/gptq.h"
#include "numerics/mean.h"
#include "reference/row_scales.h"

namespace nib::reference {

struct GptqRows {
  const NibGptqDesc& d;
  const GptqShape& shape;
  const HostRun& run;
  const void* source;
  const uint32_t* factor;
  const uint32_t* order;     // NULL: none
  const uint32_t* diagonal;  // NULL: none
  uint32_t* result;
  float* loss;
  uint32_t* codes;
  void* scales;
  void* zeros;  // NULL: none
  float* errors;
  StatusCounter* status;

  GptqRows(const NibGptqDesc& desc, const GptqShape& s, const HostRun& r, StatusCounter* counter)
      : d(desc), shape(s), run(r), status(counter) {
    const auto part = [&](NibRole role, NibPart which) { return partOf<uint32_t>(r.memory, r.binding, role, which); };
    source = part(NIB_ROLE_INPUT, NIB_PART_SOURCE);
    factor = part(NIB_ROLE_INPUT, NIB_PART_FACTOR);
    order = part(NIB_ROLE_INPUT, NIB_PART_ORDER);
    diagonal = part(NIB_ROLE_INPUT, NIB_PART_DIAGONAL);
    result = part(NIB_ROLE_OUTPUT, NIB_PART_RESULT);
    loss = reinterpret_cast<float*>(part(NIB_ROLE_OUTPUT, NIB_PART_LOSS));
    codes = part(NIB_ROLE_WEIGHTS, NIB_PART_CODES);
    scales = part(NIB_ROLE_WEIGHTS, NIB_PART_SCALES);
    zeros = part(NIB_ROLE_WEIGHTS, NIB_PART_ZEROS);
    uint8_t* aux = static_cast<uint8_t*>(r.binding.range[NIB_ROLE_AUX].data);
    errors = reinterpret_cast<float*>(aux + s.errors_offset);
  }

  bool has(uint32_t flag) const { return (d.flags & flag) != 0; }
  uint32_t* rowOf(uint32_t row) const { return result + uint64_t(row) * d.cols; }
  // The column of W at a position.
  uint32_t columnAt(uint32_t p) const { return order != nullptr ? order[p] : p; }
  // The column of the blob.
  uint32_t storedAt(uint32_t p) const { return has(NIB_GPTQ_KEEP_ORDER) ? p : columnAt(p); }

  RowScales rowScales() const { return {shape.g, d.weights.scale_type, scales, zeros}; }

  // Finds and stores the scale of the group that begins at position p.
  void findScale(uint32_t row, uint32_t p) const {
    const Geometry& g = shape.g;
    const uint32_t count = d.cols - p < g.group ? d.cols - p : g.group;
    const uint32_t* x = rowOf(row) + p;
    Extent extent;
    for (uint32_t i = 0; i < count; ++i) extent.add(x[i]);
    GroupStats stats{extent.minBits(), extent.maxBits(), extent.absmaxBits(), 0};
    if (isMeanScale(*g.format, d.weights)) {
      Mean mean{stats.absmax_bits};
      for (uint32_t i = 0; i < count; ++i) mean.add(exact::magnitudeOf(x[i]));
      stats.mean_bits = mean.bits(count);
    }
    const StoredScale found = g.format->findScale(stats, d.weights);
    if (found.saturated) status->saturated();
    rowScales().save(row * g.scale_row_stride + p / g.group, found);
    if (p / g.group + 1 == g.groups_per_row) rowScales().pad(row);
  }

  StoredScale scaleAt(uint32_t row, uint32_t p) const {
    const uint32_t c = storedAt(p) < d.cols ? storedAt(p) : d.cols - 1;
    StoredScale scale = loadScale(*shape.g.format, d.weights, scales, zeros, nullptr,
                                  row * shape.g.scale_row_stride + c / shape.g.group);
    scale.rcp_bits = scale.scale_bits != 0u ? exact::nibDivBits(0x3f800000u, scale.scale_bits) : 0u;
    return scale;
  }

  // Whether scales are found when their group is reached.
  bool finds() const { return !shape.measures() && !has(NIB_GPTQ_GIVEN_SCALES); }

  // Rounds the weight x[p] and replaces it by its code. Returns the bits of the difference. `scale` is that of the
  // position; unused if the op only measures.
  uint32_t roundAt(uint32_t* x, uint32_t p, const StoredScale& scale) const {
    if (shape.measures()) return x[p];
    const float w = exact::floatOf(x[p]);
    const uint32_t code = shape.g.format->encode(x[p], scale, d.weights, true);
    const float q = exact::floatOf(shape.g.format->decode(code, scale, d.weights));
    x[p] = code;
    return exact::bitsOf(w - q);
  }
};

}  // namespace nib::reference
#endif
