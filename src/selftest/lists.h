// Building blocks of the ops' lists of cases: shapes and granularities that exercise every tail, and types that rotate
// with the number of a case.
#ifndef NIB_SELFTEST_LISTS_H
#define NIB_SELFTEST_LISTS_H

#include <algorithm>
#include <bit>
#include <iterator>

#include "base/names.h"
#include "selftest/op_cases.h"

namespace nib::selftest {

struct Shape {
  uint32_t rows, cols;
};

// Whole and partial runs, groups, tiles and words; one element, one column, one row; rows long enough for every path.
inline constexpr Shape kShapes[] = {{33, 130}, {64, 256}, {1, 1},    {37, 1},    {1, 5},     {5, 1000},
                                    {7, 2064}, {3, 4097}, {130, 20}, {2, 66000}, {301, 515}, {17, 336}};

struct Sharing {
  NibGranularity granularity;
  uint32_t group;
  uint32_t flags;
};

inline constexpr Sharing kSharings[] = {{NIB_GRANULARITY_GROUP, 128, 0},
                                        {NIB_GRANULARITY_GROUP, 16, 0},
                                        {NIB_GRANULARITY_GROUP, 64, 0},
                                        {NIB_GRANULARITY_ROW, 0, 0},
                                        {NIB_GRANULARITY_GROUP, 48, 0},
                                        {NIB_GRANULARITY_COLUMN, 0, 0},
                                        {NIB_GRANULARITY_TENSOR, 0, 0},
                                        {NIB_GRANULARITY_GROUP, 256, 0},
                                        {NIB_GRANULARITY_GROUP, UINT32_MAX, 0},
                                        {NIB_GRANULARITY_GROUP, 32, 0},
                                        {NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT},
                                        {NIB_GRANULARITY_GROUP, 240, 0},
                                        {NIB_GRANULARITY_GROUP, 16, NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED}};

inline constexpr Recipe kRecipes[] = {Recipe::kMixed,     Recipe::kTies,  Recipe::kThreshold, Recipe::kDenormal,
                                      Recipe::kRange,     Recipe::kZeros, Recipe::kOutlier,   Recipe::kOneSign,
                                      Recipe::kNonFinite, Recipe::kBits,  Recipe::kUniform};

// Types rotate with the case's number, so that a list contains all combinations. pick(n) is below n.
struct Counter {
  uint64_t i = 0;
  uint32_t pick(uint32_t n) const { return uint32_t((i * 2654435761u >> 7) % n); }
  Recipe recipe() const { return kRecipes[i % std::size(kRecipes)]; }
};

// Some cases run about half of their rows.
inline uint32_t rowsOfRun(const Counter& counter, uint32_t rows) { return counter.i % 6 != 2 ? rows : (rows + 1) / 2; }

// The column count rounded up so that flat weights of any format have whole groups and runs.
inline uint32_t flatCols(uint32_t cols) { return (cols + 191) / 192 * 192; }

// Whether the format's descriptor allows this sharing and mode.
bool canHave(const NibFormatInfo& info, const Sharing& sharing, uint32_t mode);
// Whether the format has a single group size. It then has few sharings, and a quick list has them all.
inline bool hasOneGroupSize(const NibFormatInfo& info) { return info.group_multiple == info.group_max; }
// The format's scale type number `variant`, modulo their count.
uint32_t scaleType(const NibFormatInfo& info, uint64_t variant);
// Weights of the format with scale type number `variant`; nested weights have fp32 scales.
NibWeights weightsLike(const NibFormatInfo& info, const Sharing& sharing, uint32_t mode, uint64_t variant);
// The flags of NibWeights that say how the format's scales are found: 0, and each that it has.
std::vector<uint32_t> scaleModes(const NibFormatInfo& info);
// The sharings that the format allows. Dense weights (NULL) have one.
std::vector<const Sharing*> sharingsOf(const NibFormatInfo* info);

// Every pair of types over every shape; a quick list takes two pairs per shape, and so every pair twice or more.
inline constexpr uint32_t kTypePairs = 9;
inline bool quickPair(size_t shape, uint32_t pair) {
  return pair == shape * 2 % kTypePairs || pair == (shape * 2 + 5) % kTypePairs;
}

// --------------------------------------------------------------------------------------------- names
const char* activationName(uint32_t activation);  // " relu"; "" for none
std::string weightsName(const NibWeights& weights);
// ", 33x130 stride 140 n 17". The stride and n appear only if they differ from the defaults.
std::string dimsName(uint32_t rows, uint32_t cols, uint32_t stride, uint32_t n);
std::string dataName(const Case& c);  // ", mixed seed 7"

// A number that is equal for weights whose sharing leads to the same choice of kernels.
uint64_t sharingKind(const NibWeights& weights, uint64_t more = 0);

// --------------------------------------------------------------------------------------------- other sizes
// For Large::kSlices: 13 MB of fp32.
inline constexpr Shape kSliceShape{1031, 3116};
// For Large::kWindows: 36 Mi elements (144 MiB of fp32), as 3 rows of kWindowShape.cols columns, or as
// kWindowShape.rows rows of 1024 columns.
inline constexpr Shape kWindowShape{36u << 10, 12u << 20};

// For Large::kTails: visit(shape, granularity).
template <class Visit>
void forEachTail(Visit&& visit) {
  for (const Shape& shape : {Shape{131, 8209}, Shape{1100, 1040}}) {
    for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN}) {
      visit(shape, granularity);
    }
  }
}
// For Large::kTails of ops that have no quantized operand.
inline constexpr Shape kDenseTails[] = {{131, 8209}, {1100, 1041}};

// For Large::kPlans.
struct PlanShape {
  uint32_t rows, cols, stride;
  NibWeights weights;
  uint32_t variant;  // the number of the shape, for rotating types

  bool oneGranularity() const { return weights.granularity <= NIB_GRANULARITY_COLUMN; }
  uint32_t weightsStride() const { return (weights.flags & NIB_WEIGHTS_FLAT) != 0 ? 0 : stride; }
};
template <class Visit>
void forEachPlan(uint32_t format, Visit&& visit) {
  struct Size {
    uint32_t rows, cols, stride;
  };
  constexpr Size kSizes[] = {{4096, 4096, 0},    {11008, 4096, 0},   {4096, 11008, 0}, {3, 200000, 0},
                             {2048, 4100, 4112}, {2048, 4096, 4112}, {1, 4096, 0},     {300, 1023, 1027},
                             {151936, 896, 0},   {40, 128, 0},       {32000, 16, 0}};
  constexpr Sharing kWays[] = {{NIB_GRANULARITY_TENSOR, 0, 0},
                               {NIB_GRANULARITY_ROW, 0, 0},
                               {NIB_GRANULARITY_COLUMN, 0, 0},
                               {NIB_GRANULARITY_GROUP, 128, 0},
                               {NIB_GRANULARITY_GROUP, 16, 0},
                               {NIB_GRANULARITY_GROUP, 240, 0},
                               {NIB_GRANULARITY_GROUP, UINT32_MAX, 0},
                               {NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT},
                               {NIB_GRANULARITY_GROUP, UINT32_MAX, NIB_WEIGHTS_FLAT}};
  uint32_t variant = 0;
  for (const Size& size : kSizes) {
    for (const Sharing& way : kWays) {
      for (const uint32_t mode : {0u, uint32_t(NIB_WEIGHTS_ASYMMETRIC)}) {
        visit(PlanShape{size.rows, size.cols, size.stride,
                        weightsOf(format, way.granularity, way.group, way.flags | mode, variant % 3), variant});
        ++variant;
      }
    }
  }
}

// For `nibble devices --verify`: more than one tile in both directions, with tails. The library shrinks its self-test
// to the smallest shape that still covers the kernels.
inline constexpr Shape kVerifiedShape{77, 1090};

// visit(weights, type of the dense operand, name).
template <class Visit>
void forEachVerified(const NibFormatInfo& format, Visit&& visit) {
  uint32_t variant = 0;
  for (const uint32_t granularity :
       {NIB_GRANULARITY_GROUP, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN, NIB_GRANULARITY_TENSOR}) {
    for (const uint32_t flags : {0u, uint32_t{NIB_WEIGHTS_ASYMMETRIC}, uint32_t{NIB_WEIGHTS_FLAT}}) {
      const bool grouped = granularity == NIB_GRANULARITY_GROUP, flat = (flags & NIB_WEIGHTS_FLAT) != 0;
      if ((flags & ~format.weights_flags) != 0 || (flat && !grouped)) continue;
      if (!(format.granularities >> granularity & 1u)) continue;
      const bool every_type = grouped && flags == 0;
      for (uint32_t i = 0; i < (every_type ? 3u : 1u); ++i) {
        const uint32_t type = variant++ % 3;
        const bool has_type = (format.scale_types >> type & 1u) != 0;
        const uint32_t scale_type = has_type ? type : uint32_t(std::countr_zero(format.scale_types));
        const std::string text = std::string(format.name) + " " + granularityName(granularity) +
                                 ((flags & NIB_WEIGHTS_ASYMMETRIC) != 0 ? " asymmetric" : "") + (flat ? " flat" : "") +
                                 " " + typeName(type);
        visit(weightsOf(format.format, granularity, grouped ? std::min(64u, format.group_max) : 0, flags, scale_type),
              type, text);
      }
    }
  }
}

// --------------------------------------------------------------------------------------------- positions
Lines linesOfWeights(const NibWeights& weights, uint32_t rows, const NibMemory& memory, NibPart part);
Lines linesOfDense(uint32_t type, uint64_t stride);
// Result rows. Without a stride, rows of 16-bit elements start on words.
Lines linesOfResult(uint32_t type, uint64_t stride, uint64_t cols);

}  // namespace nib::selftest
#endif
