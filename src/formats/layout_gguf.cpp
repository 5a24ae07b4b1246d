// ggml's blocks of 32: the scale, the minimum (_1 only), the fifth bits of all codes (q5 only), then 16 bytes with the
// low nibbles of codes j and j + 16. q8_0 has a byte per code instead.
#include "formats/geometry.h"
#include "formats/layout.h"

namespace nib {
namespace {

uint64_t headBytes(const Geometry& g) { return g.format->info.flags & NIB_FORMAT_MINIMUM ? 4 : 2; }
uint64_t blockBytes(const Geometry& g) { return headBytes(g) + uint64_t{4} * g.format->info.bits; }

bool takes(const FormatDesc& format) { return (format.info.flags & NIB_FORMAT_OWN_SCALES) != 0; }

const char* refuses(const NibWeights&, const Geometry& g) {
  return g.cols % 32 != 0 ? "cols must be a multiple of 32" : nullptr;
}

uint64_t codesBytes(const Geometry& g) { return uint64_t(g.rows) * g.groups_per_row * blockBytes(g); }
uint64_t zerosBytes(const Geometry&) { return 0; }

uint64_t placeScale(const Geometry& g, uint64_t row, uint64_t group) {
  return (row * g.groups_per_row + group) * blockBytes(g) * 8;
}

uint32_t placeCode(const Geometry& g, uint64_t row, uint64_t col, BitField* fields) {
  const uint32_t bits = g.format->info.bits;
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

const LayoutDesc kLayout_gguf = {NIB_LAYOUT_GGUF, "gguf",    takes,      refuses, codesBytes,
                                 zerosBytes,      placeCode, placeScale, nullptr, false};
}  // namespace nib
