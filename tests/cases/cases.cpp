#include "cases.h"

#include <nibble/formats.h>

#include <set>

#include "int8_cases.h"
#include "plan/op.h"

namespace nib::cases {
namespace {

struct Shape {
  uint32_t rows, cols;
};

struct Sharing {
  NibGranularity granularity;
  uint32_t group;
  uint32_t flags;
};

const char* typeName(uint32_t type) {
  static const char* const kNames[] = {"f32", "f16", "bf16", "e8m0"};
  return type < 4 ? kNames[type] : "?";
}

constexpr Sharing kSharings[] = {
    {NIB_GRANULARITY_GROUP, 128, 0}, {NIB_GRANULARITY_GROUP, 16, 0},          {NIB_GRANULARITY_GROUP, 64, 0},
    {NIB_GRANULARITY_ROW, 0, 0},     {NIB_GRANULARITY_GROUP, 48, 0},          {NIB_GRANULARITY_COLUMN, 0, 0},
    {NIB_GRANULARITY_TENSOR, 0, 0},  {NIB_GRANULARITY_GROUP, 256, 0},         {NIB_GRANULARITY_GROUP, UINT32_MAX, 0},
    {NIB_GRANULARITY_GROUP, 32, 0},  {NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT}, {NIB_GRANULARITY_GROUP, 240, 0},
    {NIB_GRANULARITY_GROUP, 16, NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED}};

// Whole and broken runs, groups, tiles and words; one element, one column, one row; rows long enough for every path.
constexpr Shape kShapes[] = {{33, 130}, {64, 256}, {1, 1},    {37, 1},  {1, 5},      {5, 1000},
                             {7, 2064}, {3, 4097}, {130, 20}, {2, 66000}, {301, 515}, {17, 336}};

constexpr Recipe kRecipes[] = {Recipe::kMixed, Recipe::kTies,  Recipe::kThreshold, Recipe::kDenormal, Recipe::kRange,
                               Recipe::kZeros, Recipe::kOutlier, Recipe::kOneSign, Recipe::kNonFinite, Recipe::kBits,
                               Recipe::kUniform};

// Types rotate with the case's number, so that over a list all combinations come up.
struct Counter {
  uint64_t i = 0;
  uint32_t turn(uint32_t n) { return uint32_t((i * 2654435761u >> 7) % n); }
};

// By what the format says of itself.
bool canHave(const NibFormatInfo& info, const Sharing& sharing, uint32_t mode) {
  if (((sharing.flags | mode) & ~info.weights_flags) != 0 || !(info.granularities >> sharing.granularity & 1u)) return false;
  if (sharing.granularity != NIB_GRANULARITY_GROUP) return true;
  if (sharing.group == UINT32_MAX) return info.group_multiple != info.group_max;
  return sharing.group % info.group_multiple == 0 && sharing.group <= info.group_max;
}

// A scale type that the format has, `turn`s from the first.
uint32_t scaleType(const NibFormatInfo& info, uint64_t turn) {
  uint32_t types[4], count = 0;
  for (uint32_t type = 0; type < 4; ++type) {
    if (info.scale_types >> type & 1u) types[count++] = type;
  }
  return types[turn % count];
}

NibWeights weightsOf(const NibFormatInfo& info, const Sharing& sharing, uint32_t flags, uint32_t scale_type) {
  return {info.format, uint32_t(sharing.granularity), sharing.group, scale_type, sharing.flags | flags};
}

void addQuantize(std::vector<Case>& list, const NibFormatInfo& info, Extent extent) {
  const uint32_t modes[] = {0,
                            NIB_WEIGHTS_ASYMMETRIC,
                            NIB_WEIGHTS_NARROW,
                            NIB_WEIGHTS_SCALE_CEIL,
                            NIB_WEIGHTS_SCALE_EVEN,
                            NIB_WEIGHTS_SCALE_RCEIL};
  Counter counter;
  for (const Sharing& sharing : kSharings) {
    for (const Shape& shape : kShapes) {
      for (const uint32_t mode : modes) {
        // Numbered as if the last three were not there, but for formats that have them.
        if (mode <= NIB_WEIGHTS_NARROW || (mode & info.weights_flags) != 0) ++counter.i;
        if (!canHave(info, sharing, mode)) continue;
        // A quick list walks the diagonal: every sharing, every shape, every mode, not every triple.
        const bool few = info.group_multiple == info.group_max;  // of groups of one size all
        if (extent == Extent::kQuick && !few && counter.turn(4) != 0) continue;
        Case c;
        c.seed = counter.i;
        c.recipe = kRecipes[counter.i % (sizeof kRecipes / sizeof kRecipes[0])];
        NibQuantizeDesc& d = c.desc.quantize;
        d = {};
        d.op = NIB_OP_QUANTIZE;
        d.rows = shape.rows;
        d.cols = shape.cols;
        d.source_type = uint32_t(counter.i / 3 % 3);
        d.weights = weightsOf(info, sharing, mode, scaleType(info, (sharing.flags & NIB_WEIGHTS_NESTED) != 0 ? 0 : counter.i / 7));
        d.flags = (counter.i % 2 == 0 ? uint32_t(NIB_QUANTIZE_STATUS) : 0u) | (counter.i % 5 == 1 && !(info.flags & NIB_FORMAT_OWN_SCALES) && !(sharing.flags & NIB_WEIGHTS_NESTED) ? uint32_t(NIB_QUANTIZE_GIVEN_SCALES) : 0u);
        const bool flat = (sharing.flags & NIB_WEIGHTS_FLAT) != 0;
        if (!flat && counter.i % 7 == 3) d.source_stride = shape.cols + 1 + counter.turn(5);
        c.n = flat || counter.i % 6 != 2 ? shape.rows : (shape.rows + 1) / 2;
        list.push_back(c);
      }
    }
  }
}

void addDequantize(std::vector<Case>& list, const NibFormatInfo& info, Extent extent) {
  Counter counter;
  for (const Sharing& sharing : kSharings) {
    for (const Shape& shape : kShapes) {
      ++counter.i;
      if (!canHave(info, sharing, 0)) continue;
      const bool few = info.group_multiple == info.group_max;
      if (extent == Extent::kQuick && !few && counter.turn(3) != 0) continue;
      Case c;
      c.seed = counter.i;
      NibDequantizeDesc& d = c.desc.dequantize;
      d = {};
      d.op = NIB_OP_DEQUANTIZE;
      d.rows = shape.rows;
      d.cols = shape.cols;
      d.result_type = uint32_t(counter.i % 3);
      const uint32_t mode = counter.i % 2 == 0 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) & info.weights_flags : 0u;
      d.weights = weightsOf(info, sharing, mode, scaleType(info, (sharing.flags & NIB_WEIGHTS_NESTED) != 0 ? 0 : counter.i / 5));
      const bool flat = (sharing.flags & NIB_WEIGHTS_FLAT) != 0;
      if (!flat && counter.i % 7 == 3) d.result_stride = (shape.cols + 3) / 2 * 2 + 2 * counter.turn(3);
      c.n = flat || counter.i % 6 != 2 ? shape.rows : (shape.rows + 1) / 2;
      list.push_back(c);
    }
  }
}

void addGather(std::vector<Case>& list, const NibFormatInfo& info, Extent extent) {
  Counter counter;
  for (const Sharing& sharing : kSharings) {
    const bool flat = (sharing.flags & NIB_WEIGHTS_FLAT) != 0;
    for (const Shape& shape : kShapes) {
      ++counter.i;
      if (!canHave(info, sharing, 0)) continue;
      const bool few = info.group_multiple == info.group_max;
      if (extent == Extent::kQuick && !few && counter.turn(4) != 0) continue;
      Case c;
      c.seed = counter.i;
      NibGatherDesc& d = c.desc.gather;
      d = {};
      d.op = NIB_OP_GATHER;
      d.rows = shape.rows;
      // Flat rows are whole runs and groups.
      d.cols = flat ? (shape.cols + 191) / 192 * 192 : shape.cols;
      // Fewer numbers than rows, and more.
      d.count = counter.i % 3 == 0 ? shape.rows / 2 + 1 : shape.rows + counter.turn(9);
      d.result_type = uint32_t(counter.i % 3);
      const uint32_t mode = counter.i % 2 == 0 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) & info.weights_flags : 0u;
      d.weights = weightsOf(info, sharing, mode, scaleType(info, (sharing.flags & NIB_WEIGHTS_NESTED) != 0 ? 0 : counter.i / 5));
      if (counter.i % 7 == 3) d.result_stride = (d.cols + 3) / 2 * 2 + 2 * counter.turn(3);
      c.n = counter.i % 6 != 2 ? d.count : (d.count + 1) / 2;
      list.push_back(c);
    }
  }
}

// Products: exact sums, which every path must give to the byte, and every fourth case ordinary numbers, judged by the bound.
void addMatmul(std::vector<Case>& list, const NibFormatInfo* info, Extent extent) {
  struct Product {
    uint32_t rows, cols, tokens;
  };
  // One of everything; tails in every side; numbers of tokens around those that kernels take at a time; few rows, which
  // devices other than CPUs share out by columns, and many, which CPUs do not share out.
  constexpr Product kProducts[] = {{33, 132, 1}, {64, 256, 1},  {1, 1, 1},    {37, 1, 2},     {1, 5, 3},    {5, 1000, 4}, {7, 2064, 5},
                                   {300, 512, 8}, {130, 22, 9}, {3, 1057, 1}, {301, 515, 33}, {72, 336, 67}, {259, 272, 4}, {6, 20000, 1},
                                   {385, 97, 1}, {260, 68, 3}};
  std::vector<const Sharing*> sharings;
  for (const Sharing& sharing : kSharings) {
    if (info != nullptr ? canHave(*info, sharing, 0) : sharings.empty()) sharings.push_back(&sharing);
  }
  Counter counter;
  const uint32_t first = info != nullptr ? info->format : 0;
  counter.i = first;
  uint32_t number = 0;
  for (const Product& product : kProducts) {
    ++number;
    for (size_t s = 0; s < sharings.size(); ++s) {
      ++counter.i;
      // A quick list has each product, or every other one and those that take a path alone, with one of the sharings.
      const bool whole_rows = product.rows == 260;
      const bool alone = product.cols == 132 || product.tokens >= 33 || product.cols == 20000 || whole_rows;
      // Of these two not one of flat groups, whose columns are many enough for wide loads.
      const size_t turn = product.tokens == 9 || product.tokens == 33 ? 0 : (number * 3 + first) % sharings.size();
      const bool chosen = s == turn && (alone || (number + first) % 2 == 0);
      if (extent == Extent::kQuick && !chosen) continue;
      const Sharing& sharing = *sharings[s];
      const bool flat = (sharing.flags & NIB_WEIGHTS_FLAT) != 0;
      Case c;
      c.seed = counter.i;
      c.recipe = counter.i % 4 == 1 || product.cols > 4096 ? Recipe::kNormal : Recipe::kExact;
      NibMatmulDesc& d = c.desc.matmul;
      d = {};
      d.op = NIB_OP_MATMUL;
      d.flags = counter.turn(4);
      d.rows = product.rows;
      // Flat rows are whole groups and multiples of 32.
      d.cols = flat ? (product.cols + 191) / 192 * 192 : product.cols;
      d.tokens = product.tokens;
      d.batch = counter.i % 5 == 3 && product.cols < 2000 ? 1 + counter.turn(3) : 0;
      d.input_type = uint32_t(counter.i % 3);
      // Halves as they are, which matrix units take.
      const bool halves = product.tokens == 67;
      if (halves) d.input_type = NIB_TYPE_F16;
      d.result_type = uint32_t(counter.i / 2 % 3);
      d.activation = counter.i % 3 == 0 ? counter.turn(6) : 0u;
      if (info != nullptr) {
        const uint32_t mode = counter.i % 2 == 0 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) & info->weights_flags : 0u;
        d.weights = weightsOf(*info, sharing, mode,
                              scaleType(*info, (sharing.flags & NIB_WEIGHTS_NESTED) != 0 ? 0 : counter.i / 5));
      } else {
        d.weights.scale_type = uint32_t(counter.i / 4 % 3);
      }
      if (counter.i % 7 == 3 && d.tokens > 1 && !halves && !whole_rows) d.input_stride = d.cols + 1 + counter.turn(5);
      if (counter.i % 8 == 5) d.result_stride = (d.rows + 3) / 2 * 2 + 2 * counter.turn(3);
      c.n = counter.i % 6 != 2 ? d.tokens : (d.tokens + 1) / 2;
      list.push_back(c);
    }
  }
}

// Columns in an order of their own, and activations as codes, apart and together: few tokens and many, whole quads and
// broken ones, batches. A quick list has the first two, and of the next two those of few or those of many tokens.
void addOrderedMatmul(std::vector<Case>& list, const NibFormatInfo* info, Extent extent) {
  struct Product {
    uint32_t rows, cols, tokens, batch;
    bool order, codes;
  };
  constexpr Product kProducts[] = {
      {37, 208, 3, 0, true, false},    {70, 336, 19, 2, true, true}, {33, 132, 4, 0, false, true},
      {66, 258, 21, 3, false, true},   {130, 22, 9, 0, true, false}, {5, 1000, 1, 2, true, true},
      {72, 336, 67, 0, true, true},    {72, 320, 67, 0, false, true}, {6, 20000, 1, 0, true, true},
      {3, 1057, 8, 0, true, true},     {1, 1, 1, 0, true, true},     {261, 272, 70, 0, true, false}};
  constexpr Sharing kInputs[] = {{NIB_GRANULARITY_ROW, 0, 0},
                                 {NIB_GRANULARITY_GROUP, 128, 0},
                                 {NIB_GRANULARITY_TENSOR, 0, 0},
                                 {NIB_GRANULARITY_GROUP, 48, 0}};
  const NibFormatInfo* codes[] = {nibFormatById(NIB_FORMAT_FP8), nibFormatById(NIB_FORMAT_FP8_E5M2)};
  std::vector<const Sharing*> sharings;
  for (const Sharing& sharing : kSharings) {
    if (info != nullptr ? canHave(*info, sharing, 0) : sharings.empty()) sharings.push_back(&sharing);
  }
  const uint32_t first = info != nullptr ? info->format : 0;
  Counter counter;
  counter.i = 1000 + first * 5;
  uint32_t number = 0;
  for (const Product& product : kProducts) {
    ++number;
    ++counter.i;
    if (extent == Extent::kQuick && number > 2 && number != 3 + first / 2 % 2) continue;
    const Sharing& sharing = *sharings[counter.i % sharings.size()];
    const NibFormatInfo* code = codes[(first + number / 3) % 2];
    if (product.codes && code == nullptr) continue;
    Case c;
    c.seed = counter.i;
    c.recipe = counter.i % 4 == 1 || product.cols > 4096 ? Recipe::kNormal : Recipe::kExact;
    NibMatmulDesc& d = c.desc.matmul;
    d = {};
    d.op = NIB_OP_MATMUL;
    d.flags = counter.turn(4) | (product.order ? uint32_t(NIB_PRODUCT_ORDER) : 0u);
    d.rows = product.rows;
    d.cols = (sharing.flags & NIB_WEIGHTS_FLAT) != 0 ? (product.cols + 191) / 192 * 192 : product.cols;
    d.tokens = product.tokens;
    d.batch = product.batch;
    d.input_type = product.tokens == 67 ? uint32_t(NIB_TYPE_F16) : uint32_t((counter.i + number) % 3);
    d.result_type = uint32_t(counter.i / 2 % 3);
    d.activation = counter.i % 3 == 0 ? counter.turn(6) : 0u;
    if (info != nullptr) {
      const bool nested = (sharing.flags & NIB_WEIGHTS_NESTED) != 0;
      const uint32_t mode = counter.i % 2 == 0 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) & info->weights_flags : 0u;
      d.weights = weightsOf(*info, sharing, mode, scaleType(*info, nested ? 0 : counter.i / 5));
    } else {
      d.weights.scale_type = uint32_t(counter.i % 3);
    }
    if (product.codes) d.input = weightsOf(*code, kInputs[counter.turn(4)], 0, scaleType(*code, counter.i / 3));
    if (!product.codes && counter.i % 3 == 0 && d.tokens > 1) d.input_stride = d.cols + 1 + counter.turn(5);
    c.n = counter.i % 3 != 2 ? d.tokens : (d.tokens + 1) / 2;
    list.push_back(c);
  }
}

void addMinMax(std::vector<Case>& list, Extent extent) {
  Counter counter;
  for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN}) {
    for (const Shape& shape : kShapes) {
      for (uint32_t type = 0; type < 3; ++type) {
        ++counter.i;
        if (extent == Extent::kQuick && counter.turn(4) != 0) continue;
        Case c;
        c.seed = counter.i;
        c.recipe = kRecipes[counter.i % (sizeof kRecipes / sizeof kRecipes[0])];
        NibMinMaxDesc& d = c.desc.minmax;
        d = {};
        d.op = NIB_OP_MINMAX;
        d.rows = shape.rows;
        d.cols = shape.cols;
        d.source_type = type;
        d.granularity = granularity;
        if (counter.i % 5 == 3) d.source_stride = shape.cols + 1 + counter.turn(5);
        c.n = counter.i % 6 != 2 ? shape.rows : (shape.rows + 1) / 2;
        list.push_back(c);
      }
    }
  }
}

// Begun anew and gone on with, of magnitudes and signed, few bins and many.
void addHistogram(std::vector<Case>& list, Extent extent) {
  constexpr uint32_t kBins[] = {2048, 128, 4096, 512};
  Counter counter;
  for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN}) {
    for (const Shape& shape : kShapes) {
      for (uint32_t flags = 0; flags < 4; ++flags) {
        ++counter.i;
        if (extent == Extent::kQuick && counter.turn(4) != 0) continue;
        Case c;
        c.seed = counter.i;
        c.recipe = kRecipes[counter.i % (sizeof kRecipes / sizeof kRecipes[0])];
        NibHistogramDesc& d = c.desc.histogram;
        d = {};
        d.op = NIB_OP_HISTOGRAM;
        d.flags = flags;
        d.rows = shape.rows;
        d.cols = shape.cols;
        d.source_type = uint32_t(counter.i / 4 % 3);
        d.granularity = granularity;
        d.bins = kBins[counter.i / 3 % 4];
        // Thousands of histograms need no many bins to be told apart.
        if (granularity == NIB_GRANULARITY_COLUMN && shape.cols > 600) d.bins = shape.cols > 5000 ? 128 : 512;
        if (counter.i % 5 == 3) d.source_stride = shape.cols + 1 + counter.turn(5);
        c.n = counter.i % 6 != 2 ? shape.rows : (shape.rows + 1) / 2;
        list.push_back(c);
      }
    }
  }
}

void addMoments(std::vector<Case>& list, Extent extent) {
  Counter counter;
  for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_COLUMN}) {
    for (const Shape& shape : kShapes) {
      for (uint32_t type = 0; type < 3; ++type) {
        ++counter.i;
        if (extent == Extent::kQuick && counter.turn(3) != 0) continue;
        Case c;
        c.seed = counter.i;
        c.recipe = kRecipes[counter.i % (sizeof kRecipes / sizeof kRecipes[0])];
        NibMomentsDesc& d = c.desc.moments;
        d = {};
        d.op = NIB_OP_MOMENTS;
        d.rows = shape.rows;
        d.cols = shape.cols;
        d.source_type = type;
        d.granularity = granularity;
        if (counter.i % 5 == 3) d.source_stride = shape.cols + 1 + counter.turn(5);
        c.n = counter.i % 6 != 2 ? shape.rows : (shape.rows + 1) / 2;
        list.push_back(c);
      }
    }
  }
}

// Every layout that takes the format, both ways: whole words and rows that share them, odd block counts, zero points.
void addRepack(std::vector<Case>& list, const NibFormatInfo& info, Extent extent) {
  constexpr Shape kRepackShapes[] = {{33, 160}, {5, 36}, {7, 32}, {64, 256}, {3, 1058}, {130, 96}};
  constexpr Sharing kRepackSharings[] = {{NIB_GRANULARITY_GROUP, 32, 0},
                                         {NIB_GRANULARITY_ROW, 0, 0},
                                         {NIB_GRANULARITY_TENSOR, 0, 0},
                                         {NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT}};
  Counter counter;
  for (uint32_t layout = NIB_LAYOUT_ROWS; layout <= NIB_LAYOUT_GGUF; ++layout) {
    for (const Sharing& sharing : kRepackSharings) {
      for (const Shape& shape : kRepackShapes) {
        for (const uint32_t flags : {0u, uint32_t(NIB_REPACK_UNPACK)}) {
          const uint32_t mode = layout == NIB_LAYOUT_PACKED_ROWS ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) : 0u;
          ++counter.i;
          if (!canHave(info, sharing, mode)) continue;
          if (extent == Extent::kQuick && counter.turn(3) != 0) continue;
          Case c;
          c.seed = counter.i;
          c.n = sharing.flags != 0 || counter.i % 5 != 2 ? shape.rows : (shape.rows + 1) / 2;
          c.desc.repack = {NIB_OP_REPACK, flags, shape.rows, shape.cols, layout,
                           weightsOf(info, sharing, mode, scaleType(info, counter.i / 7))};
          NibMemory memory;
          if (nibGetMemory(&c.desc.op, nullptr, &memory) == NIB_SUCCESS) list.push_back(c);
        }
      }
    }
  }
}

// Every pair of types over every shape; a quick list takes two pairs per shape, and so every pair twice or more.
constexpr uint32_t kTypePairs = 9;

bool quickPair(size_t shape, uint32_t pair) {
  return pair == shape * 2 % kTypePairs || pair == (shape * 2 + 5) % kTypePairs;
}

void addConvert(std::vector<Case>& list, Extent extent) {
  Counter counter;
  for (size_t s = 0; s < sizeof kShapes / sizeof kShapes[0]; ++s) {
    for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
      ++counter.i;
      if (extent == Extent::kQuick && !quickPair(s, pair)) continue;
      const Shape& shape = kShapes[s];
      Case c;
      c.seed = counter.i;
      // Where 16-bit types round and end, if they may have to.
      const bool narrows = pair / 3 == NIB_TYPE_F32 && pair % 3 != NIB_TYPE_F32;
      c.recipe = narrows              ? Recipe::kNarrow
                 : counter.i % 2 == 0 ? Recipe::kBits
                                      : kRecipes[counter.i % (sizeof kRecipes / sizeof kRecipes[0])];
      NibConvertDesc& d = c.desc.convert;
      d = {};
      d.op = NIB_OP_CONVERT;
      d.flags = narrows ? NIB_CONVERT_STATUS | (s % 2 != 0 ? uint32_t(NIB_CONVERT_SATURATE) : 0u) : counter.turn(4);
      d.rows = shape.rows;
      d.cols = shape.cols;
      d.source_type = pair / 3;
      d.result_type = pair % 3;
      if (counter.i % 5 == 3) d.source_stride = shape.cols + 1 + counter.turn(9);
      if (counter.i % 7 == 2) d.result_stride = (shape.cols + 3) / 2 * 2 + 2 * counter.turn(4);
      c.n = counter.i % 6 != 2 ? shape.rows : (shape.rows + 1) / 2;
      list.push_back(c);
    }
  }
}

void addErrors(std::vector<Case>& list, Extent extent) {
  Counter counter;
  for (size_t s = 0; s < sizeof kShapes / sizeof kShapes[0]; ++s) {
    for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
      ++counter.i;
      if (extent == Extent::kQuick && !quickPair(s, pair)) continue;
      const Shape& shape = kShapes[s];
      Case c;
      c.seed = counter.i;
      c.recipe = kRecipes[counter.i % (sizeof kRecipes / sizeof kRecipes[0])];
      NibErrorsDesc& d = c.desc.errors;
      d = {};
      d.op = NIB_OP_ERRORS;
      d.rows = shape.rows;
      d.cols = shape.cols;
      d.reference_type = pair / 3;
      d.candidate_type = pair % 3;
      if (counter.i % 5 == 3) d.reference_stride = shape.cols + 1 + counter.turn(9);
      if (counter.i % 4 == 2) d.candidate_stride = (shape.cols + 15) / 8 * 8;
      c.n = counter.i % 6 != 2 ? shape.rows : (shape.rows + 1) / 2;
      list.push_back(c);
    }
  }
}

std::string weightsName(const NibWeights& w) {
  const NibFormatInfo* info = nibFormatById(w.format);
  std::string text = info != nullptr ? info->name : "?";
  switch (w.granularity) {
    case NIB_GRANULARITY_TENSOR: text += " tensor"; break;
    case NIB_GRANULARITY_ROW: text += " row"; break;
    case NIB_GRANULARITY_COLUMN: text += " column"; break;
    default: text += w.group_size == UINT32_MAX ? " g-1" : " g" + std::to_string(w.group_size);
  }
  if (w.flags & NIB_WEIGHTS_ASYMMETRIC) text += " asym";
  if (w.flags & NIB_WEIGHTS_NARROW) text += " narrow";
  if (w.flags & NIB_WEIGHTS_FLAT) text += " flat";
  if (w.flags & NIB_WEIGHTS_NESTED) text += " nested";
  const uint32_t rule = w.flags & NIB_WEIGHTS_SCALE_RULE;
  if (rule != 0) text += rule == NIB_WEIGHTS_SCALE_CEIL ? " ceil" : rule == NIB_WEIGHTS_SCALE_EVEN ? " even" : " rceil";
  return text + " scales " + typeName(w.scale_type);
}

// What of a case decides which kernels it takes, roughly.
uint64_t kindOf(const Case& c) {
  const auto weights = [](const NibWeights& w, uint64_t more) {
    const uint64_t long_group = w.group_size == UINT32_MAX ? 1 : 0;
    return uint64_t(w.granularity) | long_group << 2 | uint64_t(w.flags & (NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED)) << 4 | more << 12;
  };
  switch (c.op()) {
    case NIB_OP_QUANTIZE: return weights(c.desc.quantize.weights, c.desc.quantize.flags & NIB_QUANTIZE_GIVEN_SCALES);
    case NIB_OP_DEQUANTIZE: return weights(c.desc.dequantize.weights, 0);
    case NIB_OP_GATHER: return weights(c.desc.gather.weights, 0);
    case NIB_OP_MATMUL: {
      const NibMatmulDesc& d = c.desc.matmul;
      const uint64_t many_rows = d.rows >= 256 && d.cols % 4 == 0 && d.input_stride == 0;
      return (d.tokens > 64 ? 2u : d.tokens > 8) | many_rows << 2 | (d.flags & NIB_PRODUCT_ORDER) << 4 | uint64_t(d.input.format) << 8;
    }
    case NIB_OP_REPACK: return c.desc.repack.layout | c.desc.repack.flags << 8;
    case NIB_OP_MINMAX: return c.desc.minmax.granularity;
    case NIB_OP_MOMENTS: return c.desc.moments.granularity;
    case NIB_OP_HISTOGRAM: return c.desc.histogram.granularity | c.desc.histogram.flags << 4;
    case NIB_OP_CONVERT: return c.desc.convert.source_type * 4u + c.desc.convert.result_type;
    case NIB_OP_ERRORS: return c.desc.errors.reference_type * 4u + c.desc.errors.candidate_type;
    case NIB_OP_INT8_GEMM: return int8Kind(c.desc.int8_gemm);
    case NIB_OP_DYNAMIC_GEMM: return dynamicKind(c.desc.dynamic_gemm);
    default: return 0;
  }
}

}  // namespace

std::vector<Case> thinned(std::vector<Case> list, uint32_t every) {
  if (every <= 1) return list;
  std::set<uint64_t> kinds;
  std::vector<Case> kept;
  for (size_t i = 0; i < list.size(); ++i) {
    if (kinds.insert(kindOf(list[i])).second || i % every == 0) kept.push_back(list[i]);
  }
  return kept;
}

const char* opName(uint32_t op) {
  const OpRow* row = findOp(op);
  return row != nullptr ? row->name : "?";
}

std::vector<OpFormat> opFormats() {
  std::vector<OpFormat> list;
  for (uint32_t o = 0; const OpRow* op = opAt(o); ++o) {
    if (!casesOf(NibOp(op->op), 0, Extent::kQuick).empty()) list.push_back({op->op, 0, op->name});
    for (uint32_t f = 0; const NibFormatInfo* format = nibFormatAt(f); ++f) {
      // Not every format has layouts beside its own.
      if (casesOf(NibOp(op->op), format->format, Extent::kFull).empty()) continue;
      list.push_back({op->op, format->format, std::string(op->name) + " " + format->name});
    }
  }
  return list;
}

size_t Case::descBytes() const { return findOp(op())->desc_bytes; }

uint32_t Case::format() const {
  if (op() == NIB_OP_QUANTIZE) return desc.quantize.weights.format;
  if (op() == NIB_OP_DEQUANTIZE) return desc.dequantize.weights.format;
  if (op() == NIB_OP_GATHER) return desc.gather.weights.format;
  if (op() == NIB_OP_MATMUL) return desc.matmul.weights.format;
  if (op() == NIB_OP_REPACK) return desc.repack.weights.format;
  if (op() == NIB_OP_DYNAMIC_GEMM) return desc.dynamic_gemm.weights.format;
  return 0;
}

std::string Case::name() const {
  static const char* const kNames[] = {"tensor", "row", "column"};
  std::string text = opName(op());
  if (op() == NIB_OP_DYNAMIC_GEMM) {
    return text + dynamicName(desc.dynamic_gemm) + " n " + std::to_string(n) + ", " + recipeName(recipe) + " seed " +
           std::to_string(seed);
  }
  if (op() == NIB_OP_INT8_GEMM) {
    return text + int8Name(desc.int8_gemm) + " n " + std::to_string(n) + ", seed " + std::to_string(seed);
  }
  uint32_t rows = 0, cols = 0, stride = 0;
  if (op() == NIB_OP_QUANTIZE) {
    const NibQuantizeDesc& d = desc.quantize;
    text += std::string(" ") + typeName(d.source_type) + " -> " + weightsName(d.weights);
    if (d.flags & NIB_QUANTIZE_GIVEN_SCALES) text += " given";
    if (d.flags & NIB_QUANTIZE_STATUS) text += " status";
    rows = d.rows, cols = d.cols, stride = d.source_stride;
  } else if (op() == NIB_OP_DEQUANTIZE) {
    const NibDequantizeDesc& d = desc.dequantize;
    text += " " + weightsName(d.weights) + " -> " + typeName(d.result_type);
    rows = d.rows, cols = d.cols, stride = d.result_stride;
  } else if (op() == NIB_OP_GATHER) {
    const NibGatherDesc& d = desc.gather;
    text += " " + weightsName(d.weights) + " -> " + typeName(d.result_type) + ", " + std::to_string(d.count) + " of";
    rows = d.rows, cols = d.cols, stride = d.result_stride;
  } else if (op() == NIB_OP_MATMUL) {
    const NibMatmulDesc& d = desc.matmul;
    static const char* const kActivations[] = {"", " relu", " relu6", " gelu", " gelu-tanh", " silu"};
    text += " " + (d.weights.format == 0 ? std::string("dense ") + typeName(d.weights.scale_type) : weightsName(d.weights));
    if (d.flags & NIB_PRODUCT_ORDER) text += " in order";
    text += " x " + (d.input.format != 0 ? weightsName(d.input) + " as " : std::string());
    text += std::string(typeName(d.input_type)) + " -> " + typeName(d.result_type) + kActivations[d.activation];
    if (d.flags & NIB_PRODUCT_BIAS) text += " bias";
    if (d.flags & NIB_PRODUCT_RESIDUAL) text += " residual";
    if (d.batch > 1) text += " batch " + std::to_string(d.batch);
    if (d.result_stride != 0) text += " result stride " + std::to_string(d.result_stride);
    text += ", " + std::to_string(d.tokens) + " tokens";
    rows = d.rows, cols = d.cols, stride = d.input_stride;
  } else if (op() == NIB_OP_REPACK) {
    const NibRepackDesc& d = desc.repack;
    static const char* const kLayouts[] = {"?", "rows", "packed rows", "bitsandbytes", "gguf"};
    text += std::string(d.flags & NIB_REPACK_UNPACK ? " from " : " to ") + kLayouts[d.layout] + " " + weightsName(d.weights);
    rows = d.rows, cols = d.cols;
  } else if (op() == NIB_OP_CONVERT) {
    const NibConvertDesc& d = desc.convert;
    text += std::string(" ") + typeName(d.source_type) + " -> " + typeName(d.result_type);
    if (d.flags & NIB_CONVERT_SATURATE) text += " saturate";
    if (d.flags & NIB_CONVERT_STATUS) text += " status";
    rows = d.rows, cols = d.cols, stride = d.source_stride;
    if (d.result_stride != 0) text += " stride " + std::to_string(d.result_stride);
  } else if (op() == NIB_OP_ERRORS) {
    const NibErrorsDesc& d = desc.errors;
    text += std::string(" ") + typeName(d.reference_type) + " against " + typeName(d.candidate_type);
    rows = d.rows, cols = d.cols, stride = d.reference_stride;
    if (d.candidate_stride != 0) text += " stride " + std::to_string(d.candidate_stride);
  } else if (op() == NIB_OP_HISTOGRAM) {
    const NibHistogramDesc& d = desc.histogram;
    text += std::string(" ") + typeName(d.source_type) + " per " + kNames[d.granularity] + " " + std::to_string(d.bins) + " bins";
    if (d.flags & NIB_HISTOGRAM_SIGNED) text += " signed";
    if (d.flags & NIB_HISTOGRAM_ACCUMULATE) text += " accumulate";
    rows = d.rows, cols = d.cols, stride = d.source_stride;
  } else if (op() == NIB_OP_MOMENTS) {
    const NibMomentsDesc& d = desc.moments;
    text += std::string(" ") + typeName(d.source_type) + " per " + kNames[d.granularity];
    rows = d.rows, cols = d.cols, stride = d.source_stride;
  } else {
    const NibMinMaxDesc& d = desc.minmax;
    text += std::string(" ") + typeName(d.source_type) + " per " + kNames[d.granularity];
    rows = d.rows, cols = d.cols, stride = d.source_stride;
  }
  text += ", " + std::to_string(rows) + "x" + std::to_string(cols);
  if (stride != 0) text += " stride " + std::to_string(stride);
  if (n != rows) text += " n " + std::to_string(n);
  return text + ", " + recipeName(recipe) + " seed " + std::to_string(seed);
}

std::vector<Case> casesOf(NibOp op, uint32_t format, Extent extent) {
  std::vector<Case> list;
  const NibFormatInfo* info = nibFormatById(format);
  if (info == nullptr) {
    if (op == NIB_OP_MINMAX) addMinMax(list, extent);
    if (op == NIB_OP_CONVERT) addConvert(list, extent);
    if (op == NIB_OP_ERRORS) addErrors(list, extent);
    if (op == NIB_OP_MATMUL) addMatmul(list, nullptr, extent), addOrderedMatmul(list, nullptr, extent);
    if (op == NIB_OP_INT8_GEMM && format == 0) addInt8Gemm(list, extent);
    if (op == NIB_OP_HISTOGRAM) addHistogram(list, extent);
    if (op == NIB_OP_MOMENTS) addMoments(list, extent);
    return list;
  }
  if (op == NIB_OP_MATMUL) addMatmul(list, info, extent), addOrderedMatmul(list, info, extent);
  if (op == NIB_OP_QUANTIZE) addQuantize(list, *info, extent);
  if (op == NIB_OP_DEQUANTIZE) addDequantize(list, *info, extent);
  if (op == NIB_OP_GATHER) addGather(list, *info, extent);
  if (op == NIB_OP_DYNAMIC_GEMM) addDynamicGemm(list, *info, extent);
  if (op == NIB_OP_REPACK) addRepack(list, *info, extent);
  return list;
}

}  // namespace nib::cases
