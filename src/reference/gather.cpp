// Reference of NIB_OP_GATHER.
#include <cstring>

#include "reference/decode_row.h"

namespace nib {

void gatherReference(const NibGatherDesc& desc, const HostRun& run) {
  const bool flat = (desc.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  Geometry g;
  makeGeometry("gather", "weights", desc.rows, desc.cols, desc.weights, Log(), &g);
  uint32_t stride = desc.result_stride;
  checkDense("gather", "result", desc.count, desc.cols, desc.result_type, true, Log(), &stride);
  const reference::Decoded weights(desc.weights, g, run.memory, run.binding);
  const uint32_t* row_indices = static_cast<const uint32_t*>(run.binding.range[NIB_ROLE_INPUT].data);
  void* result = run.binding.range[NIB_ROLE_OUTPUT].data;

  auto row_body = [&](uint32_t i) {
    const uint32_t row = row_indices[i];
    for (uint32_t col = 0; col < desc.cols; ++col) {
      const uint32_t bits = row >= desc.rows ? 0u : flat ? weights.at(0, row * desc.cols + col) : weights.at(row, col);
      storeDense(result, desc.result_type, uint64_t(run.first_row + i) * stride + col, bits);
    }
    // The unused half of the last word is 0.
    if (desc.result_type != NIB_TYPE_F32 && desc.cols % 2 != 0) {
      storeDense(result, desc.result_type, uint64_t(run.first_row + i) * stride + desc.cols, 0);
    }
  };
  reference::forEach(run.parallel, run.n, row_body);
}

}  // namespace nib
