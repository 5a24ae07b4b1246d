// Cases of loss: with and without a reference and a soft cap, every pair of types, rows of every length and kind. All
// are judged by the bound.
#include <cmath>
#include <cstring>

#include "selftest/bounds.h"
#include "selftest/lists.h"
#include "selftest/logits.h"

namespace nib::selftest {
namespace {

using Desc = NibLossDesc;

Case loss(uint32_t rows, uint32_t cols, uint32_t flags, uint32_t candidate, uint32_t reference, float soft_cap,
          uint64_t seed) {
  Case c;
  c.seed = seed;
  c.n = rows;
  Desc& d = c.describe<Desc>(NIB_OP_LOSS);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.candidate_type = candidate;
  d.reference_type = flags & NIB_LOSS_REFERENCE ? reference : 0;
  d.soft_cap = soft_cap;
  return c;
}

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (const Shape& shape : kShapes) {
    for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
      for (const uint32_t flags : {0u, uint32_t(NIB_LOSS_REFERENCE)}) {
        ++counter.i;
        if (flags == 0 && pair % 3 != 0) continue;
        if (extent == Extent::kQuick && counter.pick(4) != 0) continue;
        const float soft_cap = counter.pick(3) == 1 ? 30.0f : 0.0f;
        Case c = loss(shape.rows, shape.cols, flags, pair / 3, pair % 3, soft_cap, counter.i);
        Desc& d = c.as<Desc>();
        if (counter.i % 5 == 3) d.candidate_stride = shape.cols + 1 + counter.pick(5);
        if (counter.i % 4 == 1 && flags != 0) d.reference_stride = (shape.cols + 11) / 4 * 4;
        c.n = rowsOfRun(counter, shape.rows);
        list.push_back(c);
      }
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  std::string text = std::string(" ") + typeName(d.candidate_type);
  if (d.flags & NIB_LOSS_REFERENCE) text += std::string(" against ") + typeName(d.reference_type);
  if (d.reference_stride != 0) text += " stride " + std::to_string(d.reference_stride);
  if (d.soft_cap != 0) text += " capped";
  return text + dimsName(d.rows, d.cols, d.candidate_stride, c.n) + ", seed " + std::to_string(c.seed);
}

uint32_t strideOf(uint32_t stride, const Desc& d) { return stride != 0 ? stride : d.cols; }

// Some rows have no target, or one that does not exist.
Words makeTargets(const Desc& d, uint64_t seed) {
  Words targets(d.rows);
  Random random(seed);
  for (uint32_t& target : targets) {
    switch (random.below(12)) {
      case 0: target = UINT32_MAX; break;
      case 1: target = d.cols + random.below(3); break;
      case 2: target = d.cols - 1; break;
      default: target = random.below(d.cols);
    }
  }
  return targets;
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role != NIB_ROLE_INPUT) return;
  const auto logits = [&](uint32_t type, uint32_t stride, bool reference) {
    return makeLogits({d.rows, d.cols, strideOf(stride, d), type, c.seed, reference});
  };
  if (d.flags & NIB_LOSS_REFERENCE) {
    fillPart(range, memory.part[NIB_PART_REFERENCE], logits(d.reference_type, d.reference_stride, true));
  }
  fillPart(range, memory.part[NIB_PART_CANDIDATE], logits(d.candidate_type, d.candidate_stride, false));
  fillPart(range, memory.part[NIB_PART_INDICES], makeTargets(d, c.seed));
}

Lines lines(const Desc& d, const NibMemory&, NibRole role, NibPart part) {
  if (role == NIB_ROLE_OUTPUT) return {128, 32};
  if (part == NIB_PART_INDICES) return {32, 32};
  if (part == NIB_PART_REFERENCE) return linesOfDense(d.reference_type, strideOf(d.reference_stride, d));
  return linesOfDense(d.candidate_type, strideOf(d.candidate_stride, d));
}

// --------------------------------------------------------------------------------------------- bound
struct ExactRow {
  std::vector<double> below;  // distances from the largest
  double max = 0, sum = 0;    // sum of e^-below
  uint32_t largest = 0;
  bool nan = false;
};

ExactRow exactRow(const uint8_t* data, uint32_t type, uint64_t first, const Desc& d) {
  ExactRow row;
  row.below.resize(d.cols);
  double largest = -1e300;
  for (uint32_t col = 0; col < d.cols; ++col) {
    const double unlimited = elementOf(data, type, first + col), x = logitOf(data, type, first + col);
    row.nan = row.nan || std::isnan(x);
    if (unlimited > largest) largest = unlimited, row.largest = col;
    row.below[col] = d.soft_cap != 0 ? double(d.soft_cap) * std::tanh(x / double(d.soft_cap)) : x;
  }
  row.max = row.below[row.largest];
  for (double& x : row.below) {
    x = row.max - x;
    row.sum += std::exp(-x);
  }
  return row;
}

struct Exact {
  double value[4] = {}, bound[4] = {};
};

void judgeDivergence(const ExactRow& reference, const ExactRow& candidate, Exact& exact) {
  double mean = 0, ratio = 0, weighted = 0, apart = 0;
  for (size_t col = 0; col < reference.below.size(); ++col) {
    const double h = reference.below[col], d = candidate.below[col] - h;
    const double p = std::exp(-h) / reference.sum, q = std::exp(-candidate.below[col]) / candidate.sum;
    mean += p * d;
    ratio += (std::exp(-candidate.below[col]) - std::exp(-h)) / reference.sum;
    weighted += p * std::abs(d) * (8 + h);
    if (std::abs(d) > 0.25) apart += p + q;
  }
  // If the ratio is near 1, the quotient of the sums has lost the contribution of the smallest terms.
  const double log_ratio = std::abs(ratio) < 0.5 ? std::log1p(ratio) : std::log(candidate.sum / reference.sum);
  exact.value[2] = std::max(mean + log_ratio, 0.0);
  exact.bound[2] = 0x1p-20 * (exact.value[2] + weighted) + 0x1p-16 * apart + 0x1p-40;
}

Exact exactOf(const Desc& d, const Judged& judged, uint64_t row) {
  const uint8_t* input = reinterpret_cast<const uint8_t*>(judged.before[NIB_ROLE_INPUT]);
  const auto part = [&](NibPart which) { return input + judged.memory.part[which].offset_bytes; };
  const ExactRow c = exactRow(part(NIB_PART_CANDIDATE), d.candidate_type, row * strideOf(d.candidate_stride, d), d);
  uint32_t target;
  std::memcpy(&target, part(NIB_PART_INDICES) + row * 4, sizeof target);
  Exact exact;
  const double log_sum = std::log(c.sum), nan = std::nan("");
  exact.value[0] = c.nan ? nan : c.max + log_sum;
  exact.bound[0] = 0x1p-20 * (2 + log_sum) + 0x1p-23 * std::abs(exact.value[0]);
  const bool is_target = target < d.cols;
  if (target != UINT32_MAX) exact.value[1] = is_target && !c.nan ? -c.below[target] - log_sum : nan;
  if (is_target) exact.bound[1] = 0x1p-20 * (2 + log_sum) + 0x1p-23 * std::abs(exact.value[1]);
  exact.value[3] = !c.nan && is_target && c.largest == target ? 1 : 0;
  if (d.flags & NIB_LOSS_REFERENCE) {
    const ExactRow r = exactRow(part(NIB_PART_REFERENCE), d.reference_type, row * strideOf(d.reference_stride, d), d);
    judgeDivergence(r, c, exact);
    if (c.nan || r.nan) exact.value[2] = nan;
    exact.value[3] = !c.nan && !r.nan && c.largest == r.largest ? 1 : 0;
  }
  for (double& bound : exact.bound) bound = bound * (1 + double(d.soft_cap)) + 0x1p-126;
  return exact;
}

Farthest farthest(const Desc& d, const Judged& judged) {
  FarthestSoFar farthest(1e30);
  const auto judgeRow = [&](uint64_t row) {
    const Exact exact = exactOf(d, judged, row);
    for (uint32_t i = 0; i < 4; ++i) {
      double got = elementOf(judged.output, NIB_TYPE_F32, row * 4 + i), value = exact.value[i];
      if (std::isnan(value)) {
        got = std::isnan(got) ? 0 : std::nan("");
        value = 0;
      }
      farthest.add(row * 4 + i, got, value, exact.bound[i] > 0 ? exact.bound[i] : 0x1p-126);
    }
  };
  const uint64_t elements = uint64_t(judged.n) * d.cols;
  const uint64_t step = 1 + elements / std::max<uint64_t>(judged.most_products, d.cols);
  for (uint64_t row = 0; row < judged.n; row += step) judgeRow(row);
  if (judged.n > 1 && step > 1) judgeRow(judged.n - 1);
  return farthest.result();
}

// --------------------------------------------------------------------------------------------- other sizes
Case plain(uint32_t rows, uint32_t cols, uint32_t flags, uint32_t type = NIB_TYPE_F32) {
  return loss(rows, cols, flags, type, type, 0, 900 + rows);
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
      for (const Shape& shape : kDenseTails) list.push_back(plain(shape.rows, shape.cols, NIB_LOSS_REFERENCE));
      break;
    case Large::kSlices:
      list.push_back(plain(kSliceShape.rows, kSliceShape.cols, 0));
      list.push_back(plain(kSliceShape.rows, kSliceShape.cols, NIB_LOSS_REFERENCE));
      break;
    case Large::kWindows:
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(kWindowShape.rows, 1023, 0));
      break;
    case Large::kNarrowWindows: break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        Case c = loss(shape.rows, shape.cols, shape.variant % 2, shape.variant % 3, shape.variant / 3 % 3,
                      shape.variant % 5 == 0 ? 30.0f : 0.0f, shape.variant);
        c.as<Desc>().candidate_stride = shape.stride;
        if (shape.weights.granularity == NIB_GRANULARITY_ROW) list.push_back(c);
      });
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t type = 0; type < 3; ++type) {
    for (const uint32_t flags : {0u, uint32_t(NIB_LOSS_REFERENCE)}) {
      list.push_back({std::string("loss ") + (flags != 0 ? "against a reference " : "") + typeName(type),
                      plain(kVerifiedShape.rows, kVerifiedShape.cols, flags, type)});
    }
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick) return;
  const auto add = [&](const BenchShape& shape, uint32_t flags, NibType type) {
    rows.add(kQuickDense, shape, loss(shape.m, shape.k, flags, type, type, 0, 0));
  };
  // Tokens of a text under models of small and large vocabularies.
  const BenchShape small = request.given ? request.shape : BenchShape{32, 1, 32000};
  constexpr BenchShape kLarge{16, 1, 128256};
  add(small, NIB_LOSS_REFERENCE, NIB_TYPE_F32);
  if (request.given) return;
  add(kLarge, 0, NIB_TYPE_F32);
  add(kLarge, NIB_LOSS_REFERENCE, NIB_TYPE_F16);
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = names.source = typeName(d.candidate_type);
  names.granularity = granularityName(NIB_GRANULARITY_ROW);
  if (d.flags & NIB_LOSS_REFERENCE) names.modes.push_back("divergence");
  names.m = d.rows;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_LOSS,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return uint64_t(d.flags | (d.soft_cap != 0 ? 2u : 0u)); },
    .fill = fill,
    .lines = lines,
    .bounded = [](const Case&, const Desc&) { return true; },
    .farthest = farthest,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench},
};

}  // namespace

NIB_DEFINE_CASES(loss, NibLossDesc, kCases)

}  // namespace nib::selftest
