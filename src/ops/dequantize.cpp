// NIB_OP_DEQUANTIZE: validation, memory, kernel.
#include "ops/op.h"

#include <cstring>

#include "cpu/cpu.h"
#include "ops/geometry.h"
#include "ops/probe_weights.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/decode_kernel.h"
#endif

namespace nib {
namespace {

const NibDequantizeDesc& cast(const NibOpDesc* desc) { return *reinterpret_cast<const NibDequantizeDesc*>(desc); }

NibResult geometryOf(const NibDequantizeDesc& d, const Log& log, Geometry* g, uint32_t* stride) {
  NibResult result = makeGeometry("dequantize", d.rows, d.cols, d.weights, log, g);
  if (result != NIB_SUCCESS) return result;
  if (d.flags != 0) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "dequantize: flags 0x%x has unknown bits", d.flags);
  const bool flat = (d.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  if (flat && d.result_stride != 0 && d.result_stride != d.cols) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "dequantize: result_stride %u with FLAT must be cols %u", d.result_stride,
                    d.cols);
  }
  *stride = flat ? 0u : d.result_stride;
  return checkDense("dequantize", "result", g->rows, g->cols, d.result_type, true, log, stride);
}

NibResult getMemory(const NibOpDesc* any, const Log& log, NibMemory* memory) {
  const NibDequantizeDesc& d = cast(any);
  Geometry g;
  uint32_t stride = 0;
  const NibResult result = geometryOf(d, log, &g, &stride);
  if (result != NIB_SUCCESS) return result;
  setWeights(memory, g);
  setRange(memory, NIB_ROLE_OUTPUT, denseBytes(g.rows, g.cols, d.result_type, stride));
  return NIB_SUCCESS;
}

uint32_t maxRows(const NibOpDesc* any, bool* fixed) {
  *fixed = (cast(any).weights.flags & NIB_WEIGHTS_FLAT) != 0;
  return cast(any).rows;
}

void sides(const NibOpDesc* any, uint32_t* rows, uint32_t* cols) {
  const NibDequantizeDesc& d = cast(any);
  weightsSides(d.weights, d.rows, d.cols, rows, cols);
}

void resize(const NibOpDesc* any, uint32_t rows, uint32_t cols, void* out) {
  NibDequantizeDesc d = cast(any);
  d.result_stride = strideLike(d.result_stride, d.cols, cols);
  d.rows = rows;
  d.cols = cols;
  std::memcpy(out, &d, sizeof d);
}

void fillProbe(const NibOpDesc* any, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::fillWeights(cast(any).weights, memory, binding);
}

#if !defined(NIB_NO_VULKAN)

NibResult build(const NibOpDesc* any, const NibMemory&, PlanBuilder& builder) {
  const NibDequantizeDesc& d = cast(any);
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
  const Slot slots[kSlotCount] = {
      itemSlot(NIB_ROLE_WEIGHTS, 0, uint64_t(g.row_words) * 4, runCodeBytes(g), uint64_t(g.row_words) * 4),
      tailSlot(NIB_ROLE_WEIGHTS, g.scales_offset), itemSlot(NIB_ROLE_OUTPUT, 0, stride * bytes, run * bytes, g.cols * bytes), Slot{}};
  return builder.add("dequantize", g.format->info.format, spec, decodePush(g, dense), 0, tiles, slots,
                     uint64_t(spec.WG) * spec.ROW_BLOCK * (run * bytes + runCodeBytes(g)));
}

#endif

}  // namespace

extern const OpRow kOp_dequantize;
const OpRow kOp_dequantize = {NIB_OP_DEQUANTIZE,
                              "dequantize",
                              sizeof(NibDequantizeDesc),
                              getMemory,
                              maxRows,
                              dequantizeCpu,
#if !defined(NIB_NO_VULKAN)
                              build,
#endif
                              sides,
                              resize,
                              fillProbe,
                              NIB_ROLE_OUTPUT};

}  // namespace nib
