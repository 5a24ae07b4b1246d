// How a format's codes are made and read by the kernels of kernels.h. The parameters are found from the format's own
// functions, so that no format is named here.
#ifndef NIB_SIMD_CODES_H
#define NIB_SIMD_CODES_H

#include "formats/geometry.h"
#include "formats/scale_store.h"
#include "simd/kernels.h"

namespace nib::simd {

class FormatCodes {
 public:
  FormatCodes(const FormatDesc& format, const NibWeights& weights);

  // False: the reference encodes.
  bool encodes() const { return encoder_ != kNone; }
  // Codes with scales that were not found from these elements.
  bool encodesGiven() const { return encoder_ == kIntegers; }

  // `count` finite elements of one scale. codes and x are padded as kernels.h says; x may be changed.
  void encode(const float* x, uint32_t count, const StoredScale& scale, bool given, uint8_t* codes) const;
  // Codes of a block with a rule of its own: `count` finite elements, with their extent. Sets what a Block holds but
  // its codes.
  void encodeBlock(const float* x, uint32_t count, const GroupExtent& extent, Block* block, uint8_t* codes) const;
  // Values of codes below 2^bits. The reference's, or for unusual scales the reference.
  void decode(const uint8_t* codes, uint32_t count, const StoredScale& scale, float* y) const;

 private:
  enum Encoder { kNone, kIntegers, kFloats, kSteps };

  uint32_t encodeUnit(uint32_t bits) const;
  bool makeFloats();
  bool makeSteps();

  const FormatDesc& format_;
  const NibWeights& weights_;
  Encoder encoder_ = kNone;
  FloatCoder floats_{};
  StepCoder steps_{};
  CodeValues values_{};  // at zero point 0
};

}  // namespace nib::simd
#endif
