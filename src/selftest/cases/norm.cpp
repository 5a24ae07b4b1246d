// Cases of norm: both kinds, every type, residuals and codes, rows of every length. All are judged by the bound.
#include <nibble/formats.h>

#include <cmath>

#include "selftest/bounds.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibNormDesc;

constexpr Recipe kData[] = {Recipe::kNormal, Recipe::kUniform, Recipe::kRelu};
constexpr uint32_t kEveryFlag = 31;

Case norm(uint32_t rows, uint32_t cols, uint32_t flags, uint32_t source, uint32_t residual, uint32_t result,
          Recipe recipe, uint64_t seed) {
  Case c;
  c.recipe = recipe;
  c.seed = seed;
  c.n = rows;
  Desc& d = c.describe<Desc>(NIB_OP_NORM);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.source_type = source;
  d.residual_type = flags & NIB_NORM_RESIDUAL ? residual : 0;
  d.result_type = flags & NIB_NORM_CODES ? 0 : result;
  d.epsilon = seed % 2 != 0 ? 1e-5f : 1e-6f;
  return c;
}

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (const Shape& shape : kShapes) {
    for (uint32_t type = 0; type < 3; ++type) {
      for (const uint32_t flags :
           {0u, uint32_t(NIB_NORM_RESIDUAL), uint32_t(NIB_NORM_CODES), uint32_t(NIB_NORM_RESIDUAL | NIB_NORM_CODES)}) {
        ++counter.i;
        if (extent == Extent::kQuick && counter.pick(3) != 0) continue;
        Case c = norm(shape.rows, shape.cols, flags | counter.pick(8), type, counter.pick(3), uint32_t(counter.i % 3),
                      kData[counter.i % 3], counter.i);
        Desc& d = c.as<Desc>();
        if (counter.i % 5 == 3) d.source_stride = shape.cols + 1 + counter.pick(5);
        if (counter.i % 7 == 2 && !(flags & NIB_NORM_CODES)) d.result_stride = (shape.cols + 3) / 2 * 2;
        if (counter.i % 4 == 1 && flags & NIB_NORM_RESIDUAL) d.residual_stride = (shape.cols + 5) / 2 * 2;
        c.n = rowsOfRun(counter, shape.rows);
        list.push_back(c);
      }
    }
  }
}

std::string resultName(const Desc& d) { return d.flags & NIB_NORM_CODES ? "int8" : typeName(d.result_type); }

std::string kindName(const Desc& d) {
  std::string text = d.flags & NIB_NORM_MEAN ? "layer" : "rms";
  if (d.flags & NIB_NORM_GAIN) text += " gain";
  if (d.flags & NIB_NORM_BIAS) text += " bias";
  if (d.flags & NIB_NORM_RESIDUAL) text += std::string(" residual ") + typeName(d.residual_type);
  return text;
}

std::string name(const Case& c, const Desc& d) {
  std::string text = " " + kindName(d) + " " + typeName(d.source_type) + " -> " + resultName(d);
  if (d.residual_stride != 0) text += " residual stride " + std::to_string(d.residual_stride);
  if (d.result_stride != 0) text += " result stride " + std::to_string(d.result_stride);
  return text + dimsName(d.rows, d.cols, d.source_stride, c.n) + dataName(c);
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  const auto part = [&](NibPart which, Recipe recipe, uint32_t type, uint64_t more) {
    const NibMemoryPart& p = memory.part[which];
    if (p.size_bytes != 0) fillPart(range, p, makeNumbers(recipe, type, p.size_bytes, c.seed + more));
  };
  if (role == NIB_ROLE_WEIGHTS) {
    part(NIB_PART_GAIN, Recipe::kUniform, NIB_TYPE_F32, 1);
    part(NIB_PART_BIAS, Recipe::kNormal, NIB_TYPE_F32, 2);
  }
  if (role == NIB_ROLE_INPUT) {
    part(NIB_PART_SOURCE, c.recipe, d.source_type, 0);
    part(NIB_PART_RESIDUAL_IN, Recipe::kUniform, d.residual_type, 3);
  }
}

uint64_t sourceStride(const Desc& d) { return d.source_stride != 0 ? d.source_stride : d.cols; }
uint64_t evenStride(uint64_t stride, uint32_t type, uint64_t rows, uint64_t cols) {
  if (stride != 0) return stride;
  return type == NIB_TYPE_F32 || rows == 1 ? cols : (cols + 1) / 2 * 2;
}
uint64_t residualStride(const Desc& d) { return evenStride(d.residual_stride, d.residual_type, d.rows, d.cols); }
uint64_t resultStride(const Desc& d) { return evenStride(d.result_stride, d.result_type, d.rows, d.cols); }

// Bits of an element. A failed result is named by its byte in OUTPUT, which has parts of several types.
Lines lines(const Desc& d, const NibMemory&, NibRole role, NibPart part) {
  if (role == NIB_ROLE_WEIGHTS) return {};
  if (role == NIB_ROLE_INPUT) {
    return part == NIB_PART_RESIDUAL_IN ? linesOfDense(d.residual_type, residualStride(d))
                                        : linesOfDense(d.source_type, sourceStride(d));
  }
  if (part == NIB_PART_RESIDUAL_OUT) return linesOfDense(d.residual_type, residualStride(d));
  if (part == NIB_PART_RESULT_SCALES) return Lines{32, 32};
  if (part != NIB_PART_RESULT) return Lines{0, 8};
  if (d.flags & NIB_NORM_CODES) return Lines{(uint64_t(d.cols) + 3) / 4 * 32, 8};
  return linesOfDense(d.result_type, resultStride(d));
}

// --------------------------------------------------------------------------------------------- bound
const uint8_t* partAt(const uint32_t* range, const NibMemory& memory, NibPart part) {
  return reinterpret_cast<const uint8_t*>(range) + memory.part[part].offset_bytes;
}

uint64_t sizeOf(uint32_t type) { return type == NIB_TYPE_F32 ? 4 : 2; }

// A row of exact results with their bounds.
struct ExactRow {
  std::vector<double> x, y, bound;
};

ExactRow exactRow(const Desc& d, const Judged& judged, uint64_t row) {
  const NibMemory& memory = judged.memory;
  const uint32_t* input = judged.before[NIB_ROLE_INPUT];
  const uint32_t* weights = judged.before[NIB_ROLE_WEIGHTS];
  ExactRow r{std::vector<double>(d.cols), std::vector<double>(d.cols), std::vector<double>(d.cols)};
  double sum = 0, magnitudes = 0;
  for (uint32_t col = 0; col < d.cols; ++col) {
    double x = elementOf(partAt(input, memory, NIB_PART_SOURCE), d.source_type, row * sourceStride(d) + col);
    if (d.flags & NIB_NORM_RESIDUAL) {
      const double other =
          elementOf(partAt(input, memory, NIB_PART_RESIDUAL_IN), d.residual_type, row * residualStride(d) + col);
      x = roundedTo(d.residual_type, double(float(x + other)));
    }
    r.x[col] = x;
    sum += x;
    magnitudes += std::abs(x);
  }
  const bool centered = (d.flags & NIB_NORM_MEAN) != 0;
  const double mean = centered ? sum / d.cols : 0;
  double square = 0;
  for (const double x : r.x) square += (x - mean) * (x - mean);
  const double deviation = std::sqrt(square / d.cols + double(d.epsilon));
  const double spread = centered ? magnitudes / d.cols : 0;
  for (uint32_t col = 0; col < d.cols; ++col) {
    const bool gained = (d.flags & NIB_NORM_GAIN) != 0, biased = (d.flags & NIB_NORM_BIAS) != 0;
    const double gain = gained ? elementOf(partAt(weights, memory, NIB_PART_GAIN), NIB_TYPE_F32, col) : 1;
    const double bias = biased ? elementOf(partAt(weights, memory, NIB_PART_BIAS), NIB_TYPE_F32, col) : 0;
    const double y = (r.x[col] - mean) / deviation * gain + bias;
    r.y[col] = y;
    r.bound[col] = (d.cols + 8.0) * 0x1p-23 * std::abs(gain) * (std::abs(r.x[col] - mean) + spread) / deviation +
                   0x1p-23 * (std::abs(y) + std::abs(bias)) + 0x1p-126;
  }
  return r;
}

void judgeResult(const Desc& d, const Judged& judged, uint64_t row, const ExactRow& exact, FarthestSoFar& farthest) {
  const uint64_t bytes = sizeOf(d.result_type);
  const double half_ulp = d.result_type == NIB_TYPE_F32 ? 0 : halfUlp(d.result_type);
  for (uint32_t col = 0; col < d.cols; ++col) {
    const uint64_t at = row * resultStride(d) + col;
    const double bound = exact.bound[col] + half_ulp * std::abs(exact.y[col]) + leastOf(d.result_type);
    farthest.add(at * bytes, elementOf(judged.output, d.result_type, at), exact.y[col], bound);
  }
}

// The scale must be that of the row's largest magnitude, 127 1/2 of its steps; a code the nearest to y.
void judgeCodes(const Desc& d, const Judged& judged, uint64_t row, const ExactRow& exact, FarthestSoFar& farthest) {
  const NibMemoryPart& scales = judged.memory.part[NIB_PART_RESULT_SCALES];
  const double scale = elementOf(partAt(judged.output, judged.memory, NIB_PART_RESULT_SCALES), NIB_TYPE_F32, row);
  double largest = 0, bound_of_largest = 0;
  for (uint32_t col = 0; col < d.cols; ++col) {
    largest = std::max(largest, std::abs(exact.y[col]));
    bound_of_largest = std::max(bound_of_largest, exact.bound[col]);
  }
  farthest.add(scales.offset_bytes + row * 4, scale, largest / 127.5, (bound_of_largest + 0x1p-22 * largest) / 127.5);
  const uint64_t row_bytes = (uint64_t(d.cols) + 3) / 4 * 4;
  const int8_t* codes = reinterpret_cast<const int8_t*>(judged.output) + row * row_bytes;
  for (uint32_t col = 0; col < d.cols; ++col) {
    const double bound = scale * (0.5 + 0x1p-14) + exact.bound[col] + bound_of_largest;
    farthest.add(row * row_bytes + col, codes[col] * scale, exact.y[col], bound);
  }
  for (uint64_t col = d.cols; col < row_bytes; ++col) farthest.add(row * row_bytes + col, codes[col], 0, 0x1p-126);
}

void judgeSum(const Desc& d, const Judged& judged, uint64_t row, const ExactRow& exact, FarthestSoFar& farthest) {
  const NibMemoryPart& sums = judged.memory.part[NIB_PART_RESIDUAL_OUT];
  const uint8_t* data = partAt(judged.output, judged.memory, NIB_PART_RESIDUAL_OUT);
  for (uint32_t col = 0; col < d.cols; ++col) {
    const uint64_t at = row * residualStride(d) + col;
    farthest.add(sums.offset_bytes + at * sizeOf(d.residual_type), elementOf(data, d.residual_type, at), exact.x[col],
                 0x1p-126);
  }
}

Farthest farthest(const Desc& d, const Judged& judged) {
  FarthestSoFar farthest(1e30);
  const auto judgeRow = [&](uint64_t row) {
    const ExactRow exact = exactRow(d, judged, row);
    if (d.flags & NIB_NORM_CODES) {
      judgeCodes(d, judged, row, exact, farthest);
    } else {
      judgeResult(d, judged, row, exact, farthest);
    }
    if (d.flags & NIB_NORM_RESIDUAL) judgeSum(d, judged, row, exact, farthest);
  };
  const uint64_t elements = uint64_t(judged.n) * d.cols;
  const uint64_t step = 1 + elements / std::max<uint64_t>(judged.most_products, d.cols);
  for (uint64_t row = 0; row < judged.n; row += step) judgeRow(row);
  if (judged.n > 1 && step > 1) judgeRow(judged.n - 1);
  return farthest.result();
}

// --------------------------------------------------------------------------------------------- other sizes
Case plain(uint32_t rows, uint32_t cols, uint32_t flags) {
  return norm(rows, cols, flags, NIB_TYPE_F32, NIB_TYPE_F32, NIB_TYPE_F32, Recipe::kNormal, 600 + rows);
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
      for (const Shape& shape : kDenseTails) list.push_back(plain(shape.rows, shape.cols, kEveryFlag));
      break;
    case Large::kSlices:
      list.push_back(plain(kSliceShape.rows, kSliceShape.cols, NIB_NORM_GAIN));
      list.push_back(plain(kSliceShape.rows, kSliceShape.cols, kEveryFlag));
      break;
    case Large::kWindows:
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(kWindowShape.rows, 1023, NIB_NORM_GAIN | NIB_NORM_RESIDUAL));
      break;
    case Large::kNarrowWindows: break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        Case c = norm(shape.rows, shape.cols, shape.variant % 32, shape.variant % 3, shape.variant / 3 % 3,
                      shape.variant / 2 % 3, Recipe::kNormal, shape.variant);
        c.as<Desc>().source_stride = shape.stride;
        if (shape.weights.granularity == NIB_GRANULARITY_ROW) list.push_back(c);
      });
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t type = 0; type < 3; ++type) {
    for (const uint32_t flags : {0u, kEveryFlag & ~uint32_t(NIB_NORM_CODES), kEveryFlag}) {
      const Case c = norm(kVerifiedShape.rows, kVerifiedShape.cols, flags, type, type, type, Recipe::kNormal, 1);
      list.push_back({"norm " + kindName(c.as<Desc>()) + " " + typeName(type) + " -> " + resultName(c.as<Desc>()), c});
    }
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  const auto add = [&](uint32_t order, uint32_t flags, NibType type) {
    rows.add(order, request.shape, norm(request.shape.m, request.shape.k, flags, type, type, type, Recipe::kNormal, 0));
  };
  if (request.part != BenchPart::kQuick) return;
  add(kQuickDense, NIB_NORM_GAIN, NIB_TYPE_F32);
  add(kQuickDense, NIB_NORM_GAIN | NIB_NORM_RESIDUAL | NIB_NORM_CODES, NIB_TYPE_F32);
  add(kQuickDense, NIB_NORM_GAIN | NIB_NORM_BIAS | NIB_NORM_MEAN, NIB_TYPE_F16);
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = resultName(d);
  names.source = typeName(d.source_type);
  names.granularity = granularityName(NIB_GRANULARITY_ROW);
  names.modes.push_back(d.flags & NIB_NORM_MEAN ? "layer" : "rms");
  if (d.flags & NIB_NORM_RESIDUAL) names.modes.push_back("residual");
  names.m = d.rows;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_NORM,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return uint64_t(d.flags | (d.cols > 8192 ? 32u : 0u)); },
    .fill = fill,
    .input_format = [](const Desc& d) { return (d.flags & NIB_NORM_CODES) != 0 ? uint32_t(NIB_FORMAT_INT8) : 0u; },
    .lines = lines,
    .bounded = [](const Case&, const Desc&) { return true; },
    .farthest = farthest,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench},
};

}  // namespace

NIB_DEFINE_CASES(norm, NibNormDesc, kCases)

}  // namespace nib::selftest
