// Double quantization: fp32 scales as 8-bit codes of the dynamic map, in blocks of 256, less their mean. Source: QLoRA
// (arXiv 2305.14314) and bitsandbytes. The mean is an integer sum, so no order of adding shows in it.
#ifndef NIB_FORMATS_NESTED_H
#define NIB_FORMATS_NESTED_H

#include <cstdint>

namespace nib {

inline constexpr uint32_t kNestedBlock = 256;

// A scale from its code, as fp32 patterns; nested_bits: of the largest |scale - offset| of its block.
// May be negative; below 2^-120 it is 0.
uint32_t nestedScale(uint8_t code, uint32_t nested_bits, uint32_t offset_bits);

// Codes of scales, and the offset and blocks' scales that go with them, all as fp32 patterns.
void nestScales(const uint32_t* scales, uint32_t count, uint8_t* codes, uint32_t* nested);

}  // namespace nib
#endif
