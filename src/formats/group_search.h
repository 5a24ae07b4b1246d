// The searches of ggml for the scale of a group: least squares over a grid of candidates. Numbers are prepared so that
// no sum is denormal: elements of a group are divided by a power of two, so that the largest magnitude is from 1 to 2,
// and those below 2^-20 are 0; weights are from 2^-24 to 2^4. Sums over a group have four parts, of every fourth
// element. shaders/formats/search*.glsl are the GPU counterpart.
#ifndef NIB_FORMATS_GROUP_SEARCH_H
#define NIB_FORMATS_GROUP_SEARCH_H

#include <cstdint>

namespace nib {

inline constexpr uint32_t kMostGroupCols = 32;
inline constexpr uint32_t kMostSuperGroups = 16;

// A sum over a group.
struct GroupSum {
  float part[4] = {};

  void add(uint32_t i, float term) { part[i % 4] += term; }
  float value() const { return (part[0] + part[1]) + (part[2] + part[3]); }
};

struct SearchGroup {
  uint32_t count;  // a multiple of four
  float x[kMostGroupCols];
  float weight[kMostGroupCols];
};

struct GroupFit {
  float scale;
  float minimum;  // at most 0
};

// Candidates of a range search: (levels + first + step * i) / range for i = 0..count.
struct RangeGrid {
  float first, step;
  uint32_t count;
  bool absolute;  // the sum of errors instead of squared errors decides
};

// The candidates of a format of `bits` bits.
RangeGrid rangeGrid(uint32_t bits, bool weighted);
// Candidate k of a signed search, of 0..18, and of a search of IQ4, of 0..15: what is divided by the element farthest
// from 0.
float signedLevels(float reach, uint32_t k);
float iq4Levels(uint32_t k);

// value = code * scale + minimum with codes 0..levels.
GroupFit fitRange(const SearchGroup& group, float levels, const RangeGrid& grid);
// value = code * scale with codes -reach..reach - 1; the element farthest from 0 is near -reach.
float fitSigned(const SearchGroup& group, float reach);
// value = table value of IQ4 * scale.
float fitIq4(const SearchGroup& group);
float sumOfWeights(const SearchGroup& group);
float sumOfSquares(const SearchGroup& group);  // of the elements

// Steps of a super-block: the scales or minima of its groups as small integers times `unit`.
struct SuperSteps {
  float unit;
  int32_t step[kMostSuperGroups];
};

// Steps 0..levels of numbers that are not negative; weights may be NULL: then the largest number has `levels`.
SuperSteps findSteps(const float* values, const float* weights, uint32_t count, float levels);
// Steps -reach..reach - 1; without weights, the first of the numbers farthest from 0 has -reach.
SuperSteps findSignedSteps(const float* values, const float* weights, uint32_t count, float reach);

// bits with `by` added to the exponent; 0 if the exponent field is then below `least`, which is at least 1.
uint32_t movedExponent(uint32_t bits, int32_t by, int32_t least);

// The half of a number that is divided by 2^(exponent - 127). Numbers that do not fit become the largest half and are
// added to *saturated.
uint32_t halfOfDivided(float number, int32_t exponent, uint32_t* saturated);

// The weight of an importance relative to the largest one of its super-block: both fp32 bits. Numbers that are negative
// or not finite count as 0, and all below 2^-20 of the largest as that. If all are 0, all weights are 1.
float importanceWeight(uint32_t bits, uint32_t largest_bits);
// 0 if it is negative or not finite.
uint32_t importanceBits(uint32_t bits);

// The IQ4 code of the nearest table value; between two, the higher.
uint32_t nearestIq4(float y);

}  // namespace nib
#endif
