// Bits in a range of 32 bits, by their chance of being 1 in 65536ths.
#ifndef NIB_PACKING_RANGE_CODER_H
#define NIB_PACKING_RANGE_CODER_H

#include <cstdint>

namespace nib::packing {

class RangeDecoder {
 public:
  static constexpr bool kEncodes = false;
  // Bytes are those of little-endian words. Zeros follow them.
  RangeDecoder(const uint32_t* words, uint32_t bytes) : words_(words), bytes_(bytes) {
    for (int i = 0; i < 4; ++i) code_ = code_ << 8 | nextByte();
  }
  uint32_t code(uint32_t chance, uint32_t /*bit*/) {
    const uint32_t middle = low_ + uint32_t(uint64_t(high_ - low_) * chance >> 16);
    const uint32_t bit = code_ <= middle ? 1 : 0;
    (bit != 0 ? high_ : low_) = bit != 0 ? middle : middle + 1;
    for (; (low_ ^ high_) >> 24 == 0; low_ <<= 8, high_ = high_ << 8 | 255) code_ = code_ << 8 | nextByte();
    return bit;
  }

 private:
  uint32_t nextByte() {
    if (at_ == bytes_) return 0;
    const uint32_t byte = words_[at_ / 4] >> at_ % 4 * 8 & 255;
    ++at_;
    return byte;
  }

  const uint32_t* words_;
  uint32_t bytes_, at_ = 0, low_ = 0, high_ = ~0u, code_ = 0;
};

}  // namespace nib::packing
#endif
