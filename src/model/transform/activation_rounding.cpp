#include "model/transform/activation_rounding.h"

#include <algorithm>
#include <cmath>

namespace nib::model {
namespace {

float toInt8(float x) { return std::clamp(std::nearbyint(x), -127.0f, 127.0f); }

// FP8 E4M3: three bits behind the leading one, steps of 2^-9 below 2^-6, at most 448.
float toFp8(float x) {
  constexpr float kMost = 448.0f;
  int exponent = 0;
  std::frexp(x, &exponent);
  const float step = std::ldexp(1.0f, std::max(exponent - 1, -6) - 3);
  return std::clamp(std::nearbyint(x / step) * step, -kMost, kMost);
}

}  // namespace

void roundActivations(Activations scheme, std::span<float> values, uint32_t cols, float absmax) {
  if (scheme == Activations::kNone) return;
  const bool fp8 = scheme == Activations::kFp8Token || scheme == Activations::kFp8Static;
  for (size_t begin = 0; begin < values.size(); begin += cols) {
    const std::span<float> row = values.subspan(begin, cols);
    float most = absmax;
    if (!isStatic(scheme)) {
      most = 0;
      for (const float x : row) most = std::max(most, std::fabs(x));
    }
    const float scale = most / (fp8 ? 448.0f : 127.0f);
    if (!(scale > 0)) continue;
    for (float& x : row) x = (fp8 ? toFp8(x / scale) : toInt8(x / scale)) * scale;
  }
}

}  // namespace nib::model
