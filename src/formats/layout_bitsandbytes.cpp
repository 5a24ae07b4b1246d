// NF4 and FP4 of bitsandbytes: flat, two codes per byte, the first in the high nibble.
#include "formats/layout.h"
#include "formats/geometry.h"

namespace nib {
namespace {

const char* refuses(const NibWeights& weights, const Geometry&) {
  if (weights.format != NIB_FORMAT_NF4 && weights.format != NIB_FORMAT_FP4) return "formats are nf4 and fp4";
  return weights.flags & NIB_WEIGHTS_FLAT ? nullptr : "weights must be FLAT";
}

uint64_t codesBytes(const Geometry& g) { return (uint64_t(g.cols) + 1) / 2; }
uint64_t zerosBytes(const Geometry&) { return 0; }

uint32_t placeCode(const Geometry&, uint64_t, uint64_t col, Piece* pieces) {
  pieces[0] = {(col ^ 1u) * 4, 4, 0};
  return 1;
}

}  // namespace

const LayoutDesc kLayout_bitsandbytes = {NIB_LAYOUT_BITSANDBYTES, "bitsandbytes", refuses, codesBytes, zerosBytes,
                                         placeCode,               nullptr,        nullptr, false};
}  // namespace nib
