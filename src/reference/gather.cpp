// Reference of NIB_OP_GATHER.
#include "numerics/float_bits.h"
#include "reference/decode_row.h"

namespace nib {

void gatherReference(const NibGatherDesc& desc, const HostRun& run) {
  const bool dense = desc.weights.format == NIB_FORMAT_DENSE, flat = (desc.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  Geometry g;
  if (dense) {
    makeDenseGeometry("gather", "weights", desc.rows, desc.cols, desc.weights, Log(), &g);
  } else {
    makeGeometry("gather", "weights", desc.rows, desc.cols, desc.weights, Log(), &g);
  }
  uint32_t stride = desc.result_stride;
  checkDense("gather", "result", desc.count, desc.cols, desc.result_type, true, Log(), &stride);
  const reference::Decoded weights(desc.weights, g, run.memory, run.binding);
  const void* elements = partOf<void>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_CODES);
  const uint32_t* row_indices = static_cast<const uint32_t*>(run.binding.range[NIB_ROLE_INPUT].data);
  void* result = run.binding.range[NIB_ROLE_OUTPUT].data;

  // fp32 bits of an element.
  const auto at = [&](uint32_t row, uint32_t col) {
    if (flat) return weights.at(0, row * desc.cols + col);
    if (!dense) return weights.at(row, col);
    const uint64_t row_elements = uint64_t(g.row_words) * 4 / typeBytes(desc.weights.scale_type);
    return exact::nibCanonicalBits(loadDense(elements, desc.weights.scale_type, row * row_elements + col));
  };
  auto row_body = [&](uint32_t i) {
    const uint32_t row = row_indices[i];
    const uint64_t start = uint64_t(run.first_row + i) * stride;
    for (uint32_t col = 0; col < desc.cols; ++col) {
      storeDense(result, desc.result_type, start + col, row < desc.rows ? at(row, col) : 0u);
    }
    // The unused half of the last word is 0.
    if (desc.result_type != NIB_TYPE_F32 && desc.cols % 2 != 0) {
      storeDense(result, desc.result_type, start + desc.cols, 0);
    }
  };
  reference::forEach(run.parallel, run.n, row_body);
}

}  // namespace nib
