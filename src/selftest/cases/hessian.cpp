// Cases of hessian: every type, with and without a mask, over shapes with tails. All are judged by the bound.
#include <cmath>

#include "selftest/bounds.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibHessianDesc;

constexpr Recipe kData[] = {Recipe::kNormal, Recipe::kUniform, Recipe::kRelu};

// Tokens and columns: one, few, whole tiles, tails.
constexpr Shape kHessianShapes[] = {{33, 130}, {64, 256}, {1, 1},    {37, 1},   {1, 5},    {5, 300},
                                    {130, 20}, {301, 67}, {17, 336}, {40, 129}, {100, 64}, {3, 515}};

Case hessian(uint32_t tokens, uint32_t cols, uint32_t type, uint32_t flags, Recipe recipe, uint64_t seed) {
  Case c;
  c.recipe = recipe;
  c.seed = seed;
  c.n = tokens;
  Desc& d = c.describe<Desc>(NIB_OP_HESSIAN);
  d.flags = flags;
  d.tokens = tokens;
  d.cols = cols;
  d.source_type = type;
  return c;
}

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (size_t s = 0; s < std::size(kHessianShapes); ++s) {
    for (uint32_t type = 0; type < 3; ++type) {
      for (const uint32_t flags : {0u, uint32_t(NIB_HESSIAN_MASK)}) {
        ++counter.i;
        if (extent == Extent::kQuick && (s + type * 2 + flags) % 3 != 0) continue;
        const Shape& shape = kHessianShapes[s];
        Case c = hessian(shape.rows, shape.cols, type, flags, kData[counter.i % 3], counter.i);
        if (counter.i % 5 == 3) c.as<Desc>().source_stride = shape.cols + 1 + counter.pick(9);
        c.n = rowsOfRun(counter, shape.rows);
        list.push_back(c);
      }
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  return std::string(" ") + typeName(d.source_type) + (d.flags & NIB_HESSIAN_MASK ? " mask" : "") +
         dimsName(d.tokens, d.cols, d.source_stride, c.n) + dataName(c);
}

uint64_t sourceStride(const Desc& d) { return d.source_stride != 0 ? d.source_stride : d.cols; }

bool counts(const uint32_t* mask, uint64_t token) {
  return mask == nullptr || (mask[token / 32] >> token % 32 & 1u) != 0;
}

// Tokens that do not count are NaN. The result holds an earlier sum.
void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_OUTPUT) {
    const NibMemoryPart& result = memory.part[NIB_PART_RESULT];
    fillPart(range, result, makeNumbers(Recipe::kUniform, NIB_TYPE_F32, result.size_bytes, c.seed + 1));
  }
  if (role != NIB_ROLE_INPUT) return;
  const NibMemoryPart& source = memory.part[NIB_PART_SOURCE];
  fillPart(range, source, makeNumbers(c.recipe, d.source_type, source.size_bytes, c.seed));
  const NibMemoryPart& mask = memory.part[NIB_PART_MASK];
  if (mask.size_bytes == 0) return;
  const Words bits = makeBits(mask.size_bytes, c.seed + 2);
  fillPart(range, mask, bits);
  uint8_t* data = reinterpret_cast<uint8_t*>(range.data()) + source.offset_bytes;
  const uint32_t nan = d.source_type == NIB_TYPE_F32 ? 0x7fc00000u : d.source_type == NIB_TYPE_F16 ? 0x7e00u : 0x7fc0u;
  const uint64_t bytes = d.source_type == NIB_TYPE_F32 ? 4 : 2;
  for (uint64_t token = 0; token < d.tokens; ++token) {
    if (counts(bits.data(), token)) continue;
    for (uint64_t col = 0; col < d.cols; ++col) {
      std::memcpy(data + (token * sourceStride(d) + col) * bytes, &nan, size_t(bytes));
    }
  }
}

Lines lines(const Desc& d, const NibMemory&, NibRole, NibPart part) {
  if (part == NIB_PART_SOURCE) return linesOfDense(d.source_type, sourceStride(d));
  if (part == NIB_PART_RESULT) return linesOfDense(NIB_TYPE_F32, d.cols);
  return {};
}

// --------------------------------------------------------------------------------------------- bound
struct Judge {
  const Desc& d;
  const Judged& judged;
  FarthestSoFar farthest{1e30};
  std::vector<double> x = {};  // the tokens that count

  const uint32_t* part(const uint32_t* range, NibPart which) const {
    return range + judged.memory.part[which].offset_bytes / 4;
  }
  void load() {
    const uint32_t* input = judged.before[NIB_ROLE_INPUT];
    const uint32_t* mask = d.flags & NIB_HESSIAN_MASK ? part(input, NIB_PART_MASK) : nullptr;
    for (uint64_t token = 0; token < judged.n; ++token) {
      if (!counts(mask, token)) continue;
      for (uint64_t col = 0; col < d.cols; ++col) {
        x.push_back(elementOf(part(input, NIB_PART_SOURCE), d.source_type, token * sourceStride(d) + col));
      }
    }
  }

  void row(uint64_t row) {
    std::vector<double> sums(size_t(row) + 1), magnitudes(size_t(row) + 1);
    for (size_t token = 0; token < x.size(); token += d.cols) {
      const double left = x[token + size_t(row)];
      for (size_t col = 0; col <= row; ++col) {
        sums[col] += left * x[token + col];
        magnitudes[col] += std::abs(left * x[token + col]);
      }
    }
    const uint32_t* before = part(judged.before[NIB_ROLE_OUTPUT], NIB_PART_RESULT);
    const uint32_t* after = part(judged.output, NIB_PART_RESULT);
    for (uint64_t col = 0; col <= row; ++col) {
      const uint64_t at = row * d.cols + col;
      const double h = elementOf(before, NIB_TYPE_F32, at);
      farthest.add(at, elementOf(after, NIB_TYPE_F32, at), h + sums[size_t(col)],
                   (judged.n + 8.0) * 0x1p-23 * (std::abs(h) + magnitudes[size_t(col)]) + (judged.n + 1.0) * 0x1p-126);
    }
    if (judged.n == 0) return;
    const uint64_t at = judged.memory.part[NIB_PART_DIAGONAL].offset_bytes / 4 + row;
    farthest.add(at, elementOf(judged.output, NIB_TYPE_F32, at), elementOf(after, NIB_TYPE_F32, row * d.cols + row),
                 0x1p-149);
  }

  // Elements above the diagonal stay as they were, and without tokens the diagonal's copy does.
  void untouched() {
    const uint32_t* before = judged.before[NIB_ROLE_OUTPUT];
    const auto same = [&](uint64_t at) {
      if (before[at] != judged.output[at]) farthest.add(at, HUGE_VAL, elementOf(before, NIB_TYPE_F32, at), 1);
    };
    const uint64_t words = judged.memory.range[NIB_ROLE_OUTPUT].size_bytes / 4, all = uint64_t(d.cols) * d.cols;
    const uint64_t diagonal = judged.memory.part[NIB_PART_DIAGONAL].offset_bytes / 4;
    for (uint64_t row = 0; row < d.cols; ++row) {
      for (uint64_t col = row + 1; col < d.cols; ++col) same(row * d.cols + col);
    }
    for (uint64_t at = all; at < (judged.n == 0 ? words : diagonal); ++at) same(at);
  }
};

Farthest farthest(const Desc& d, const Judged& judged) {
  Judge judge{d, judged};
  judge.load();
  const double products = double(judge.x.size()) * d.cols / 2;
  const uint64_t step = 1 + uint64_t(products / double(std::max<uint64_t>(judged.most_products, 1)));
  for (uint64_t row = 0; row < d.cols; row += step) judge.row(row);
  if (step > 1) judge.row(d.cols - 1);
  judge.untouched();
  return judge.farthest.result();
}

// --------------------------------------------------------------------------------------------- other sizes
Case plain(uint32_t tokens, uint32_t cols, uint32_t type) {
  return hessian(tokens, cols, type, type == NIB_TYPE_F32 ? 0u : uint32_t(NIB_HESSIAN_MASK), Recipe::kUniform,
                 700 + cols);
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails: list.push_back(plain(67, 451, NIB_TYPE_F32)); break;
    case Large::kSlices: list.push_back(plain(300, 515, NIB_TYPE_F32)); break;
    case Large::kWindows:
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(9, 6200, NIB_TYPE_F16));  // a result of 147 MiB
      break;
    case Large::kNarrowWindows:
      // A result of several windows, tokens of several, and both.
      list.push_back(plain(20, 703, NIB_TYPE_F32));
      list.push_back(plain(1200, 130, NIB_TYPE_F32));
      list.push_back(plain(700, 321, NIB_TYPE_BF16));
      break;
    case Large::kPlans:
      for (const uint32_t cols : {896u, 4096u, 11008u, 14336u, 18944u, 1023u}) {
        for (const uint32_t tokens : {1u, 512u, 2048u}) list.push_back(plain(tokens, cols, (cols + tokens) % 3));
      }
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t type = 0; type < 3; ++type) {
    for (const uint32_t flags : {0u, uint32_t(NIB_HESSIAN_MASK)}) {
      list.push_back({std::string("hessian ") + typeName(type) + (flags != 0 ? " mask" : ""),
                      hessian(77, 290, type, flags, Recipe::kNormal, 1)});
    }
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick || request.given) return;
  for (const NibType type : {NIB_TYPE_F32, NIB_TYPE_F16}) {
    rows.add(kQuickDense, request.shape, hessian(256, 4096, type, 0, Recipe::kNormal, 0), 256);
  }
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = names.source = typeName(d.source_type);
  names.granularity = granularityName(NIB_GRANULARITY_TENSOR);
  names.m = d.cols;
  names.n = d.tokens;
  names.k = d.cols;
}

double multiplyAdds(const Desc& d, uint32_t tokens) { return double(tokens) * d.cols * (d.cols + 1.0) / 2; }

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_HESSIAN,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return uint64_t(d.flags | d.source_type << 1); },
    .fill = fill,
    .lines = lines,
    .bounded = [](const Case&, const Desc&) { return true; },
    .farthest = farthest,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench, .multiplyAdds = multiplyAdds},
};

}  // namespace

NIB_DEFINE_CASES(hessian, NibHessianDesc, kCases)

}  // namespace nib::selftest
