// pack-quantized of compressed-tensors: words of unsigned codes along rows, words of zero points along columns. Its
// versions place codes of 3, 5, 6 and 7 bits differently, and do not detect another version's files: these widths are
// left out.
#include "formats/layout.h"

#include <nibble/formats.h>

#include "formats/geometry.h"

namespace nib {
namespace {

bool takes(const FormatDesc& format) {
  const uint32_t id = format.info.format;
  return id == NIB_FORMAT_INT2 || id == NIB_FORMAT_INT4 || id == NIB_FORMAT_UINT4 || id == NIB_FORMAT_INT8 ||
         id == NIB_FORMAT_UINT8;
}

const char* refuses(const NibWeights& weights, const Geometry&) {
  if (weights.granularity == NIB_GRANULARITY_COLUMN) return "it cannot hold scales per column";
  return weights.flags & NIB_WEIGHTS_FLAT ? "it cannot hold FLAT blocks" : nullptr;
}

uint64_t codesBytes(const Geometry& g) { return uint64_t(g.rows) * g.row_words * 4; }

// The one zero point of a tensor has a word of its own.
uint64_t zeroRows(const Geometry& g) { return g.scale_row_stride == 0 ? 1 : g.rows; }
uint64_t zeroCols(const Geometry& g) { return g.scale_row_stride == 0 ? 1 : g.scale_row_stride; }
uint64_t zerosBytes(const Geometry& g) {
  return g.zeros_bytes == 0 ? 0 : ceilDiv(zeroRows(g) * g.format->info.bits, 32) * zeroCols(g) * 4;
}

uint32_t placeCode(const Geometry& g, uint64_t row, uint64_t col, BitField* fields) {
  const uint32_t bits = g.format->info.bits;
  fields[0] = {row * g.row_words * 32 + col * bits, bits, 0};
  return 1;
}

uint64_t placeZero(const Geometry& g, uint64_t row, uint64_t group) {
  const uint64_t bit = row * g.format->info.bits;
  return (bit / 32 * zeroCols(g) + group) * 32 + bit % 32;
}

}  // namespace

const LayoutDesc kLayout_packed_rows = {
    NIB_LAYOUT_PACKED_ROWS, "packed rows", takes, refuses, codesBytes, zerosBytes, placeCode, nullptr, placeZero, true};
}  // namespace nib
