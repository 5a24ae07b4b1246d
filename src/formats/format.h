// A weight format as data: how codes map to values and how scales are found. One descriptor per format, one file each;
// ops and the reference work from the descriptor alone.
#ifndef NIB_FORMATS_FORMAT_H
#define NIB_FORMATS_FORMAT_H

#include <nibble/nibble.h>

namespace nib {

// Statistics of the finite values of one scale's elements, as fp32 bit patterns: min <= 0 <= max is not implied.
struct GroupStats {
  uint32_t min_bits;
  uint32_t max_bits;
  uint32_t absmax_bits;
  uint32_t mean_bits;  // of their magnitudes, if that is the scale
};

// A scale as stored, and what encoding with it needs. All fp32 bit patterns are finite.
struct StoredScale {
  uint32_t scale_bits;  // fp32 value of the stored scale; 0 = the zero group
  uint32_t zero;        // zero point in 0..levels (the code's unsigned form); the midpoint when symmetric; of formats
                        // with a minimum, its fp32 bits
  bool saturated;       // the found scale did not fit its type
  uint32_t rcp_bits;    // 1/scale by nibDiv, 0 for the zero group; filled before encode
};

// Of NibFormatInfo: what most formats can have.
inline constexpr uint32_t kAllGranularities = (1u << NIB_GRANULARITY_TENSOR) | (1u << NIB_GRANULARITY_ROW) |
                                              (1u << NIB_GRANULARITY_COLUMN) | (1u << NIB_GRANULARITY_GROUP);
inline constexpr uint32_t kFloatScales = (1u << NIB_TYPE_F32) | (1u << NIB_TYPE_F16) | (1u << NIB_TYPE_BF16);
inline constexpr uint32_t kLargestGroup = 256;

// A block of up to 32 elements, quantized by a format's own rule.
struct Block {
  uint32_t scale_stored;  // in the scale type
  uint32_t zero_stored;   // minimum, a half
  uint32_t saturated;     // how many of these two did not fit
  uint8_t code[32];
};

struct FormatDesc {
  NibFormatInfo info;
  uint32_t run;  // elements one invocation owns: 16 or 32, whose codes fill whole words

  // Scale of a group with these statistics, rounded to weights.scale_type, zero-group rule applied.
  StoredScale (*findScale)(const GroupStats& stats, const NibWeights& weights);
  // Code (low info.bits bits, in stored representation) of the finite fp32 x_bits. given: the scale was not found from
  // this data, so x may lie far outside the codes' range.
  uint32_t (*encode)(uint32_t x_bits, const StoredScale& scale, const NibWeights& weights, bool given);
  // fp32 bits of a code's value; overflow gives the largest finite value.
  uint32_t (*decode)(uint32_t code, const StoredScale& scale, const NibWeights& weights);
  // Zero point <-> what is stored in NIB_PART_ZEROS. Without ASYMMETRIC the zero point is the code that means 0.
  // zeroToStored is NULL for formats with NIB_FORMAT_OWN_SCALES, as are findScale and encode.
  uint32_t (*zeroToStored)(uint32_t zero);
  uint32_t (*zeroFromStored)(uint32_t stored, const NibWeights& weights);

  bool signed_scales = false;
  // Only formats with NIB_FORMAT_OWN_SCALES, in place of findScale and encode: count finite fp32 patterns.
  void (*quantizeBlock)(const uint32_t* x_bits, uint32_t count, Block* block) = nullptr;
};

// The scale is the mean of magnitudes.
inline bool isMeanScale(const FormatDesc& format, const NibWeights& weights) {
  return (format.info.flags & NIB_FORMAT_MEAN_SCALE) && !(weights.flags & NIB_WEIGHTS_NARROW);
}

// Written by the build from kernels.list, ascending id.
extern const FormatDesc* const kFormats[];
extern const char* const kFormatKinds[];  // KIND of each: which kernels it has
extern const char* const kAllKinds[];     // that there are, then NULL
extern const uint32_t kFormatCount;

// NULL if this build lacks it.
const FormatDesc* findFormat(uint32_t id);
// KIND of kernels.list. NULL if this build lacks the format.
const char* formatKind(uint32_t id);
bool isFormatKind(const char* name);

}  // namespace nib
#endif
