// Rows of codes without padding between them, as in int-quantized, float-quantized and mxfp4-pack-quantized of
// compressed-tensors and in LLM.int8().
#include "formats/geometry.h"
#include "formats/layout.h"

namespace nib {
namespace {

// Formats of 4 or 8 bits. The layout does not store minima.
bool takes(const FormatDesc& format) {
  const NibFormatInfo& info = format.info;
  return (info.bits == 8 || info.bits == 4) && !(info.flags & NIB_FORMAT_OWN_SCALES);
}

const char* refuses(const NibWeights& weights, const Geometry& g) {
  if (weights.flags & NIB_WEIGHTS_FLAT) return "it cannot hold FLAT blocks";
  if (g.format->info.bits == 4 && g.cols % 2 != 0) return "cols must be even for 4-bit codes";
  return nullptr;
}

uint64_t codesBytes(const Geometry& g) { return uint64_t(g.rows) * g.cols * g.format->info.bits / 8; }
uint64_t zerosBytes(const Geometry&) { return 0; }

uint32_t placeCode(const Geometry& g, uint64_t row, uint64_t col, BitField* fields) {
  const uint32_t bits = g.format->info.bits;
  fields[0] = {(row * g.cols + col) * bits, bits, 0};
  return 1;
}

}  // namespace

const LayoutDesc kLayout_rows = {NIB_LAYOUT_ROWS, "rows",    takes,   refuses, codesBytes,
                                 zerosBytes,      placeCode, nullptr, nullptr, false};
}  // namespace nib
