// Cases of gather: every way of sharing scales over every shape; rows that are asked for twice, and that are not there.
#include <nibble/formats.h>

#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibGatherDesc;

bool isDense(const Desc& d) { return d.weights.format == NIB_FORMAT_DENSE; }

void list(const NibFormatInfo* format, Extent extent, std::vector<Case>& list) {
  if (format == nullptr) return;
  const NibFormatInfo& info = *format;
  Counter counter;
  for (const Sharing& sharing : kSharings) {
    const bool flat = (sharing.flags & NIB_WEIGHTS_FLAT) != 0;
    for (const Shape& shape : kShapes) {
      ++counter.i;
      if (!canHave(info, sharing, 0)) continue;
      if (extent == Extent::kQuick && !hasOneGroupSize(info) && counter.turn(4) != 0) continue;
      Case c;
      c.seed = counter.i;
      Desc& d = c.describe<Desc>(NIB_OP_GATHER);
      d.rows = shape.rows;
      d.cols = flat ? flatCols(shape.cols) : shape.cols;
      // Fewer indices than rows, and more.
      d.count = counter.i % 3 == 0 ? shape.rows / 2 + 1 : shape.rows + counter.turn(9);
      d.result_type = uint32_t(counter.i % 3);
      const uint32_t mode = counter.i % 2 == 0 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) & info.weights_flags : 0u;
      d.weights = weightsLike(info, sharing, mode, counter.i / 5);
      if (counter.i % 7 == 3) d.result_stride = (d.cols + 3) / 2 * 2 + 2 * counter.turn(3);
      c.n = rowsOfRun(counter, d.count);
      list.push_back(c);
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  return " " + weightsName(d.weights) + " -> " + typeName(d.result_type) + ", " + std::to_string(d.count) + " of" +
         sidesName(d.rows, d.cols, d.result_stride, c.n) + dataName(c);
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

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (purpose != Large::kSlices || format == nullptr || format->format != NIB_FORMAT_INT4 || options.slow) return;
  Case c;
  c.seed = 300;
  Desc& d = c.describe<Desc>(NIB_OP_GATHER);
  d.rows = 67;
  d.cols = kSliceShape.cols;
  d.count = c.n = kSliceShape.rows;
  d.weights = weightsOf(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32);
  list.push_back(c);
}

void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick) return;
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo& info = *nibFormatAt(i);
    Case c;
    Desc& d = c.describe<Desc>(NIB_OP_GATHER);
    d.rows = d.count = request.shape.m;
    d.cols = request.shape.k;
    d.result_type = NIB_TYPE_F32;
    d.weights = benchWeights(info, usualSharing(info));
    rows.add(kReadsBlobs + i, request.shape, c);
  }
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.describe(d.weights);
  names.result = typeName(d.result_type);
  names.m = d.count;
  names.k = d.cols;
}

RowData benchData(const Case&, const Desc& d, NibRole role) {
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
    .kind = [](const Desc& d) { return sharingKind(d.weights); },
    .fill = fill,
    .weights = [](Desc& d) { return &d.weights; },
    .lines = lines,
    .large = addLarge,
    .bench = {.list = listBench, .names = nameBench, .data = benchData, .peer = "get_rows"},
};

}  // namespace

NIB_DEFINE_CASES(gather, NibGatherDesc, kCases)

}  // namespace nib::selftest
