// Double quantization: fp32 scales as 8-bit codes of the dynamic map, in blocks of 256, less their mean. Source: QLoRA
// (arXiv 2305.14314) and bitsandbytes. The mean is an integer sum, so no order of adding shows in it.
#ifndef NIB_FORMATS_NESTED_H
#define NIB_FORMATS_NESTED_H

#include <cstdint>

namespace nib {

inline constexpr uint32_t kNestedBlock = 256;

// The mean of count non-negative fp32 patterns, the largest of which is `largest`: each as a multiple of 2^-22 of the
// largest's power of two, rounded half up; their sum and count rounded half-even to fp32, and divided.
struct NestedMean {
  uint32_t largest;
  uint64_t sum = 0;
  void add(uint32_t bits);
  uint32_t meanBits(uint32_t count) const;
};

// Code of a scale, and a scale from its code, as fp32 patterns; nested_bits: of the largest |scale - offset| of its block.
uint32_t nestedDifference(uint32_t scale_bits, uint32_t offset_bits);
uint32_t nestedRuled(uint32_t largest_difference_bits);
uint8_t nestedCode(uint32_t difference_bits, uint32_t nested_bits);
// May be negative; below 2^-120 it is 0.
uint32_t nestedScale(uint8_t code, uint32_t nested_bits, uint32_t offset_bits);

// All of that, for scales as fp32 patterns.
void nestScales(const uint32_t* scales, uint32_t count, uint8_t* codes, uint32_t* nested);

}  // namespace nib
#endif
