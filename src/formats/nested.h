// Double quantization of QLoRA (arXiv 2305.14314) and bitsandbytes: fp32 scales minus their mean, as 8-bit codes of the
// dynamic map, in blocks of 256. The mean is an integer sum, so that the order of addition does not matter.
#ifndef NIB_FORMATS_NESTED_H
#define NIB_FORMATS_NESTED_H

#include <cstdint>

namespace nib {

inline constexpr uint32_t kNestedBlock = 256;

// fp32 bits of a scale from its code. nested_bits: the largest |scale - offset| of its block. The result may be
// negative; magnitudes below 2^-120 become 0.
uint32_t nestedScale(uint8_t code, uint32_t nested_bits, uint32_t offset_bits);

// Quantizes `count` scales, all values as fp32 bits. nested[0] is the offset (the mean), nested[1 + b] the scale of
// block b.
void nestScales(const uint32_t* scales, uint32_t count, uint8_t* codes, uint32_t* nested);

}  // namespace nib
#endif
