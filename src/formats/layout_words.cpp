// Rows of words of unsigned codes, a dense stream with the first code in the low bits; whole words hold whole rows.
// GPTQ's files have these words transposed, and AWQ's are made of them. Zero points are not packed.
#include "formats/layout.h"

#include <nibble/formats.h>

#include "formats/geometry.h"

namespace nib {
namespace {

bool takes(const FormatDesc& format) {
  const uint32_t id = format.info.format;
  return id == NIB_FORMAT_INT2 || id == NIB_FORMAT_INT3 || id == NIB_FORMAT_INT4 || id == NIB_FORMAT_INT8;
}

const char* refuses(const NibWeights& weights, const Geometry& g) {
  if (weights.flags & NIB_WEIGHTS_FLAT) return "it cannot hold FLAT blocks";
  return g.cols % 32 != 0 ? "cols must be a multiple of 32" : nullptr;
}

uint64_t codesBytes(const Geometry& g) { return uint64_t(g.rows) * g.row_words * 4; }
uint64_t zerosBytes(const Geometry&) { return 0; }

uint32_t placeCode(const Geometry& g, uint64_t row, uint64_t col, BitField* fields) {
  const uint32_t bits = g.format->info.bits;
  fields[0] = {row * g.cols * bits + col * bits, bits, 0};
  return 1;
}

}  // namespace

const LayoutDesc kLayout_words = {NIB_LAYOUT_WORDS, "words",   takes,   refuses, codesBytes,
                                  zerosBytes,       placeCode, nullptr, nullptr, true};
}  // namespace nib
