// The numbers of quantization from their definition, in double precision: an oracle that shares no arithmetic and no
// values with the library. Why double is enough: operands are fp32 values of 24 bits, so a product (48 bits) is exact
// in a double, and a double quotient or sum rounded again to 24 bits is the correctly rounded one: 53 >= 2 * 24 + 2.
#ifndef NIB_TESTS_MODEL_H
#define NIB_TESTS_MODEL_H

#include <nibble/nibble.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace nib::model {

// The integer nearest to v, ties to even, whatever the rounding mode.
inline double halfEven(double v) {
  const double below = std::floor(v);
  const double rest = v - below;
  const bool up = rest > 0.5 || (rest == 0.5 && std::fmod(below, 2.0) != 0.0);
  return up ? below + 1.0 : below;
}

// A binary float type: bits of precision (with the hidden one) and the exponent of its smallest normal number.
struct FloatType {
  int precision;
  int lowest_exponent;
  double largest;
};

inline constexpr FloatType kFloatTypes[] = {
    {24, -126, 0x1.fffffep127}, {11, -14, 65504.0}, {8, -126, 0x1.fep127}};  // indexed by NibType

// v rounded to the type, ties to even, denormals kept, infinite beyond the largest.
inline double roundTo(uint32_t type, double v) {
  if (v == 0.0 || !std::isfinite(v)) return v;
  const FloatType& t = kFloatTypes[type];
  int exponent;
  std::frexp(v, &exponent);  // |v| in [2^(exponent-1), 2^exponent)
  const int lowest_unit = t.lowest_exponent - (t.precision - 1);
  const int unit = exponent - t.precision > lowest_unit ? exponent - t.precision : lowest_unit;
  const double rounded = std::ldexp(halfEven(std::ldexp(std::fabs(v), -unit)), unit);
  return std::copysign(rounded > t.largest ? INFINITY : rounded, v);
}

inline uint32_t bitsOfFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float floatOfBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// The value of an element as the library must read it: fp32 and bfloat16 denormals are zeros, half's are not.
inline double valueOf(uint32_t type, uint32_t bits) {
  if (type == NIB_TYPE_F16) {
    const int exponent = int(bits >> 10 & 31u), fraction = int(bits & 1023u);
    double v = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
               : exponent == 0 ? std::ldexp(fraction, -24)
                               : std::ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000u ? -v : v;
  }
  const uint32_t wide = type == NIB_TYPE_BF16 ? bits << 16 : bits;
  if ((wide & 0x7f800000u) == 0) return 0.0;
  return floatOfBits(wide);
}

// The pattern of a value that is one of the type's, or infinite. -0 keeps its sign; bfloat16 denormals become zeros.
inline uint32_t bitsOf(uint32_t type, double v) {
  if (type == NIB_TYPE_F32) return bitsOfFloat(float(v));
  if (type == NIB_TYPE_BF16) {
    const uint32_t wide = bitsOfFloat(float(v));
    return ((wide & 0x7f800000u) == 0 ? wide & 0x80000000u : wide) >> 16;
  }
  const uint32_t sign = std::signbit(v) ? 0x8000u : 0u;
  const double size = std::fabs(v);
  if (size == INFINITY) return sign | 0x7c00u;
  if (size < 0x1p-14) return sign | uint32_t(size * 0x1p24);
  int exponent;
  const double fraction = std::frexp(size, &exponent);  // [1/2, 1)
  return sign | (uint32_t(exponent + 14) << 10 | uint32_t(fraction * 2048.0 - 1024.0));
}

// a/b at 24 bits with an unbounded exponent, then the largest fp32 from 2^128 on, and 0 below 2^-126.
inline double quotient(double a, double b) {
  if (a == 0.0) return 0.0;
  int exponent;
  const double fraction = std::frexp(a / b, &exponent);
  const double rounded = std::ldexp(halfEven(std::ldexp(fraction, 24)), exponent - 24);
  if (std::fabs(rounded) >= 0x1p128) return std::copysign(0x1.fffffep127, rounded);
  return std::fabs(rounded) < 0x1p-126 ? 0.0 : rounded;
}

// What tells formats apart. Width, usual group and whether there are zero points come from the public description,
// which format_lookup_test.cpp and golden tests hold to literal values.
struct Format {
  uint32_t id;
  uint32_t bits;
  bool twos_complement;  // stored code; else offset binary
  bool codebook;         // NF4; else (code - zero) * scale
  uint32_t usual_group;  // what a group size of 0 means; 0 = nothing

  double levels() const { return double((1u << bits) - 1u); }
  double middle() const { return double(1u << (bits - 1u)); }
  uint32_t stored(uint32_t code) const { return twos_complement ? code ^ (1u << (bits - 1u)) : code; }
};

// The formats of this build that have a model, in ascending id. What can be asymmetric is affine: its codes are
// unsigned or offset binary, but for int8, which is the machine's own signed byte. A codebook must have its values
// below.
inline const std::vector<Format>& formats() {
  static const std::vector<Format> list = [] {
    std::vector<Format> known;
    for (uint32_t i = 0; i < nibFormatCount(); ++i) {
      const NibFormatInfo& info = *nibFormatAt(i);
      const bool codebook = (info.weights_flags & NIB_WEIGHTS_ASYMMETRIC) == 0;
      if (codebook && info.format != NIB_FORMAT_NF4) continue;
      known.push_back({info.format, info.bits, info.format == NIB_FORMAT_INT8, codebook, info.default_group_size});
    }
    return known;
  }();
  return list;
}

inline const Format* formatOf(uint32_t id) {
  for (const Format& format : formats()) {
    if (format.id == id) return &format;
  }
  return nullptr;
}

// The published decimals of QLoRA's table; float() of each is the fp32 value.
inline constexpr double kNf4[16] = {-1.0,
                                    -0.6961928009986877,
                                    -0.5250730514526367,
                                    -0.39491748809814453,
                                    -0.28444138169288635,
                                    -0.18477343022823334,
                                    -0.09105003625154495,
                                    0.0,
                                    0.07958029955625534,
                                    0.16093020141124725,
                                    0.24611230194568634,
                                    0.33791524171829224,
                                    0.44070982933044434,
                                    0.5626170039176941,
                                    0.7229568362236023,
                                    1.0};

inline double nf4Value(uint32_t code) { return double(float(kNf4[code])); }
// The sum of two fp32 values of these sizes is exact in a double; the midpoint is then rounded once.
inline double nf4Threshold(uint32_t code) { return double(float((nf4Value(code) + nf4Value(code + 1)) / 2.0)); }

struct Nf4Thresholds {
  double at[15];
  Nf4Thresholds() {
    for (uint32_t i = 0; i < 15; ++i) at[i] = nf4Threshold(i);
  }
};

struct Extent {
  double min = INFINITY;
  double max = -INFINITY;
  uint32_t nonfinite = 0;

  void meet(double v) {
    if (!std::isfinite(v)) {
      ++nonfinite;
      return;
    }
    if (v < min) min = v;
    if (v > max) max = v;
  }
  bool empty() const { return min > max; }
};

struct Scale {
  double value = 0;       // the stored one, 0 for the zero group
  double reciprocal = 0;  // quotient(1, value)
  double zero = 0;        // unsigned form; unused by codebooks
  bool saturated = false;
};

inline Scale usable(double value, double zero) {
  Scale scale;
  const bool ordinary = value >= 0x1p-120 && value <= 0x1.fffffep127;  // false for NaN
  scale.value = ordinary ? value : 0.0;
  scale.reciprocal = ordinary ? quotient(1.0, value) : 0.0;
  scale.zero = zero;
  return scale;
}

// The scale of a group, as stored.
inline Scale findScale(const Format& format, const NibWeights& weights, const Extent& extent) {
  const bool nothing = extent.empty() || extent.nonfinite != 0;
  const double min = nothing ? 0.0 : extent.min, max = nothing ? 0.0 : extent.max;
  const bool asymmetric = (weights.flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
  const double low = std::fmin(min, 0.0), high = std::fmax(max, 0.0);
  double found;
  if (format.codebook) {
    found = std::fmax(-low, high);
  } else if (asymmetric) {
    // Halves below 2^-126 are flushed; their difference is rounded once.
    const double a = high / 2 < 0x1p-126 ? 0.0 : high / 2, b = -low / 2 < 0x1p-126 ? 0.0 : -low / 2;
    found = quotient(double(float(a + b)), format.levels() / 2);
  } else {
    const double steps = format.middle() - 1.0 + (weights.flags & NIB_WEIGHTS_NARROW ? 0.0 : 0.5);
    found = quotient(std::fmax(-low, high), steps);
  }
  double rounded = roundTo(weights.scale_type, std::fmin(found, 0x1p126));
  const bool saturated = rounded == INFINITY || found > 0x1p126;
  if (rounded == INFINITY) rounded = kFloatTypes[weights.scale_type].largest;
  Scale scale = usable(rounded, format.middle());
  scale.saturated = saturated;
  if (asymmetric && scale.value != 0.0) {
    scale.zero = std::fmin(halfEven(quotient(-low, scale.value)), format.levels());
  }
  return scale;
}

// The unsigned code of an element; of a non-finite one the code of 0.
inline uint32_t encode(const Format& format, const NibWeights& weights, const Scale& scale, double x) {
  if (!std::isfinite(x)) x = 0.0;
  const double product = x * scale.reciprocal;
  const double y = std::fabs(product) < 1e6 ? double(float(product)) : product;  // far beyond every range: clamped
  if (format.codebook) {
    static const Nf4Thresholds thresholds;
    if (scale.value == 0.0) return 7;
    uint32_t code = 0;
    while (code < 15 && y > thresholds.at[code]) ++code;
    return code;
  }
  if (scale.value == 0.0) return uint32_t(scale.zero);
  const bool narrow = (weights.flags & NIB_WEIGHTS_NARROW) != 0;
  const double q = halfEven(y) + scale.zero;
  return uint32_t(std::fmax(std::fmin(q, format.levels()), narrow ? 1.0 : 0.0));
}

// The value of an unsigned code, rounded once to fp32, whose largest value stands for what lies beyond.
inline double decode(const Format& format, const Scale& scale, uint32_t code) {
  if (scale.value == 0.0) return 0.0;
  if (format.codebook) return double(float(nf4Value(code) * scale.value));
  const double rounded = roundTo(NIB_TYPE_F32, (double(code) - scale.zero) * scale.value);
  return std::isfinite(rounded) ? rounded : std::copysign(kFloatTypes[NIB_TYPE_F32].largest, rounded);
}

}  // namespace nib::model
#endif
