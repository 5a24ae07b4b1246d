// NIB_OP_GATHER: validation, memory, kernels. Quantized rows are those of dequantize's kernel with a list of rows.
#include "plan/op.h"

#include <cstring>

#include "formats/geometry.h"
#include "ops/code_dims.h"
#include "plan/probe_weights.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/decode_kernel.h"
#include "shaders/ops/gather.h"
#endif

namespace nib {
namespace {

bool isDense(const NibGatherDesc& d) { return d.weights.format == NIB_FORMAT_DENSE; }

NibResult geometryOf(const NibGatherDesc& d, const Log& log, Geometry* g, uint32_t* stride) {
  NibResult result = isDense(d) ? makeDenseGeometry("gather", "weights", d.rows, d.cols, d.weights, log, g)
                                : makeGeometry("gather", "weights", d.rows, d.cols, d.weights, log, g);
  if (result != NIB_SUCCESS) return result;
  if (d.flags != 0) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "gather: flags 0x%x has unknown bits", d.flags);
  if (d.count == 0 || uint64_t(d.count) * d.cols > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "gather: count %u must be at least 1, and count x cols below 2^32 - 2^21", d.count);
  }
  const bool flat = (d.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  if (flat && (d.cols % 32u != 0 || d.cols % g->group != 0)) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "gather: cols %u with FLAT must be a multiple of 32 and of the group, %u",
                    d.cols, g->group);
  }
  *stride = d.result_stride;
  return checkDense("gather", "result", d.count, d.cols, d.result_type, true, log, stride, {"count", "cols"});
}

NibResult getMemory(const NibGatherDesc& d, const Log& log, NibMemory* memory) {
  Geometry g;
  uint32_t stride = 0;
  const NibResult result = geometryOf(d, log, &g, &stride);
  if (result != NIB_SUCCESS) return result;
  setWeights(memory, g);
  setRange(memory, NIB_ROLE_INPUT, uint64_t(d.count) * sizeof(uint32_t));
  setRange(memory, NIB_ROLE_OUTPUT, denseBytes(d.count, d.cols, d.result_type, stride));
  return NIB_SUCCESS;
}

RunRows runRows(const NibGatherDesc& d) { return {d.count, false, d.count}; }

Dims dims(const NibGatherDesc& d) { return {d.count, d.cols}; }

NibGatherDesc resized(const NibGatherDesc& desc, Dims dims) {
  constexpr uint32_t kFewRows = 67;
  NibGatherDesc d = desc;
  d.result_stride = strideLike(d.result_stride, d.cols, dims.cols);
  d.count = dims.rows;
  d.rows = d.rows < kFewRows ? d.rows : kFewRows;
  d.cols = dims.cols;
  return d;
}

void smallDims(const NibGatherDesc& d, SmallDims* list) {
  if ((d.weights.flags & NIB_WEIGHTS_FLAT) == 0) return usualSmallDims(dims(d), list);
  // A row is whole groups, and whole runs.
  const uint32_t cols = flatCols(d.weights, d.cols, d.count == 1 ? kAmpleElements : kWorkgroupCols);
  list->add(ampleRows(d.count, cols), cols);
}

void fillProbe(const NibGatherDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  if (isDense(d)) {
    uint32_t* elements = partOf<uint32_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_CODES);
    const uint64_t size_bytes = memory.part[NIB_PART_CODES].size_bytes;
    probe::fillDense(elements, d.weights.scale_type, size_bytes, 0x27d4eb2fu);
    // Every third word is any bit pattern, so that every kind of overflow occurs.
    probe::Sequence bits(0x9e3779b9u);
    for (uint64_t i = 0; i < size_bytes / 4u; i += 3) elements[i] = bits.next();
  } else {
    probe::fillWeights(d.weights, memory, binding);
  }
  probe::Sequence sequence(0x165667b1u);
  uint32_t* numbers = static_cast<uint32_t*>(binding.range[NIB_ROLE_INPUT].data);
  // Some numbers are beyond the last row.
  for (uint32_t i = 0; i < d.count; ++i)
    numbers[i] = uint32_t((uint64_t(sequence.next()) * (uint64_t(d.rows) + 2u)) >> 32);
}

#if !defined(NIB_NO_VULKAN)

constexpr uint32_t kWorkgroup = 128;

NIB_SPEC_STRUCT(GatherSpec, GATHER_SPEC)

// Result rows and row numbers, which have as many rows as the run.
Slot resultSlot(const NibGatherDesc& d, uint32_t stride, uint64_t item_elements) {
  const uint64_t bytes = typeBytes(d.result_type);
  return itemSlot(NIB_ROLE_OUTPUT, 0, stride * bytes, item_elements * bytes, d.cols * bytes).moving();
}
Slot numbersSlot() { return itemSlot(NIB_ROLE_INPUT, 0, 4, 0, 4); }

NibResult buildDense(const NibGatherDesc& d, const Geometry& g, uint32_t stride, PlanBuilder& builder) {
  const uint64_t from = typeBytes(d.weights.scale_type), to = typeBytes(d.result_type), row_bytes = g.row_words * 4ull;
  const uint32_t source_stride = uint32_t(row_bytes / from);
  GatherSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.SOURCE_TYPE = d.weights.scale_type;
  spec.RESULT_TYPE = d.result_type;
  spec.VEC = vectorized(d.rows, d.cols, source_stride) && vectorized(d.count, d.cols, stride);
  spec.WIDE = spec.VEC && (from == 4 || wide(d.rows, d.cols, source_stride, from)) &&
              (to == 4 || wide(d.count, d.cols, stride, to));
  const Slot source = builder.anyRowSlot(NIB_ROLE_WEIGHTS, 0, d.rows, row_bytes, row_bytes).of(NIB_PART_CODES);
  const GatherPush push{{}, d.cols, g.row_words, stride, d.rows, 0, source.window_rows};
  TileRule tiles;
  tiles.mul = ceilDiv(d.cols, 8);
  tiles.div = spec.WG;
  const Slot slots[kSlotCount] = {Slot{}, source, resultSlot(d, stride, 8), numbersSlot()};
  return builder.add("gather", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * 8u * (from + to), {},
                     &push.window_row);
}

// Scales and zero points of the codes' rows, or all of them if they do not belong to rows.
Slot rowParamsSlot(const NibGatherDesc& d, const Geometry& g, const DequantizePush& push, PlanBuilder& builder) {
  const bool by_row = d.weights.granularity == NIB_GRANULARITY_ROW || d.weights.granularity == NIB_GRANULARITY_GROUP;
  if (!by_row || g.nested_bytes != 0) return paramsSlot(g);
  const uint64_t used = ceilDiv(d.cols, g.group), stride = push.scale_row_stride;
  const auto rows = [&](NibPart part, uint64_t offset, uint64_t bytes) {
    return PlanBuilder::PartRows{part, offset, stride * bytes, used * bytes};
  };
  const auto scales = rows(NIB_PART_SCALES, g.scales_offset, scaleBytes(d.weights.scale_type));
  if (g.zeros_bytes != 0) {
    const auto zeros = rows(NIB_PART_ZEROS, g.zeros_offset, zeroBytes(*g.format));
    return builder.anyRowSlot(NIB_ROLE_WEIGHTS, d.rows, scales, zeros);
  }
  return builder.anyRowSlot(NIB_ROLE_WEIGHTS, scales.offset, d.rows, scales.row_bytes, scales.row_size_bytes)
      .of(NIB_PART_SCALES);
}

NibResult build(const NibGatherDesc& d, const NibMemory&, PlanBuilder& builder) {
  Geometry g;
  uint32_t stride = 0;
  const NibResult result = geometryOf(d, Log(), &g, &stride);
  if (result != NIB_SUCCESS) return result;
  if (isDense(d)) return buildDense(d, g, stride, builder);
  const uint32_t run = g.format->run;
  const uint64_t bytes = typeBytes(d.result_type);
  const DenseResult dense{d.count, d.cols, d.result_type, stride};
  DequantizeSpec spec = decodeSpec(d.weights, g, dense, builder);
  spec.GATHER = true;
  DequantizePush push = decodePush(g, dense);
  push.source_rows = d.rows;
  if (d.weights.flags & NIB_WEIGHTS_FLAT) {
    // If the rows of a flat matrix are whole runs and groups, they are ordinary rows without padding.
    push.row_words = uint32_t(d.cols / run * runCodeBytes(g) / 4);
    push.scale_row_stride = d.cols / g.group;
  }
  TileRule tiles;
  tiles.mul = ceilDiv(d.cols, run);
  tiles.div = spec.WG;
  const uint64_t row_bytes = push.row_words * 4ull;
  Slot codes = builder.anyRowSlot(NIB_ROLE_WEIGHTS, 0, d.rows, row_bytes, row_bytes).of(NIB_PART_CODES);
  Slot params = rowParamsSlot(d, g, push, builder);
  push.window_rows = PlanBuilder::shareWindows({&codes, &params});
  const Slot slots[kSlotCount] = {codes, params, resultSlot(d, stride, run), numbersSlot()};
  return builder.add("dequantize", g.format->info.format, spec, push, 0, tiles, slots,
                     uint64_t(spec.WG) * (run * bytes + runCodeBytes(g)),
                     {{&push.scales_word, NIB_PART_SCALES, 1},
                      {&push.zeros_word, NIB_PART_ZEROS, 1},
                      {&push.nested_word, NIB_PART_NESTED, 1}},
                     &push.window_row);
}

#endif

constexpr Op<NibGatherDesc> kGather = {
    .op = NIB_OP_GATHER,
    .name = "gather",
    .getMemory = getMemory,
    .runRows = runRows,
    .runReference = gatherReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = dims,
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
};

}  // namespace

NIB_DEFINE_OP(gather, NibGatherDesc, kGather)

}  // namespace nib
