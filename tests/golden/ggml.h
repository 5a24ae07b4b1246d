// Helpers for tests of ggml's formats: blocks of 32 elements.
#ifndef NIB_TESTS_GOLDEN_GGML_H
#define NIB_TESTS_GOLDEN_GGML_H

#include "golden.h"

namespace nib::golden {

inline NibWeights ggml(uint32_t format) { return tests::weights(format, NIB_GRANULARITY_GROUP, 32, 0, NIB_TYPE_F16); }

inline Blob quantizeBlock(uint32_t format, const std::vector<float>& x) {
  return quantize(1, uint32_t(x.size()), ggml(format), x);
}

// The half values of a part.
inline std::vector<uint16_t> halves(const Bytes& bytes) {
  std::vector<uint16_t> values(bytes.size() / 2);
  std::memcpy(values.data(), bytes.data(), values.size() * 2);
  return values;
}

}  // namespace nib::golden
#endif
