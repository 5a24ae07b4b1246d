#include "formats/group_search.h"

#include <cmath>

#include "formats/iq4.h"
#include "numerics/exact.h"

namespace nib {
namespace {

constexpr float kSmall = 0x1p-20f;

// The integer from low to high that is nearest to x, ties to even.
float nearest(float x, float low, float high) {
  constexpr float kUlpIsOne = 0x1.8p23f;
  const float inside = x < low ? low : x > high ? high : x;
  return (inside + kUlpIsOne) - kUlpIsOne;
}

float rangeStep(float x, float low, float rcp, float levels) { return nearest((x - low) * rcp, 0.0f, levels); }

float rangeError(const SearchGroup& g, float low, float rcp, float levels, const GroupFit& fit, bool absolute) {
  GroupSum error;
  for (uint32_t i = 0; i < g.count; ++i) {
    const float step = rangeStep(g.x[i], low, rcp, levels);
    const float difference = (fit.scale * step + fit.minimum) - g.x[i];
    error.add(i, g.weight[i] * (absolute ? std::fabs(difference) : difference * difference));
  }
  return error.value();
}

// The element farthest from 0, the first of several.
float farthest(const float* x, uint32_t count) {
  float far = 0.0f;
  for (uint32_t i = 0; i < count; ++i) {
    if (std::fabs(x[i]) > std::fabs(far)) far = x[i];
  }
  return far;
}

// The best of several scales by (sum of w x l)^2 / sum of w l^2.
struct Best {
  float xl = 0.0f, l2 = 0.0f;
  float rcp = 0.0f;

  void offer(float sum_xl, float sum_l2, float reciprocal) {
    if (!(sum_l2 > 0.0f)) return;
    if (l2 != 0.0f && !((sum_xl * sum_xl) * l2 > (xl * xl) * sum_l2)) return;
    *this = {sum_xl, sum_l2, reciprocal};
  }
  float scale() const { return l2 > 0.0f ? exact::nibDiv(xl, l2) : 0.0f; }
};

}  // namespace

RangeGrid rangeGrid(uint32_t bits, bool weighted) {
  if (weighted) return {-0.9f, 0.05f, 36, false};
  return bits == 4 ? RangeGrid{-1.0f, 0.1f, 20, false} : RangeGrid{-0.5f, 0.1f, 15, bits == 2};
}

// It begins with 0 and then walks from -9 to 9.
float signedLevels(float reach, uint32_t k) {
  if (k == 0) return reach;
  const float tenths = float(int32_t(k) - (k <= 9 ? 10 : 9));
  return reach + 0.1f * tenths;
}

// The first lets the farthest element have the lowest value with its sign.
float iq4Levels(uint32_t k) { return k == 0 ? 127.0f : float(int32_t(k) - 8) - 127.0f; }

GroupFit fitRange(const SearchGroup& g, float levels, const RangeGrid& grid) {
  float low = 0.0f, high = g.x[0];
  GroupSum sum_w, sum_x;
  for (uint32_t i = 0; i < g.count; ++i) {
    low = g.x[i] < low ? g.x[i] : low;
    high = g.x[i] > high ? g.x[i] : high;
    sum_w.add(i, g.weight[i]);
    sum_x.add(i, g.weight[i] * g.x[i]);
  }
  if (!(high > low)) return {0.0f, low};
  const float w = sum_w.value(), x = sum_x.value();
  float range = high - low;
  GroupFit best{exact::nibDiv(range, levels), low};
  float best_error = rangeError(g, low, exact::nibDiv(levels, range), levels, best, grid.absolute);
  for (uint32_t k = 0; k <= grid.count; ++k) {
    range = high - best.minimum;
    if (range < kSmall) break;
    const float rcp = exact::nibDiv((grid.first + grid.step * float(k)) + levels, range);
    GroupSum sum_l, sum_l2, sum_xl;
    for (uint32_t i = 0; i < g.count; ++i) {
      const float step = rangeStep(g.x[i], best.minimum, rcp, levels), weighted = g.weight[i] * step;
      sum_l.add(i, weighted);
      sum_l2.add(i, weighted * step);
      sum_xl.add(i, weighted * g.x[i]);
    }
    const float l = sum_l.value(), l2 = sum_l2.value(), xl = sum_xl.value();
    const float product = w * l2, determinant = product - l * l;
    if (!(determinant > product * kSmall)) continue;
    const float inverse = exact::nibDiv(1.0f, determinant);
    GroupFit fit{(w * xl - x * l) * inverse, (l2 * x - l * xl) * inverse};
    if (fit.minimum > 0.0f) fit.scale = exact::nibDiv(xl, l2);
    if (fit.minimum > -kSmall) fit.minimum = 0.0f;
    const float error = rangeError(g, best.minimum, rcp, levels, fit, grid.absolute);
    if (!(error < best_error)) continue;
    best = fit;
    best_error = error;
  }
  return best;
}

float fitSigned(const SearchGroup& g, float reach) {
  const float far = farthest(g.x, g.count);
  if (far == 0.0f) return 0.0f;
  const float inverse = exact::nibDiv(-1.0f, far);
  Best best;
  for (uint32_t k = 0; k < 19; ++k) {
    const float rcp = signedLevels(reach, k) * inverse;
    GroupSum sum_xl, sum_l2;
    for (uint32_t i = 0; i < g.count; ++i) {
      const float step = nearest(g.x[i] * rcp, -reach, reach - 1.0f), weighted = g.weight[i] * step;
      sum_xl.add(i, weighted * g.x[i]);
      sum_l2.add(i, weighted * step);
    }
    best.offer(sum_xl.value(), sum_l2.value(), rcp);
  }
  return best.scale();
}

float fitIq4(const SearchGroup& g) {
  const float far = farthest(g.x, g.count);
  if (far == 0.0f) return 0.0f;
  const float inverse = exact::nibDiv(1.0f, far);
  Best best;
  for (uint32_t k = 0; k < 16; ++k) {
    const float rcp = iq4Levels(k) * inverse;
    GroupSum sum_xl, sum_l2;
    for (uint32_t i = 0; i < g.count; ++i) {
      const float value = exact::floatOf(kIq4Values[nearestIq4(g.x[i] * rcp)]), weighted = g.weight[i] * value;
      sum_xl.add(i, weighted * g.x[i]);
      sum_l2.add(i, weighted * value);
    }
    best.offer(sum_xl.value(), sum_l2.value(), rcp);
  }
  return best.scale();
}

float sumOfWeights(const SearchGroup& g) {
  GroupSum sum;
  for (uint32_t i = 0; i < g.count; ++i) sum.add(i, g.weight[i]);
  return sum.value();
}

float sumOfSquares(const SearchGroup& g) {
  GroupSum sum;
  for (uint32_t i = 0; i < g.count; ++i) sum.add(i, g.x[i] * g.x[i]);
  return sum.value();
}

SuperSteps findSteps(const float* values, const float* weights, uint32_t count, float levels) {
  SuperSteps result{};
  float most = 0.0f;
  for (uint32_t i = 0; i < count; ++i) most = values[i] > most ? values[i] : most;
  if (most == 0.0f) return result;
  const auto stepOf = [&](float value, float rcp) { return nearest(value * rcp, 0.0f, levels); };
  float best_rcp = exact::nibDiv(levels, most);
  result.unit = exact::nibDiv(most, levels);
  if (weights != nullptr) {
    float best_error = 0.0f;
    for (uint32_t k = 0; k < 9; ++k) {
      const float tenths = k == 0 ? 0.0f : float(int32_t(k) - (k <= 4 ? 5 : 4));
      const float reach = levels + 0.1f * tenths;
      const float rcp = exact::nibDiv(reach, most), unit = exact::nibDiv(most, reach);
      float error = 0.0f;
      for (uint32_t i = 0; i < count; ++i) {
        const float difference = values[i] - stepOf(values[i], rcp) * unit;
        error += weights[i] * (difference * difference);
      }
      if (k != 0 && !(error < best_error)) continue;
      best_error = error;
      best_rcp = rcp;
    }
  }
  float step[kMostSuperGroups], sum_xl = 0.0f, sum_l2 = 0.0f;
  for (uint32_t i = 0; i < count; ++i) {
    step[i] = stepOf(values[i], best_rcp);
    if (weights == nullptr) continue;
    const float weighted = weights[i] * step[i];
    sum_xl += weighted * values[i];
    sum_l2 += weighted * step[i];
  }
  if (weights != nullptr) {
    // Steps are changed one by one as long as that helps.
    for (uint32_t pass = 0; pass < 5; ++pass) {
      bool changed = false;
      for (uint32_t i = 0; i < count; ++i) {
        const float weighted = weights[i] * step[i];
        float xl = sum_xl - weighted * values[i], l2 = sum_l2 - weighted * step[i];
        if (!(xl > sum_xl * kSmall) || !(l2 > sum_l2 * kSmall)) continue;
        const float moved = stepOf(exact::nibDiv(values[i] * l2, xl), 1.0f);
        if (moved == step[i]) continue;
        const float new_weighted = weights[i] * moved;
        xl += new_weighted * values[i];
        l2 += new_weighted * moved;
        if (!((xl * xl) * sum_l2 > (sum_xl * sum_xl) * l2)) continue;
        step[i] = moved;
        sum_xl = xl;
        sum_l2 = l2;
        changed = true;
      }
      if (!changed) break;
    }
    result.unit = exact::nibDiv(sum_xl, sum_l2);
  }
  for (uint32_t i = 0; i < count; ++i) result.step[i] = int32_t(step[i]);
  return result;
}

SuperSteps findSignedSteps(const float* values, const float* weights, uint32_t count, float reach) {
  SuperSteps result{};
  const float far = farthest(values, count);
  if (far == 0.0f) return result;
  const auto stepOf = [&](float value, float rcp) { return nearest(value * rcp, -reach, reach - 1.0f); };
  float best_rcp = exact::nibDiv(-reach, far);
  result.unit = exact::nibDiv(far, -reach);
  if (weights != nullptr) {
    const float inverse = exact::nibDiv(-1.0f, far);
    Best best;
    for (uint32_t k = 0; k < 19; ++k) {
      const float rcp = signedLevels(reach, k) * inverse;
      float sum_xl = 0.0f, sum_l2 = 0.0f;
      for (uint32_t i = 0; i < count; ++i) {
        const float step = stepOf(values[i], rcp), weighted = weights[i] * step;
        sum_xl += weighted * values[i];
        sum_l2 += weighted * step;
      }
      best.offer(sum_xl, sum_l2, rcp);
    }
    best_rcp = best.rcp;
    result.unit = best.scale();
  }
  for (uint32_t i = 0; i < count; ++i) result.step[i] = int32_t(stepOf(values[i], best_rcp));
  return result;
}

uint32_t movedExponent(uint32_t bits, int32_t by, int32_t least) {
  const int32_t field = exact::exponentFieldOf(bits);
  if (field == 0 || field + by < least) return 0;
  return bits + (uint32_t(by) << 23);
}

uint32_t halfOfDivided(float number, int32_t exponent, uint32_t* saturated) {
  constexpr uint32_t kTooLarge = 0x477ff000u;  // 65520, which rounds to infinity in fp16
  const uint32_t bits = exact::bitsOf(number);
  uint32_t magnitude = exact::magnitudeOf(bits);
  if (exact::exponentFieldOf(magnitude) + exponent - 127 >= 255) {
    magnitude = exact::kMaxFiniteBits;
  } else {
    magnitude = movedExponent(magnitude, exponent - 127, 1);
  }
  if (magnitude >= kTooLarge) ++*saturated;
  const uint32_t half = exact::nibF32ToHalfSatBits(magnitude);
  return half == 0 ? 0u : half | exact::signOf(bits) >> 16;
}

uint32_t importanceBits(uint32_t bits) { return bits >= 0x00800000u && bits < exact::kInfBits ? bits : 0u; }

float importanceWeight(uint32_t bits, uint32_t largest_bits) {
  if (largest_bits == 0) return 1.0f;
  const uint32_t moved = movedExponent(importanceBits(bits), 127 - exact::exponentFieldOf(largest_bits), 107);
  return exact::floatOf(moved < 0x35800000u ? 0x35800000u : moved);  // 2^-20
}

uint32_t nearestIq4(float y) {
  uint32_t code = 0;
  while (code < 15 && y >= exact::floatOf(kIq4Thresholds[code])) ++code;
  return code;
}

}  // namespace nib
