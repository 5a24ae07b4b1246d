// The chance of a bit: adaptive chances under several contexts, mixed in the logistic domain with weights that adapt,
// too. Integers only, so every host gets the same.
#ifndef NIB_PACKING_BIT_MODEL_H
#define NIB_PACKING_BIT_MODEL_H

#include <array>
#include <cstdint>

namespace nib::packing {

constexpr uint32_t scrambled(uint32_t h) {
  h = (h ^ h >> 15) * 0x2c1b3c6du;
  h = (h ^ h >> 12) * 0x297a2d39u;
  return h ^ h >> 15;
}
constexpr uint32_t joined(uint32_t a, uint32_t b) { return scrambled(a * 0x9e3779b1u + b + 0x7f4a7c15u); }
template <class... More>
constexpr uint32_t joined(uint32_t a, uint32_t b, More... more) {
  return joined(joined(a, b), more...);
}

// 4096 / (1 + exp(-x / 256)).
constexpr int squashed(int x) {
  constexpr int kAt[33] = {1,    2,    3,    6,    10,   16,   27,   45,   73,   120,  194,
                           310,  488,  747,  1101, 1546, 2047, 2549, 2994, 3348, 3607, 3785,
                           3901, 3975, 4024, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094};
  if (x > 2047) return 4095;
  if (x < -2047) return 0;
  const int part = x & 127, at = (x >> 7) + 16;
  return (kAt[at] * (128 - part) + kAt[at + 1] * part + 64) >> 7;
}

// How far a chance moves after `count` bits, in 65536ths of the distance: 2 / (2 count + 3).
inline constexpr uint32_t kMaxCount = 250;
struct Rates {
  std::array<uint16_t, kMaxCount + 1> of{};
  constexpr Rates() {
    for (uint32_t count = 0; count <= kMaxCount; ++count) of[count] = uint16_t(131072u / (2 * count + 3));
  }
};
inline constexpr Rates kRates;

class BitModel {
 public:
  static constexpr uint32_t kMaxContexts = 5;

  void reset() {
    for (uint32_t& chance : chances_) chance = 1u << 31;
    for (int32_t& weight : weights_) weight = kOne / 3;
    int filled = 0;
    for (int x = -2047; x <= 2047; ++x) {
      for (const int to = squashed(x); filled <= to; ++filled) stretched_[filled] = int16_t(x);
    }
    for (; filled < 4096; ++filled) stretched_[filled] = 2047;
  }
  // Codes a bit under `count` contexts, which are hashes. `set` selects the weights.
  template <class Coder, uint32_t count>
  uint32_t code(Coder& coder, const uint32_t (&contexts)[count], uint32_t set, uint32_t bit) {
    static_assert(count <= kMaxContexts);
    int32_t* const weights = weights_ + set % kSets * kMaxContexts;
    uint32_t* slots[count];
    int32_t stretched[count], sum = 0;
    for (uint32_t i = 0; i < count; ++i) {
      slots[i] = chances_ + (contexts[i] >> (32 - kBits));
      stretched[i] = stretched_[*slots[i] >> 20];
      sum += weights[i] * stretched[i] >> 8;
    }
    const int32_t chance = squashed(sum >> 8);
    const uint32_t scaled = uint32_t(chance) * 16 + 8;
    bit = coder.code(scaled < kLeast ? kLeast : scaled > 65536 - kLeast ? 65536 - kLeast : scaled, bit);
    const int32_t error = ((int32_t(bit) << 12) - chance) * 6;
    for (uint32_t i = 0; i < count; ++i) {
      const int32_t weight = weights[i] + ((stretched[i] * error + 0x2000) >> 14);
      weights[i] = weight > kMaxWeight ? kMaxWeight : weight < -kMaxWeight ? -kMaxWeight : weight;
      // 22 bits of chance, 10 of count.
      const uint32_t seen = *slots[i] & 1023;
      const int64_t old = *slots[i] >> 10, target = bit != 0 ? (1 << 22) - 1 : 0;
      const uint32_t moved = uint32_t(old + ((target - old) * kRates.of[seen] >> 16));
      *slots[i] = moved << 10 | (seen < kMaxCount ? seen + 1 : seen);
    }
    return bit;
  }

 private:
  static constexpr uint32_t kBits = 16, kSets = 4096, kLeast = 24;
  static constexpr int32_t kOne = 1 << 16, kMaxWeight = 8 * kOne;
  uint32_t chances_[1u << kBits];
  int16_t stretched_[4096];  // the inverse of squashed()
  int32_t weights_[kSets * kMaxContexts];
};

}  // namespace nib::packing
#endif
