// Cases of gather: every way of sharing scales over every shape, dense matrices of every pair of types; rows that are
// named twice, and rows that the matrix lacks.
#include <nibble/formats.h>

#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibGatherDesc;

bool isDense(const Desc& d) { return d.weights.format == NIB_FORMAT_DENSE; }

Case dense(uint32_t rows, uint32_t cols, uint32_t count, uint32_t source, uint32_t result, Recipe recipe,
           uint64_t seed) {
  Case c;
  c.recipe = recipe;
  c.seed = seed;
  c.n = count;
  Desc& d = c.describe<Desc>(NIB_OP_GATHER);
  d.rows = rows;
  d.cols = cols;
  d.count = count;
  d.result_type = result;
  d.weights = denseWeights(source);
  return c;
}

void listDense(Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (size_t s = 0; s < std::size(kShapes); ++s) {
    for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
      ++counter.i;
      if (extent == Extent::kQuick && !quickPair(s, pair)) continue;
      const Shape& shape = kShapes[s];
      const bool narrows = pair / 3 == NIB_TYPE_F32 && pair % 3 != NIB_TYPE_F32;
      const Recipe recipe = narrows ? Recipe::kNarrow : counter.i % 2 == 0 ? Recipe::kBits : counter.recipe();
      const uint32_t count = counter.i % 3 == 0 ? shape.rows / 2 + 1 : shape.rows + counter.pick(9);
      Case c = dense(shape.rows, shape.cols, count, pair / 3, pair % 3, recipe, counter.i);
      if (counter.i % 7 == 3) c.as<Desc>().result_stride = (shape.cols + 3) / 2 * 2 + 2 * counter.pick(4);
      c.n = rowsOfRun(counter, count);
      list.push_back(c);
    }
  }
}

void list(const NibFormatInfo* format, Extent extent, std::vector<Case>& list) {
  if (format == nullptr) return listDense(extent, list);
  const NibFormatInfo& info = *format;
  Counter counter;
  for (const Sharing& sharing : kSharings) {
    const bool flat = (sharing.flags & NIB_WEIGHTS_FLAT) != 0;
    for (const Shape& shape : kShapes) {
      ++counter.i;
      if (!canHave(info, sharing, 0)) continue;
      if (extent == Extent::kQuick && !hasOneGroupSize(info) && counter.pick(4) != 0) continue;
      Case c;
      c.seed = counter.i;
      Desc& d = c.describe<Desc>(NIB_OP_GATHER);
      d.rows = shape.rows;
      d.cols = flat ? flatCols(shape.cols) : shape.cols;
      // Fewer indices than rows, and more.
      d.count = counter.i % 3 == 0 ? shape.rows / 2 + 1 : shape.rows + counter.pick(9);
      d.result_type = uint32_t(counter.i % 3);
      const uint32_t mode = counter.i % 2 == 0 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) & info.weights_flags : 0u;
      d.weights = weightsLike(info, sharing, mode, counter.i / 5);
      if (counter.i % 7 == 3) d.result_stride = (d.cols + 3) / 2 * 2 + 2 * counter.pick(3);
      c.n = rowsOfRun(counter, d.count);
      list.push_back(c);
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  const std::string weights = isDense(d) ? typeName(d.weights.scale_type) : weightsName(d.weights);
  return " " + weights + " -> " + typeName(d.result_type) + ", " + std::to_string(d.count) + " of" +
         dimsName(d.rows, d.cols, d.result_stride, c.n) + dataName(c);
}

// Random rows, some repeated, some out of range, also by one.
Words makeNumbersOfRows(uint32_t rows, uint64_t size_bytes, uint64_t seed) {
  Random random(seed ^ 0x6a7e);
  Words numbers(size_t(size_bytes / 4));
  for (uint32_t& number : numbers) {
    const uint32_t kind = random.below(16);
    number = kind == 0 ? rows : kind == 1 ? random.bits() | 0x80000000u : kind == 2 ? rows - 1 : random.below(rows);
  }
  return numbers;
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_INPUT) range = makeNumbersOfRows(d.rows, memory.range[role].size_bytes, c.seed);
  if (role != NIB_ROLE_WEIGHTS) return;
  const NibMemoryPart& codes = memory.part[NIB_PART_CODES];
  if (isDense(d)) return fillPart(range, codes, makeNumbers(c.recipe, d.weights.scale_type, codes.size_bytes, c.seed));
  fillPart(range, codes, makeBits(codes.size_bytes, c.seed + 2));
  fillParameters(range, memory, d.weights.scale_type, c.seed);
}

Lines lines(const Desc& d, const NibMemory& memory, NibRole role, NibPart part) {
  if (role == NIB_ROLE_WEIGHTS) return linesOfWeights(d.weights, d.rows, memory, part);
  return role == NIB_ROLE_OUTPUT ? linesOfResult(d.result_type, d.result_stride, d.cols) : Lines{};
}

Case plain(uint32_t rows, uint32_t cols, uint32_t count, uint32_t source, uint32_t result) {
  return dense(rows, cols, count, source, result, Recipe::kBits, 300 + count);
}

Case coded(uint32_t rows, uint32_t cols, uint32_t count, const NibWeights& weights) {
  Case c;
  c.seed = 300 + count;
  c.n = count;
  Desc& d = c.describe<Desc>(NIB_OP_GATHER);
  d.rows = rows;
  d.cols = cols;
  d.count = count;
  d.weights = weights;
  return c;
}

void addLargeDense(Large purpose, std::vector<Case>& list) {
  switch (purpose) {
    case Large::kTails:
      for (const Shape& shape : kDenseTails) {
        list.push_back(plain(shape.rows, shape.cols, shape.rows + 9, NIB_TYPE_F16, NIB_TYPE_F32));
      }
      break;
    case Large::kSlices:
      list.push_back(plain(67, kSliceShape.cols, kSliceShape.rows, NIB_TYPE_BF16, NIB_TYPE_F32));
      break;
    case Large::kWindows:
      // A matrix of 140 MiB.
      list.push_back(plain(35000, 1048, 2000, NIB_TYPE_F32, NIB_TYPE_BF16));
      break;
    case Large::kNarrowWindows:
      list.push_back(plain(3001, 128, 70, NIB_TYPE_F16, NIB_TYPE_F32));
      list.push_back(plain(3001, 20, 70, NIB_TYPE_F32, NIB_TYPE_F16));
      list.push_back(plain(9001, 3, 70, NIB_TYPE_BF16, NIB_TYPE_F16));
      break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        if (shape.weights.granularity != NIB_GRANULARITY_ROW) return;
        const uint32_t variant = shape.variant;
        Case c = plain(shape.rows, shape.cols, std::min(shape.rows, 512u), variant % 3, variant / 3 % 3);
        c.as<Desc>().result_stride = (variant % 2 != 0 ? shape.stride + 1 : 0) / 2 * 2;
        list.push_back(c);
      });
  }
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format == nullptr) return addLargeDense(purpose, list);
  const bool int4 = format->format == NIB_FORMAT_INT4;
  switch (purpose) {
    case Large::kTails: break;
    case Large::kSlices:
      if (int4 && !options.slow) {
        list.push_back(
            coded(67, kSliceShape.cols, kSliceShape.rows, weightsOf(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32)));
      }
      break;
    case Large::kWindows:
      // Codes of 140 MiB.
      if (int4) list.push_back(coded(71680, 4096, 300, weightsOf(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 128)));
      break;
    case Large::kNarrowWindows: {
      // Rows of scales and zero points that do not start on words. All scales nearly fill a range of 64 KiB, so that
      // few rows of zero points fit beside them.
      uint32_t variant = format->format;
      for (const Sharing& sharing : kSharings) {
        ++variant;
        if (!canHave(*format, sharing, 0) || (!int4 && !hasOneGroupSize(*format) && variant % 3 != 0)) continue;
        const bool flat = (sharing.flags & NIB_WEIGHTS_FLAT) != 0;
        const uint32_t mode = variant % 4 != 1 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) & format->weights_flags : 0u;
        Case c = coded(1, flat ? 192 : 190, 70, weightsLike(*format, sharing, mode, variant));
        NibMemory row{sizeof(NibMemory)};
        if (nibGetMemory(c.desc(), nullptr, &row) != NIB_SUCCESS) continue;
        c.as<Desc>().rows = uint32_t(std::min<uint64_t>(6000, 62000 / row.part[NIB_PART_SCALES].size_bytes));
        list.push_back(c);
      }
      break;
    }
    case Large::kPlans: break;
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
    list.push_back({std::string("gather ") + typeName(pair / 3) + " " + typeName(pair % 3),
                    plain(50, kVerifiedShape.cols, kVerifiedShape.rows, pair / 3, pair % 3)});
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick) return;
  const auto add = [&](uint32_t order, const NibWeights& weights) {
    rows.add(order, request.shape, coded(request.shape.m, request.shape.k, request.shape.m, weights), 0,
             Recipe::kNormal);
  };
  for (const NibType type : {NIB_TYPE_F32, NIB_TYPE_F16}) add(kReadsBlobs, denseWeights(type));
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo& info = *nibFormatAt(i);
    add(kReadsBlobs + i, benchWeights(info, usualSharing(info)));
  }
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.describe(d.weights);
  names.result = typeName(d.result_type);
  names.m = d.count;
  names.k = d.cols;
}

RowData benchData(const Case& c, const Desc& d, NibRole role) {
  if (role == NIB_ROLE_WEIGHTS && isDense(d)) return RowData::dense(c, d.weights.scale_type);
  if (role == NIB_ROLE_WEIGHTS) return RowData::quantized(d.rows, d.cols, d.weights);
  if (role == NIB_ROLE_OUTPUT) return RowData::marks();
  RowData data;
  data.content = "numbers of " + std::to_string(d.rows) + " rows";
  return data;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_GATHER,
    .list = list,
    .name = name,
    .kind =
        [](const Desc& d) {
          return sharingKind(d.weights, isDense(d) ? 1u + d.weights.scale_type * 4u + d.result_type : 0u);
        },
    .fill = fill,
    .weights = [](Desc& d) { return &d.weights; },
    .lines = lines,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench, .data = benchData, .peer = "get_rows"},
};

}  // namespace

NIB_DEFINE_CASES(gather, NibGatherDesc, kCases)

}  // namespace nib::selftest
