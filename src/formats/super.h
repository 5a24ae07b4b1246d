// Super-blocks of ggml's K-quants: 256 columns share two halves, d and dmin, in a word. The scale of a group is the
// number that its byte stands for times d, the minimum -(byte * dmin). Both products are exact in fp32, and so is the
// product with a code. shaders/formats/super.glsl is the GPU counterpart.
#ifndef NIB_FORMATS_SUPER_H
#define NIB_FORMATS_SUPER_H

#include "formats/format.h"
#include "formats/ggml.h"

namespace nib {

// fp32 bits of steps times a half; +0 if the half is not finite.
inline uint32_t superProduct(int32_t steps, uint32_t half) {
  const uint32_t d = exact::nibHalfToF32Bits(half & 0xffffu);
  if (steps == 0 || exact::magnitudeOf(d) == 0 || exact::nibIsNonFinite(d)) return 0;
  return exact::bitsOf(float(steps) * exact::floatOf(d));
}

// The number that the byte of a scale stands for.
inline int32_t superSteps(const SuperBlocks& super, uint32_t byte) {
  return super.twos_complement ? int32_t(int8_t(byte)) : int32_t(byte) - super.offset;
}

// The scale and the minimum of a group, from their bytes and the word of the super-block.
inline StoredScale superScale(const SuperBlocks& super, uint32_t scale_byte, uint32_t zero_byte, uint32_t nested) {
  StoredScale scale{};
  scale.scale_bits = superProduct(superSteps(super, scale_byte), nested);
  scale.zero = superProduct(-int32_t(zero_byte), nested >> 16);
  return scale;
}

// A quantized super-block.
struct SuperResult {
  uint32_t nested;     // d and dmin
  uint32_t saturated;  // how many of the two did not fit
  uint8_t scale[kSuperCols / 16], zero[kSuperCols / 16];
  uint8_t code[kSuperCols];
};

// x_bits: 256 finite fp32 patterns; elements after the row's last are 0. importance_bits: 256 fp32 patterns, or NULL.
void quantizeSuper(const FormatDesc& format, const uint32_t* x_bits, const uint32_t* importance_bits,
                   SuperResult* result);

template <uint32_t kBits, Ggml kKind>
constexpr FormatDesc superFormat(uint32_t id, const char* name, uint32_t run, SuperBlocks super) {
  using G = GgmlBlock<kBits, kKind>;
  const uint32_t group = kSuperCols / super.blocks;
  FormatDesc format{};
  format.info = {id,
                 name,
                 kBits,
                 group,
                 0,
                 1u << NIB_GRANULARITY_GROUP,
                 1u << NIB_TYPE_BYTE,
                 group,
                 group,
                 uint32_t(NIB_FORMAT_OWN_SCALES) | uint32_t(NIB_FORMAT_SUPER_BLOCKS) |
                     (kKind == Ggml::kMinimum ? uint32_t(NIB_FORMAT_MINIMUM) : 0u)};
  format.run = run;
  format.decode = G::decode;
  format.signed_scales = true;
  format.searches = true;
  format.super = super;
  return format;
}

}  // namespace nib
#endif
