// Cases of rope: both layouts, whole and partial rotation, heads of every size, positions beyond the table, queries
// within wider rows.
#include <cmath>

#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibRopeDesc;

struct Heads {
  uint32_t tokens, heads, head_size, rotary_size, positions;
};

// Loads of four elements and single ones, one pair, one token, items that are not whole workgroups; a table of many
// rows, and of one.
constexpr Heads kHeads[] = {{17, 4, 64, 64, 50},  {33, 3, 128, 32, 200}, {1, 1, 4, 4, 1},       {5, 9, 6, 4, 33},
                            {40, 2, 80, 20, 64},  {7, 1, 256, 0, 4099},  {130, 2, 16, 8, 7},    {3, 33, 10, 4, 5},
                            {64, 1, 32, 24, 100}, {2, 12, 96, 0, 1000},  {29, 5, 12, 12, 2000}, {260, 1, 8, 0, 300}};
// Interleaved pairs alone may end at any even element.
constexpr Heads kOddHeads[] = {{19, 3, 6, 6, 50}, {4, 7, 10, 2, 9}, {31, 1, 14, 10, 40}};

Case rope(const Heads& heads, uint32_t flags, uint32_t source, uint32_t result, Recipe recipe, uint64_t seed) {
  Case c;
  c.recipe = recipe;
  c.seed = seed;
  c.n = heads.tokens;
  Desc& d = c.describe<Desc>(NIB_OP_ROPE);
  d.flags = flags;
  d.tokens = heads.tokens;
  d.heads = heads.heads;
  d.head_size = heads.head_size;
  d.rotary_size = heads.rotary_size;
  d.positions = heads.positions;
  d.source_type = source;
  d.result_type = result;
  return c;
}

uint32_t cols(const Desc& d) { return d.heads * d.head_size; }
uint32_t rotarySize(const Desc& d) { return d.rotary_size != 0 ? d.rotary_size : d.head_size; }

void addCases(const Heads& heads, uint32_t flags, Extent extent, Counter& counter, std::vector<Case>& list) {
  for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
    ++counter.i;
    if (extent == Extent::kQuick && !quickPair(counter.i / kTypePairs, pair)) continue;
    const Recipe recipe = counter.i % 3 == 0 ? Recipe::kBits : counter.i % 3 == 1 ? Recipe::kNormal : counter.recipe();
    Case c = rope(heads, flags, pair / 3, pair % 3, recipe, counter.i);
    Desc& d = c.as<Desc>();
    // Beside the queries lie keys and values; rows of any length.
    if (counter.i % 4 == 1) d.source_stride = cols(d) * 3;
    if (counter.i % 5 == 3) d.source_stride = cols(d) + 1 + counter.pick(9);
    if (counter.i % 7 == 2) d.result_stride = cols(d) + 2 * counter.pick(5);
    c.n = rowsOfRun(counter, heads.tokens);
    list.push_back(c);
  }
}

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (const Heads& heads : kHeads) {
    addCases(heads, 0, extent, counter, list);
    addCases(heads, NIB_ROPE_INTERLEAVED, extent, counter, list);
  }
  for (const Heads& heads : kOddHeads) addCases(heads, NIB_ROPE_INTERLEAVED, extent, counter, list);
}

const char* layoutName(const Desc& d) { return d.flags & NIB_ROPE_INTERLEAVED ? "interleaved" : "halves"; }

std::string name(const Case& c, const Desc& d) {
  std::string text = std::string(" ") + layoutName(d) + " " + typeName(d.source_type) + " -> " +
                     typeName(d.result_type) + " heads of " + std::to_string(d.head_size);
  if (rotarySize(d) != d.head_size) text += " rotary " + std::to_string(d.rotary_size);
  text += " positions " + std::to_string(d.positions);
  if (d.result_stride != 0) text += " result stride " + std::to_string(d.result_stride);
  return text + dimsName(d.tokens, cols(d), d.source_stride, c.n) + dataName(c);
}

// Cosines and sines of the original frequencies, or arbitrary numbers if the case's data are arbitrary.
Words makeTable(const Case& c, const Desc& d, uint64_t size_bytes) {
  if (c.recipe != Recipe::kNormal) return makeNumbers(c.recipe, NIB_TYPE_F32, size_bytes, c.seed * 2 + 1);
  const uint32_t rotary = rotarySize(d);
  std::vector<double> frequencies(rotary / 2);
  for (size_t i = 0; i < frequencies.size(); ++i) frequencies[i] = std::pow(1e4, -2.0 * double(i) / rotary);
  Words words(wordsOf(size_bytes));
  nibFillRopeTable(frequencies.data(), rotary, c.seed % 2 != 0 ? 1 : 1.1386, 0, d.positions,
                   reinterpret_cast<float*>(words.data()), nullptr);
  return words;
}

// Positions of all kinds, among them the last of the table and the first beyond it.
Words makePositions(uint32_t positions, uint64_t size_bytes, uint64_t seed) {
  Random random(seed ^ 0x905e);
  Words words(wordsOf(size_bytes));
  for (uint32_t& position : words) {
    const uint32_t kind = random.below(16);
    position = kind == 0   ? positions
               : kind == 1 ? random.bits() | 0x80000000u
               : kind == 2 ? positions - 1
                           : random.below(positions);
  }
  return words;
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_WEIGHTS) range = makeTable(c, d, memory.range[role].size_bytes);
  if (role != NIB_ROLE_INPUT) return;
  const NibMemoryPart &source = memory.part[NIB_PART_SOURCE], &indices = memory.part[NIB_PART_INDICES];
  fillPart(range, source, makeNumbers(c.recipe, d.source_type, source.size_bytes, c.seed * 2));
  fillPart(range, indices, makePositions(d.positions, indices.size_bytes, c.seed));
}

Lines lines(const Desc& d, const NibMemory&, NibRole role, NibPart part) {
  if (role == NIB_ROLE_WEIGHTS) return linesOfDense(NIB_TYPE_F32, rotarySize(d));
  if (role == NIB_ROLE_OUTPUT) return linesOfResult(d.result_type, d.result_stride, cols(d));
  if (part == NIB_PART_INDICES) return {};
  return linesOfDense(d.source_type, d.source_stride != 0 ? d.source_stride : cols(d));
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  const auto add = [&](const Heads& heads, uint32_t flags, uint32_t source, uint32_t result, Recipe recipe) {
    list.push_back(rope(heads, flags, source, result, recipe, 900 + heads.tokens));
  };
  switch (purpose) {
    case Large::kTails:
      add({131, 65, 126, 120, 40}, NIB_ROPE_INTERLEAVED, NIB_TYPE_F16, NIB_TYPE_F32, Recipe::kMixed);
      add({1100, 8, 128, 64, 500}, 0, NIB_TYPE_F32, NIB_TYPE_BF16, Recipe::kMixed);
      break;
    case Large::kSlices:
      add({1031, 24, 128, 0, 1000}, 0, NIB_TYPE_F32, NIB_TYPE_F32, Recipe::kNonFinite);
      add({1031, 41, 76, 20, 1000}, 0, NIB_TYPE_F32, NIB_TYPE_F16, Recipe::kMixed);
      break;
    case Large::kWindows:
      // A table of 134 MiB, and one token beyond its end.
      add({300, 2, 128, 0, 275000}, 0, NIB_TYPE_F16, NIB_TYPE_F16, Recipe::kBits);
      if (options.extent == Extent::kQuick) break;
      add({9000, 32, 128, 0, 300}, NIB_ROPE_INTERLEAVED, NIB_TYPE_F32, NIB_TYPE_F16, Recipe::kBits);
      break;
    case Large::kNarrowWindows:
      for (const uint32_t flags : {0u, uint32_t(NIB_ROPE_INTERLEAVED)}) {
        add({70, 2, 64, 48, 3001}, flags, NIB_TYPE_F16, NIB_TYPE_F32, Recipe::kMixed);
        add({70, 2, 20, 12, 3001}, flags, NIB_TYPE_F32, NIB_TYPE_BF16, Recipe::kMixed);
      }
      break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        if (shape.weights.granularity != NIB_GRANULARITY_ROW || shape.cols % 8 != 0) return;
        const uint32_t variant = shape.variant, size = shape.cols % 128 == 0 ? 128 : 8;
        Case c = rope({shape.rows, shape.cols / size, size, variant % 2 != 0 ? size / 2 : 0, 8192},
                      variant / 2 % 2 * NIB_ROPE_INTERLEAVED, variant % 3, variant / 3 % 3, Recipe::kMixed, variant);
        c.as<Desc>().source_stride = shape.stride;
        list.push_back(c);
      });
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t type = 0; type < 3; ++type) {
    for (const uint32_t flags : {0u, uint32_t(NIB_ROPE_INTERLEAVED)}) {
      for (const uint32_t rotary : {64u, 20u}) {
        const Case c = rope({kVerifiedShape.rows, 9, 80, rotary, 50}, flags, type, type, Recipe::kMixed, 1);
        list.push_back({std::string("rope ") + layoutName(c.as<Desc>()) + " " + std::to_string(rotary) + " of 80 " +
                            typeName(type),
                        c});
      }
    }
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick || request.shape.k % 4 != 0) return;
  const uint32_t size = request.shape.k % 128 == 0 ? 128 : 4;
  const Heads heads{request.shape.m, request.shape.k / size, size, 0, 4096};
  const auto add = [&](uint32_t flags, NibType type) {
    rows.add(kQuickDense, request.shape, rope(heads, flags, type, type, Recipe::kNormal, 0));
  };
  add(0, NIB_TYPE_F32);
  add(0, NIB_TYPE_F16);
  add(NIB_ROPE_INTERLEAVED, NIB_TYPE_F16);
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = typeName(d.result_type);
  names.source = typeName(d.source_type);
  names.granularity = granularityName(NIB_GRANULARITY_ROW);
  names.modes.push_back(layoutName(d));
  names.m = d.tokens;
  names.k = cols(d);
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_ROPE,
    .list = list,
    .name = name,
    .kind =
        [](const Desc& d) {
          const bool quads = d.head_size % 8 == 0 && rotarySize(d) % 8 == 0;
          return uint64_t(d.flags | (quads ? 2u : 0u) | (rotarySize(d) == d.head_size ? 4u : 0u) | d.source_type << 3);
        },
    .fill = fill,
    .lines = lines,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench},
};

}  // namespace

NIB_DEFINE_CASES(rope, NibRopeDesc, kCases)

}  // namespace nib::selftest
