// NF4 and FP4 of bitsandbytes: flat, two codes per byte, the first in the high nibble.
#include "formats/layout.h"

#include <nibble/formats.h>

#include "formats/geometry.h"

namespace nib {
namespace {

bool takes(const FormatDesc& format) {
  return format.info.format == NIB_FORMAT_NF4 || format.info.format == NIB_FORMAT_FP4;
}

const char* refuses(const NibWeights& weights, const Geometry&) {
  return weights.flags & NIB_WEIGHTS_FLAT ? nullptr : "weights must be FLAT";
}

uint64_t codesBytes(const Geometry& g) { return (uint64_t(g.cols) + 1) / 2; }
uint64_t zerosBytes(const Geometry&) { return 0; }

uint32_t placeCode(const Geometry&, uint64_t, uint64_t col, BitField* fields) {
  fields[0] = {(col ^ 1u) * 4, 4, 0};
  return 1;
}

}  // namespace

const LayoutDesc kLayout_bitsandbytes = {NIB_LAYOUT_BITSANDBYTES,
                                         "bitsandbytes",
                                         takes,
                                         refuses,
                                         codesBytes,
                                         zerosBytes,
                                         placeCode,
                                         nullptr,
                                         nullptr,
                                         false};
}  // namespace nib
