#include "selftest/recipe.h"

#include <bit>
#include <cmath>

#include "numerics/exact.h"
#include "shaders/formats/nf4/table.h"

namespace nib::selftest {
namespace {

uint32_t bitsOf(double value) { return std::bit_cast<uint32_t>(float(value)); }

uint32_t one(Recipe recipe, uint64_t index, uint64_t seed, Random& random) {
  static constexpr uint32_t kThresholds[] = {NF4_T0, NF4_T1, NF4_T2,  NF4_T3,  NF4_T4,  NF4_T5,  NF4_T6, NF4_T7,
                                             NF4_T8, NF4_T9, NF4_T10, NF4_T11, NF4_T12, NF4_T13, NF4_T14};
  const uint32_t sign = random.bits() & 0x80000000u;
  switch (recipe) {
    case Recipe::kUniform: return bitsOf(random.unit() * 2 - 1);
    case Recipe::kNormal: {
      double sum = 0;
      for (int i = 0; i < 12; ++i) sum += random.unit();
      return bitsOf((sum - 6) * 0.02);
    }
    case Recipe::kTies: {
      // |x| up to 7.5 (int4's qmax + 1/2) or 127.5 in halves; every 16th element is that end, so that found scales are
      // powers of two.
      const uint32_t end = (seed & 1) != 0 ? 15 : 255;
      const uint32_t halves = index % 16 == 0 ? end : random.below(end + 1);
      const uint32_t bits = bitsOf(std::ldexp(double(halves), int((seed >> 1) % 20) - 12));
      if (halves == 0 || index % 16 == 0) return sign | bits;
      const uint32_t nudge = random.below(4);
      return sign | (nudge == 0 ? bits - 1 : nudge == 1 ? bits + 1 : bits);
    }
    case Recipe::kThreshold: {
      if (index % 16 == 0) return sign | 0x3f800000u;
      const uint32_t bits = kThresholds[random.below(15)];
      const uint32_t nudge = random.below(4);
      return nudge == 0 ? bits - 1 : nudge == 1 ? bits + 1 : bits;
    }
    case Recipe::kZeros: return sign;
    case Recipe::kDenormal: {
      const uint32_t kind = random.below(4);
      if (kind == 0) return sign | (random.bits() & 0x007fffffu);
      if (kind == 1) return sign | (0x03000000u + (random.bits() & 0x01ffffffu));  // 2^-121 .. 2^-117
      if (kind == 2) return sign | (0x00800000u + (random.bits() & 0x00ffffffu));  // 2^-126 .. 2^-124
      return sign;
    }
    case Recipe::kOutlier: return index % 61 == 7 ? sign | bitsOf(3e4) : bitsOf(random.unit() * 2e-3 - 1e-3);
    case Recipe::kRange: return sign | (0x00800000u + uint32_t(random.unit() * double(0x7f7fffffu - 0x00800000u)));
    case Recipe::kOneSign: return ((index / 64) & 1 ? 0x80000000u : 0u) | bitsOf(random.unit() + 0.25);
    case Recipe::kNonFinite: {
      const uint32_t kind = random.below(97);
      if (kind == 0) return sign | 0x7f800000u;
      if (kind == 1) return sign | 0x7fc00001u;
      return bitsOf(random.unit() * 2 - 1);
    }
    case Recipe::kBits: return random.bits();
    case Recipe::kNarrow: {
      static constexpr uint32_t kHalves[] = {0x7bff, 0x7bfe, 0x7c00, 0x0000, 0x0001, 0x03ff, 0x0400};
      static constexpr uint32_t kBf16s[] = {0x7f7f, 0x7f7e, 0x7f80, 0x0000, 0x007f, 0x0080};
      const bool at_end = random.below(4) == 0, half = random.below(2) == 0;
      const uint32_t pattern = !at_end ? random.bits() & 0x7fffu
                               : half  ? kHalves[random.below(7)]
                                       : kBf16s[random.below(6)];
      uint32_t bits = half ? exact::nibHalfToF32Bits(pattern) : pattern << 16;
      const uint32_t midpoint = half ? 0x1000u : 0x8000u;
      if (random.below(3) != 0) bits += midpoint;
      return sign | ((bits + random.below(3) - 1) & 0x7fffffffu);
    }
    case Recipe::kExact: {
      static constexpr uint32_t kValues[] = {0xbf800000u, 0xbf000000u, 0u, 0x3f000000u, 0x3f800000u};
      return kValues[random.below(5)];
    }
    case Recipe::kRelu: {
      const uint32_t bits = one(Recipe::kNormal, index, seed, random);
      return bits >> 31 != 0 ? 0u : bits;
    }
    case Recipe::kMixed:
    case Recipe::kAlike: break;
  }
  return 0;
}

}  // namespace

const char* recipeName(Recipe recipe) {
  static const char* const kNames[] = {"uniform", "normal", "ties",     "threshold",  "zeros", "denormal",
                                       "outlier", "range",  "one-sign", "non-finite", "bits",  "mixed",
                                       "exact",   "narrow", "relu",     "alike"};
  return kNames[int(recipe)];
}

std::vector<uint32_t> makeValues(Recipe recipe, uint64_t count, uint64_t seed) {
  std::vector<uint32_t> values(count);
  Random random(seed);
  for (uint64_t i = 0; i < count; ++i) {
    // Stretches of all recipes in turn, in an order that the seed shifts.
    const Recipe r = recipe == Recipe::kMixed ? Recipe((i / 64 + seed) % uint64_t(Recipe::kMixed)) : recipe;
    values[i] = one(r, i, seed, random);
  }
  return values;
}

std::vector<uint32_t> makeDense(Recipe recipe, NibType type, uint64_t count, uint64_t seed) {
  std::vector<uint32_t> values = makeValues(recipe, count, seed);
  if (type == NIB_TYPE_F32) return values;
  std::vector<uint32_t> words((count + 1) / 2, 0);
  for (uint64_t i = 0; i < count; ++i) {
    // kBits: any pattern of the type itself, not a rounded fp32.
    uint32_t half_word = values[i] & 0xffffu;
    if (recipe != Recipe::kBits) {
      half_word = type == NIB_TYPE_F16 ? exact::nibF32ToHalfBits(values[i]) : exact::nibF32ToBf16Bits(values[i]);
    }
    words[i / 2] |= half_word << (i % 2 * 16);
  }
  return words;
}

std::vector<uint32_t> makeCandidate(const std::vector<uint32_t>& reference, const Dense& of, const Dense& to,
                                    uint32_t rows, uint32_t cols, uint64_t seed) {
  const uint64_t count = uint64_t(rows - 1) * to.stride + cols;
  const auto halves = [&](uint64_t i) { return reference[i / 2] >> (i % 2 * 16) & 0xffffu; };
  const auto load = [&](uint64_t i) {
    if (of.type == NIB_TYPE_F32) return reference[i];
    return of.type == NIB_TYPE_F16 ? exact::nibHalfToF32Bits(halves(i)) : halves(i) << 16;
  };
  std::vector<uint32_t> words(to.type == NIB_TYPE_F32 ? count : (count + 1) / 2, 0xa5a5a5a5u);
  Random random(seed ^ 0xca4d1da7eull);
  for (uint64_t i = 0; i < uint64_t(rows) * cols; ++i) {
    uint32_t bits = load(i / cols * of.stride + i % cols);
    const uint32_t r = random.bits();
    switch (i / 1500 % 3 == 1 ? 0 : r & 7u) {
      case 0:
      case 1: break;
      case 2: bits ^= r >> 24; break;
      case 3: bits &= 0xfffff000u; break;
      case 4: bits ^= r >> 8 & 0x000fffffu; break;
      case 5: bits ^= 0x80000000u; break;
      case 6: bits = (bits & 0xff800000u) | (r >> 9); break;
      case 7: bits = (r & 0x80000000u) | (0x3f800000u + (r >> 4 & 0x00ffffffu)); break;
    }
    const uint64_t at = i / cols * to.stride + i % cols;
    if (to.type == NIB_TYPE_F32) {
      words[at] = bits;
      continue;
    }
    const uint32_t half_word = to.type == NIB_TYPE_F16 ? exact::nibF32ToHalfBits(bits) : exact::nibF32ToBf16Bits(bits);
    words[at / 2] = (words[at / 2] & ~(0xffffu << (at % 2 * 16))) | half_word << (at % 2 * 16);
  }
  return words;
}

}  // namespace nib::selftest
