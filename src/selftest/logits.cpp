#include "selftest/logits.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "formats/dense.h"
#include "selftest/bounds.h"

namespace nib::selftest {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

enum Kind : uint64_t { kUsual, kClose, kApart, kMasked, kEqual, kHuge, kTied, kPeaked, kNan, kKinds };

// Roughly normal.
double normal(Random& random) {
  double sum = 0;
  for (int i = 0; i < 4; ++i) sum += random.unit() - 0.5;
  return sum * std::sqrt(3.0);
}

class LogitRow {
 public:
  LogitRow(const LogitMatrix& matrix, uint32_t row)
      : kind_(Kind((matrix.seed + row) % kKinds)),
        reference_(matrix.reference),
        base_(matrix.seed * 7919 + row),
        noise_(matrix.seed * 104729 + row + (matrix.reference ? 1 : 0)) {
    special_ = base_.below(matrix.cols);
    // One of the two has it.
    if (kind_ == kNan && matrix.reference != (base_.below(3) == 0)) special_ = matrix.cols;
  }

  double next(uint32_t col) {
    const double x = 3 * normal(base_), noise = reference_ ? normal(noise_) : 0;
    switch (kind_) {
      case kClose: return x + 0.003 * noise;
      case kApart: return reference_ ? 3 * noise : x;
      case kMasked: return noise_.below(reference_ ? 7 : 5) == 0 ? -kInfinity : x + 0.1 * noise;
      case kEqual: return 2.5;
      case kHuge: return std::ldexp(x, int(base_.below(126))) * (reference_ && noise_.below(4) == 0 ? -1 : 1);
      case kTied: return std::floor(x + 0.3 * noise);
      case kPeaked: return col == special_ ? (reference_ ? 38 : 40) : x / 3;
      case kNan: return col == special_ ? std::nan("") : x + 0.1 * noise;
      default: return x + 0.1 * noise;
    }
  }

 private:
  Kind kind_;
  bool reference_;
  Random base_, noise_;
  uint32_t special_;
};

}  // namespace

Words makeLogits(const LogitMatrix& matrix) {
  const uint64_t count = uint64_t(matrix.rows - 1) * matrix.stride + matrix.cols;
  Words words(wordsOf(count * (matrix.type == NIB_TYPE_F32 ? 4 : 2)), kUntouched);
  for (uint32_t row = 0; row < matrix.rows; ++row) {
    LogitRow logits(matrix, row);
    for (uint32_t col = 0; col < matrix.cols; ++col) {
      const float x = float(logits.next(col));
      uint32_t bits;
      std::memcpy(&bits, &x, sizeof bits);
      storeDense(words.data(), matrix.type, uint64_t(row) * matrix.stride + col, bits);
    }
  }
  return words;
}

double logitOf(const void* data, uint32_t type, uint64_t index) {
  const double x = elementOf(data, type, index);
  return std::isnan(x) ? x : std::clamp(x, -0x1p60, 0x1p60);
}

}  // namespace nib::selftest
