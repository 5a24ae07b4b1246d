// NIB_OP_CONVERT: validation, memory, kernel.
#include "plan/op.h"

#include <cstring>

#include "formats/geometry.h"
#include "plan/probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#include "ops/tuning.h"
#include "plan/plan.h"
#include "shaders/ops/convert.h"
#endif

namespace nib {
namespace {

NibResult checkStrides(const NibConvertDesc& d, const Log& log, uint32_t* source, uint32_t* result) {
  *source = d.source_stride;
  *result = d.result_stride;
  const NibResult checked = checkDense("convert", "source", d.rows, d.cols, d.source_type, false, log, source);
  if (checked != NIB_SUCCESS) return checked;
  return checkDense("convert", "result", d.rows, d.cols, d.result_type, true, log, result);
}

NibResult getMemory(const NibConvertDesc& d, const Log& log, NibMemory* memory) {
  uint32_t source_stride = 0, result_stride = 0;
  const NibResult result = checkStrides(d, log, &source_stride, &result_stride);
  if (result != NIB_SUCCESS) return result;
  if (d.flags & ~uint32_t(NIB_CONVERT_SATURATE | NIB_CONVERT_STATUS)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "convert: flags 0x%x has unknown bits", d.flags);
  }
  setRange(memory, NIB_ROLE_INPUT, denseBytes(d.rows, d.cols, d.source_type, source_stride));
  setRange(memory, NIB_ROLE_OUTPUT, denseBytes(d.rows, d.cols, d.result_type, result_stride));
  if (d.flags & NIB_CONVERT_STATUS) {
    setRange(memory, NIB_ROLE_AUX, sizeof(NibStatus));
    setPart(memory, NIB_PART_STATUS, 0, sizeof(NibStatus));
  }
  return NIB_SUCCESS;
}

RunRows runRows(const NibConvertDesc& d) { return {d.rows, false, d.rows}; }

Dims dims(const NibConvertDesc& d) { return {d.rows, d.cols}; }

NibConvertDesc resized(const NibConvertDesc& desc, Dims dims) {
  NibConvertDesc d = desc;
  d.source_stride = strideLike(d.source_stride, d.cols, dims.cols);
  d.result_stride = strideLike(d.result_stride, d.cols, dims.cols);
  d.rows = dims.rows;
  d.cols = dims.cols;
  return d;
}

void fillProbe(const NibConvertDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  void* source = binding.range[NIB_ROLE_INPUT].data;
  const uint64_t size_bytes = memory.range[NIB_ROLE_INPUT].size_bytes;
  probe::fillDense(source, d.source_type, size_bytes, 0x27d4eb2fu);
  // Every third word is any bit pattern, so that every kind of overflow occurs.
  uint32_t* words = static_cast<uint32_t*>(source);
  probe::Sequence sequence(0x165667b1u);
  for (uint64_t i = 0; i < size_bytes / 4u; i += 3) words[i] = sequence.next();
}

#if !defined(NIB_NO_VULKAN)

constexpr uint32_t kWorkgroup = 128;

NIB_SPEC_STRUCT(ConvertSpec, CONVERT_SPEC)

NibResult build(const NibConvertDesc& d, const NibMemory&, PlanBuilder& builder) {
  uint32_t source_stride = 0, result_stride = 0;
  const NibResult result = checkStrides(d, Log(), &source_stride, &result_stride);
  if (result != NIB_SUCCESS) return result;
  const uint64_t from = typeBytes(d.source_type), to = typeBytes(d.result_type);
  // Contiguous matrices are processed as one long row: no row tails, and no division per run.
  const bool flat = d.rows == 1 || (source_stride == d.cols && result_stride == d.cols);
  auto aligned = [&](uint32_t run) {
    return d.cols % run == 0 && (flat || (source_stride % run == 0 && result_stride % run == 0));
  };

  ConvertSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.OCTETS = isCpu(builder.caps().device_type) ? 4 : 2;
  spec.SOURCE_TYPE = d.source_type;
  spec.RESULT_TYPE = d.result_type;
  spec.SATURATE = (d.flags & NIB_CONVERT_SATURATE) != 0;
  spec.STATUS = (d.flags & NIB_CONVERT_STATUS) != 0;
  spec.VEC = aligned(4);
  spec.WIDE = aligned(8);
  spec.FULL = d.cols % 8u == 0;
  spec.FLATTEN = flat;
  const ConvertPush push{{}, d.cols, source_stride, result_stride};
  // An item is an element of the flattened matrix, or a run of eight elements of a row.
  const uint32_t item = flat ? 1 : 8;
  TileRule tiles;
  tiles.mul = ceilDiv(d.cols, item);
  tiles.div = uint64_t(spec.WG) * spec.OCTETS * 8u / item;
  const Slot slots[kSlotCount] = {
      Slot{}, itemSlot(NIB_ROLE_INPUT, 0, (flat ? d.cols : source_stride) * from, item * from, d.cols * from),
      itemSlot(NIB_ROLE_OUTPUT, 0, (flat ? d.cols : result_stride) * to, item * to, d.cols * to).moving(),
      spec.STATUS ? wholeSlot(NIB_ROLE_AUX) : Slot{}};
  return builder.add("convert", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * spec.OCTETS * 8u * (from + to));
}

#endif

constexpr Op<NibConvertDesc> kConvert = {
    .op = NIB_OP_CONVERT,
    .name = "convert",
    .getMemory = getMemory,
    .runRows = runRows,
    .runReference = convertReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = dims,
    .resized = resized,
    .fillProbe = fillProbe,
};

}  // namespace

NIB_DEFINE_OP(convert, NibConvertDesc, kConvert)

}  // namespace nib
