// Makes descriptions with their op and size set, for ops and parts of ops that are described in several places.
#ifndef NIB_SELFTEST_DESCRIPTION_H
#define NIB_SELFTEST_DESCRIPTION_H

#include <nibble/nibble.h>

namespace nib::selftest {

// Everything but the op and the size is 0.
template <class Desc>
Desc describe(NibOp op) {
  Desc desc{};
  desc.op = op;
  desc.desc_bytes = sizeof(Desc);
  return desc;
}

inline NibWeights weightsOf(uint32_t format, uint32_t granularity, uint32_t group_size = 0, uint32_t flags = 0,
                            uint32_t scale_type = NIB_TYPE_F32) {
  NibWeights weights{};
  weights.format = format;
  weights.granularity = granularity;
  weights.group_size = group_size;
  weights.scale_type = scale_type;
  weights.flags = flags;
  return weights;
}

// Dense weights of a product.
inline NibWeights denseWeights(uint32_t type) {
  NibWeights weights{};
  weights.format = NIB_FORMAT_DENSE;
  weights.scale_type = type;
  return weights;
}

}  // namespace nib::selftest
#endif
