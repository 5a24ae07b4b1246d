// Quantization by its definition, in double precision: a model that shares no arithmetic and no values with the
// library. Double is enough: operands are fp32 values of 24 bits, so a product (48 bits) is exact in a double, and a
// double quotient or sum rounded again to 24 bits is correctly rounded: 53 >= 2 * 24 + 2.
#ifndef NIB_TESTS_MODEL_H
#define NIB_TESTS_MODEL_H

#include <nibble/formats.h>
#include <nibble/nibble.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace nib::model {

// The integer nearest to v, ties to even, in any rounding mode.
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

inline constexpr FloatType kFloatTypes[] = {{24, -126, 0x1.fffffep127},
                                            {11, -14, 65504.0},
                                            {8, -126, 0x1.fep127},
                                            {1, -127, 0x1p127},
                                            {8, 0, 255.0}};  // indexed by NibType

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
  if (type == NIB_TYPE_BYTE) return double(bits);
  if (type == NIB_TYPE_E8M0) return bits == 255 ? NAN : std::ldexp(1.0, int(bits) - 127);
  if (type == NIB_TYPE_F16) {
    const int exponent = int(bits >> 10 & 31u), fraction = int(bits & 1023u);
    double v = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
               : exponent == 0 ? std::ldexp(fraction, -24)
                               : std::ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000u ? -v : v;
  }
  const uint32_t wide = type == NIB_TYPE_BF16 ? bits << 16 : bits;
  if ((wide & 0x7f800000u) == 0) return wide >> 31 ? -0.0 : 0.0;
  return floatOfBits(wide);
}

// The bit pattern of a value of the type, infinity or NaN. -0 keeps its sign; bfloat16 denormals become
// zeros; 0 as a power of two is 0.
inline uint32_t bitsOf(uint32_t type, double v) {
  if (type == NIB_TYPE_E8M0) return v == 0.0 ? 0u : uint32_t(std::ilogb(v) + 127);
  if (type == NIB_TYPE_F32) return bitsOfFloat(float(v));
  if (type == NIB_TYPE_BF16) {
    const uint32_t wide = bitsOfFloat(float(v));
    return ((wide & 0x7f800000u) == 0 ? wide & 0x80000000u : wide) >> 16;
  }
  const uint32_t sign = std::signbit(v) ? 0x8000u : 0u;
  const double size = std::fabs(v);
  if (std::isnan(size)) return sign | 0x7e00u;
  if (size == INFINITY) return sign | 0x7c00u;
  if (size < 0x1p-14) return sign | uint32_t(size * 0x1p24);
  int exponent;
  const double fraction = std::frexp(size, &exponent);  // [1/2, 1)
  return sign | (uint32_t(exponent + 14) << 10 | uint32_t(fraction * 2048.0 - 1024.0));
}

// a/b rounded to 24 bits with an unbounded exponent; from 2^128 on the largest fp32, below 2^-126 zero.
inline double quotient(double a, double b) {
  if (a == 0.0) return 0.0;
  int exponent;
  const double fraction = std::frexp(a / b, &exponent);
  const double rounded = std::ldexp(halfEven(std::ldexp(fraction, 24)), exponent - 24);
  if (std::fabs(rounded) >= 0x1p128) return std::copysign(0x1.fffffep127, rounded);
  return std::fabs(rounded) < 0x1p-126 ? 0.0 : rounded;
}

enum class Kind {
  kAffine,          // (code - zero) * scale
  kCodebook,        // a table, ascending, * absmax
  kSignedCodebook,  // sign and a table of magnitudes * absmax
  kTernary,         // affine 2-bit codes without the lowest * the mean magnitude, or absmax
  kBinary,          // a sign * the mean magnitude
  kFloat,           // sign, exponent and mantissa, * scale
  kGgml,            // ggml's blocks, by ggml's rules
  kSearched         // ggml's blocks whose scales are found by a search; `values` are those of IQ4
};

// The bits of a small float: value = 2^(e - bias) * 1.m, or 2^(1 - bias) * 0.m.
struct SmallFloat {
  int mantissa_bits, bias;
  uint32_t last;  // magnitude of the largest finite code
};

// The source of the scale of ggml's blocks.
enum class GgmlScale {
  kExtreme,  // the element of the largest magnitude; the scale has the opposite sign
  kRange,    // largest and smallest element; the smallest is the block's minimum
  kAbsmax    // the largest magnitude
};

// How a super-block of 256 keeps the scales of its groups.
struct SuperModel {
  uint32_t groups;       // 0 = the format has no super-blocks
  int offset;            // subtracted from the byte of a scale
  bool twos_complement;  // the byte is signed
  int levels;            // of scales and minima
};

// The properties of a format, defined in tests/golden/NAME_test.cpp. Width, default group size and zero points come
// from the public description, which format_lookup_test.cpp and the golden tests compare with literal values.
struct FormatModel {
  Kind kind = Kind::kAffine;
  bool twos_complement = false;  // stored codes; else unsigned or offset binary
  SmallFloat small = {};         // for kFloat
  // For kCodebook the values of all codes, ascending; for kSignedCodebook the magnitudes of codes without their sign.
  const float* values = nullptr;
  // For kSignedCodebook: the thresholds between magnitudes, ascending, and the codes by ascending magnitude (one more).
  const float* thresholds = nullptr;
  const uint32_t* ascending = nullptr;
  GgmlScale ggml = GgmlScale::kExtreme;  // for kGgml and kSearched
  SuperModel super = {};
};

// Defines the model of a format of kernels.list, in its golden test.
#define NIB_DEFINE_FORMAT_MODEL(NAME, ...)             \
  namespace nib::model {                               \
  extern const FormatModel kFormatModel_##NAME;        \
  const FormatModel kFormatModel_##NAME = __VA_ARGS__; \
  }

struct Format : FormatModel {
  uint32_t id;
  uint32_t bits;
  uint32_t usual_group;  // the meaning of a group size of 0; 0 = not allowed

  double levels() const { return double((1u << bits) - 1u); }
  double middle() const { return double(1u << (bits - 1u)); }
  // The last code in use, and the first: of 4 bits with FOUR_BITS, whose codes are -8 to 7.
  double last(const NibWeights& w) const { return w.flags & NIB_WEIGHTS_FOUR_BITS ? middle() + 7 : levels(); }
  double first(const NibWeights& w) const { return w.flags & NIB_WEIGHTS_FOUR_BITS ? middle() - 8 : 0; }
  bool affine() const { return kind == Kind::kAffine; }
  bool mean() const { return kind == Kind::kTernary || kind == Kind::kBinary; }
  bool blocks() const { return kind == Kind::kGgml || kind == Kind::kSearched; }
  bool minimum() const { return blocks() && ggml == GgmlScale::kRange; }
  // The unsigned code of 0.
  uint32_t zeroCode() const {
    if (kind == Kind::kCodebook) return uint32_t(std::find(values, values + (1u << bits), 0.0f) - values);
    return affine() || mean() ? 1u << (bits - 1u) : 0u;
  }
  uint32_t stored(uint32_t code) const { return twos_complement ? code ^ (1u << (bits - 1u)) : code; }
};

#define NIB_FORMAT_ROW(name) extern const FormatModel kFormatModel_##name;
#include "formats.inc"
#undef NIB_FORMAT_ROW

// The formats of this build, in ascending id.
inline const std::vector<Format>& formats() {
  static const std::vector<Format> list = [] {
    std::vector<Format> known;
    const auto add = [&](const char* name, const FormatModel& format) {
      const NibFormatInfo& info = *nibFormatByName(name);
      known.push_back({format, info.format, info.bits, info.default_group_size});
    };
#define NIB_FORMAT_ROW(name) add(#name, kFormatModel_##name);
#include "formats.inc"
#undef NIB_FORMAT_ROW
    return known;
  }();
  return list;
}

// The formats with every granularity and with given scales.
inline const std::vector<Format>& scaledFormats() {
  static const std::vector<Format> list = [] {
    std::vector<Format> scaled;
    for (const Format& format : formats()) {
      const NibFormatInfo& info = *nibFormatById(format.id);
      if (info.group_multiple != info.group_max && !(info.flags & NIB_FORMAT_OWN_SCALES)) scaled.push_back(format);
    }
    return scaled;
  }();
  return list;
}

inline const Format* formatOf(uint32_t id) {
  for (const Format& format : formats()) {
    if (format.id == id) return &format;
  }
  return nullptr;
}

// The midpoint of a codebook's values `code` and `code + 1`, rounded to fp32: the sum of two fp32 values of these sizes
// is exact in a double, and is then rounded once.
inline double codebookThreshold(const Format& format, uint32_t code) {
  return double(float((double(format.values[code]) + double(format.values[code + 1])) / 2.0));
}

// The magnitude of a code of a sign-magnitude format.
inline double magnitudeOf(const Format& format, uint32_t code) {
  const uint32_t magnitude = code & ((1u << (format.bits - 1u)) - 1u);
  if (format.kind == Kind::kSignedCodebook) return double(format.values[magnitude]);
  const SmallFloat& f = format.small;
  if (magnitude > f.last) return f.mantissa_bits == 2 && magnitude == f.last + 1u ? INFINITY : NAN;
  const int mantissa = int(magnitude) & ((1 << f.mantissa_bits) - 1), exponent = int(magnitude) >> f.mantissa_bits;
  if (exponent == 0) return std::ldexp(mantissa, 1 - f.bias - f.mantissa_bits);
  return std::ldexp((1 << f.mantissa_bits) + mantissa, exponent - f.bias - f.mantissa_bits);
}

// The code of the nearest magnitude, ties to the even code; beyond the largest magnitude its code.
inline uint32_t nearestMagnitude(const Format& format, double y) {
  uint32_t code = 0;
  for (; code < format.small.last; ++code) {
    const double middle = (magnitudeOf(format, code) + magnitudeOf(format, code + 1)) / 2;
    if (y < middle || (y == middle && code % 2 == 0)) break;
  }
  return code;
}

// v rounded to 24 bits with an unbounded exponent; below 2^-126 zero, from 2^128 on the largest fp32.
inline double roundProduct(double v) {
  if (v == 0.0) return v;
  int exponent;
  const double fraction = std::frexp(v, &exponent);
  const double rounded = std::ldexp(halfEven(std::ldexp(fraction, 24)), exponent - 24);
  if (rounded >= 0x1p128) return 0x1.fffffep127;
  return rounded < 0x1p-126 ? 0.0 : rounded;
}

struct Extent {
  double min = INFINITY;
  double max = -INFINITY;
  uint32_t nonfinite = 0;

  void add(double v) {
    if (!std::isfinite(v)) {
      ++nonfinite;
      return;
    }
    if (v < min) min = v;
    if (v > max) max = v;
  }
  bool empty() const { return min > max; }

  // The mean of magnitudes, in a second pass after all add() calls: magnitudes are multiples of 2^-22 of the largest's
  // power of two, rounded half up; the sum and the count are rounded to fp32. At most 2^30 elements keep the sum exact.
  double units = 0;
  uint32_t count = 0;

  double absmax() const { return empty() || nonfinite != 0 ? 0.0 : std::fmax(std::fabs(min), std::fabs(max)); }
  double unit() const { return std::ldexp(1.0, std::ilogb(absmax()) - 22); }
  void addMagnitude(double v) {
    ++count;
    if (absmax() != 0.0) units += std::floor(std::fabs(v) / unit() + 0.5);
  }
  double mean() const {
    if (absmax() == 0.0) return 0.0;
    const double found = quotient(double(float(units)), double(float(count))) * unit();
    return found < 0x1p-126 ? 0.0 : found;
  }
};

struct Scale {
  double value = 0;       // the stored value, 0 for the zero group
  double reciprocal = 0;  // quotient(1, value)
  double zero = 0;        // unsigned form; unused by codebooks; ggml's minimum
  uint32_t saturated = 0;
};

// A block of ggml's formats, from the text of formats.md: d = m / -8 (-16) with m the first element of the largest
// magnitude; or d = (max - min) / 15 (31), with the minimum; or d = absmax / 127. Codes use 1/d with d before its
// rounding to half, unless the half is 0 (all codes are those of 0) or d is too large (the largest half is used).
struct GgmlBlock {
  Scale scale;
  std::vector<uint32_t> codes;  // stored form
};

inline double fp32(double v) { return double(float(v)); }

inline double toHalf(double v, uint32_t* too_large) {
  const double half = roundTo(NIB_TYPE_F16, v);
  if (std::isfinite(half)) return half;
  ++*too_large;
  return std::copysign(65504.0, v);
}

inline GgmlBlock ggmlBlock(const Format& format, const std::vector<double>& x) {
  GgmlBlock block;
  bool finite = true;
  for (const double v : x) finite = finite && std::isfinite(v);
  double low = INFINITY, high = -INFINITY, farthest = 0;
  for (const double element : x) {
    const double v = finite ? element : 0.0;
    low = std::fmin(low, v);
    high = std::fmax(high, v);
    if (std::fabs(v) > std::fabs(farthest)) farthest = v;
  }
  const bool absmax = format.ggml == GgmlScale::kAbsmax, minimum = format.minimum();
  double d;
  if (minimum) {
    const double a = high / 2, b = low / 2;
    d = quotient(fp32((std::fabs(a) < 0x1p-126 ? 0 : a) - (std::fabs(b) < 0x1p-126 ? 0 : b)), format.levels() / 2);
  } else {
    d = absmax ? quotient(std::fabs(farthest), 127.0) : quotient(farthest, -format.middle());
  }
  block.scale.value = toHalf(d, &block.scale.saturated);
  double m = 0;
  if (minimum) {
    block.scale.zero = toHalf(low + 0.0, &block.scale.saturated);
    m = std::isfinite(roundTo(NIB_TYPE_F16, low)) ? low : block.scale.zero;
  }
  if (block.scale.saturated != 0 && !std::isfinite(roundTo(NIB_TYPE_F16, d))) d = block.scale.value;
  const double id = block.scale.value == 0.0 ? 0.0 : quotient(1.0, d);
  for (const double element : x) {
    const double v = finite ? element : 0.0;
    const double y = std::fmax(std::fmin(fp32(std::fmin(fp32(v - m), 0x1.fffffep127) * id), 1000.0), -1000.0);
    double code;
    if (absmax) {
      code = std::copysign(std::fmin(std::floor(std::fabs(y) + 0.5), 127.0), y);
      if (std::fabs(y) - std::floor(std::fabs(y)) < 0.5)
        code = std::copysign(std::fmin(std::floor(std::fabs(y)), 127.0), y);
    } else {
      code = std::floor(fp32(y + (minimum ? 0.5 : format.middle() + 0.5)));
      code = std::fmax(std::fmin(code, format.levels()), 0.0);
    }
    block.codes.push_back(uint32_t(int32_t(code)) & ((1u << format.bits) - 1u));
  }
  return block;
}

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
  if (weights.scale_type == NIB_TYPE_E8M0) {
    const double absmax = std::fmax(-low, high);
    if (absmax == 0.0) return usable(0.0, 0.0);
    // The standard's floor(log2), or the other rules' power of two, divided by the largest power of two of the codes.
    const uint32_t rule = weights.flags & NIB_WEIGHTS_SCALE_RULE;
    const double largest = magnitudeOf(format, format.small.last), of_codes = std::exp2(std::ilogb(largest));
    const double floor2 = std::exp2(std::ilogb(absmax));
    double power = floor2;
    if (rule == NIB_WEIGHTS_SCALE_CEIL && absmax > floor2) power = 2 * floor2;
    // Rounded to the codes' bits of mantissa, halves up.
    const double rounds_up = 2 - std::exp2(-1 - format.small.mantissa_bits);
    if (rule == NIB_WEIGHTS_SCALE_EVEN && absmax >= rounds_up * floor2) power = 2 * floor2;
    if (rule == NIB_WEIGHTS_SCALE_RCEIL) {
      power = floor2 / 8;
      while (power / of_codes * largest < absmax) power *= 2;
    }
    return usable(power / of_codes, 0.0);
  } else if (format.mean()) {
    found = weights.flags & NIB_WEIGHTS_NARROW ? extent.absmax() : extent.mean();
  } else if (format.kind == Kind::kFloat) {
    found = quotient(std::fmax(-low, high), magnitudeOf(format, format.small.last));
  } else if (format.kind != Kind::kAffine) {
    found = std::fmax(-low, high);
  } else if (asymmetric) {
    // max / 2 and min / 2 below 2^-126 are flushed; their difference is rounded once.
    const double a = high / 2 < 0x1p-126 ? 0.0 : high / 2, b = -low / 2 < 0x1p-126 ? 0.0 : -low / 2;
    found = quotient(double(float(a + b)), (format.last(weights) - format.first(weights)) / 2);
  } else {
    const double steps = format.last(weights) - format.middle() + (weights.flags & NIB_WEIGHTS_NARROW ? 0.0 : 0.5);
    found = quotient(std::fmax(-low, high), steps);
  }
  double rounded = roundTo(weights.scale_type, std::fmin(found, 0x1p126));
  const bool saturated = rounded == INFINITY || found > 0x1p126;
  if (rounded == INFINITY) rounded = kFloatTypes[weights.scale_type].largest;
  Scale scale = usable(rounded, format.middle());
  scale.saturated = saturated ? 1 : 0;
  if (asymmetric && scale.value != 0.0) {
    scale.zero = std::fmin(format.first(weights) + halfEven(quotient(-low, scale.value)), format.last(weights));
  }
  return scale;
}

// The unsigned code of an element; the code of 0 for a non-finite element.
inline uint32_t encode(const Format& format, const NibWeights& weights, const Scale& scale, double x) {
  if (!std::isfinite(x)) x = 0.0;
  const double product = x * scale.reciprocal;
  const double y = std::fabs(product) < 1e6 ? double(float(product)) : product;  // beyond 1e6 it is clamped in any case
  if (format.kind == Kind::kBinary) return x < 0.0 && scale.reciprocal != 0.0 ? 0 : 1;
  if (format.kind == Kind::kTernary) return uint32_t(2.0 + std::fmax(std::fmin(halfEven(y), 1.0), -1.0));
  if (format.kind == Kind::kFloat) {
    if (scale.reciprocal == 0.0) return 0;
    const uint32_t sign = std::signbit(x) ? 1u << (format.bits - 1u) : 0u;
    return nearestMagnitude(format, std::fabs(y)) | sign;
  }
  if (format.kind == Kind::kSignedCodebook) {
    if (scale.reciprocal == 0.0) return 0;
    const uint32_t sign = 1u << (format.bits - 1u);
    uint32_t rank = 0;
    while (rank < sign - 1 && std::fabs(y) > double(format.thresholds[rank])) ++rank;
    return format.ascending[rank] | (x < 0 ? sign : 0u);
  }
  if (format.kind == Kind::kCodebook) {
    if (scale.value == 0.0) return format.zeroCode();
    uint32_t code = 0;
    while (code < uint32_t(format.levels()) && y > codebookThreshold(format, code)) ++code;
    return code;
  }
  if (scale.value == 0.0) return uint32_t(scale.zero);
  const bool narrow = (weights.flags & NIB_WEIGHTS_NARROW) != 0;
  const double q = halfEven(y) + scale.zero;
  return uint32_t(std::fmax(std::fmin(q, format.last(weights)), format.first(weights) + (narrow ? 1.0 : 0.0)));
}

// The value of an unsigned code, rounded once to fp32 and saturated to its largest value.
inline double decode(const Format& format, const Scale& scale, uint32_t code) {
  if (scale.value == 0.0 && !format.blocks()) return 0.0;
  if (format.kind == Kind::kCodebook) return double(float(double(format.values[code]) * scale.value));
  if (format.kind == Kind::kSearched && format.values != nullptr)
    return double(format.values[code]) * scale.value + 0.0;
  if (format.blocks()) {
    const bool is_signed = format.ggml == GgmlScale::kAbsmax;
    const double steps = format.minimum() ? code : is_signed ? double(int8_t(code)) : double(code) - format.middle();
    return fp32(steps * scale.value + scale.zero) + 0.0;
  }
  if (format.kind == Kind::kBinary) return code != 0 ? scale.value : -scale.value;
  if (!format.affine() && format.kind != Kind::kTernary) {
    const double magnitude = magnitudeOf(format, code);
    const double value = std::isfinite(magnitude) ? roundProduct(magnitude * std::fabs(scale.value)) : magnitude;
    const bool negative = (code >> (format.bits - 1u) != 0) != (scale.value < 0);
    return negative ? std::copysign(value, -1.0) : value;
  }
  const double rounded = roundTo(NIB_TYPE_F32, (double(code) - scale.zero) * scale.value);
  return std::isfinite(rounded) ? rounded : std::copysign(kFloatTypes[NIB_TYPE_F32].largest, rounded);
}

}  // namespace nib::model
#endif
