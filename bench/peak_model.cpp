#include "bench/peak_model.h"

#include "shaders/ops/peak_coopmat.h"

#include <algorithm>

namespace nib::bench {

float fmaResult(uint32_t id, uint32_t steps) {
  // Chain j of a lane begins at (id & 255) + j and gains 4/8 per step; the result is the sum of all 12 chains.
  const double start = 12.0 * (id & 255u) + 4 * (0 + 1 + 2);
  const double gain = 12 * 0.5;
  return static_cast<float>(start + gain * steps);
}

uint32_t dot4Result(uint32_t id, uint32_t seed, uint32_t steps) {
  uint32_t sums[4][4];  // row i: token i
  for (uint32_t i = 0; i < 16; ++i) sums[i / 4][i % 4] = seed + id + i;
  for (uint32_t round = 0; round < 4 * steps; ++round) {
    uint32_t words[4];
    std::copy_n(sums[round % 4], 4, words);
    for (uint32_t i = 0; i < 16; ++i) {
      int32_t sum = 0;
      for (uint32_t shift = 0; shift < 32; shift += 8) {
        sum += int32_t(int8_t(words[i % 4] >> shift & 0xffu)) * int32_t(int8_t((seed + i / 4) >> shift & 0xffu));
      }
      sums[i / 4][i % 4] += uint32_t(sum);
    }
  }
  uint32_t result = 0;
  for (uint32_t i = 0; i < 16; ++i) result ^= sums[i / 4][i % 4];
  return result;
}

std::vector<int32_t> coopmatResult(const CoopmatShape& shape, uint32_t tile, uint32_t seed, uint32_t steps,
                                   uint32_t bits) {
  const uint32_t m = shape.m, n = shape.n, k = shape.k;
  const auto left = [&](uint32_t matrix, uint32_t row, uint32_t inner) {
    return peakCoopmatElement((matrix * m + row) * k + inner, seed, bits);
  };
  const auto right = [&](uint32_t matrix, uint32_t inner, uint32_t col) {
    return peakCoopmatElement((matrix * k + inner) * n + col, seed + 1u + (tile & 7u), bits);
  };
  // Round r adds left[(i + r) % 4] * right[(i + j) % 4] to accumulator j, i = 0..3.
  std::vector<uint32_t> result(std::size_t{4} * m * n, 0);
  for (uint32_t p = 0; p < 4; ++p) {
    for (uint32_t q = 0; q < 4; ++q) {
      uint32_t times[4];
      for (uint32_t j = 0; j < 4; ++j) {
        const uint32_t first = (p + 8 - q + j) % 4;  // rounds first, first + 4, ...
        times[j] = steps > first ? (steps - first + 3) / 4 : 0;
      }
      for (uint32_t row = 0; row < m; ++row) {
        for (uint32_t col = 0; col < n; ++col) {
          int32_t sum = 0;
          for (uint32_t inner = 0; inner < k; ++inner) sum += left(p, row, inner) * right(q, inner, col);
          for (uint32_t j = 0; j < 4; ++j) result[(std::size_t{j} * m + row) * n + col] += times[j] * uint32_t(sum);
        }
      }
    }
  }
  return {result.begin(), result.end()};
}

}  // namespace nib::bench
