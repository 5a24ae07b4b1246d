#include "model/transform/orthogonal.h"

#include <nibble/nibble.h>

#include "model/archive/error.h"

#include <cmath>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

namespace nib::model {
namespace {

// SplitMix64 (Steele, Lea and Flood 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // From 0 to 1, without either.
  double unit() { return (double(next() >> 11) + 0.5) * 0x1p-53; }
  double normal() { return std::sqrt(-2 * std::log(unit())) * std::cos(2 * std::numbers::pi * unit()); }

 private:
  uint64_t state_;
};

}  // namespace

std::shared_ptr<const Rotation> hadamardRotation(uint64_t size, uint64_t seed) {
  uint64_t block = size;
  while (block > 1 && (size % block != 0 || nibHadamardOrder(uint32_t(block)) == 0)) --block;
  Random random(seed);
  std::vector<float> signs(size);
  for (float& sign : signs) sign = (random.next() & 1) != 0 ? 1.0f : -1.0f;
  return std::make_shared<const Rotation>(Rotation{size, [signs = std::move(signs), block, size](double* x) {
                                                     for (uint64_t i = 0; i < size; i += block) {
                                                       nibHadamardTransform(x + i, uint32_t(block), &signs[i]);
                                                     }
                                                   }});
}

std::shared_ptr<const Rotation> randomRotation(uint64_t size, uint64_t seed) {
  constexpr uint64_t kMost = 2048;
  if (size > kMost) {
    throw Error("--transform rotate:random: " + std::to_string(size) + " columns are more than " +
                std::to_string(kMost) + ": choose --transform rotate, which is as good and fast at any size");
  }
  // Rows of normal numbers, made orthogonal one after the other (Gram-Schmidt, twice for accuracy).
  Random random(seed);
  std::vector<double> matrix(size * size);
  for (double& value : matrix) value = random.normal();
  for (uint64_t r = 0; r < size; ++r) {
    double* const row = &matrix[r * size];
    for (int pass = 0; pass < 2; ++pass) {
      for (uint64_t other = 0; other < r; ++other) {
        const double* const done = &matrix[other * size];
        double dot = 0;
        for (uint64_t c = 0; c < size; ++c) dot += row[c] * done[c];
        for (uint64_t c = 0; c < size; ++c) row[c] -= dot * done[c];
      }
    }
    double square = 0;
    for (uint64_t c = 0; c < size; ++c) square += row[c] * row[c];
    for (uint64_t c = 0; c < size; ++c) row[c] /= std::sqrt(square);
  }
  return std::make_shared<const Rotation>(Rotation{size, [matrix = std::move(matrix), size](double* x) {
                                                     std::vector<double> result(size);
                                                     for (uint64_t r = 0; r < size; ++r) {
                                                       const double* const row = &matrix[r * size];
                                                       for (uint64_t c = 0; c < size; ++c) result[r] += row[c] * x[c];
                                                     }
                                                     std::copy(result.begin(), result.end(), x);
                                                   }});
}

}  // namespace nib::model
