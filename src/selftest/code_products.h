// Shared by the cases of products of codes: int8_gemm, whose activations are codes, and dynamic_gemm, which quantizes
// its activations.
#ifndef NIB_SELFTEST_CODE_PRODUCTS_H
#define NIB_SELFTEST_CODE_PRODUCTS_H

#include <algorithm>
#include <cmath>

#include "selftest/bounds.h"
#include "selftest/inputs.h"
#include "selftest/op_cases.h"

namespace nib::selftest {

struct ProductShape {
  uint32_t rows, tokens, cols;
};

// Tails and several tiles in every dimension for every tile shape, few tokens, and each dimension equal to 1.
inline constexpr ProductShape kCodeShapes[] = {{261, 17, 130}, {1, 1, 1},      {66, 131, 272}, {3, 2, 5},
                                               {64, 64, 64},   {37, 9, 3},     {257, 1, 1040}, {130, 70, 36},
                                               {96, 8, 529},   {20, 33, 2064}, {132, 5, 512},  {7, 40, 100}};

// Random weights or activations. `grouped`: scales may be per group.
NibWeights randomSide(Random& random, bool grouped);
// "int8 g32 asym f16".
std::string sideName(const NibWeights& weights);

// Checks products with an activation or a residual. The reference computes the sums, which are exact; activation and
// residual are checked in double precision.
template <class Desc>
Farthest farthestSmooth(Desc d, uint32_t batch, const Judged& judged) {
  const Desc whole = d;
  d.activation = NIB_ACTIVATION_NONE;
  d.result_type = NIB_TYPE_F32;
  d.result_stride = 0;
  d.flags &= ~uint32_t(NIB_PRODUCT_RESIDUAL);
  const uint32_t n = judged.n;
  std::vector<float> sums(size_t(batch) * d.tokens * d.rows);
  Words aux(wordsOf(judged.memory.range[NIB_ROLE_AUX].size_bytes), 0);
  NibCpuBinding binding{sizeof(NibCpuBinding)};
  // The reference reads weights and input, nothing else.
  for (const NibRole role : {NIB_ROLE_WEIGHTS, NIB_ROLE_INPUT}) {
    binding.range[role] = {const_cast<uint32_t*>(judged.before[role]), judged.memory.range[role].size_bytes};
  }
  binding.range[NIB_ROLE_OUTPUT] = {sums.data(), sums.size() * sizeof(float)};
  if (!aux.empty()) binding.range[NIB_ROLE_AUX] = {aux.data(), judged.memory.range[NIB_ROLE_AUX].size_bytes};
  runOnHost(reinterpret_cast<const NibOpDesc*>(&d), binding, n, "the reference refuses a product without activation");
  const uint32_t type = whole.result_type;
  const uint64_t even_rows = type == NIB_TYPE_F32 ? d.rows : (uint64_t(d.rows) + 1) / 2 * 2;
  const uint64_t stride = whole.result_stride != 0 ? whole.result_stride : even_rows;
  const double most = type == NIB_TYPE_F16 ? 65504 : 0x1p127;
  constexpr double kMost = 0x1.fffffep126;  // the op clamps sums and residuals to this
  FarthestSoFar farthest(1e38);
  for (uint32_t i = 0; i < batch * n; ++i) {
    for (uint32_t r = 0; r < d.rows; ++r) {
      const uint64_t token = uint64_t(i / n) * d.tokens + i % n, at = token * stride + r;
      const double sum = double(sums[size_t(token * d.rows + r)]);
      const double got = elementOf(judged.output, type, at);
      double y = activated(whole.activation, sum);
      if (whole.flags & NIB_PRODUCT_RESIDUAL) {
        const double held = elementOf(judged.before[NIB_ROLE_OUTPUT], type, at);
        // A residual of infinity or NaN is kept.
        if (!std::isfinite(held) && (got == held || (std::isnan(got) && std::isnan(held)))) continue;
        y = std::clamp(y + std::clamp(held, -kMost, kMost), -kMost, kMost);
      }
      const double bound =
          0x1p-19 * std::abs(sum) + 0x1p-24 * std::abs(y) + halfUlp(type) * std::abs(y) + leastOf(type);
      if (std::abs(y) + bound > most && std::abs(got) >= most - bound && (got > 0) == (y > 0)) continue;
      farthest.add(at, got, y, bound);
    }
  }
  return farthest.result();
}

// Fills codes, scales, zero points and bias of the weights.
void fillCodeWeights(const Case& c, const NibWeights& weights, const NibMemory& memory, Words& range);

}  // namespace nib::selftest
#endif
