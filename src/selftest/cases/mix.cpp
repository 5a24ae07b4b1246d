// Cases of mix: every weighting, one row and many to a result, tails and strides. All are judged by the bound.
#include <cmath>
#include <cstring>

#include "selftest/bounds.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibMixDesc;

Case mix(uint32_t rows, uint32_t cols, uint32_t count, uint32_t weighting, uint32_t flags, uint64_t seed) {
  Case c;
  c.recipe = Recipe::kNormal;
  c.seed = seed;
  c.n = rows;
  Desc& d = c.describe<Desc>(NIB_OP_MIX);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.count = count;
  d.weighting = weighting;
  return c;
}

uint32_t sourceStride(const Desc& d) { return d.source_stride != 0 ? d.source_stride : d.cols; }
uint32_t resultStride(const Desc& d) { return d.result_stride != 0 ? d.result_stride : d.cols; }

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  constexpr uint32_t kCounts[] = {1, 2, 8, 4, 3, NIB_MIX_MAX_COUNT};
  Counter counter;
  for (const Shape& shape : kShapes) {
    for (const uint32_t count : kCounts) {
      ++counter.i;
      if (uint64_t(shape.rows) * shape.cols * count > 3'000'000) continue;
      if (extent == Extent::kQuick && counter.pick(3) != 0) continue;
      Case c = mix(shape.rows, shape.cols, count, uint32_t(counter.i % 3), counter.pick(2), counter.i);
      if (counter.i % 5 == 3) c.as<Desc>().source_stride = shape.cols + 1 + counter.pick(5);
      if (counter.i % 4 == 1) c.as<Desc>().result_stride = (shape.cols + 11) / 4 * 4;
      c.n = rowsOfRun(counter, shape.rows);
      list.push_back(c);
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  constexpr const char* kNames[] = {" softmax of all", " softmax of the chosen", " sigmoid"};
  std::string text = kNames[d.weighting] + std::string(" count ") + std::to_string(d.count);
  if (d.flags & NIB_MIX_RESIDUAL) text += " residual";
  if (d.result_stride != 0) text += " result stride " + std::to_string(d.result_stride);
  return text + dimsName(d.rows, d.cols, d.source_stride, c.n) + ", seed " + std::to_string(c.seed);
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_OUTPUT && (d.flags & NIB_MIX_RESIDUAL) != 0) {
    range = makeNumbers(Recipe::kNormal, NIB_TYPE_F32, memory.range[role].size_bytes, c.seed + 3);
  }
  if (role != NIB_ROLE_INPUT) return;
  const auto part = [&](NibPart which) { return memory.part[which]; };
  fillPart(range, part(NIB_PART_SOURCE),
           makeNumbers(Recipe::kNormal, NIB_TYPE_F32, part(NIB_PART_SOURCE).size_bytes, c.seed));
  Random random(c.seed ^ 0x50f7);
  // Logits from -30 to 30; a log-sum that is above them.
  const auto fillLogits = [&](NibPart which, float from, float to) {
    Words words(part(which).size_bytes / 4);
    for (uint32_t& word : words) {
      const float value = from + (to - from) * float(random.below(1u << 20)) * 0x1p-20f;
      std::memcpy(&word, &value, sizeof word);
    }
    fillPart(range, part(which), words);
  };
  fillLogits(NIB_PART_SECOND, -30, 30);
  if (part(NIB_PART_LOG_SUM).size_bytes != 0) fillLogits(NIB_PART_LOG_SUM, 30, 33);
}

Lines lines(const Desc& d, const NibMemory&, NibRole role, NibPart part) {
  if (role == NIB_ROLE_OUTPUT) return linesOfDense(NIB_TYPE_F32, resultStride(d));
  // A row is what makes one of the result.
  if (part == NIB_PART_SOURCE) return {uint64_t(d.count) * sourceStride(d) * 32, 32};
  return part == NIB_PART_SECOND ? Lines{uint64_t(d.count) * 32, 32} : Lines{0, 32};
}

struct Weights {
  std::vector<double> of;
  double exponent = 0;  // the largest magnitude
};

Weights weightsOf(const Desc& d, const Judged& judged, uint64_t row) {
  const auto at = [&](NibPart part, uint64_t i) {
    return elementOf(judged.before[NIB_ROLE_INPUT], NIB_TYPE_F32, judged.memory.part[part].offset_bytes / 4 + i);
  };
  std::vector<double> x(d.count);
  double offset = d.weighting == NIB_MIX_SOFTMAX_ALL ? at(NIB_PART_LOG_SUM, row) : 0, sum = 0;
  for (uint32_t j = 0; j < d.count; ++j) x[j] = at(NIB_PART_SECOND, row * d.count + j);
  if (d.weighting == NIB_MIX_SOFTMAX_CHOSEN) offset = *std::max_element(x.begin(), x.end());
  Weights weights;
  for (double& value : x) {
    value -= offset;
    weights.exponent = std::max(weights.exponent, std::abs(value));
    sum += std::exp(value);
  }
  for (const double value : x) {
    weights.of.push_back(d.weighting == NIB_MIX_SIGMOID          ? 1 / (1 + std::exp(-value))
                         : d.weighting == NIB_MIX_SOFTMAX_CHOSEN ? std::exp(value) / sum
                                                                 : std::exp(value));
  }
  return weights;
}

void judgeRow(const Desc& d, const Judged& judged, uint64_t row, FarthestSoFar& farthest) {
  const Weights weights = weightsOf(d, judged, row);
  for (uint32_t col = 0; col < d.cols; ++col) {
    double sum = 0, magnitude = 0, sources = 0;
    for (uint32_t j = 0; j < d.count; ++j) {
      const double s =
          elementOf(judged.before[NIB_ROLE_INPUT], NIB_TYPE_F32, (row * d.count + j) * sourceStride(d) + col);
      sum += weights.of[j] * s;
      magnitude += std::abs(weights.of[j] * s);
      sources += std::abs(s);
    }
    const uint64_t at = row * resultStride(d) + col;
    const bool residual = (d.flags & NIB_MIX_RESIDUAL) != 0;
    const double previous = residual ? elementOf(judged.before[NIB_ROLE_OUTPUT], NIB_TYPE_F32, at) : 0;
    const double exact = previous + sum;
    const double bound = (0x1p-18 + 0x1p-22 * (weights.exponent + d.count)) * magnitude + 0x1p-100 * sources +
                         0x1p-22 * (std::abs(previous) + std::abs(exact));
    farthest.add(at, elementOf(judged.output, NIB_TYPE_F32, at), exact, bound);
  }
}

Farthest farthest(const Desc& d, const Judged& judged) {
  FarthestSoFar farthest(1e300);
  const uint64_t products = uint64_t(judged.n) * d.cols * d.count;
  const uint64_t step = 1 + products / std::max<uint64_t>(judged.most_products, uint64_t(d.cols) * d.count);
  for (uint64_t row = 0; row < judged.n; row += step) judgeRow(d, judged, row, farthest);
  if (judged.n > 1 && step > 1) judgeRow(d, judged, judged.n - 1, farthest);
  return farthest.result();
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
      for (const Shape& shape : kDenseTails) list.push_back(mix(shape.rows, shape.cols, 2, NIB_MIX_SOFTMAX_ALL, 0, 5));
      break;
    case Large::kSlices:
      list.push_back(mix(kSliceShape.rows / 2, kSliceShape.cols, 2, NIB_MIX_SOFTMAX_CHOSEN, NIB_MIX_RESIDUAL, 6));
      break;
    case Large::kWindows:
      if (options.extent == Extent::kQuick) break;
      list.push_back(mix(kWindowShape.rows, 1023, 3, NIB_MIX_SOFTMAX_ALL, NIB_MIX_RESIDUAL, 7));
      break;
    case Large::kNarrowWindows: break;
    case Large::kPlans:
      for (const uint32_t rows : {1u, 32u, 512u}) list.push_back(mix(rows, 4096, 2 + rows % 7, rows % 3, rows % 2, 8));
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t weighting = 0; weighting < 3; ++weighting) {
    list.push_back({"mix of weighting " + std::to_string(weighting),
                    mix(kVerifiedShape.rows, kVerifiedShape.cols, 1 + weighting, weighting, weighting % 2, 9)});
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick) return;
  rows.add(kQuickDense, request.shape, mix(request.shape.m, request.shape.k, 2, NIB_MIX_SOFTMAX_CHOSEN, 0, 1));
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = names.source = names.result = typeName(NIB_TYPE_F32);
  names.granularity = granularityName(NIB_GRANULARITY_ROW);
  names.modes.push_back("count " + std::to_string(d.count));
  names.m = d.rows;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_MIX,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return uint64_t(d.weighting * 2 + (d.flags & NIB_MIX_RESIDUAL)); },
    .fill = fill,
    .lines = lines,
    .bounded = [](const Case&, const Desc&) { return true; },
    .farthest = farthest,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench},
};

}  // namespace

NIB_DEFINE_CASES(mix, NibMixDesc, kCases)

}  // namespace nib::selftest
