// The encoder of range_coder.h's decoder, for the program that packs modules.
#ifndef NIB_PACKING_RANGE_ENCODER_H
#define NIB_PACKING_RANGE_ENCODER_H

#include <cstdint>
#include <vector>

namespace nib::packing {

class RangeEncoder {
 public:
  static constexpr bool kEncodes = true;
  uint32_t code(uint32_t chance, uint32_t bit) {
    const uint32_t middle = low_ + uint32_t(uint64_t(high_ - low_) * chance >> 16);
    (bit != 0 ? high_ : low_) = bit != 0 ? middle : middle + 1;
    for (; (low_ ^ high_) >> 24 == 0; low_ <<= 8, high_ = high_ << 8 | 255) bytes_.push_back(uint8_t(high_ >> 24));
    return bit;
  }
  // The decoder reads zeros after the last byte, so a number of the range that ends in zeros is enough.
  std::vector<uint8_t> finish() {
    for (uint32_t zeros = 32; zeros > 0; zeros -= 8) {
      const uint64_t step = uint64_t(1) << zeros, number = (low_ + step - 1) / step * step;
      if (number > high_) continue;
      for (uint32_t shift = 24; shift + 8 > zeros && shift < 32; shift -= 8) bytes_.push_back(uint8_t(number >> shift));
      return bytes_;
    }
    for (uint32_t shift = 32; shift > 0; shift -= 8) bytes_.push_back(uint8_t(high_ >> (shift - 8)));
    return bytes_;
  }

 private:
  uint32_t low_ = 0, high_ = ~0u;
  std::vector<uint8_t> bytes_;
};

}  // namespace nib::packing
#endif
