// Quantizes groups whose scales are searched, several at a time: the bytes of quantizeSuper and quantizeIq4.
#ifndef NIB_SIMD_SEARCHED_GROUPS_H
#define NIB_SIMD_SEARCHED_GROUPS_H

#include "formats/format.h"
#include "simd/kernels.h"

namespace nib::simd {

// A unit is a super-block, or a block of a format without super-blocks.
class SearchedGroups {
 public:
  explicit SearchedGroups(const FormatDesc& format);

  uint32_t unitCols() const { return groups_ * cols_; }
  uint32_t mostUnits() const { return kSearchLanes / groups_; }

  struct Unit {
    uint32_t nested;     // d and dmin; of a block its scale, a half
    uint32_t saturated;  // how many of these did not fit
    uint8_t scale[kSearchLanes], zero[kSearchLanes];
  };
  // x: `count` units of finite numbers, or zeros. importance: as many of weighColumns, or NULL. codes: as many.
  void quantize(const float* x, const float* importance, uint32_t count, Unit* units, uint8_t* codes) const;
  // The weights that importances give the columns of a unit, of which `count` exist.
  void weighColumns(const uint32_t* importance, uint32_t count, float* weights) const;

 private:
  struct Lanes;
  void weigh(const float* importance, Lanes& lanes, uint32_t count) const;
  void fit(const Lanes& lanes, bool weighted, float* scales, float* minima) const;
  void findSteps(const float* scales, const float* minima, const float* weights, int32_t most, Unit* unit) const;
  void encode(const float* x, const Unit& unit, uint32_t group, uint8_t* codes) const;

  const FormatDesc& format_;
  uint32_t groups_, cols_;
  bool minimum_, table_;
  StepCoder table_coder_;
  float levels_[19];  // candidates of signed searches
};

}  // namespace nib::simd
#endif
