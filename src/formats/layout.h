// A packed layout of other programs as data: where every code, scale and zero point lies. The reference repacks from this
// alone.
#ifndef NIB_FORMATS_LAYOUT_H
#define NIB_FORMATS_LAYOUT_H

#include <nibble/nibble.h>

namespace nib {

struct FormatDesc;
struct Geometry;

// Bits [shift, shift + bits) of a value lie at `at`, counted from the packed range's first bit.
struct Piece {
  uint64_t at;
  uint32_t bits;
  uint32_t shift;
};

struct LayoutDesc {
  uint32_t layout;
  const char* name;
  // The formats whose codes it places.
  bool (*takes)(const FormatDesc& format);
  // NULL if the layout can hold these weights of such a format, else why not, to follow "layout NAME: ".
  const char* (*refuses)(const NibWeights& weights, const Geometry& g);
  uint64_t (*codesBytes)(const Geometry& g);  // before they are rounded to whole words
  uint64_t (*zerosBytes)(const Geometry& g);  // 0 = none of its own
  // Pieces of a code; at most 2.
  uint32_t (*placeCode)(const Geometry& g, uint64_t row, uint64_t col, Piece* pieces);
  // Of the scale of (row, group); NULL = scales are kept as they are. A minimum lies 16 bits behind.
  uint64_t (*placeScale)(const Geometry& g, uint64_t row, uint64_t group);
  // Bit of a zero point in its own range; NULL = kept as they are.
  uint64_t (*placeZero)(const Geometry& g, uint64_t row, uint64_t group);
  bool offset_binary;  // two's complement codes and zero points become code + 2^(bits-1)
};

// NULL if there is none.
const LayoutDesc* findLayout(uint32_t layout);

// The names of this build's formats that the layout takes, "q4_0, q4_1", cut where `size` bytes end.
void listFormats(const LayoutDesc& layout, char* text, uint32_t size);

extern const LayoutDesc kLayout_rows;
extern const LayoutDesc kLayout_packed_rows;
extern const LayoutDesc kLayout_bitsandbytes;
extern const LayoutDesc kLayout_gguf;

}  // namespace nib
#endif
