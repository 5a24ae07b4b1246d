// Where ggml's super-blocks of 256 keep their numbers: bits counted from the first of the super-block.
#ifndef NIB_FORMATS_GGUF_SUPER_H
#define NIB_FORMATS_GGUF_SUPER_H

#include "formats/layout.h"

namespace nib::gguf_super {

// Bytes of a super-block of the format.
uint32_t blockBytes(uint32_t format);
// Code j of 256: its bit fields and their number, at most 2.
uint32_t placeCode(uint32_t format, uint32_t j, BitField* fields);
// The byte of the scale of group j, or of its minimum.
uint32_t placeScale(uint32_t format, uint32_t j, BitField* fields);
uint32_t placeMinimum(uint32_t format, uint32_t j, BitField* fields);
// d, and dmin of formats with a minimum.
uint32_t placeD(uint32_t format);
uint32_t placeDmin(uint32_t format);

}  // namespace nib::gguf_super
#endif
