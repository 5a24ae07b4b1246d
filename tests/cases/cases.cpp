#include "cases.h"

#include "ops/op.h"

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
    {NIB_GRANULARITY_GROUP, 32, 0},  {NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT}, {NIB_GRANULARITY_GROUP, 240, 0}};

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
        d.weights = weightsOf(info, sharing, mode, scaleType(info, counter.i / 7));
        d.flags = (counter.i % 2 == 0 ? uint32_t(NIB_QUANTIZE_STATUS) : 0u) | (counter.i % 5 == 1 && !(info.flags & NIB_FORMAT_OWN_SCALES) ? uint32_t(NIB_QUANTIZE_GIVEN_SCALES) : 0u);
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
      d.weights = weightsOf(info, sharing, mode, scaleType(info, counter.i / 5));
      const bool flat = (sharing.flags & NIB_WEIGHTS_FLAT) != 0;
      if (!flat && counter.i % 7 == 3) d.result_stride = (shape.cols + 3) / 2 * 2 + 2 * counter.turn(3);
      c.n = flat || counter.i % 6 != 2 ? shape.rows : (shape.rows + 1) / 2;
      list.push_back(c);
    }
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
  const uint32_t rule = w.flags & NIB_WEIGHTS_SCALE_RULE;
  if (rule != 0) text += rule == NIB_WEIGHTS_SCALE_CEIL ? " ceil" : rule == NIB_WEIGHTS_SCALE_EVEN ? " even" : " rceil";
  return text + " scales " + typeName(w.scale_type);
}

}  // namespace

const char* opName(uint32_t op) {
  const OpRow* row = findOp(op);
  return row != nullptr ? row->name : "?";
}

std::vector<OpFormat> opFormats() {
  std::vector<OpFormat> list;
  for (uint32_t o = 0; const OpRow* op = opAt(o); ++o) {
    if (!casesOf(NibOp(op->op), 0, Extent::kQuick).empty()) {
      list.push_back({op->op, 0, op->name});
      continue;
    }
    for (uint32_t f = 0; const NibFormatInfo* format = nibFormatAt(f); ++f) {
      list.push_back({op->op, format->format, std::string(op->name) + " " + format->name});
    }
  }
  return list;
}

size_t Case::descBytes() const { return findOp(op())->desc_bytes; }

uint32_t Case::format() const {
  if (op() == NIB_OP_QUANTIZE) return desc.quantize.weights.format;
  if (op() == NIB_OP_DEQUANTIZE) return desc.dequantize.weights.format;
  return 0;
}

std::string Case::name() const {
  std::string text = opName(op());
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
  } else {
    const NibMinMaxDesc& d = desc.minmax;
    static const char* const kNames[] = {"tensor", "row", "column"};
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
  if (op == NIB_OP_MINMAX) addMinMax(list, extent);
  if (op == NIB_OP_CONVERT) addConvert(list, extent);
  if (op == NIB_OP_ERRORS) addErrors(list, extent);
  if (info == nullptr) return list;
  if (op == NIB_OP_QUANTIZE) addQuantize(list, *info, extent);
  if (op == NIB_OP_DEQUANTIZE) addDequantize(list, *info, extent);
  return list;
}

}  // namespace nib::cases
