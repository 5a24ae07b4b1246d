#include <nibble/formats.h>

#include "selftest/bounds.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace nib::selftest {

double elementOf(const void* data, uint32_t type, uint64_t index) {
  if (type == NIB_TYPE_F32) return double(static_cast<const float*>(data)[index]);
  const uint32_t bits = static_cast<const uint16_t*>(data)[index];
  if (type == NIB_TYPE_BF16) {
    const uint32_t word = bits << 16;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return double(value);
  }
  const double sign = bits & 0x8000u ? -1 : 1;
  const int exponent = int(bits >> 10 & 31u);
  const double mantissa = double(bits & 0x3ffu);
  if (exponent == 31) return mantissa != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

double roundedTo(uint32_t type, double x) {
  if (type == NIB_TYPE_F32) return double(float(x));
  const bool half = type == NIB_TYPE_F16;
  int exponent = 0;
  std::frexp(x, &exponent);
  const double ulp = std::ldexp(1, std::max(exponent - 1, half ? -14 : -126) - (half ? 10 : 7));
  const double y = std::nearbyint(x / ulp) * ulp;
  return half && std::abs(y) > 65504 ? std::copysign(std::numeric_limits<double>::infinity(), y) : y;
}

double fp8Of(uint32_t code, uint32_t format) {
  const int mantissa_bits = format == NIB_FORMAT_FP8 ? 3 : 2, bias = format == NIB_FORMAT_FP8 ? 7 : 15;
  const int exponent = int(code & 127u) >> mantissa_bits, mantissa = int(code) & ((1 << mantissa_bits) - 1);
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, 1 - bias - mantissa_bits)
                                         : std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
  return code & 128u ? -magnitude : magnitude;
}

double activated(uint32_t activation, double x) {
  switch (activation) {
    case NIB_ACTIVATION_RELU: return std::max(x, 0.0);
    case NIB_ACTIVATION_RELU6: return std::clamp(x, 0.0, 6.0);
    case NIB_ACTIVATION_GELU: return 0.5 * x * std::erfc(-x * std::sqrt(0.5));
    case NIB_ACTIVATION_GELU_TANH:
      return x / (1 + std::exp(-2 * std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case NIB_ACTIVATION_SILU: return x / (1 + std::exp(-x));
    default: return x;
  }
}

double halfUlp(uint32_t type) { return type == NIB_TYPE_F32 ? 0x1p-24 : type == NIB_TYPE_F16 ? 0x1p-11 : 0x1p-8; }
double leastOf(uint32_t type) { return type == NIB_TYPE_F16 ? 0x1p-25 : 0x1p-126; }

void FarthestSoFar::add(uint64_t index, double got, double exact, double bound) {
  const double error = std::abs(got - exact);
  const double ratio = error <= infinite_ ? error / bound : std::numeric_limits<double>::infinity();
  if (ratio > farthest_.ratio) farthest_ = {ratio, index, got, exact};
}

}  // namespace nib::selftest
