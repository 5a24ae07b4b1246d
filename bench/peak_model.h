// What the ceiling kernels must leave behind, computed without them: a time counts only if the work was done.
#ifndef NIB_BENCH_PEAK_MODEL_H
#define NIB_BENCH_PEAK_MODEL_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nib::bench {

// Word i of what peak_copy copies.
inline uint32_t copyWord(uint64_t i) { return static_cast<uint32_t>((i * 2654435761u) ^ (i >> 32)); }

// Result of one invocation of peak_fma, seed 1.0f: every value is a multiple of 1/8 below 2^20, so no order of
// operations and no contraction may change a bit.
constexpr uint32_t kMaxFmaSteps = 8192;
float fmaResult(uint32_t id, uint32_t steps);

// Result of one invocation of peak_dot4.
uint32_t dot4Result(uint32_t id, uint32_t seed, uint32_t steps);

// The four matrices one tile of peak_coopmat or peak_coopmat_half stores, for tile % 8; bits: of an element.
struct CoopmatShape {
  uint32_t m = 0, n = 0, k = 0;
};
std::vector<int32_t> coopmatResult(const CoopmatShape& shape, uint32_t tile, uint32_t seed, uint32_t steps, uint32_t bits);

}  // namespace nib::bench
#endif
