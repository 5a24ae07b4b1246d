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
};

// A scale as stored, and what encoding with it needs. All fp32 bit patterns are finite.
struct StoredScale {
  uint32_t scale_bits;  // fp32 value of the stored scale; 0 = the zero group
  uint32_t zero;        // zero point in 0..levels (the code's unsigned form); the midpoint when symmetric
  bool saturated;       // the found scale did not fit its type
  uint32_t rcp_bits;    // 1/scale by nibDiv, 0 for the zero group; filled before encode
};

struct FormatDesc {
  NibFormatInfo info;
  uint32_t run;             // elements one invocation owns: a multiple of 16 whose codes fill whole words
  uint32_t group_multiple;  // group sizes are multiples of this
  bool column_granularity;  // has NIB_GRANULARITY_COLUMN

  // Scale of a group with these statistics, rounded to weights.scale_type, zero-group rule applied.
  StoredScale (*findScale)(const GroupStats& stats, const NibWeights& weights);
  // Code (low info.bits bits, in stored representation) of the finite fp32 x_bits. given: the scale was not found from
  // this data, so x may lie far outside the codes' range.
  uint32_t (*encode)(uint32_t x_bits, const StoredScale& scale, const NibWeights& weights, bool given);
  // fp32 bits of a code's value; overflow gives the largest finite value.
  uint32_t (*decode)(uint32_t code, const StoredScale& scale, const NibWeights& weights);
  // Zero point <-> the byte stored in NIB_PART_ZEROS, and the code that means 0.
  uint32_t (*zeroByte)(uint32_t zero);
  uint32_t (*zeroFromByte)(uint32_t byte, const NibWeights& weights);
};

// Written by the build from kernels.list, ascending id.
extern const FormatDesc* const kFormats[];
extern const uint32_t kFormatCount;

// NULL if this build lacks it.
const FormatDesc* findFormat(uint32_t id);

}  // namespace nib
#endif
