// NIB_OP_DEQUANTIZE: validation, memory, kernel.
#include "plan/op.h"

#include <cstring>

#include "formats/geometry.h"
#include "ops/code_dims.h"
#include "plan/probe_weights.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/decode_kernel.h"
#endif

namespace nib {
namespace {

NibResult geometryOf(const NibDequantizeDesc& d, const Log& log, Geometry* g, uint32_t* stride) {
  NibResult result = makeGeometry("dequantize", "weights", d.rows, d.cols, d.weights, log, g);
  if (result != NIB_SUCCESS) return result;
  if (d.flags != 0) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "dequantize: flags 0x%x has unknown bits", d.flags);
  const bool flat = (d.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  if (flat && d.result_stride != 0 && d.result_stride != d.cols) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "dequantize: result_stride %u with FLAT must be cols %u",
                    d.result_stride, d.cols);
  }
  *stride = flat ? 0u : d.result_stride;
  return checkDense("dequantize", "result", g->rows, g->cols, d.result_type, true, log, stride);
}

NibResult getMemory(const NibDequantizeDesc& d, const Log& log, NibMemory* memory) {
  Geometry g;
  uint32_t stride = 0;
  const NibResult result = geometryOf(d, log, &g, &stride);
  if (result != NIB_SUCCESS) return result;
  setWeights(memory, g);
  setRange(memory, NIB_ROLE_OUTPUT, denseBytes(g.rows, g.cols, d.result_type, stride));
  return NIB_SUCCESS;
}

RunRows runRows(const NibDequantizeDesc& d) {
  return {d.rows, (d.weights.flags & NIB_WEIGHTS_FLAT) != 0, hasOwnRows(d.weights) ? d.rows : 0};
}

Dims dims(const NibDequantizeDesc& d) { return weightsDims(d.weights, d.rows, d.cols); }

NibDequantizeDesc resized(const NibDequantizeDesc& desc, Dims dims) {
  NibDequantizeDesc d = desc;
  d.result_stride = strideLike(d.result_stride, d.cols, dims.cols);
  d.rows = dims.rows;
  d.cols = dims.cols;
  return d;
}

void smallDims(const NibDequantizeDesc& d, SmallDims* list) { codeSmallDims(d.weights, dims(d), list); }

void fillProbe(const NibDequantizeDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::fillWeights(d.weights, memory, binding);
}

#if !defined(NIB_NO_VULKAN)

NibResult build(const NibDequantizeDesc& d, const NibMemory&, PlanBuilder& builder) {
  Geometry g;
  uint32_t stride = 0;
  const NibResult result = geometryOf(d, Log(), &g, &stride);
  if (result != NIB_SUCCESS) return result;
  const uint32_t run = g.format->run;
  const uint64_t bytes = typeBytes(d.result_type);
  const DenseResult dense{g.rows, g.cols, d.result_type, stride};
  DequantizeSpec spec = decodeSpec(d.weights, g, dense, builder);
  spec.ROW_BLOCK = spec.COLUMN ? columnRows(builder.caps().device_type, g.rows, 16) : 1u;
  TileRule tiles;
  tiles.row_block = spec.ROW_BLOCK;
  tiles.mul = ceilDiv(g.cols, run);
  tiles.div = spec.WG;
  const uint64_t row_bytes = uint64_t(g.row_words) * 4;
  const Slot slots[kSlotCount] = {
      itemSlot(NIB_ROLE_WEIGHTS, 0, row_bytes, runCodeBytes(g), row_bytes).of(NIB_PART_CODES).moving(), paramsSlot(g),
      itemSlot(NIB_ROLE_OUTPUT, 0, stride * bytes, run * bytes, g.cols * bytes).moving(), Slot{}};
  const DequantizePush push = decodePush(g, dense);
  return builder.add("dequantize", g.format->info.format, spec, push, 0, tiles, slots,
                     uint64_t(spec.WG) * spec.ROW_BLOCK * (run * bytes + runCodeBytes(g)),
                     {{&push.scales_word, NIB_PART_SCALES, 1},
                      {&push.zeros_word, NIB_PART_ZEROS, 1},
                      {&push.nested_word, NIB_PART_NESTED, 1}});
}

#endif

constexpr Op<NibDequantizeDesc> kDequantize = {
    .op = NIB_OP_DEQUANTIZE,
    .name = "dequantize",
    .getMemory = getMemory,
    .runRows = runRows,
    .runReference = dequantizeReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = dims,
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
};

}  // namespace

NIB_DEFINE_OP(dequantize, NibDequantizeDesc, kDequantize)

}  // namespace nib
