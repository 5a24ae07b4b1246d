// Cases of elementwise: every kind and pair of types over every shape, second operands of one row, gates in the halves
// of a row. Gated products and soft caps are judged by their bounds.
#include <cmath>

#include "numerics/exact.h"
#include "selftest/bounds.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibElementwiseDesc;

constexpr uint32_t kActivations[] = {NIB_ACTIVATION_SILU,      NIB_ACTIVATION_GELU,  NIB_ACTIVATION_SILU,
                                     NIB_ACTIVATION_GELU_TANH, NIB_ACTIVATION_RELU6, NIB_ACTIVATION_GELU_TANH,
                                     NIB_ACTIVATION_GELU,      NIB_ACTIVATION_NONE,  NIB_ACTIVATION_RELU};

// Ways in which operands lie.
enum Way : uint32_t { kTwo, kOneRow, kHalves };

bool hasHalves(const Desc& d) { return (d.flags & NIB_ELEMENTWISE_HALVES) != 0; }
bool hasOneRow(const Desc& d) { return (d.flags & NIB_ELEMENTWISE_ONE_ROW) != 0; }
bool isCap(const Desc& d) { return d.kind == NIB_ELEMENTWISE_CAP; }
bool hasFactor(const Desc& d) { return d.kind == NIB_ELEMENTWISE_SCALE || isCap(d); }
bool isBounded(const Desc& d) { return d.kind == NIB_ELEMENTWISE_GATED || isCap(d); }
bool hasSecond(const Desc& d) { return !hasFactor(d) && !hasHalves(d); }

struct Types {
  uint32_t source, second, result;
};

Case elementwise(uint32_t kind, uint32_t rows, uint32_t cols, Types types, Way way, uint32_t activation, Recipe recipe,
                 uint64_t seed) {
  Case c;
  c.recipe = recipe;
  c.seed = seed;
  c.n = rows;
  Desc& d = c.describe<Desc>(NIB_OP_ELEMENTWISE);
  d.kind = kind;
  if (way == kHalves && kind == NIB_ELEMENTWISE_GATED) d.flags = NIB_ELEMENTWISE_HALVES;
  if (way == kOneRow && !hasFactor(d)) d.flags = NIB_ELEMENTWISE_ONE_ROW;
  d.activation = kind == NIB_ELEMENTWISE_GATED ? activation : 0;
  d.rows = rows;
  d.cols = cols;
  d.source_type = types.source;
  d.second_type = hasSecond(d) ? types.second : 0;
  d.result_type = types.result;
  static constexpr float kFactors[] = {0.125f, -3.3e-3f, 1.0f, 7.5e20f, 1e-30f};
  // Inputs reach 24: all linear, all at the cap, and between.
  static constexpr float kCaps[] = {30.0f, 50.0f, 0x1p-10f, 1.5f, 0x1p20f};
  d.factor = isCap(d) ? kCaps[seed % 5] : hasFactor(d) ? kFactors[seed % 5] : 0;
  return c;
}

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (size_t s = 0; s < std::size(kShapes); ++s) {
    const Shape& shape = kShapes[s];
    for (uint32_t kind = 0; kind <= NIB_ELEMENTWISE_CAP; ++kind) {
      for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
        ++counter.i;
        if (extent == Extent::kQuick && !quickPair(s + kind, pair)) continue;
        // One row and both halves about a quarter of the time each.
        const uint32_t variant = counter.pick(4);
        const Way way = variant == 0 ? kOneRow : variant == 1 ? kHalves : kTwo;
        const Recipe recipe = counter.i % 3 == 0 ? Recipe::kBits : counter.recipe();
        Case c = elementwise(kind, shape.rows, shape.cols, {pair / 3, uint32_t(counter.i % 3), pair % 3}, way,
                             kActivations[pair], recipe, counter.i);
        Desc& d = c.as<Desc>();
        if (counter.i % 5 == 3) d.source_stride = shape.cols * (hasHalves(d) ? 2 : 1) + 1 + counter.pick(9);
        if (counter.i % 4 == 1 && hasSecond(d) && !hasOneRow(d)) d.second_stride = shape.cols + counter.pick(9);
        if (counter.i % 7 == 2) d.result_stride = (shape.cols + 3) / 2 * 2 + 2 * counter.pick(4);
        c.n = rowsOfRun(counter, shape.rows);
        list.push_back(c);
      }
    }
  }
}

const char* kindName(uint32_t kind) {
  static const char* const kNames[] = {"add", "mul", "scale", "gated", "cap"};
  return kNames[kind];
}

std::string wayName(const Desc& d) {
  std::string text = std::string(kindName(d.kind)) + activationName(d.activation);
  if (hasHalves(d)) text += " halves";
  if (hasOneRow(d)) text += " one row";
  return text;
}

std::string typesName(const Desc& d) {
  std::string text = typeName(d.source_type);
  if (hasSecond(d)) text += std::string(", ") + typeName(d.second_type);
  return text + " -> " + typeName(d.result_type);
}

std::string name(const Case& c, const Desc& d) {
  std::string text = " " + wayName(d) + " " + typesName(d);
  if (d.second_stride != 0) text += " second stride " + std::to_string(d.second_stride);
  if (d.result_stride != 0) text += " result stride " + std::to_string(d.result_stride);
  return text + dimsName(d.rows, d.cols, d.source_stride, c.n) + dataName(c);
}

uint64_t sizeOf(uint32_t type) { return type == NIB_TYPE_F32 ? 4 : 2; }

// Finite factors up to 24, one in eight of them small.
Words makeFactors(uint32_t type, uint64_t size_bytes, uint64_t seed) {
  Words words(wordsOf(size_bytes), 0);
  Random random(seed);
  for (uint64_t i = 0; i < size_bytes / sizeOf(type); ++i) {
    const double x = (random.unit() * 48 - 24) * (random.below(8) == 0 ? 1e-4 : 1);
    const uint32_t bits = exact::bitsOf(float(x));
    if (type == NIB_TYPE_F32) {
      words[i] = bits;
    } else {
      words[i / 2] |= (type == NIB_TYPE_F16 ? exact::nibF32ToHalfBits(bits) : exact::nibF32ToBf16Bits(bits))
                      << (i % 2 * 16);
    }
  }
  return words;
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role != NIB_ROLE_INPUT) return;
  const auto part = [&](NibPart which, uint32_t type, uint64_t more) {
    const NibMemoryPart& p = memory.part[which];
    if (p.size_bytes == 0) return;
    const uint64_t seed = c.seed * 2 + more;
    fillPart(range, p,
             isBounded(d) ? makeFactors(type, p.size_bytes, seed) : makeNumbers(c.recipe, type, p.size_bytes, seed));
  };
  part(NIB_PART_SOURCE, d.source_type, 0);
  part(NIB_PART_SECOND, d.second_type, 1);
}

uint64_t sourceStride(const Desc& d) {
  return d.source_stride != 0 ? d.source_stride : uint64_t(d.cols) * (hasHalves(d) ? 2 : 1);
}
uint64_t secondStride(const Desc& d) {
  if (hasOneRow(d)) return 0;
  return d.second_stride != 0 ? d.second_stride : d.cols;
}
uint64_t resultStride(const Desc& d) {
  if (d.result_stride != 0) return d.result_stride;
  return d.result_type == NIB_TYPE_F32 || d.rows == 1 ? d.cols : (d.cols + 1) / 2 * 2;
}

Lines lines(const Desc& d, const NibMemory&, NibRole role, NibPart part) {
  if (role == NIB_ROLE_OUTPUT) return linesOfDense(d.result_type, resultStride(d));
  if (part != NIB_PART_SECOND) return linesOfDense(d.source_type, sourceStride(d));
  // A single row is whole words.
  return linesOfDense(d.second_type, hasOneRow(d) ? (d.cols + uint64_t(1)) / 2 * 2 : secondStride(d));
}

// --------------------------------------------------------------------------------------------- bound
Farthest farthest(const Desc& d, const Judged& judged) {
  const uint8_t* input = reinterpret_cast<const uint8_t*>(judged.before[NIB_ROLE_INPUT]);
  const uint8_t* source = input + judged.memory.part[NIB_PART_SOURCE].offset_bytes;
  const uint8_t* second = hasHalves(d) ? source : input + judged.memory.part[NIB_PART_SECOND].offset_bytes;
  const uint32_t second_type = hasHalves(d) ? d.source_type : d.second_type;
  FarthestSoFar farthest(1e30);
  const auto judgeRow = [&](uint64_t row) {
    for (uint32_t col = 0; col < d.cols; ++col) {
      const uint64_t at = row * resultStride(d) + col;
      if (isCap(d)) {
        const double x = elementOf(source, d.source_type, row * sourceStride(d) + col);
        const double y = double(d.factor) * std::tanh(x / double(d.factor));
        const double rounding = d.result_type == NIB_TYPE_F32 ? 0 : halfUlp(d.result_type) * std::abs(y);
        const double bound = 0x1p-19 * std::abs(y) + 0x1p-126 + rounding + leastOf(d.result_type);
        farthest.add(at, elementOf(judged.output, d.result_type, at), y, bound);
        continue;
      }
      const uint64_t other_at = hasHalves(d) ? row * sourceStride(d) + d.cols + col : row * secondStride(d) + col;
      const double gate = elementOf(source, d.source_type, row * sourceStride(d) + col);
      const double other = elementOf(second, second_type, other_at);
      const double y = activated(d.activation, gate) * other;
      const double rounding = d.result_type == NIB_TYPE_F32 ? 0 : halfUlp(d.result_type) * std::abs(y);
      const double bound =
          0x1p-19 * std::abs(gate * other) + 0x1p-126 * (1 + std::abs(other)) + rounding + leastOf(d.result_type);
      farthest.add(at, elementOf(judged.output, d.result_type, at), y, bound);
    }
  };
  const uint64_t elements = uint64_t(judged.n) * d.cols;
  const uint64_t step = 1 + elements / std::max<uint64_t>(judged.most_products, d.cols);
  for (uint64_t row = 0; row < judged.n; row += step) judgeRow(row);
  if (judged.n > 1 && step > 1) judgeRow(judged.n - 1);
  return farthest.result();
}

// --------------------------------------------------------------------------------------------- other sizes
Case plain(uint32_t kind, uint32_t rows, uint32_t cols, Types types, Way way, Recipe recipe) {
  return elementwise(kind, rows, cols, types, way, NIB_ACTIVATION_SILU, recipe, 800 + rows + kind);
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  constexpr Types kSingle{NIB_TYPE_F32, NIB_TYPE_F32, NIB_TYPE_F32};
  constexpr Types kMixed{NIB_TYPE_F32, NIB_TYPE_F16, NIB_TYPE_BF16};
  switch (purpose) {
    case Large::kTails:
      for (const Shape& shape : kDenseTails) {
        list.push_back(plain(NIB_ELEMENTWISE_MUL, shape.rows, shape.cols, kMixed, kTwo, Recipe::kMixed));
        list.push_back(plain(NIB_ELEMENTWISE_GATED, shape.rows, shape.cols, kMixed, kHalves, Recipe::kMixed));
      }
      break;
    case Large::kSlices:
      // Contiguous, rows with gaps, and halves.
      for (const uint32_t gap : {0u, 4u}) {
        Case c = plain(NIB_ELEMENTWISE_ADD, kSliceShape.rows, kSliceShape.cols, kSingle, kTwo, Recipe::kNonFinite);
        if (gap != 0) c.as<Desc>().source_stride = c.as<Desc>().result_stride = kSliceShape.cols + gap;
        list.push_back(c);
      }
      list.push_back(plain(NIB_ELEMENTWISE_GATED, kSliceShape.rows, kSliceShape.cols, kMixed, kHalves, Recipe::kMixed));
      break;
    case Large::kWindows:
      list.push_back(plain(NIB_ELEMENTWISE_SCALE, 3, kWindowShape.cols, kMixed, kTwo, Recipe::kBits));
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(NIB_ELEMENTWISE_ADD, kWindowShape.rows, 1025, kMixed, kTwo, Recipe::kBits));
      break;
    case Large::kNarrowWindows: break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        const uint32_t variant = shape.variant, kind = variant % 5;
        if (shape.weights.granularity != NIB_GRANULARITY_ROW) return;
        Case c = elementwise(kind, shape.rows, shape.cols, {variant % 3, variant / 3 % 3, variant / 2 % 3},
                             Way(variant / 4 % 3), kActivations[variant % 9], Recipe::kMixed, variant);
        Desc& d = c.as<Desc>();
        if (!hasHalves(d)) d.source_stride = shape.stride;
        d.result_stride = (variant % 2 != 0 ? shape.stride + 1 : 0) / 2 * 2;
        list.push_back(c);
      });
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t kind = 0; kind <= NIB_ELEMENTWISE_CAP; ++kind) {
    for (uint32_t type = 0; type < 3; ++type) {
      const Case c = elementwise(kind, kVerifiedShape.rows, kVerifiedShape.cols, {type, (type + kind) % 3, type},
                                 type == 2 ? kHalves : kTwo, kActivations[1 + type * 2], Recipe::kMixed, 1);
      list.push_back({"elementwise " + wayName(c.as<Desc>()) + " " + typesName(c.as<Desc>()), c});
    }
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick) return;
  const auto add = [&](uint32_t kind, NibType type, Way way) {
    rows.add(kQuickDense, request.shape,
             elementwise(kind, request.shape.m, request.shape.k, {uint32_t(type), uint32_t(type), uint32_t(type)}, way,
                         NIB_ACTIVATION_SILU, Recipe::kNormal, 0));
  };
  add(NIB_ELEMENTWISE_ADD, NIB_TYPE_F32, kTwo);
  add(NIB_ELEMENTWISE_SCALE, NIB_TYPE_F16, kTwo);
  add(NIB_ELEMENTWISE_GATED, NIB_TYPE_F16, kHalves);
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = typeName(d.result_type);
  names.source = typeName(d.source_type);
  names.granularity = granularityName(NIB_GRANULARITY_TENSOR);
  names.modes.push_back(kindName(d.kind));
  if (d.activation != 0) names.modes.push_back(activationName(d.activation) + 1);
  if (hasHalves(d)) names.modes.push_back("halves");
  names.m = d.rows;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_ELEMENTWISE,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return uint64_t(d.kind | d.flags << 3 | d.activation << 5); },
    .fill = fill,
    .lines = lines,
    .bounded = [](const Case&, const Desc& d) { return isBounded(d); },
    .farthest = farthest,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench},
};

}  // namespace

NIB_DEFINE_CASES(elementwise, NibElementwiseDesc, kCases)

}  // namespace nib::selftest
