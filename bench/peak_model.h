// Computes the expected results of the ceiling kernels independently: a time counts only if the work was done.
#ifndef NIB_BENCH_PEAK_MODEL_H
#define NIB_BENCH_PEAK_MODEL_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nib::bench {

// Word i of the data that peak_copy copies.
inline uint32_t copyWord(uint64_t i) { return static_cast<uint32_t>((i * 2654435761u) ^ (i >> 32)); }

// Result of one invocation of peak_fma, seed 1.0f. Every value is a multiple of 1/8 below 2^20, so the result is exact
// in any order of operations and with or without contraction.
constexpr uint32_t kMaxFmaSteps = 8192;
float fmaResult(uint32_t id, uint32_t steps);

// Result of one invocation of peak_dot4.
uint32_t dot4Result(uint32_t id, uint32_t seed, uint32_t steps);

// The four matrices that a tile of peak_coopmat or peak_coopmat_half stores; they depend on tile % 8. bits: size of an
// element's value.
struct CoopmatShape {
  uint32_t m = 0, n = 0, k = 0;
};
std::vector<int32_t> coopmatResult(const CoopmatShape& shape, uint32_t tile, uint32_t seed, uint32_t steps,
                                   uint32_t bits);

}  // namespace nib::bench
#endif
