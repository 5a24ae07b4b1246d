// Cases of errors: every pair of types over every shape.
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibErrorsDesc;

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (size_t s = 0; s < std::size(kShapes); ++s) {
    for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
      ++counter.i;
      if (extent == Extent::kQuick && !quickPair(s, pair)) continue;
      const Shape& shape = kShapes[s];
      Case c;
      c.seed = counter.i;
      c.recipe = counter.recipe();
      Desc& d = c.describe<Desc>(NIB_OP_ERRORS);
      d.rows = shape.rows;
      d.cols = shape.cols;
      d.reference_type = pair / 3;
      d.candidate_type = pair % 3;
      if (counter.i % 5 == 3) d.reference_stride = shape.cols + 1 + counter.pick(9);
      if (counter.i % 4 == 2) d.candidate_stride = (shape.cols + 15) / 8 * 8;
      c.n = rowsOfRun(counter, shape.rows);
      list.push_back(c);
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  std::string text = std::string(" ") + typeName(d.reference_type) + " against " + typeName(d.candidate_type);
  if (d.candidate_stride != 0) text += " stride " + std::to_string(d.candidate_stride);
  return text + dimsName(d.rows, d.cols, d.reference_stride, c.n) + dataName(c);
}

// The reference matrix and the candidate, both parts of INPUT.
void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role != NIB_ROLE_INPUT) return;
  const Dense of{NibType(d.reference_type), d.reference_stride != 0 ? d.reference_stride : d.cols};
  const Dense to{NibType(d.candidate_type), d.candidate_stride != 0 ? d.candidate_stride : d.cols};
  const Words reference = makeNumbers(c.recipe, d.reference_type, memory.part[NIB_PART_REFERENCE].size_bytes, c.seed);
  fillPart(range, memory.part[NIB_PART_REFERENCE], reference);
  fillPart(range, memory.part[NIB_PART_CANDIDATE], makeCandidate(reference, of, to, d.rows, d.cols, c.seed));
}

Lines lines(const Desc& d, const NibMemory&, NibRole role, NibPart part) {
  if (role == NIB_ROLE_OUTPUT) return {0, 8 * sizeof(NibErrorTile)};
  if (part == NIB_PART_CANDIDATE)
    return linesOfDense(d.candidate_type, d.candidate_stride != 0 ? d.candidate_stride : d.cols);
  return linesOfDense(d.reference_type, d.reference_stride != 0 ? d.reference_stride : d.cols);
}

Case plain(uint32_t rows, uint32_t cols, uint32_t reference_type, uint32_t candidate_type, Recipe recipe) {
  Case c;
  c.recipe = recipe;
  c.seed = 800 + rows;
  c.n = rows;
  Desc& d = c.describe<Desc>(NIB_OP_ERRORS);
  d.rows = rows;
  d.cols = cols;
  d.reference_type = reference_type;
  d.candidate_type = candidate_type;
  return c;
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
      for (const Shape& shape : kDenseTails) {
        list.push_back(plain(shape.rows, shape.cols, NIB_TYPE_F32, NIB_TYPE_F16, Recipe::kMixed));
      }
      break;
    case Large::kSlices:
      // Contiguous, and rows with gaps.
      for (const uint32_t gap : {0u, 4u}) {
        Case c = plain(kSliceShape.rows, kSliceShape.cols, NIB_TYPE_F32, NIB_TYPE_F16, Recipe::kNonFinite);
        if (gap != 0) c.as<Desc>().reference_stride = c.as<Desc>().candidate_stride = kSliceShape.cols + gap;
        list.push_back(c);
      }
      break;
    case Large::kWindows:
      list.push_back(plain(3, kWindowShape.cols + 3, NIB_TYPE_F32, NIB_TYPE_BF16, Recipe::kNonFinite));
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(kWindowShape.rows, 1024, NIB_TYPE_F16, NIB_TYPE_F32, Recipe::kNonFinite));
      break;
    case Large::kNarrowWindows: break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        Case c = plain(shape.rows, shape.cols, shape.variant % 3, shape.variant / 3 % 3, Recipe::kMixed);
        c.as<Desc>().reference_stride = shape.stride;
        c.as<Desc>().candidate_stride = shape.variant % 2 != 0 ? shape.stride : 0;
        list.push_back(c);
      });
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
    const uint32_t from = pair / 3, to = pair % 3;
    list.push_back({std::string("errors ") + typeName(from) + " " + typeName(to),
                    plain(kVerifiedShape.rows, kVerifiedShape.cols, from, to, Recipe::kMixed)});
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  const auto add = [&](uint32_t order, NibType reference, NibType candidate) {
    rows.add(order, request.shape, plain(request.shape.m, request.shape.k, reference, candidate, Recipe::kNormal));
  };
  switch (request.part) {
    case BenchPart::kQuick: add(kQuickDense, NIB_TYPE_F32, NIB_TYPE_F32); break;
    case BenchPart::kEveryWay:
      for (const NibType type : kBenchTypes) {
        for (const NibType other : kBenchTypes) add(kEveryDense + 1000 * type, type, other);
      }
      break;
    case BenchPart::kTails: add(kTailsDense, NIB_TYPE_F32, NIB_TYPE_F16); break;
    default: break;
  }
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = typeName(d.candidate_type);
  names.source = typeName(d.reference_type);
  names.granularity = granularityName(NIB_GRANULARITY_TENSOR);
  names.m = d.rows;
  names.k = d.cols;
}

RowData benchData(const Case&, const Desc& d, NibRole role) {
  if (role != NIB_ROLE_INPUT) return RowData::marks();
  RowData data;
  data.content = std::string("errors ") + typeName(d.reference_type) + " " + typeName(d.candidate_type);
  return data;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_ERRORS,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return uint64_t(d.reference_type * 4u + d.candidate_type); },
    .fill = fill,
    .lines = lines,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench, .data = benchData},
};

}  // namespace

NIB_DEFINE_CASES(errors, NibErrorsDesc, kCases)

}  // namespace nib::selftest
