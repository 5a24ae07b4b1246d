// A packed layout of other programs as data: the bit position of every code, scale and zero point. The reference of
// repack uses nothing else of it.
#ifndef NIB_FORMATS_LAYOUT_H
#define NIB_FORMATS_LAYOUT_H

#include <nibble/nibble.h>

namespace nib {

struct FormatDesc;
struct Geometry;

// Bits [shift, shift + bits) of a value are at bit `at` of the packed part.
struct BitField {
  uint64_t at;
  uint32_t bits;
  uint32_t shift;
};

struct LayoutDesc {
  uint32_t layout;
  const char* name;
  // The formats whose codes it places.
  bool (*takes)(const FormatDesc& format);
  // NULL if the layout can hold these weights of such a format, else the reason, which follows "layout NAME: ".
  const char* (*refuses)(const NibWeights& weights, const Geometry& g);
  uint64_t (*codesBytes)(const Geometry& g);  // before rounding up to whole words
  uint64_t (*zerosBytes)(const Geometry& g);  // 0 = no packed zero points
  // Writes the bit fields of a code and returns their number, at most 2.
  uint32_t (*placeCode)(const Geometry& g, uint64_t row, uint64_t col, BitField* fields);
  // Bit of the fp16 scale of (row, group) in the packed codes; its minimum follows it. NULL = scales are not packed.
  uint64_t (*placeScale)(const Geometry& g, uint64_t row, uint64_t group);
  // Bit of a zero point in the packed zero points. NULL = zero points are not packed.
  uint64_t (*placeZero)(const Geometry& g, uint64_t row, uint64_t group);
  bool offset_binary;  // two's complement codes and zero points become code + 2^(bits-1)
  // For formats with super-blocks, instead of placeScale: the bit fields of a group's scale or minimum byte, at most 2,
  // and the bit of a super-block's half, d or dmin. NULL = the layout takes no such format.
  uint32_t (*placeByte)(const Geometry& g, uint64_t row, uint64_t group, bool minimum, BitField* fields) = nullptr;
  uint64_t (*placeHalf)(const Geometry& g, uint64_t row, uint64_t block, bool minimum) = nullptr;
};

// NULL if there is no such layout.
const LayoutDesc* findLayout(uint32_t layout);

// The names of this build's formats that the layout takes, "q4_0, q4_1", truncated to `size` bytes.
void listFormats(const LayoutDesc& layout, char* text, uint32_t size);

extern const LayoutDesc kLayout_rows;
extern const LayoutDesc kLayout_packed_rows;
extern const LayoutDesc kLayout_bitsandbytes;
extern const LayoutDesc kLayout_gguf;
extern const LayoutDesc kLayout_words;

}  // namespace nib
#endif
