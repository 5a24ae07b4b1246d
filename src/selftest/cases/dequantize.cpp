// Cases of dequantize: every way of sharing scales over every shape.
#include <nibble/formats.h>

#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibDequantizeDesc;

void list(const NibFormatInfo* format, Extent extent, std::vector<Case>& list) {
  if (format == nullptr) return;
  const NibFormatInfo& info = *format;
  Counter counter;
  for (const Sharing& sharing : kSharings) {
    const bool flat = (sharing.flags & NIB_WEIGHTS_FLAT) != 0;
    for (const Shape& shape : kShapes) {
      ++counter.i;
      if (!canHave(info, sharing, 0)) continue;
      if (extent == Extent::kQuick && !hasOneGroupSize(info) && counter.pick(3) != 0) continue;
      Case c;
      c.seed = counter.i;
      Desc& d = c.describe<Desc>(NIB_OP_DEQUANTIZE);
      d.rows = shape.rows;
      d.cols = shape.cols;
      d.result_type = uint32_t(counter.i % 3);
      const uint32_t mode = counter.i % 2 == 0 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) & info.weights_flags : 0u;
      d.weights = weightsLike(info, sharing, mode, counter.i / 5);
      if (!flat && counter.i % 7 == 3) d.result_stride = (shape.cols + 3) / 2 * 2 + 2 * counter.pick(3);
      c.n = flat ? shape.rows : rowsOfRun(counter, shape.rows);
      list.push_back(c);
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  return " " + weightsName(d.weights) + " -> " + typeName(d.result_type) +
         dimsName(d.rows, d.cols, d.result_stride, c.n) + dataName(c);
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role != NIB_ROLE_WEIGHTS) return;
  const NibMemoryPart& codes = memory.part[NIB_PART_CODES];
  fillPart(range, codes, makeBits(codes.size_bytes, c.seed + 2));
  fillParameters(range, memory, d.weights.scale_type, c.seed);
}

Lines lines(const Desc& d, const NibMemory& memory, NibRole role, NibPart part) {
  if (role == NIB_ROLE_WEIGHTS) return linesOfWeights(d.weights, d.rows, memory, part);
  const bool flat = (d.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  return linesOfResult(d.result_type, flat ? d.cols : d.result_stride, d.cols);
}

Case large(const NibFormatInfo& info, uint32_t rows, uint32_t cols, uint32_t granularity, uint32_t group,
           NibType scale_type) {
  Case c;
  c.seed = 200 + rows;
  c.n = rows;
  Desc& d = c.describe<Desc>(NIB_OP_DEQUANTIZE);
  d.rows = rows;
  d.cols = cols;
  d.weights = weightsOf(info.format, granularity, group, 0, scale_type);
  return c;
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format == nullptr) return;
  const NibFormatInfo& info = *format;
  const bool int4 = info.format == NIB_FORMAT_INT4, int8 = info.format == NIB_FORMAT_INT8;
  switch (purpose) {
    case Large::kTails:
      forEachTail([&](const Shape& shape, uint32_t granularity) {
        list.push_back(large(info, shape.rows, shape.cols, granularity, 0, NIB_TYPE_F16));
      });
      break;
    case Large::kSlices:
      if (int4)
        list.push_back(large(info, kSliceShape.rows, kSliceShape.cols, NIB_GRANULARITY_GROUP, 32, NIB_TYPE_F32));
      if (int8)
        list.push_back(large(info, kSliceShape.rows, kSliceShape.cols, NIB_GRANULARITY_COLUMN, 0, NIB_TYPE_F32));
      break;
    case Large::kWindows:
      if (int4) list.push_back(large(info, 3, kWindowShape.cols, NIB_GRANULARITY_GROUP, 32, NIB_TYPE_F16));
      if (int8 && options.extent == Extent::kFull) {
        list.push_back(large(info, kWindowShape.rows, 1023, NIB_GRANULARITY_COLUMN, 0, NIB_TYPE_F16));
      }
      break;
    case Large::kNarrowWindows: break;
    case Large::kPlans:
      forEachPlan(info.format, [&](const PlanShape& shape) {
        Case c = large(info, shape.rows, shape.cols, 0, 0, NIB_TYPE_F32);
        Desc& d = c.as<Desc>();
        d.result_type = shape.variant % 3;
        d.result_stride = (shape.weightsStride() + 1) / 2 * 2;
        d.weights = shape.weights;
        list.push_back(c);
      });
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format == nullptr) return;
  forEachVerified(*format, [&](const NibWeights& weights, uint32_t type, const std::string& text) {
    Case c;
    Desc& d = c.describe<Desc>(NIB_OP_DEQUANTIZE);
    d.rows = kVerifiedShape.rows;
    d.cols = kVerifiedShape.cols;
    d.result_type = type;
    d.weights = weights;
    list.push_back({"dequantize " + text, c});
  });
}

void listBench(const BenchRequest& request, BenchList& rows) {
  const auto add = [&](uint32_t order, const NibFormatInfo& info, NibType result, uint32_t weights_flags = 0) {
    if ((weights_flags & ~info.weights_flags) != 0) return;
    Case c;
    Desc& d = c.describe<Desc>(NIB_OP_DEQUANTIZE);
    d.rows = request.shape.m;
    d.cols = request.shape.k;
    d.result_type = result;
    d.weights = benchWeights(info, usualSharing(info), weights_flags);
    rows.add(order, request.shape, c);
  };
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo& info = *nibFormatAt(i);
    if (request.part == BenchPart::kQuick) {
      add(kReadsBlobs + i, info, NIB_TYPE_F32);
      add(kReadsBlobs + i, info, NIB_TYPE_F16);
    } else if (request.part == BenchPart::kTails) {
      add(kReadsBlobs + 2 * i, info, NIB_TYPE_F32);
    } else if (request.part == BenchPart::kEveryWay) {
      for (const NibType type : kBenchTypes) add(kReadsBlobs + i, info, type);
      for (const NibType type : kBenchTypes) add(kReadsBlobs + i, info, type, NIB_WEIGHTS_ASYMMETRIC);
    }
  }
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.describe(d.weights);
  names.result = typeName(d.result_type);
  names.m = d.rows;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_DEQUANTIZE,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return sharingKind(d.weights); },
    .fill = fill,
    .weights = [](Desc& d) { return &d.weights; },
    .lines = lines,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench,
              .names = nameBench,
              .data =
                  [](const Case&, const Desc& d, NibRole role) {
                    return role == NIB_ROLE_WEIGHTS ? RowData::quantized(d.rows, d.cols, d.weights) : RowData::marks();
                  },
              .peer = "cpy_dq"},
};

}  // namespace

NIB_DEFINE_CASES(dequantize, NibDequantizeDesc, kCases)

}  // namespace nib::selftest
