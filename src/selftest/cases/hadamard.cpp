// Cases of hadamard: every kind of matrix, blocks of every length, whole rows and several blocks, every pair of types.
// All are judged by the bound.
#include <cmath>

#include "selftest/bounds.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibHadamardDesc;

constexpr Recipe kData[] = {Recipe::kNormal, Recipe::kUniform, Recipe::kRelu};

struct Blocks {
  uint32_t rows, size, count;
};
// Butterflies of every number of stages, within quads and beyond; the three constructions with lengths of 1, 2 and
// more; blocks longer than shared memory.
constexpr Blocks kBlocks[] = {{5, 2, 1},    {3, 2, 517},   {4, 4, 300},   {7, 8, 33},    {5, 16, 10},  {3, 32, 7},
                              {2, 64, 40},  {35, 128, 3},  {2, 256, 5},   {3, 512, 1},   {3, 1024, 2}, {2, 2048, 1},
                              {4, 4096, 1}, {1, 8192, 1},  {2, 16384, 1}, {3, 12, 9},    {2, 24, 101}, {1, 48, 3},
                              {6, 96, 1},   {2, 20, 60},   {3, 28, 5},    {2, 56, 4},    {2, 896, 1},  {1, 36, 40},
                              {2, 172, 3},  {1, 344, 2},   {1, 1376, 1},  {1, 11008, 1}, {1, 180, 2},  {1, 2880, 1},
                              {2, 148, 2},  {1, 1024, 29}, {1, 14336, 1}, {1, 18944, 1}};

Case hadamard(uint32_t rows, uint32_t size, uint32_t count, uint32_t flags, uint32_t source, uint32_t result,
              Recipe recipe, uint64_t seed) {
  Case c;
  c.recipe = recipe;
  c.seed = seed;
  c.n = rows;
  Desc& d = c.describe<Desc>(NIB_OP_HADAMARD);
  d.flags = flags;
  d.rows = rows;
  d.cols = size * count;
  d.size = count == 1 && seed % 2 == 0 ? 0 : size;
  d.source_type = source;
  d.result_type = result;
  return c;
}

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (const Blocks& blocks : kBlocks) {
    for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
      ++counter.i;
      if ((extent == Extent::kQuick || blocks.size > 2048) && counter.i % 4 != 0) continue;
      const uint32_t flags = counter.i % 3 == 0 ? uint32_t(NIB_HADAMARD_SIGNS) : 0u;
      Case c =
          hadamard(blocks.rows, blocks.size, blocks.count, flags, pair / 3, pair % 3, kData[counter.i % 3], counter.i);
      Desc& d = c.as<Desc>();
      if (counter.i % 5 == 3) d.source_stride = d.cols + 1 + counter.pick(9);
      if (counter.i % 7 == 2) d.result_stride = d.cols + 2 * counter.pick(4);
      c.n = rowsOfRun(counter, blocks.rows);
      list.push_back(c);
    }
  }
}

uint32_t sizeOf(const Desc& d) { return d.size != 0 ? d.size : d.cols; }

std::string waysName(const Desc& d) {
  std::string text = " " + std::to_string(sizeOf(d));
  if (d.flags & NIB_HADAMARD_SIGNS) text += " signs";
  return text + " " + typeName(d.source_type) + " -> " + typeName(d.result_type);
}

std::string name(const Case& c, const Desc& d) {
  std::string text = waysName(d);
  if (d.result_stride != 0) text += " result stride " + std::to_string(d.result_stride);
  return text + dimsName(d.rows, d.cols, d.source_stride, c.n) + dataName(c);
}

uint64_t kind(const Desc& d) {
  const uint32_t size = sizeOf(d), order = nibHadamardOrder(size);
  return uint64_t(order) << 8 | uint64_t(std::log2(double(size / order))) << 2 | (d.flags & 1u) << 1 |
         (d.cols != size ? 1u : 0u);
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_WEIGHTS) {
    const NibMemoryPart& signs = memory.part[NIB_PART_SIGNS];
    fillPart(range, signs, makeNumbers(Recipe::kNormal, NIB_TYPE_F32, signs.size_bytes, c.seed + 1));
  }
  if (role == NIB_ROLE_INPUT) {
    const NibMemoryPart& source = memory.part[NIB_PART_SOURCE];
    fillPart(range, source, makeNumbers(c.recipe, d.source_type, source.size_bytes, c.seed));
  }
}

uint64_t sourceStride(const Desc& d) { return d.source_stride != 0 ? d.source_stride : d.cols; }
uint64_t resultStride(const Desc& d) { return d.result_stride != 0 ? d.result_stride : d.cols; }

Lines lines(const Desc& d, const NibMemory&, NibRole role, NibPart) {
  if (role == NIB_ROLE_INPUT) return linesOfDense(d.source_type, sourceStride(d));
  return role == NIB_ROLE_OUTPUT ? linesOfDense(d.result_type, resultStride(d)) : Lines{};
}

// --------------------------------------------------------------------------------------------- bound
Farthest farthest(const Desc& d, const Judged& judged) {
  FarthestSoFar farthest(1e30);
  const uint32_t size = sizeOf(d), order = nibHadamardOrder(size);
  const uint8_t* source = reinterpret_cast<const uint8_t*>(judged.before[NIB_ROLE_INPUT]) +
                          judged.memory.part[NIB_PART_SOURCE].offset_bytes;
  const float* signs =
      d.flags & NIB_HADAMARD_SIGNS ? reinterpret_cast<const float*>(judged.before[NIB_ROLE_WEIGHTS]) : nullptr;
  const double steps = std::log2(double(size / order)) + (order > 1 ? order : 0) + 4;
  const double half_ulp = d.result_type == NIB_TYPE_F32 ? 0 : halfUlp(d.result_type);
  std::vector<double> x(size);
  const auto judgeBlock = [&](uint64_t row, uint32_t first) {
    double sum = 0;
    for (uint32_t i = 0; i < size; ++i) {
      x[i] = elementOf(source, d.source_type, row * sourceStride(d) + first + i);
      sum += std::abs(x[i]);
    }
    nibHadamardTransform(x.data(), size, signs != nullptr ? signs + first : nullptr);
    for (uint32_t i = 0; i < size; ++i) {
      const uint64_t at = row * resultStride(d) + first + i;
      const double bound =
          steps * 0x1p-23 * sum / std::sqrt(double(size)) + half_ulp * std::abs(x[i]) + leastOf(d.result_type);
      farthest.add(at, elementOf(judged.output, d.result_type, at), x[i], bound);
    }
  };
  const uint64_t blocks = uint64_t(judged.n) * (d.cols / size);
  const uint64_t step = 1 + blocks * size * order / std::max<uint64_t>(judged.most_products, uint64_t(size) * order);
  for (uint64_t block = 0; block < blocks; block += step) {
    judgeBlock(block / (d.cols / size), uint32_t(block % (d.cols / size)) * size);
  }
  if (blocks > 1 && step > 1) judgeBlock(judged.n - 1, d.cols - size);
  return farthest.result();
}

// --------------------------------------------------------------------------------------------- other sizes
Case plain(uint32_t rows, uint32_t size, uint32_t count, uint32_t flags, uint32_t type = NIB_TYPE_F32) {
  return hadamard(rows, size, count, flags, type, type, Recipe::kNormal, 601 + rows);
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
      list.push_back(plain(131, 128, 65, NIB_HADAMARD_SIGNS));
      list.push_back(plain(1100, 1024, 1, 0));
      break;
    case Large::kSlices:
      list.push_back(plain(1031, 28, 111, NIB_HADAMARD_SIGNS));
      list.push_back(plain(257, 12288, 1, 0));
      break;
    case Large::kWindows:
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(36u << 10, 1024, 1, 0));
      break;
    case Large::kNarrowWindows:
      list.push_back(plain(300, 704, 1, 0));
      list.push_back(plain(40, 8192, 1, 0));
      break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        const uint32_t size = 1u << (1 + shape.variant % 13);
        if (shape.weights.granularity != NIB_GRANULARITY_ROW || shape.cols < size) return;
        Case c = hadamard(shape.rows, size, shape.cols / size, shape.variant % 2, shape.variant % 3,
                          shape.variant / 3 % 3, Recipe::kNormal, shape.variant);
        list.push_back(c);
      });
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t type = 0; type < 3; ++type) {
    for (const uint32_t size : {128u, 896u, 4096u, 11008u, 14336u}) {
      const Case c = plain(67, size, size < 512 ? 7 : 1, type == 0 ? uint32_t(NIB_HADAMARD_SIGNS) : 0u, type);
      list.push_back({"hadamard" + waysName(c.as<Desc>()), c});
    }
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick) return;
  const uint32_t m = request.shape.m, k = request.shape.k;
  const auto add = [&](uint32_t size, NibType type) {
    if (k % size != 0 || nibHadamardOrder(size) == 0) return;
    rows.add(kQuickDense, request.shape,
             hadamard(m, size, k / size, 0, type, type, Recipe::kNormal, k == size ? 0 : 1));
  };
  add(k, NIB_TYPE_F32);
  add(k, NIB_TYPE_F16);
  if (k != 128) add(128, NIB_TYPE_F16);
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.source = typeName(d.source_type);
  names.result = typeName(d.result_type);
  names.granularity = granularityName(sizeOf(d) == d.cols ? NIB_GRANULARITY_ROW : NIB_GRANULARITY_GROUP);
  if (sizeOf(d) != d.cols) names.group_size = sizeOf(d);
  names.m = d.rows;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_HADAMARD,
    .list = list,
    .name = name,
    .kind = kind,
    .fill = fill,
    .lines = lines,
    .bounded = [](const Case&, const Desc&) { return true; },
    .farthest = farthest,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench},
};

}  // namespace

NIB_DEFINE_CASES(hadamard, NibHadamardDesc, kCases)

}  // namespace nib::selftest
