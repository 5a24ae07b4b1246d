#include "model/archive/dtype.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <iterator>

namespace nib::model {
namespace {

struct Row {
  std::string_view name;
  uint32_t bits;
};

constexpr Row kRows[] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},
};
static_assert(std::size(kRows) == kDtypeCount);

}  // namespace

std::string_view dtypeName(Dtype dtype) { return kRows[static_cast<size_t>(dtype)].name; }
uint32_t dtypeBits(Dtype dtype) { return kRows[static_cast<size_t>(dtype)].bits; }

bool isInteger(Dtype dtype) {
  const std::string_view name = dtypeName(dtype);
  return name[0] == 'I' || name[0] == 'U';
}

bool isSmallFloat(Dtype dtype) { return dtypeName(dtype)[0] == 'F' && dtypeBits(dtype) <= 8; }

std::optional<Dtype> findDtype(std::string_view name) {
  for (uint32_t i = 0; i < kDtypeCount; ++i) {
    if (kRows[i].name == name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

std::optional<uint64_t> tensorBytes(Dtype dtype, std::span<const uint64_t> shape) {
  uint64_t bits = 1;
  // Multiplies in the order of the reference implementation: a 0 after an overflow does not make the shape valid.
  for (const uint64_t size : shape) {
    if (__builtin_mul_overflow(bits, size, &bits)) return std::nullopt;
  }
  if (__builtin_mul_overflow(bits, uint64_t{dtypeBits(dtype)}, &bits) || bits % 8 != 0) return std::nullopt;
  return bits / 8;
}

float floatValue(Dtype dtype, const std::byte* bytes) {
  if (dtype == Dtype::kF32) {
    float value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }
  if (dtype == Dtype::kF8E8M0) {
    const int exponent = std::to_integer<int>(*bytes);
    return exponent == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0f, exponent - 127);
  }
  uint16_t half;
  std::memcpy(&half, bytes, sizeof half);
  if (dtype == Dtype::kBF16) {
    const uint32_t bits = uint32_t(half) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const float sign = half >> 15 != 0 ? -1.0f : 1.0f;
  if (exponent == 31) return sign * (fraction != 0 ? std::numeric_limits<float>::quiet_NaN() : HUGE_VALF);
  return sign * (exponent == 0 ? std::ldexp(float(fraction), -24) : std::ldexp(float(fraction + 1024), exponent - 25));
}

void addToFloats(std::span<std::byte> values, float addend) {
  for (size_t at = 0; at + sizeof(float) <= values.size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, &values[at], sizeof value);
    value += addend;
    std::memcpy(&values[at], &value, sizeof value);
  }
}

}  // namespace nib::model
