// Helpers of tests that need more than runCase: an op's ranges on a device and, as words, on the host.
#ifndef NIB_TESTS_GPU_IMAGE_H
#define NIB_TESTS_GPU_IMAGE_H

#include <nibble/kit.h>

#include <vector>

#include "cases/recipe.h"

namespace nib::tests {

inline NibQuantizeDesc quantizeDesc(uint32_t format, uint32_t rows, uint32_t cols, NibGranularity granularity,
                                    uint32_t group, uint32_t flags = 0, uint32_t scale_type = NIB_TYPE_F32) {
  NibQuantizeDesc d{};
  d.op = NIB_OP_QUANTIZE;
  d.rows = rows;
  d.cols = cols;
  d.weights = {format, uint32_t(granularity), group, scale_type, flags};
  return d;
}

inline NibDequantizeDesc dequantizeDesc(const NibQuantizeDesc& q, uint32_t result_type = NIB_TYPE_F32) {
  NibDequantizeDesc d{};
  d.op = NIB_OP_DEQUANTIZE;
  d.rows = q.rows;
  d.cols = q.cols;
  d.result_type = result_type;
  d.weights = q.weights;
  return d;
}

using Words = std::vector<uint32_t>;

// What the reference makes of `input`, on ranges that begin as 0xa5a5a5a5: the role the op writes.
inline Words reference(const NibOpDesc* desc, NibRole in, const Words& input, NibRole out, uint32_t n) {
  NibMemory memory;
  if (nibGetMemory(desc, nullptr, &memory) != NIB_SUCCESS) return {};
  Words words[NIB_ROLE_COUNT];
  NibCpuBinding binding{};
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    words[role].assign(size_t((memory.range[role].size_bytes + 3) / 4), 0xa5a5a5a5u);
    if (role == uint32_t(in)) words[role] = input;
    if (!words[role].empty()) binding.range[role] = {words[role].data(), words[role].size() * 4};
  }
  if (nibCpuRun(desc, &binding, n, nullptr, nullptr) != NIB_SUCCESS) return {};
  return words[out];
}

}  // namespace nib::tests
#endif
