// Reference of NIB_OP_DEQUANTIZE.
#include <cstring>

#include "cpu/cpu.h"

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
  const uint32_t* codes = cpu::partOf<uint32_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_CODES);
  const void* scales = cpu::partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_SCALES);
  const void* zeros = cpu::partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_ZEROS);
  const uint32_t* nested = cpu::partOf<uint32_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_NESTED);
  void* result = binding.range[NIB_ROLE_OUTPUT].data;
  const uint32_t bits = g.format->info.bits;

  auto row_body = [&](uint32_t row) {
    const uint32_t* words = codes + uint64_t(row) * g.row_words;
    for (uint32_t col = 0; col < g.cols; ++col) {
      const uint64_t bit = uint64_t(col) * bits;
      uint64_t window = words[bit / 32u];
      if (bit % 32u + bits > 32u) window |= uint64_t(words[bit / 32u + 1u]) << 32;
      const uint32_t code = uint32_t(window >> (bit % 32u)) & ((1u << bits) - 1u);
      const uint32_t index = row * g.scale_row_stride + col / g.group;
      const StoredScale scale = cpu::loadScale(*g.format, desc.weights, scales, zeros, nested, index);
      cpu::storeDense(result, desc.result_type, uint64_t(row) * stride + col,
                      g.format->decode(code, scale, desc.weights));
    }
    // The other half of a shared last word.
    if (desc.result_type != NIB_TYPE_F32 && g.cols % 2 != 0) {
      cpu::storeDense(result, desc.result_type, uint64_t(row) * stride + g.cols, 0);
    }
  };
  cpu::forEach(parallel, flat ? 1u : n, row_body);
}

}  // namespace nib
