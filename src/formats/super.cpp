// Quantizes super-blocks: the scale of every group by a search, then steps of all scales, then codes with the stored
// scales.
#include "formats/super.h"

#include "formats/group_search.h"
#include "formats/iq4.h"

namespace nib {
namespace {

constexpr int32_t kBias = 127;

struct Super {
  const FormatDesc& format;
  const uint32_t* x;
  const uint32_t* importance;
  SuperResult* result;

  uint32_t groups() const { return format.super.blocks; }
  uint32_t cols() const { return kSuperCols / groups(); }
  bool minimum() const { return (format.info.flags & NIB_FORMAT_MINIMUM) != 0; }
  bool table() const { return format.decode == decodeIq4; }
  uint32_t bits() const { return format.info.bits; }

  // The weights of a group's elements, which are divided by 2^(exponent - 127). square: the mean square of the
  // super-block's elements, divided by the square of 2^(most - 127).
  void weigh(uint32_t first, SearchGroup* g, int32_t exponent, int32_t most, float square, uint32_t largest) const {
    if (importance != nullptr) {
      for (uint32_t i = 0; i < g->count; ++i) {
        const float weight = importanceWeight(importance[first + i], largest);
        const float x = exact::floatOf(movedExponent(exact::bitsOf(g->x[i]), exponent - most, 97));
        g->weight[i] = bits() == 6 ? weight : weight * exact::nibSqrt(square + x * x);
      }
      return;
    }
    const float mean = minimum() && bits() != 2 ? exact::nibSqrt(sumOfSquares(*g) * (1.0f / 32.0f)) : 0.0f;
    for (uint32_t i = 0; i < g->count; ++i) {
      const float size = exact::floatOf(exact::magnitudeOf(exact::bitsOf(g->x[i])));
      g->weight[i] = table() || bits() == 6 ? size * size : mean + size;
    }
  }

  void find(int32_t most, uint32_t largest) const;
  void encode(uint32_t group) const;
};

// Scales and minima.
void Super::find(int32_t most, uint32_t largest) const {
  SearchGroup group[kMostSuperGroups];
  int32_t exponent[kMostSuperGroups];
  float square = 0.0f;
  for (uint32_t j = 0; j < groups(); ++j) {
    SearchGroup& g = group[j];
    g.count = cols();
    exponent[j] = 0;
    for (uint32_t i = 0; i < cols(); ++i) {
      const int32_t field = exact::exponentFieldOf(x[j * cols() + i]);
      exponent[j] = field > exponent[j] ? field : exponent[j];
    }
    for (uint32_t i = 0; i < cols(); ++i) {
      g.x[i] = exact::floatOf(movedExponent(x[j * cols() + i], kBias - exponent[j], 107));
    }
    square += exact::floatOf(movedExponent(exact::bitsOf(sumOfSquares(g)), 2 * (exponent[j] - most), 67));
  }
  square *= bits() == 2 ? 1.0f / 256.0f : 2.0f / 256.0f;
  float scale[kMostSuperGroups], low[kMostSuperGroups], weight[kMostSuperGroups];
  for (uint32_t j = 0; j < groups(); ++j) {
    SearchGroup& g = group[j];
    weigh(j * cols(), &g, exponent[j], most, square, largest);
    weight[j] = sumOfWeights(g);
    GroupFit fit{0.0f, 0.0f};
    if (exponent[j] != 0) {
      if (minimum()) {
        fit = fitRange(g, float((1u << bits()) - 1u), rangeGrid(bits(), importance != nullptr));
      } else {
        fit.scale = table() ? fitIq4(g) : fitSigned(g, float(1u << (bits() - 1u)));
      }
    }
    const auto moved = [&](float v) { return exact::floatOf(movedExponent(exact::bitsOf(v), exponent[j] - most, 87)); };
    scale[j] = moved(minimum() && fit.scale < 0.0f ? 0.0f : fit.scale);
    low[j] = moved(-fit.minimum);
  }
  const float levels = float(format.super.levels);
  const bool weighted = importance != nullptr;
  const SuperSteps scales = minimum()
                                ? findSteps(scale, weighted ? weight : nullptr, groups(), levels)
                                : findSignedSteps(scale, weighted && bits() == 3 ? weight : nullptr, groups(), levels);
  const uint32_t d = halfOfDivided(scales.unit, most, &result->saturated);
  uint32_t dmin = 0;
  if (minimum()) {
    const SuperSteps minima = findSteps(low, weighted ? weight : nullptr, groups(), levels);
    dmin = halfOfDivided(minima.unit, most, &result->saturated);
    for (uint32_t j = 0; j < groups(); ++j) result->zero[j] = uint8_t(dmin == 0 ? 0 : minima.step[j]);
  }
  result->nested = d | dmin << 16;
  for (uint32_t j = 0; j < groups(); ++j) {
    result->scale[j] = uint8_t((d == 0 ? 0 : scales.step[j]) + format.super.offset);
  }
}

// Codes with the stored scales.
void Super::encode(uint32_t j) const {
  const StoredScale stored = superScale(format.super, result->scale[j], result->zero[j], result->nested);
  const float rcp = stored.scale_bits == 0 ? 0.0f : exact::floatOf(exact::nibDivBits(0x3f800000u, stored.scale_bits));
  const float low = exact::floatOf(stored.zero);
  const float levels = float((1u << bits()) - 1u), middle = minimum() ? 0.0f : float(1u << (bits() - 1u));
  for (uint32_t i = j * cols(); i < (j + 1) * cols(); ++i) {
    const float y = (exact::floatOf(exact::nibFlushBits(x[i])) - low) * rcp;
    if (table()) {
      result->code[i] = uint8_t(nearestIq4(y));
    } else {
      const float inside = y < -middle ? -middle : y > levels - middle ? levels - middle : y;
      constexpr float kUlpIsOne = 0x1.8p23f;
      result->code[i] = uint8_t(int32_t((inside + kUlpIsOne) - kUlpIsOne + middle));
    }
  }
}

}  // namespace

void quantizeSuper(const FormatDesc& format, const uint32_t* x_bits, const uint32_t* importance_bits,
                   SuperResult* result) {
  *result = {};
  const Super super{format, x_bits, importance_bits, result};
  int32_t most = 0;
  uint32_t largest = 0;
  for (uint32_t i = 0; i < kSuperCols; ++i) {
    const int32_t field = exact::exponentFieldOf(x_bits[i]);
    most = field > most ? field : most;
    if (importance_bits == nullptr) continue;
    const uint32_t bits = importanceBits(importance_bits[i]);
    largest = bits > largest ? bits : largest;
  }
  super.find(most, largest);
  for (uint32_t j = 0; j < super.groups(); ++j) super.encode(j);
}

}  // namespace nib
