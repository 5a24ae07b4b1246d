// Cases of gptq: every stage, every way of sharing scales within rows, scales found and given, columns in their own and
// in any order, blocks of every kind, whole and in part. Runs begin at column 0; tests/gpu/gptq_test.cpp runs matrices.
#include "numerics/gptq.h"

#include <nibble/formats.h>

#include <numeric>

#include "formats/geometry.h"
#include "plan/op.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibGptqDesc;

constexpr Shape kShapes[] = {{33, 130}, {64, 256}, {1, 1}, {37, 1}, {1, 5}, {5, 1000}, {130, 20}, {70, 515}, {17, 336}};
constexpr const char* kStages[] = {"load", "columns", "store"};
constexpr uint64_t kNoRows = uint64_t(1) << 50;  // bits of a part that is one row

bool has(const Desc& d, uint32_t flag) { return (d.flags & flag) != 0; }

Case gptq(uint32_t stage, uint32_t rows, uint32_t cols, const NibWeights& weights, uint32_t flags, Recipe recipe,
          uint64_t seed) {
  Case c;
  c.recipe = recipe;
  c.seed = seed;
  Desc& d = c.describe<Desc>(NIB_OP_GPTQ);
  d.stage = stage;
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.weights = weights;
  return c;
}

// Sets n to the whole of a run, or to a part of it.
void setRun(Case& c, bool part) {
  const uint32_t most = findOp(NIB_OP_GPTQ)->runRows(c.desc()).max;
  c.n = part ? (most + 1) / 2 : most;
}

uint32_t groupSize(const NibWeights& w) {
  if (w.granularity != NIB_GRANULARITY_GROUP || w.group_size == UINT32_MAX) return 0;
  return w.group_size != 0 ? w.group_size : nibFormatById(w.format)->default_group_size;
}

// A block other than the usual one.
uint32_t blockOf(uint32_t group, uint32_t variant) {
  if (group == 0) return variant == 0 ? 8 : variant == 1 ? 40 : 64;
  if (group > 128) return group / (variant == 0 ? 2 : 4) % 8 == 0 ? group / (variant == 0 ? 2 : 4) : group / 2;
  return variant == 0 ? group : variant == 1 ? 8 : group / 2;
}

uint32_t flagsOf(const Counter& counter, const NibWeights& w, uint32_t cols) {
  uint32_t flags = 0;
  if (counter.i % 5 == 1) flags |= NIB_GPTQ_GIVEN_SCALES;
  if (counter.i % 6 == 4 && flags == 0) flags |= NIB_GPTQ_PARITY;
  if (counter.i % 9 == 2) flags |= NIB_GPTQ_DEAD;
  if (counter.i % 4 < 2) {
    const bool neighbours = groupSize(w) != 0 && groupSize(w) < cols && (flags & NIB_GPTQ_GIVEN_SCALES) == 0;
    flags |= NIB_GPTQ_ORDER;
    if (neighbours || counter.i % 3 == 0) flags |= NIB_GPTQ_KEEP_ORDER;
  }
  return flags;
}

void listMeasures(Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (const Shape& shape : kShapes) {
    for (const uint32_t stage : {NIB_GPTQ_LOAD, NIB_GPTQ_COLUMNS}) {
      for (const uint32_t flags : {0u, uint32_t(NIB_GPTQ_ORDER), uint32_t(NIB_GPTQ_ORDER | NIB_GPTQ_DEAD)}) {
        ++counter.i;
        if (extent == Extent::kQuick && counter.pick(3) != 0) continue;
        Case c = gptq(stage, shape.rows, shape.cols, {}, flags | NIB_GPTQ_MEASURE, counter.recipe(), counter.i);
        Desc& d = c.as<Desc>();
        d.source_type = counter.pick(3);
        if (counter.i % 5 == 3) d.source_stride = shape.cols + 1 + counter.pick(5);
        if (counter.i % 2 == 0) d.block = blockOf(0, counter.pick(3));
        setRun(c, counter.i % 4 == 2);
        list.push_back(c);
      }
    }
  }
}

// Every stage once, with columns of several groups in any order: short lists of the other cases may lack them.
void listStages(const NibFormatInfo& info, std::vector<Case>& list) {
  constexpr uint32_t kRows = 17, kCols = 600;
  const std::pair<NibGptqStage, int> stages[] = {{NIB_GPTQ_LOAD, NIB_GPTQ_ORDER | NIB_GPTQ_KEEP_ORDER | NIB_GPTQ_DEAD},
                                                 {NIB_GPTQ_COLUMNS, NIB_GPTQ_ORDER | NIB_GPTQ_GIVEN_SCALES},
                                                 {NIB_GPTQ_STORE, 0},
                                                 {NIB_GPTQ_STORE, NIB_GPTQ_ORDER | NIB_GPTQ_GIVEN_SCALES}};
  for (const Sharing& sharing : kSharings) {
    const bool groups = sharing.granularity == NIB_GRANULARITY_GROUP && (sharing.flags & NIB_WEIGHTS_FLAT) == 0;
    if (!groups || !canHave(info, sharing, 0)) continue;
    const NibWeights weights = weightsLike(info, sharing, 0, 1);
    if (groupSize(weights) == 0 || groupSize(weights) > kCols / 2) continue;
    for (const auto& [stage, flags] : stages) {
      Case c = gptq(stage, kRows, kCols, weights, uint32_t(flags), Recipe::kNormal, 1);
      setRun(c, false);
      list.push_back(c);
    }
    return;
  }
}

void list(const NibFormatInfo* format, Extent extent, std::vector<Case>& list) {
  if (format == nullptr) return listMeasures(extent, list);
  const NibFormatInfo& info = *format;
  if (info.flags & NIB_FORMAT_OWN_SCALES) return;
  std::vector<uint32_t> modes = scaleModes(info);
  std::erase_if(modes, [](uint32_t mode) { return (mode & NIB_WEIGHTS_FOUR_BITS) != 0; });
  Counter counter;
  for (const Sharing& sharing : kSharings) {
    const bool own_rows =
        (sharing.granularity == NIB_GRANULARITY_ROW || sharing.granularity == NIB_GRANULARITY_GROUP) &&
        (sharing.flags & NIB_WEIGHTS_FLAT) == 0;
    for (const Shape& shape : kShapes) {
      ++counter.i;
      if (!own_rows || !canHave(info, sharing, 0)) continue;
      if (extent == Extent::kQuick && !hasOneGroupSize(info) && counter.pick(5) != 0) continue;
      const uint32_t mode = modes[counter.pick(uint32_t(modes.size()))];
      NibWeights weights = weightsLike(info, sharing, mode, counter.i / 2);
      if (counter.i % 10 == 7) weights.flags |= NIB_WEIGHTS_ALIGNED;
      const uint32_t stage = counter.i % 8 == 3   ? uint32_t(NIB_GPTQ_LOAD)
                             : counter.i % 8 == 6 ? uint32_t(NIB_GPTQ_STORE)
                                                  : uint32_t(NIB_GPTQ_COLUMNS);
      Case c = gptq(stage, shape.rows, shape.cols, weights, flagsOf(counter, weights, shape.cols), counter.recipe(),
                    counter.i);
      Desc& d = c.as<Desc>();
      d.source_type = uint32_t(counter.i / 3 % 3);
      if (counter.i % 7 == 3) d.source_stride = shape.cols + 1 + counter.pick(5);
      if (counter.i % 3 == 1) d.block = blockOf(groupSize(weights), counter.pick(3));
      setRun(c, counter.i % 6 == 2);
      list.push_back(c);
    }
  }
  listStages(info, list);
}

std::string name(const Case& c, const Desc& d) {
  std::string text = std::string(" ") + (d.stage < std::size(kStages) ? kStages[d.stage] : "?");
  if (d.stage == NIB_GPTQ_LOAD) text += std::string(" ") + typeName(d.source_type);
  text += has(d, NIB_GPTQ_MEASURE) ? " measure" : " " + weightsName(d.weights);
  if (d.weights.flags & NIB_WEIGHTS_ALIGNED) text += " aligned";
  if (has(d, NIB_GPTQ_GIVEN_SCALES)) text += " given";
  if (has(d, NIB_GPTQ_KEEP_ORDER)) text += " keep";
  if (has(d, NIB_GPTQ_ORDER)) text += " order";
  if (has(d, NIB_GPTQ_DEAD)) text += " dead";
  if (has(d, NIB_GPTQ_PARITY)) text += " parity";
  if (d.block != 0) text += " block " + std::to_string(d.block);
  return text + dimsName(d.rows, d.cols, d.source_stride, c.n) + dataName(c);
}

// ---------------------------------------------------------------------------------------------------- data
// An upper factor: the identity, one of ordinary numbers, or one of any numbers. Below the diagonal are any numbers.
Words makeFactor(uint32_t cols, uint64_t seed) {
  Random random(seed * 31 + 11);
  const uint64_t kind = seed % 4;
  Words words(size_t(uint64_t(cols) * cols));
  for (uint32_t i = 0; i < cols; ++i) {
    for (uint32_t j = 0; j < cols; ++j) {
      const uint32_t bits = random.bits();
      uint32_t& to = words[size_t(uint64_t(i) * cols + j)];
      if (i > j || (kind == 2 && bits % 16 != 0)) {
        to = bits;
      } else if (i == j) {
        to = kind == 0 ? 0x3f800000u : 0x3f000000u + (bits & 0x00ffffffu);  // 1/2 .. 2
      } else {
        to = kind == 0 ? 0u : (bits & 0x80000000u) | (0x3c800000u + (bits & 0x00ffffffu));  // 2^-6 .. 2^-4
      }
    }
  }
  return words;
}

Words makeOrder(uint32_t cols, uint64_t seed) {
  Random random(seed ^ 0x0bde);
  Words order(cols);
  std::iota(order.begin(), order.end(), 0u);
  for (uint32_t i = cols; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

Words makeDiagonal(uint32_t cols, uint64_t seed) {
  Random random(seed ^ 0xd1a6);
  Words words(cols);
  for (uint32_t& word : words) {
    const uint32_t kind = random.below(6);
    word = kind == 0 ? 0u : kind == 1 ? 0x80000000u : kind == 2 ? random.bits() & 0x007fffffu : 0x3f800000u;
  }
  return words;
}

void fillOutput(const Case& c, const Desc& d, const NibMemory& memory, Words& range) {
  const NibMemoryPart& result = memory.part[NIB_PART_RESULT];
  if (d.stage == NIB_GPTQ_LOAD) return;
  Words words =
      makeNumbers(d.stage == NIB_GPTQ_STORE ? Recipe::kBits : c.recipe, NIB_TYPE_F32, result.size_bytes, c.seed + 5);
  if (d.stage == NIB_GPTQ_COLUMNS) {
    for (uint32_t& word : words) word = gptq::isBeyond(word) ? 0u : gptq::weightBits(word);
  }
  fillPart(range, result, words);
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_OUTPUT) fillOutput(c, d, memory, range);
  if (role == NIB_ROLE_WEIGHTS && has(d, NIB_GPTQ_GIVEN_SCALES))
    fillParameters(range, memory, d.weights.scale_type, c.seed);
  if (role != NIB_ROLE_INPUT) return;
  const NibMemoryPart& source = memory.part[NIB_PART_SOURCE];
  if (d.stage == NIB_GPTQ_LOAD)
    fillPart(range, source, makeNumbers(c.recipe, d.source_type, source.size_bytes, c.seed));
  if (d.stage == NIB_GPTQ_COLUMNS) fillPart(range, memory.part[NIB_PART_FACTOR], makeFactor(d.cols, c.seed));
  if (has(d, NIB_GPTQ_ORDER)) fillPart(range, memory.part[NIB_PART_ORDER], makeOrder(d.cols, c.seed));
  if (has(d, NIB_GPTQ_DEAD)) fillPart(range, memory.part[NIB_PART_DIAGONAL], makeDiagonal(d.cols, c.seed));
}

Lines lines(const Desc& d, const NibMemory& memory, NibRole role, NibPart part) {
  if (role == NIB_ROLE_WEIGHTS) return linesOfWeights(d.weights, d.rows, memory, part);
  switch (part) {
    case NIB_PART_SOURCE: return linesOfDense(d.source_type, d.source_stride != 0 ? d.source_stride : d.cols);
    case NIB_PART_ORDER:
    case NIB_PART_DIAGONAL: return {kNoRows, 32};
    case NIB_PART_LOSS: return {32, 32};
    default: return linesOfDense(NIB_TYPE_F32, d.cols);
  }
}

// --------------------------------------------------------------------------------------------- other sizes
Case plain(uint32_t stage, uint32_t rows, uint32_t cols, const NibWeights& weights, uint32_t flags = 0,
           uint32_t block = 0) {
  Case c = gptq(stage, rows, cols, weights, flags, Recipe::kNormal, 701 + rows);
  c.as<Desc>().block = block;
  setRun(c, false);
  return c;
}

void addPlans(const NibFormatInfo& info, std::vector<Case>& list) {
  forEachPlan(info.format, [&](const PlanShape& shape) {
    if (!hasOwnRows(shape.weights)) return;
    const uint32_t variant = shape.variant, stage = variant % 5 < 2 ? variant % 5 * 2 : uint32_t(NIB_GPTQ_COLUMNS);
    Case c =
        plain(stage, shape.rows, shape.cols, shape.weights, variant % 3 == 0 ? uint32_t(NIB_GPTQ_GIVEN_SCALES) : 0u);
    Desc& d = c.as<Desc>();
    d.source_type = variant / 2 % 3;
    d.source_stride = shape.stride;
    if (variant % 4 == 1) d.flags |= NIB_GPTQ_ORDER | (variant % 3 == 0 ? 0u : uint32_t(NIB_GPTQ_KEEP_ORDER));
    list.push_back(c);
  });
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format == nullptr || (format->flags & NIB_FORMAT_OWN_SCALES) != 0) return;
  if (purpose == Large::kPlans) return addPlans(*format, list);
  if (format->format != NIB_FORMAT_INT4) return;  // stages differ little between formats
  const auto weights = [&](uint32_t group, uint32_t flags = 0) {
    return weightsOf(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, group, flags, NIB_TYPE_F16);
  };
  constexpr uint32_t kKept = NIB_GPTQ_ORDER | NIB_GPTQ_KEEP_ORDER;
  switch (purpose) {
    case Large::kTails:
      list.push_back(plain(NIB_GPTQ_LOAD, 131, 1041, weights(128), kKept | NIB_GPTQ_DEAD));
      list.push_back(plain(NIB_GPTQ_COLUMNS, 1100, 1041, weights(32, NIB_WEIGHTS_ASYMMETRIC)));
      list.push_back(plain(NIB_GPTQ_COLUMNS, 131, 1041, weights(256)));
      list.push_back(plain(NIB_GPTQ_STORE, 131, 1041, weights(128), NIB_GPTQ_GIVEN_SCALES | NIB_GPTQ_ORDER));
      break;
    case Large::kSlices:
      list.push_back(plain(NIB_GPTQ_LOAD, 1031, 1556, weights(128)));
      list.push_back(plain(NIB_GPTQ_COLUMNS, 1031, 1556, weights(128)));
      list.push_back(plain(NIB_GPTQ_STORE, 1031, 1556, weights(128)));
      break;
    case Large::kWindows:
      list.push_back(plain(NIB_GPTQ_LOAD, kWindowShape.rows, 1024, weights(128)));
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(NIB_GPTQ_COLUMNS, kWindowShape.rows, 1024, weights(32), 0, 32));
      list.push_back(plain(NIB_GPTQ_STORE, kWindowShape.rows, 1024, weights(128)));
      break;
    case Large::kNarrowWindows:
      list.push_back(plain(NIB_GPTQ_COLUMNS, 300, 704, weights(64, NIB_WEIGHTS_ASYMMETRIC), 0, 64));
      list.push_back(plain(NIB_GPTQ_COLUMNS, 300, 1001, weights(256), NIB_GPTQ_GIVEN_SCALES | NIB_GPTQ_ORDER, 16));
      list.push_back(plain(NIB_GPTQ_LOAD, 300, 704, weights(64), kKept | NIB_GPTQ_DEAD));
      list.push_back(plain(NIB_GPTQ_STORE, 300, 704, weights(64), NIB_GPTQ_GIVEN_SCALES | NIB_GPTQ_ORDER));
      break;
    case Large::kPlans: break;
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format == nullptr) {
    list.push_back(
        {"gptq measure", plain(NIB_GPTQ_COLUMNS, kVerifiedShape.rows, kVerifiedShape.cols, {}, NIB_GPTQ_MEASURE)});
    return;
  }
  if (format->flags & NIB_FORMAT_OWN_SCALES) return;
  forEachVerified(*format, [&](const NibWeights& weights, uint32_t type, const std::string& text) {
    if (!hasOwnRows(weights)) return;
    for (const uint32_t stage : {NIB_GPTQ_LOAD, NIB_GPTQ_COLUMNS, NIB_GPTQ_STORE}) {
      if (stage != NIB_GPTQ_COLUMNS && format->format != NIB_FORMAT_INT4) continue;
      Case c = plain(stage, kVerifiedShape.rows, kVerifiedShape.cols, weights);
      c.as<Desc>().source_type = type;
      list.push_back({std::string("gptq ") + kStages[stage] + " " + text, c});
    }
  });
}

// --------------------------------------------------------------------------------------------------- bench
void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick) return;
  const auto add = [&](uint32_t stage, const NibWeights& weights, uint32_t flags) {
    const Case c = plain(stage, request.shape.m, request.shape.k, weights, flags);
    rows.add(kQuickDense, request.shape, c, c.n);
  };
  if (const NibFormatInfo* info = nibFormatById(NIB_FORMAT_INT4)) {
    for (const uint32_t stage : {NIB_GPTQ_LOAD, NIB_GPTQ_COLUMNS, NIB_GPTQ_STORE})
      add(stage, benchWeights(*info, kPerGroup128), 0);
  }
  if (const NibFormatInfo* info = nibFormatById(NIB_FORMAT_NF4))
    add(NIB_GPTQ_COLUMNS, benchWeights(*info, kPerGroup64), 0);
  add(NIB_GPTQ_COLUMNS, {}, NIB_GPTQ_MEASURE);
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.describe(d.weights);
  if (d.stage == NIB_GPTQ_LOAD) names.source = typeName(d.source_type);
  names.modes.emplace_back(has(d, NIB_GPTQ_MEASURE) ? "measure" : kStages[d.stage]);
  names.m = d.rows;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_GPTQ,
    .list = list,
    .name = name,
    .kind =
        [](const Desc& d) {
          const uint32_t group = groupSize(d.weights);
          const uint32_t how = (group == 0 ? 0u : group > 128 ? 1u : 2u) | (d.cols > 128 ? 4u : 0u);
          return uint64_t(d.stage) | uint64_t(d.flags) << 2 | uint64_t(how) << 8;
        },
    .fill = fill,
    .weights = [](Desc& d) { return &d.weights; },
    .lines = lines,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench},
};

}  // namespace

NIB_DEFINE_CASES(gptq, NibGptqDesc, kCases)

}  // namespace nib::selftest
