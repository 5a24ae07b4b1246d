// Cases of quantize: every way of sharing scales over every shape, every mode, with scales found and given.
#include <nibble/formats.h>

#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibQuantizeDesc;

bool isGiven(const Desc& d) { return (d.flags & NIB_QUANTIZE_GIVEN_SCALES) != 0; }

// Scales are found by a search, which importance weighs.
bool searches(const NibFormatInfo& info) {
  return (info.flags & NIB_FORMAT_SUPER_BLOCKS) != 0 || info.format == NIB_FORMAT_IQ4_NL;
}

void list(const NibFormatInfo* format, Extent extent, std::vector<Case>& list) {
  if (format == nullptr) return;
  const NibFormatInfo& info = *format;
  const uint32_t modes[] = {0,
                            NIB_WEIGHTS_ASYMMETRIC,
                            NIB_WEIGHTS_NARROW,
                            NIB_WEIGHTS_SCALE_CEIL,
                            NIB_WEIGHTS_SCALE_EVEN,
                            NIB_WEIGHTS_SCALE_RCEIL};
  Counter counter;
  for (const Sharing& sharing : kSharings) {
    const bool flat = (sharing.flags & NIB_WEIGHTS_FLAT) != 0, nested = (sharing.flags & NIB_WEIGHTS_NESTED) != 0;
    for (const Shape& shape : kShapes) {
      for (const uint32_t mode : modes) {
        // The last three modes count only if the format has them, so that the numbers of cases stay the same.
        if (mode <= NIB_WEIGHTS_NARROW || (mode & info.weights_flags) != 0) ++counter.i;
        if (!canHave(info, sharing, mode)) continue;
        // A quick list walks the diagonal: every sharing, every shape, every mode, not every triple.
        if (extent == Extent::kQuick && !hasOneGroupSize(info) && counter.pick(4) != 0) continue;
        Case c;
        c.seed = counter.i;
        c.recipe = counter.recipe();
        Desc& d = c.describe<Desc>(NIB_OP_QUANTIZE);
        d.rows = shape.rows;
        d.cols = shape.cols;
        d.source_type = uint32_t(counter.i / 3 % 3);
        d.weights = weightsLike(info, sharing, mode, counter.i / 7);
        if (counter.i % 2 == 0) d.flags |= NIB_QUANTIZE_STATUS;
        if (counter.i % 5 == 1 && !(info.flags & NIB_FORMAT_OWN_SCALES) && !nested)
          d.flags |= NIB_QUANTIZE_GIVEN_SCALES;
        if (counter.i % 5 < 2 && searches(info)) d.flags |= NIB_QUANTIZE_IMPORTANCE;
        if (!flat && counter.i % 7 == 3) d.source_stride = shape.cols + 1 + counter.pick(5);
        c.n = flat ? shape.rows : rowsOfRun(counter, shape.rows);
        list.push_back(c);
      }
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  std::string text = std::string(" ") + typeName(d.source_type) + " -> " + weightsName(d.weights);
  if (isGiven(d)) text += " given";
  if (d.flags & NIB_QUANTIZE_IMPORTANCE) text += " importance";
  if (d.flags & NIB_QUANTIZE_STATUS) text += " status";
  return text + dimsName(d.rows, d.cols, d.source_stride, c.n) + dataName(c);
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_INPUT) range = makeNumbers(c.recipe, d.source_type, memory.range[role].size_bytes, c.seed);
  const NibMemoryPart& importance = memory.part[NIB_PART_IMPORTANCE];
  if (role == NIB_ROLE_AUX && importance.size_bytes != 0) {
    // Every kind of number; in some cases 0 for whole blocks.
    Words numbers =
        makeNumbers(c.seed % 3 == 0 ? Recipe::kBits : Recipe::kMixed, NIB_TYPE_F32, importance.size_bytes, c.seed + 5);
    for (uint32_t& bits : numbers) bits = c.seed % 4 == 1 ? bits & 0x7fffffffu : bits;
    for (size_t i = 0; c.seed % 5 == 2 && i < numbers.size(); ++i) numbers[i] = i / 128 % 3 == 0 ? 0u : numbers[i];
    fillPart(range, importance, numbers);
  }
  if (role == NIB_ROLE_WEIGHTS && isGiven(d)) fillParameters(range, memory, d.weights.scale_type, c.seed);
}

Lines lines(const Desc& d, const NibMemory& memory, NibRole role, NibPart part) {
  if (role == NIB_ROLE_WEIGHTS) return linesOfWeights(d.weights, d.rows, memory, part);
  return linesOfDense(d.source_type, d.source_stride != 0 ? d.source_stride : d.cols);
}

// --------------------------------------------------------------------------------------------- other sizes
Case large(const NibFormatInfo& info, uint32_t rows, uint32_t cols, const NibWeights& weights, uint32_t flags,
           Recipe recipe) {
  Case c;
  c.recipe = recipe;
  c.seed = 100 + rows;
  c.n = rows;
  Desc& d = c.describe<Desc>(NIB_OP_QUANTIZE);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.weights = weights;
  d.weights.format = info.format;
  return c;
}

struct Slices {
  uint32_t format, rows, cols;
  NibGranularity granularity;
  uint32_t group, weights_flags, flags;
};
constexpr uint32_t kRows = kSliceShape.rows, kCols = kSliceShape.cols;
// Every path.
constexpr Slices kSlices[] = {
    {NIB_FORMAT_INT4, kRows, kCols, NIB_GRANULARITY_GROUP, 48, 0, 0},
    {NIB_FORMAT_INT8, kRows, kCols, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC, 0},
    {NIB_FORMAT_INT4, kRows, kCols, NIB_GRANULARITY_TENSOR, 0, NIB_WEIGHTS_NARROW, 0},
    {NIB_FORMAT_INT8, kRows, kCols, NIB_GRANULARITY_COLUMN, 0, 0, 0},
    {NIB_FORMAT_INT8, kRows, kCols, NIB_GRANULARITY_COLUMN, 0, NIB_WEIGHTS_ASYMMETRIC, NIB_QUANTIZE_GIVEN_SCALES},
    {NIB_FORMAT_INT4, kRows, kCols, NIB_GRANULARITY_GROUP, 128, 0, NIB_QUANTIZE_GIVEN_SCALES},
    {NIB_FORMAT_INT8, 5, 620001, NIB_GRANULARITY_ROW, 0, 0, 0},
    {NIB_FORMAT_NF4, kRows, kCols, NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT, 0},
    {NIB_FORMAT_TERNARY, kRows, kCols, NIB_GRANULARITY_GROUP, 48, 0, 0},
    {NIB_FORMAT_TERNARY, kRows, kCols, NIB_GRANULARITY_TENSOR, 0, 0, 0},
    {NIB_FORMAT_TERNARY, 5, 620001, NIB_GRANULARITY_ROW, 0, 0, 0},
    {NIB_FORMAT_BINARY, kRows, kCols, NIB_GRANULARITY_ROW, 0, 0, 0},
    {NIB_FORMAT_BINARY, kRows, kCols, NIB_GRANULARITY_COLUMN, 0, 0, 0}};

struct Windows {
  uint32_t format, rows, cols;
  NibGranularity granularity;
  uint32_t group, weights_flags;
  Extent extent;
};
constexpr uint32_t kLong = kWindowShape.cols, kMany = kWindowShape.rows;
constexpr Windows kWindows[] = {
    {NIB_FORMAT_INT4, 3, kLong, NIB_GRANULARITY_GROUP, 128, 0, Extent::kQuick},
    {NIB_FORMAT_INT8, 3, kLong, NIB_GRANULARITY_ROW, 0, 0, Extent::kQuick},
    {NIB_FORMAT_INT8, kMany, 1024, NIB_GRANULARITY_COLUMN, 0, 0, Extent::kQuick},
    // More elements than fp32 can count, and not the zero group.
    {NIB_FORMAT_TERNARY, 3, kLong + 1, NIB_GRANULARITY_TENSOR, 0, 0, Extent::kQuick},
    {NIB_FORMAT_INT8, kMany, 1024, NIB_GRANULARITY_ROW, 0, 0, Extent::kFull},
    {NIB_FORMAT_INT4, 3, kLong + 1, NIB_GRANULARITY_TENSOR, 0, 0, Extent::kFull},
    {NIB_FORMAT_NF4, 3, kLong + 7, NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT, Extent::kFull},
    // Codes that are themselves too large.
    {NIB_FORMAT_INT8, 3, 46u << 20, NIB_GRANULARITY_GROUP, 128, 0, Extent::kFull}};

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format == nullptr) return;
  const NibFormatInfo& info = *format;
  const bool mean = (info.flags & NIB_FORMAT_MEAN_SCALE) != 0;
  switch (purpose) {
    case Large::kTails:
      forEachTail([&](const Shape& shape, uint32_t granularity) {
        list.push_back(large(info, shape.rows, shape.cols, weightsOf(info.format, granularity, 0, 0, NIB_TYPE_F16), 0,
                             Recipe::kMixed));
      });
      break;
    case Large::kSlices:
      for (const Slices& s : kSlices) {
        if (s.format != info.format) continue;
        // Non-finite values would make every large group of a format with mean scales a zero group.
        list.push_back(large(info, s.rows, s.cols,
                             weightsOf(s.format, s.granularity, s.group, s.weights_flags, NIB_TYPE_F16),
                             s.flags | NIB_QUANTIZE_STATUS, mean ? Recipe::kOutlier : Recipe::kNonFinite));
      }
      break;
    case Large::kWindows:
      for (const Windows& w : kWindows) {
        if (w.format != info.format || (w.extent == Extent::kFull && options.extent == Extent::kQuick)) continue;
        list.push_back(large(info, w.rows, w.cols, weightsOf(w.format, w.granularity, w.group, w.weights_flags),
                             NIB_QUANTIZE_STATUS, mean ? Recipe::kOutlier : Recipe::kBits));
      }
      break;
    case Large::kNarrowWindows: break;
    case Large::kPlans:
      forEachPlan(info.format, [&](const PlanShape& shape) {
        Case c = large(info, shape.rows, shape.cols, shape.weights, shape.variant % 4, Recipe::kMixed);
        c.as<Desc>().source_type = shape.variant / 2 % 3;
        c.as<Desc>().source_stride = shape.weightsStride();
        list.push_back(c);
      });
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format == nullptr) return;
  forEachVerified(*format, [&](const NibWeights& weights, uint32_t type, const std::string& text) {
    Case c;
    Desc& d = c.describe<Desc>(NIB_OP_QUANTIZE);
    d.flags = NIB_QUANTIZE_STATUS;
    d.rows = kVerifiedShape.rows;
    d.cols = kVerifiedShape.cols;
    d.source_type = type;
    d.weights = weights;
    list.push_back({"quantize " + text, c});
  });
}

// --------------------------------------------------------------------------------------------- bench
void listBench(const BenchRequest& request, BenchList& rows) {
  const auto add = [&](uint32_t order, const NibFormatInfo& info, BenchSharing sharing, NibType source,
                       uint32_t weights_flags = 0, uint32_t flags = 0) {
    if ((weights_flags & ~info.weights_flags) != 0) return;
    Case c;
    Desc& d = c.describe<Desc>(NIB_OP_QUANTIZE);
    d.flags = flags;
    d.rows = request.shape.m;
    d.cols = request.shape.k;
    d.source_type = source;
    d.weights = benchWeights(info, sharing, weights_flags);
    rows.add(order, request.shape, c);
  };
  const auto given = [&](uint32_t order, const NibFormatInfo& info, BenchSharing sharing, NibType source) {
    add(order, info, sharing, source, 0, NIB_QUANTIZE_GIVEN_SCALES);
  };
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo& info = *nibFormatAt(i);
    if (request.part == BenchPart::kQuick) {
      add(kQuickQuantize + i, info, usualSharing(info), NIB_TYPE_F32);
      add(kQuickQuantizeHalf + i, info, usualSharing(info), NIB_TYPE_F16);
      // The other paths once: they differ little between formats of one size.
      if (info.bits != 4 || (info.weights_flags & NIB_WEIGHTS_ASYMMETRIC) == 0) continue;
      add(kQuickQuantize + i, info, kPerRow, NIB_TYPE_F32);
      add(kQuickQuantize + i, info, kPerTensor, NIB_TYPE_F32);
      given(kQuickQuantize + i, info, kPerRow, NIB_TYPE_F32);
    } else if (request.part == BenchPart::kTails) {
      add(kReadsBlobs + 2 * i + 1, info, usualSharing(info), NIB_TYPE_F32);
      given(kReadsBlobs + 2 * i + 1, info, usualSharing(info), NIB_TYPE_F32);
    } else if (request.part == BenchPart::kEveryWay) {
      for (const NibType type : kBenchTypes) {
        const uint32_t order = kEveryQuantize + 1000 * type + i;
        if (!inEveryWay(info)) {
          add(order, info, usualSharing(info), type);
          continue;
        }
        for (const BenchSharing& sharing : {kPerGroup128, kPerGroup64, kPerGroup32, kPerRow, kPerTensor, kPerColumn}) {
          add(order, info, sharing, type);
        }
        add(order, info, kPerGroup128, type, NIB_WEIGHTS_ASYMMETRIC);
        add(order, info, kPerGroup64, type, NIB_WEIGHTS_FLAT);
        for (const BenchSharing& sharing : {kPerRow, kPerTensor, kPerGroup128}) given(order, info, sharing, type);
      }
    }
  }
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.describe(d.weights);
  names.source = typeName(d.source_type);
  names.scales = isGiven(d) ? "given" : "found";
  names.m = d.rows;
  names.k = d.cols;
}

RowData benchData(const Case& c, const Desc& d, NibRole role) {
  if (role == NIB_ROLE_INPUT) return RowData::dense(c, d.source_type);
  RowData data = RowData::marks();
  if (role == NIB_ROLE_WEIGHTS && isGiven(d)) data.kind = RowData::Kind::kGiven;
  return data;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_QUANTIZE,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return sharingKind(d.weights, d.flags & ~uint32_t(NIB_QUANTIZE_STATUS)); },
    .fill = fill,
    .weights = [](Desc& d) { return &d.weights; },
    .lines = lines,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench, .data = benchData, .peer = "cpy_q"},
};

}  // namespace

NIB_DEFINE_CASES(quantize, NibQuantizeDesc, kCases)

}  // namespace nib::selftest
