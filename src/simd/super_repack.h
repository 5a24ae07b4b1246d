// Moves super-blocks between the canonical layout and that of another program, by a table of where everything lies.
#ifndef NIB_SIMD_SUPER_REPACK_H
#define NIB_SIMD_SUPER_REPACK_H

#include <cstring>
#include <vector>

#include "formats/geometry.h"
#include "formats/layout.h"
#include "simd/kernels.h"

namespace nib::simd {

class SuperRepack {
 public:
  SuperRepack(const Geometry& g, const LayoutDesc& layout)
      : bits_(g.format->info.bits), groups_(g.format->super.blocks) {
    Geometry one = g;
    one.rows = 1;
    one.cols = kSuperCols;
    block_bytes_ = size_t(layout.codesBytes(one));
    BitField fields[2];
    for (uint32_t j = 0; j < kSuperCols; ++j) add(codes_, j, fields, layout.placeCode(one, 0, j, fields));
    for (uint32_t j = 0; j < groups_; ++j) {
      add(scales_, j, fields, layout.placeByte(one, 0, j, false, fields));
      if (g.zeros_bytes != 0) add(zeros_, j, fields, layout.placeByte(one, 0, j, true, fields));
    }
    d_ = size_t(layout.placeHalf(one, 0, 0, false) / 8);
    if (g.zeros_bytes != 0) dmin_ = size_t(layout.placeHalf(one, 0, 0, true) / 8);
  }

  size_t blockBytes() const { return block_bytes_; }

  void pack(const uint8_t* words, const uint8_t* scales, const uint8_t* zeros, const uint32_t* nested,
            uint8_t* block) const {
    uint8_t codes[kSuperCols];
    kernels().unpackCodes(words, kSuperCols, bits_, codes);
    std::memset(block, 0, block_bytes_);
    gather(codes_, codes, block);
    gather(scales_, scales, block);
    gather(zeros_, zeros, block);
    std::memcpy(block + d_, nested, 2);
    if (zeros != nullptr) std::memcpy(block + dmin_, reinterpret_cast<const uint8_t*>(nested) + 2, 2);
  }

  void unpack(const uint8_t* block, uint8_t* words, uint8_t* scales, uint8_t* zeros, uint32_t* nested) const {
    uint8_t codes[kSuperCols] = {};
    scatter(codes_, block, codes);
    kernels().packCodes(codes, kSuperCols, bits_, words);
    std::memset(scales, 0, groups_);
    scatter(scales_, block, scales);
    if (zeros != nullptr) std::memset(zeros, 0, groups_);
    scatter(zeros_, block, zeros);
    *nested = 0;
    std::memcpy(nested, block + d_, 2);
    if (zeros != nullptr) std::memcpy(reinterpret_cast<uint8_t*>(nested) + 2, block + dmin_, 2);
  }

 private:
  // Bits of value `index` <-> bits of a byte of the block.
  struct Place {
    uint16_t index, byte;
    uint8_t bit, shift, mask;
  };
  using Places = std::vector<Place>;

  static void add(Places& places, uint32_t index, const BitField* fields, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      places.push_back({uint16_t(index), uint16_t(fields[i].at / 8), uint8_t(fields[i].at % 8),
                        uint8_t(fields[i].shift), uint8_t((1u << fields[i].bits) - 1u)});
    }
  }
  static void gather(const Places& places, const uint8_t* values, uint8_t* block) {
    for (const Place& p : places) block[p.byte] |= uint8_t((values[p.index] >> p.shift & p.mask) << p.bit);
  }
  static void scatter(const Places& places, const uint8_t* block, uint8_t* values) {
    for (const Place& p : places) values[p.index] |= uint8_t((block[p.byte] >> p.bit & p.mask) << p.shift);
  }

  uint32_t bits_, groups_;
  size_t block_bytes_ = 0, d_ = 0, dmin_ = 0;
  Places codes_, scales_, zeros_;
};

}  // namespace nib::simd
#endif
