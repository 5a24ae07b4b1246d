// ggml's blocks of 32: the scale, the minimum (_1 only), the fifth bits of all codes (q5 only), then 16 bytes with the
// low nibbles of codes j and j + 16. q8_0 has a byte per code instead. Super-blocks of 256 are gguf_super's.
#include "formats/geometry.h"
#include "formats/gguf_super.h"
#include "formats/layout.h"

namespace nib {
namespace {

uint64_t headBytes(const Geometry& g) { return g.format->info.flags & NIB_FORMAT_MINIMUM ? 4 : 2; }
uint64_t blockBytes(const Geometry& g) { return headBytes(g) + uint64_t{4} * g.format->info.bits; }

bool takes(const FormatDesc& format) { return (format.info.flags & NIB_FORMAT_OWN_SCALES) != 0; }

bool isSuper(const Geometry& g) { return g.format->super.blocks != 0; }

const char* refuses(const NibWeights&, const Geometry& g) {
  if (isSuper(g)) return g.cols % kSuperCols != 0 ? "cols must be a multiple of 256" : nullptr;
  return g.cols % 32 != 0 ? "cols must be a multiple of 32" : nullptr;
}

uint64_t codesBytes(const Geometry& g) {
  if (isSuper(g)) return uint64_t(g.rows) * (g.cols / kSuperCols) * gguf_super::blockBytes(g.format->info.format);
  return uint64_t(g.rows) * g.groups_per_row * blockBytes(g);
}
uint64_t zerosBytes(const Geometry&) { return 0; }

// The first bit of a super-block.
uint64_t superStart(const Geometry& g, uint64_t row, uint64_t block) {
  return (row * (g.cols / kSuperCols) + block) * gguf_super::blockBytes(g.format->info.format) * 8;
}

uint32_t placeByte(const Geometry& g, uint64_t row, uint64_t group, bool minimum, BitField* fields) {
  const uint32_t blocks = g.format->super.blocks, format = g.format->info.format, j = uint32_t(group % blocks);
  const uint32_t count =
      minimum ? gguf_super::placeMinimum(format, j, fields) : gguf_super::placeScale(format, j, fields);
  for (uint32_t i = 0; i < count; ++i) fields[i].at += superStart(g, row, group / blocks);
  return count;
}

uint64_t placeHalf(const Geometry& g, uint64_t row, uint64_t block, bool minimum) {
  const uint32_t format = g.format->info.format;
  return superStart(g, row, block) + (minimum ? gguf_super::placeDmin(format) : gguf_super::placeD(format));
}

uint64_t placeScale(const Geometry& g, uint64_t row, uint64_t group) {
  return (row * g.groups_per_row + group) * blockBytes(g) * 8;
}

uint32_t placeCode(const Geometry& g, uint64_t row, uint64_t col, BitField* fields) {
  const uint32_t bits = g.format->info.bits;
  if (isSuper(g)) {
    const uint32_t count = gguf_super::placeCode(g.format->info.format, uint32_t(col % kSuperCols), fields);
    for (uint32_t i = 0; i < count; ++i) fields[i].at += superStart(g, row, col / kSuperCols);
    return count;
  }
  const uint64_t j = col % 32;
  uint64_t at = placeScale(g, row, col / 32) + headBytes(g) * 8;
  if (bits == 8) {
    fields[0] = {at + j * 8, 8, 0};
    return 1;
  }
  if (bits == 5) {
    fields[1] = {at + j, 1, 4};
    at += 32;
  }
  fields[0] = {at + j % 16 * 8 + j / 16 * 4, 4, 0};
  return bits == 5 ? 2 : 1;
}

}  // namespace

const LayoutDesc kLayout_gguf = {NIB_LAYOUT_GGUF, "gguf",     takes,   refuses, codesBytes, zerosBytes,
                                 placeCode,       placeScale, nullptr, false,   placeByte,  placeHalf};
}  // namespace nib
