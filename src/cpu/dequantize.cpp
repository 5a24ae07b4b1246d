// Reference of NIB_OP_DEQUANTIZE.
#include <cstring>

#include "cpu/decode_row.h"

namespace nib {

void dequantizeCpu(const NibOpDesc* any, const NibMemory& memory, const NibCpuBinding& binding, uint32_t n,
                   const NibParallelFor* parallel) {
  NibDequantizeDesc desc;
  std::memcpy(&desc, any, sizeof desc);
  const bool flat = (desc.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  Geometry g;
  makeGeometry("dequantize", desc.rows, desc.cols, desc.weights, Log(), &g);
  uint32_t stride = flat ? 0 : desc.result_stride;
  checkDense("dequantize", "result", g.rows, g.cols, desc.result_type, true, Log(), &stride);
  const cpu::Decoded weights(desc.weights, g, memory, binding);
  void* result = binding.range[NIB_ROLE_OUTPUT].data;

  auto row_body = [&](uint32_t row) {
    for (uint32_t col = 0; col < g.cols; ++col) {
      cpu::storeDense(result, desc.result_type, uint64_t(row) * stride + col, weights.at(row, col));
    }
    // The other half of a shared last word.
    if (desc.result_type != NIB_TYPE_F32 && g.cols % 2 != 0) {
      cpu::storeDense(result, desc.result_type, uint64_t(row) * stride + g.cols, 0);
    }
  };
  cpu::forEach(parallel, flat ? 1u : n, row_body);
}

}  // namespace nib
