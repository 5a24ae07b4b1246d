#include "simd/searched_groups.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "formats/group_search.h"
#include "formats/iq4.h"
#include "formats/super.h"

namespace nib::simd {
namespace {

float moved(float x, int32_t by, int32_t least) { return exact::floatOf(movedExponent(exact::bitsOf(x), by, least)); }

// movedExponent of each, without branches.
void moveExponents(const float* x, uint32_t count, int32_t by, int32_t least, float* to) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t bits = exact::bitsOf(x[i]);
    const int32_t field = int32_t(bits >> 23 & 0xffu);
    const uint32_t kept = uint32_t(-int32_t(field != 0)) & uint32_t(-int32_t(field + by >= least));
    to[i] = exact::floatOf((bits + (uint32_t(by) << 23)) & kept);
  }
}

}  // namespace

struct SearchedGroups::Lanes {
  alignas(64) float x[kMostGroupCols * kSearchLanes];
  alignas(64) float weight[kMostGroupCols * kSearchLanes];
  int32_t exponent[kSearchLanes];  // of groups
  int32_t most[kSearchLanes];      // of units
  float square[kSearchLanes];      // mean squares of units
  float weight_sum[kSearchLanes];
};

SearchedGroups::SearchedGroups(const FormatDesc& format)
    : format_(format),
      groups_(format.super.blocks != 0 ? format.super.blocks : 1),
      cols_(format.info.group_max),
      minimum_((format.info.flags & NIB_FORMAT_MINIMUM) != 0),
      table_(format.decode == decodeIq4) {
  table_coder_ = {15, {}, {}, 0, false};
  for (uint32_t i = 0; i < 16; ++i) {
    // A number on a threshold has the higher code.
    if (i < 15) table_coder_.above[i] = std::nextafterf(exact::floatOf(kIq4Thresholds[i]), -1e9f);
    table_coder_.code[i] = uint8_t(i);
  }
  for (uint32_t k = 0; k < 19; ++k)
    levels_[k] = table_ ? iq4Levels(k) : signedLevels(float(1u << (format.info.bits - 1)), k);
}

// Fills weights, from elements and the units' mean squares.
void SearchedGroups::weigh(const float* importance, Lanes& lanes, uint32_t count) const {
  const uint32_t bits = format_.info.bits;
  for (uint32_t l = 0; l < count * groups_; ++l) {
    const uint32_t unit = l / groups_;
    float* const weight = lanes.weight + l;
    const float* const x = lanes.x + l;
    if (importance == nullptr) {
      float mean = 0.0f;
      if (minimum_ && bits != 2) {
        GroupSum squares;
        for (uint32_t i = 0; i < cols_; ++i) squares.add(i, x[i * kSearchLanes] * x[i * kSearchLanes]);
        mean = std::sqrt(squares.value() * (1.0f / 32.0f));
      }
      for (uint32_t i = 0; i < cols_; ++i) {
        const float size = std::fabs(x[i * kSearchLanes]);
        weight[i * kSearchLanes] = table_ || bits == 6 ? size * size : mean + size;
      }
      continue;
    }
    const float* const own = importance + l * cols_;
    if (bits == 6) {
      for (uint32_t i = 0; i < cols_; ++i) weight[i * kSearchLanes] = own[i];
      continue;
    }
    float element[kMostGroupCols];
    for (uint32_t i = 0; i < cols_; ++i) element[i] = x[i * kSearchLanes];
    moveExponents(element, cols_, lanes.exponent[l] - lanes.most[unit], 97, element);
    for (uint32_t i = 0; i < cols_; ++i)
      weight[i * kSearchLanes] = own[i] * std::sqrt(lanes.square[unit] + element[i] * element[i]);
  }
}

void SearchedGroups::fit(const Lanes& lanes, bool weighted, float* scales, float* minima) const {
  const SearchLanes search{cols_, lanes.x, lanes.weight};
  const uint32_t bits = format_.info.bits;
  if (minimum_) {
    const RangeGrid grid = rangeGrid(bits, weighted);
    return kernels().fitRanges(search, float((1u << bits) - 1u), {grid.first, grid.step, grid.count, grid.absolute},
                               scales, minima);
  }
  std::fill(minima, minima + kSearchLanes, 0.0f);
  if (!table_) return kernels().fitSteps(search, float(1u << (bits - 1)), levels_, 19, scales);
  float thresholds[15], values[16];
  std::memcpy(thresholds, kIq4Thresholds, sizeof thresholds);
  std::memcpy(values, kIq4Values, sizeof values);
  kernels().fitTable(search, thresholds, values, levels_, 16, scales);
}

void SearchedGroups::findSteps(const float* scales, const float* minima, const float* weights, int32_t most,
                               Unit* unit) const {
  *unit = {};
  if (format_.super.blocks == 0) {
    unit->nested = halfOfDivided(scales[0], most, &unit->saturated);
    return;
  }
  const float levels = float(format_.super.levels);
  SuperSteps steps;
  uint32_t dmin = 0;
  if (minimum_) {
    steps = nib::findSteps(scales, weights, groups_, levels);
  } else {
    steps = findSignedSteps(scales, format_.info.bits == 3 ? weights : nullptr, groups_, levels);
  }
  const uint32_t d = halfOfDivided(steps.unit, most, &unit->saturated);
  for (uint32_t j = 0; j < groups_; ++j) unit->scale[j] = uint8_t((d == 0 ? 0 : steps.step[j]) + format_.super.offset);
  if (minimum_) {
    steps = nib::findSteps(minima, weights, groups_, levels);
    dmin = halfOfDivided(steps.unit, most, &unit->saturated);
    for (uint32_t j = 0; j < groups_; ++j) unit->zero[j] = uint8_t(dmin == 0 ? 0 : steps.step[j]);
  }
  unit->nested = d | dmin << 16;
}

void SearchedGroups::weighColumns(const uint32_t* importance, uint32_t count, float* weights) const {
  uint32_t largest = 0;
  for (uint32_t i = 0; i < count; ++i) largest = std::max(largest, importanceBits(importance[i]));
  for (uint32_t i = 0; i < unitCols(); ++i) weights[i] = importanceWeight(i < count ? importance[i] : 0u, largest);
}

void SearchedGroups::encode(const float* x, const Unit& unit, uint32_t group, uint8_t* codes) const {
  StoredScale stored{};
  if (format_.super.blocks == 0) {
    stored.scale_bits = unit.nested == 0 ? 0u : exact::nibHalfToF32Bits(unit.nested);
  } else {
    stored = superScale(format_.super, unit.scale[group], unit.zero[group], unit.nested);
  }
  const float scale = exact::floatOf(stored.scale_bits), low = exact::floatOf(stored.zero);
  const float rcp = stored.scale_bits == 0 ? 0.0f : 1.0f / scale;
  alignas(64) float y[kMostGroupCols];
  for (uint32_t i = 0; i < cols_; ++i) y[i] = exact::nibFlush(x[i]) - low;
  if (table_) return kernels().encodeSteps(y, cols_, rcp, table_coder_, codes);
  const float levels = float((1u << format_.info.bits) - 1u);
  const float middle = minimum_ ? 0.0f : float(1u << (format_.info.bits - 1));
  kernels().encodeIntegers(
      y, cols_, {rcp, -middle, levels - middle, std::numeric_limits<float>::infinity(), int32_t(middle)}, codes);
}

void SearchedGroups::quantize(const float* x, const float* importance, uint32_t count, Unit* units,
                              uint8_t* codes) const {
  Lanes lanes{};
  const float factor = format_.super.blocks == 0 ? 2.0f / 32.0f
                       : format_.info.bits == 2  ? 1.0f / 256.0f
                                                 : 2.0f / 256.0f;
  for (uint32_t u = 0; u < count; ++u) {
    for (uint32_t l = u * groups_; l < (u + 1) * groups_; ++l) {
      const float* const from = x + l * cols_;
      uint32_t most = 0;
      for (uint32_t i = 0; i < cols_; ++i) most = std::max(most, exact::magnitudeOf(exact::bitsOf(from[i])));
      const int32_t exponent = exact::exponentFieldOf(most);
      lanes.exponent[l] = exponent;
      lanes.most[u] = std::max(lanes.most[u], exponent);
      float element[kMostGroupCols];
      moveExponents(from, cols_, 127 - exponent, 107, element);
      for (uint32_t i = 0; i < cols_; ++i) lanes.x[i * kSearchLanes + l] = element[i];
    }
    for (uint32_t l = u * groups_; importance != nullptr && l < (u + 1) * groups_; ++l) {
      GroupSum squares;
      for (uint32_t i = 0; i < cols_; ++i) {
        const float element = lanes.x[i * kSearchLanes + l];
        squares.add(i, element * element);
      }
      lanes.square[u] += moved(squares.value(), 2 * (lanes.exponent[l] - lanes.most[u]), 67);
    }
    lanes.square[u] *= factor;
  }
  weigh(importance, lanes, count);
  for (uint32_t l = 0; importance != nullptr && l < count * groups_; ++l) {
    GroupSum weights;
    for (uint32_t i = 0; i < cols_; ++i) weights.add(i, lanes.weight[i * kSearchLanes + l]);
    lanes.weight_sum[l] = weights.value();
  }
  alignas(64) float scales[kSearchLanes], minima[kSearchLanes];
  fit(lanes, importance != nullptr, scales, minima);
  for (uint32_t u = 0; u < count; ++u) {
    for (uint32_t l = u * groups_; l < (u + 1) * groups_; ++l) {
      const bool nothing = lanes.exponent[l] == 0;
      const int32_t by = lanes.exponent[l] - lanes.most[u];
      const float scale = nothing || (minimum_ && scales[l] < 0.0f) ? 0.0f : scales[l];
      scales[l] = moved(scale, by, 87);
      minima[l] = moved(nothing ? 0.0f : -minima[l], by, 87);
    }
    findSteps(scales + u * groups_, minima + u * groups_,
              importance != nullptr ? lanes.weight_sum + u * groups_ : nullptr, lanes.most[u], units + u);
    for (uint32_t j = 0; j < groups_; ++j)
      encode(x + (u * groups_ + j) * cols_, units[u], j, codes + (u * groups_ + j) * cols_);
  }
}

}  // namespace nib::simd
