// Reads rows of a blob in fp32.
#ifndef NIB_SIMD_ROW_DECODER_H
#define NIB_SIMD_ROW_DECODER_H

#include <algorithm>

#include "reference/reference.h"
#include "simd/codes.h"
#include "simd/rows.h"

namespace nib::simd {

class RowDecoder {
 public:
  // memory and binding as references take them.
  RowDecoder(const NibWeights& weights, const Geometry& geometry, const NibMemory& memory, const NibCpuBinding& binding)
      : weights_(weights),
        g_(geometry),
        format_(*geometry.format, weights),
        codes_(nib::partOf<uint8_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_CODES)),
        scales_(nib::partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_SCALES)),
        zeros_(nib::partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_ZEROS)),
        nested_(nib::partOf<uint32_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_NESTED)) {}
  // For decodeRow.
  RowDecoder(const NibWeights& weights, const Geometry& geometry)
      : weights_(weights), g_(geometry), format_(*geometry.format, weights) {}

  // Scales of columns are better read by the reference.
  static bool canDecode(const NibWeights& weights) {
    return kernels().decodeValues != nullptr && weights.granularity != NIB_GRANULARITY_COLUMN;
  }

  // Elements [col, col + count) of a row, FLAT weights being one row. col is a multiple of eight, count at most kPiece.
  void decode(uint32_t row, uint32_t col, uint32_t count, float* y) const {
    decodeRow(codes_ + uint64_t(row) * g_.row_words * 4, scales_, zeros_, uint64_t(row) * g_.scale_row_stride, col,
              count, y);
  }

  // The same of a row whose parts lie here; first_scale is the index of its first scale.
  void decodeRow(const void* row_codes, const void* scales, const void* zeros, uint64_t first_scale, uint32_t col,
                 uint32_t count, float* y) const {
    alignas(64) uint8_t codes[kPiece + kCodeLanes];
    const uint32_t bits = g_.format->info.bits, whole = count / 8 * 8;
    const uint8_t* from = static_cast<const uint8_t*>(row_codes) + uint64_t(col) / 8 * bits;
    kernels().unpackCodes(from, whole, bits, codes);
    if (count != whole) {  // the bytes of the last codes may end before those of eight
      uint8_t last[8] = {};
      std::memcpy(last, from + uint64_t(whole) / 8 * bits, (size_t(count - whole) * bits + 7) / 8);
      kernels().unpackCodes(last, 8, bits, codes + whole);
    }
    for (uint32_t at = 0; at < count;) {
      const uint32_t here = std::min(g_.group - (col + at) % g_.group, count - at);
      const uint64_t index = first_scale + (col + at) / g_.group;
      format_.decode(codes + at, here, reference::loadScale(*g_.format, weights_, scales, zeros, nested_, index),
                     y + at);
      at += here;
    }
  }

 private:
  const NibWeights& weights_;
  const Geometry& g_;
  FormatCodes format_;
  const uint8_t* codes_ = nullptr;
  const void* scales_ = nullptr;
  const void* zeros_ = nullptr;
  const uint32_t* nested_ = nullptr;
};

}  // namespace nib::simd
#endif
