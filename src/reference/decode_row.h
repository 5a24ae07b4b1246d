// Reads a quantized matrix in host memory, one element at a time.
#ifndef NIB_REFERENCE_DECODE_ROW_H
#define NIB_REFERENCE_DECODE_ROW_H

#include "reference/reference.h"

namespace nib::reference {

class Decoded {
 public:
  Decoded(const NibWeights& weights, const Geometry& geometry, const NibMemory& memory, const NibCpuBinding& binding)
      : weights_(weights),
        g_(geometry),
        codes_(partOf<uint32_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_CODES)),
        scales_(partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_SCALES)),
        zeros_(partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_ZEROS)),
        nested_(partOf<uint32_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_NESTED)) {}
  // Without nested scales.
  Decoded(const NibWeights& weights, const Geometry& geometry, const uint32_t* codes, const void* scales,
          const void* zeros)
      : weights_(weights), g_(geometry), codes_(codes), scales_(scales), zeros_(zeros), nested_(nullptr) {}

  // fp32 bits of an element. row and col are the geometry's: FLAT weights are one row.
  uint32_t at(uint32_t row, uint32_t col) const {
    const uint32_t* words = codes_ + uint64_t(row) * g_.row_words;
    const uint32_t bits = g_.format->info.bits;
    const uint64_t bit = uint64_t(col) * bits;
    uint64_t window = words[bit / 32u];
    if (bit % 32u + bits > 32u) window |= uint64_t(words[bit / 32u + 1u]) << 32;
    const uint32_t code = uint32_t(window >> (bit % 32u)) & ((1u << bits) - 1u);
    const uint32_t index = row * g_.scale_row_stride + col / g_.group;
    return g_.format->decode(code, loadScale(*g_.format, weights_, scales_, zeros_, nested_, index), weights_);
  }

 private:
  const NibWeights& weights_;
  const Geometry& g_;
  const uint32_t* codes_;
  const void* scales_;
  const void* zeros_;
  const uint32_t* nested_;
};

}  // namespace nib::reference
#endif
