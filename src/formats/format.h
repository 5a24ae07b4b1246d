// A weight format as data: how codes map to values and how scales are found. Each format has one descriptor in its own
// file; ops and references use nothing else of it.
#ifndef NIB_FORMATS_FORMAT_H
#define NIB_FORMATS_FORMAT_H

#include <nibble/nibble.h>

namespace nib {

// Statistics of the elements that share a scale, as fp32 bits. All are finite. min may be above 0 and max below it.
struct GroupStats {
  uint32_t min_bits;
  uint32_t max_bits;
  uint32_t absmax_bits;
  uint32_t mean_bits;  // mean of the magnitudes; set only if isMeanScale
};

// A stored scale and what encoding with it needs. All fp32 values are finite.
struct StoredScale {
  uint32_t scale_bits;  // fp32 bits of the stored scale; 0 = the zero group
  uint32_t zero;        // zero point as an unsigned code, the midpoint when symmetric; in formats with a minimum its
                        // fp32 bits
  bool saturated;       // the scale found from the data did not fit its type
  uint32_t rcp_bits;    // 1/scale by nibDiv, 0 for the zero group; filled before encode
};

// Values of NibFormatInfo fields that most formats have.
inline constexpr uint32_t kAllGranularities = (1u << NIB_GRANULARITY_TENSOR) | (1u << NIB_GRANULARITY_ROW) |
                                              (1u << NIB_GRANULARITY_COLUMN) | (1u << NIB_GRANULARITY_GROUP);
inline constexpr uint32_t kFloatScales = (1u << NIB_TYPE_F32) | (1u << NIB_TYPE_F16) | (1u << NIB_TYPE_BF16);
inline constexpr uint32_t kLargestGroup = 256;
inline constexpr uint32_t kSuperCols = 256;  // columns of a super-block

// Result of quantizing up to 32 elements by a format's own rule.
struct Block {
  uint32_t scale_stored;  // in the scale type
  uint32_t zero_stored;   // minimum, as fp16
  uint32_t saturated;     // number of these two that did not fit
  uint8_t code[32];
  // Unless the format searches: codes are rounded from (x - minimum) * reciprocal. They follow from the least and the
  // largest element alone, and if those have one magnitude, from which comes first.
  float minimum, reciprocal;
};

// How the bytes of a super-block's groups count. NIB_FORMAT_SUPER_BLOCKS only.
struct SuperBlocks {
  uint32_t blocks;       // groups of a super-block; 0 = the format has none
  int32_t offset;        // subtracted from the byte of a scale
  bool twos_complement;  // the bytes of scales are signed
  // Scales and minima are found as 0..levels, or if they are signed as -levels..levels - 1.
  int32_t levels;
};

struct FormatDesc {
  NibFormatInfo info;
  uint32_t run;  // elements of one invocation: 16 or 32, whose codes fill whole words

  // The scale for these statistics, rounded to weights.scale_type and subject to the zero-group rule.
  StoredScale (*findScale)(const GroupStats& stats, const NibWeights& weights);
  // The stored code (low info.bits bits) of the finite fp32 x_bits. given: the scale was not found from this data, so x
  // may be far outside the codes' range.
  uint32_t (*encode)(uint32_t x_bits, const StoredScale& scale, const NibWeights& weights, bool given);
  // fp32 bits of a code's value; overflow gives the largest finite value.
  uint32_t (*decode)(uint32_t code, const StoredScale& scale, const NibWeights& weights);
  // Zero point <-> its entry in NIB_PART_ZEROS. Without ASYMMETRIC the zero point is the code whose value is 0.
  // zeroToStored is NULL for formats with NIB_FORMAT_OWN_SCALES, as are findScale and encode. A format without zero
  // points leaves both out.
  uint32_t (*zeroToStored)(uint32_t zero) = [](uint32_t) { return 0u; };
  uint32_t (*zeroFromStored)(uint32_t stored, const NibWeights& weights) = [](uint32_t, const NibWeights&) {
    return 0u;
  };

  bool signed_scales = false;
  // Formats with NIB_FORMAT_OWN_SCALES only, instead of findScale and encode. x_bits: `count` finite fp32 patterns.
  // importance_bits: as many, or NULL. Formats with super-blocks have quantizeSuper instead.
  void (*quantizeBlock)(const uint32_t* x_bits, const uint32_t* importance_bits, uint32_t count,
                        Block* block) = nullptr;
  bool searches = false;  // scales are found by a search, which importance may weigh
  SuperBlocks super = {};
};

// True if the scale is the mean of magnitudes.
inline bool isMeanScale(const FormatDesc& format, const NibWeights& weights) {
  return (format.info.flags & NIB_FORMAT_MEAN_SCALE) && !(weights.flags & NIB_WEIGHTS_NARROW);
}

// Generated from kernels.list, in ascending order of ids.
extern const FormatDesc* const kFormats[];
extern const char* const kFormatKinds[];  // KIND of each: which kernels it has
extern const char* const kAllKinds[];     // that there are, then NULL
extern const uint32_t kFormatCount;

// NULL if the build does not have it.
const FormatDesc* findFormat(uint32_t id);
// KIND of kernels.list. NULL if this build lacks the format.
const char* formatKind(uint32_t id);
bool isFormatKind(const char* name);

}  // namespace nib
#endif
