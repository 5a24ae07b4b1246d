// Reference of NIB_OP_DEQUANTIZE.
#include <cstring>

#include "reference/decode_row.h"

namespace nib {

void dequantizeReference(const NibDequantizeDesc& desc, const HostRun& run) {
  const bool flat = (desc.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  Geometry g;
  makeGeometry("dequantize", "weights", desc.rows, desc.cols, desc.weights, Log(), &g);
  uint32_t stride = flat ? 0 : desc.result_stride;
  checkDense("dequantize", "result", g.rows, g.cols, desc.result_type, true, Log(), &stride);
  const reference::Decoded weights(desc.weights, g, run.memory, run.binding);
  void* result = run.binding.range[NIB_ROLE_OUTPUT].data;

  auto row_body = [&](uint32_t i) {
    const uint32_t row = run.first_row + i;
    for (uint32_t col = 0; col < g.cols; ++col) {
      storeDense(result, desc.result_type, uint64_t(row) * stride + col, weights.at(row, col));
    }
    // The unused half of the last word is 0.
    if (desc.result_type != NIB_TYPE_F32 && g.cols % 2 != 0) {
      storeDense(result, desc.result_type, uint64_t(row) * stride + g.cols, 0);
    }
  };
  reference::forEach(run.parallel, flat ? 1u : run.n, row_body);
}

}  // namespace nib
