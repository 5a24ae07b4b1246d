// NIB_OP_HESSIAN: validation, memory, kernel.
#include "plan/op.h"

#include "formats/geometry.h"
#include "ops/parts.h"
#include "ops/syrk.h"
#include "plan/probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#endif

namespace nib {
namespace {

bool isMasked(const NibHessianDesc& d) { return (d.flags & NIB_HESSIAN_MASK) != 0; }

NibResult check(const NibHessianDesc& d, const Log& log, uint32_t* stride) {
  if ((d.flags & ~uint32_t(NIB_HESSIAN_MASK)) != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "hessian: flags 0x%x has unknown bits", d.flags);
  }
  if (d.tokens == 0 || d.cols == 0 || uint64_t(d.cols) * d.cols > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "hessian: tokens %u and cols %u must be at least 1, and cols x cols at most 2^32 - 2^21", d.tokens,
                    d.cols);
  }
  *stride = d.source_stride;
  return checkDense("hessian", "source", d.tokens, d.cols, d.source_type, false, log, stride, {"tokens", "cols"});
}

NibResult getMemory(const NibHessianDesc& d, const Log& log, NibMemory* memory) {
  uint32_t stride = 0;
  const NibResult result = check(d, log, &stride);
  if (result != NIB_SUCCESS) return result;
  uint64_t end =
      addPart(memory, NIB_ROLE_INPUT, NIB_PART_SOURCE, 0, denseBytes(d.tokens, d.cols, d.source_type, stride));
  end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_MASK, end, isMasked(d) ? ceilDiv(d.tokens, 32) * 4 : 0);
  setRange(memory, NIB_ROLE_INPUT, end);
  end = addPart(memory, NIB_ROLE_OUTPUT, NIB_PART_RESULT, 0, uint64_t(d.cols) * d.cols * 4);
  end = addPart(memory, NIB_ROLE_OUTPUT, NIB_PART_DIAGONAL, end, uint64_t(d.cols) * 4);
  setRange(memory, NIB_ROLE_OUTPUT, end);
  return NIB_SUCCESS;
}

void runReference(const NibHessianDesc& d, const HostRun& run) {
  uint32_t stride = 0;
  if (check(d, Log(), &stride) == NIB_SUCCESS) hessianReference(d, stride, run);
}

NibHessianDesc resized(const NibHessianDesc& desc, Dims dims) {
  NibHessianDesc d = desc;
  d.source_stride = strideLike(d.source_stride, d.cols, dims.cols);
  d.tokens = dims.rows;
  d.cols = dims.cols;
  return d;
}

// Several tiles in both directions.
void smallDims(const NibHessianDesc& d, SmallDims* list) {
  const uint32_t cols = colsAbove(240, d.cols);
  list->add(ampleRows(d.tokens, cols), cols);
}

void fillProbe(const NibHessianDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::Sequence sequence(0x27d4eb2fu);
  const auto ordinary = [&] {
    const uint32_t r = sequence.next();
    return (r & 0x80000000u) | ((0x3cu << 24) + (r & 0x02ffffffu));  // 2^-7 .. 2^-1
  };
  uint32_t* mask = partOf<uint32_t>(memory, binding, NIB_ROLE_INPUT, NIB_PART_MASK);
  if (mask != nullptr) probe::fillBits(mask, memory.part[NIB_PART_MASK].size_bytes, 0x9e3779b9u);
  void* source = partOf<void>(memory, binding, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  const uint64_t stride = d.source_stride != 0 ? d.source_stride : d.cols;
  const uint64_t count = memory.part[NIB_PART_SOURCE].size_bytes / typeBytes(d.source_type);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t token = i / stride;
    const bool counts = mask == nullptr || (mask[token / 32] >> token % 32 & 1u) != 0;
    storeDense(source, d.source_type, i, counts ? ordinary() : 0x7fc00000u);
  }
  uint32_t* result = partOf<uint32_t>(memory, binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  for (uint64_t i = 0; i < memory.part[NIB_PART_RESULT].size_bytes / 4; ++i) result[i] = ordinary();
}

#if !defined(NIB_NO_VULKAN)

NibResult build(const NibHessianDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  uint32_t stride = 0;
  const NibResult checked = check(d, Log(), &stride);
  if (checked != NIB_SUCCESS) return checked;
  const auto offset = [&](NibPart part) { return memory.part[part].offset_bytes; };
  const auto word = [&](NibPart part) { return uint32_t(offset(part) / 4); };
  const uint64_t bytes = typeBytes(d.source_type);

  SyrkSpec spec;
  fillSyrkTile(builder.caps().device_type, &spec);
  spec.SOURCE_TYPE = d.source_type;
  spec.VEC = vectorized(d.tokens, d.cols, stride);
  spec.WIDE = wide(d.tokens, d.cols, stride, bytes);
  spec.QUADS = d.cols % 4 == 0;
  spec.MASKED = isMasked(d);
  const Slot source =
      builder.anyRowSlot(NIB_ROLE_INPUT, offset(NIB_PART_SOURCE), d.tokens, stride * bytes, d.cols * bytes)
          .of(NIB_PART_SOURCE);
  const SyrkPush push{{},
                      d.cols,
                      stride,
                      word(NIB_PART_SOURCE),
                      word(NIB_PART_RESULT),
                      word(NIB_PART_DIAGONAL),
                      word(NIB_PART_MASK),
                      0,
                      source.window_rows,
                      1};
  TileRule tiles = syrkTiles(spec, d.cols);
  tiles.rows = d.cols;
  tiles.push_n = true;
  const Slot mask = tailSlot(NIB_ROLE_INPUT, offset(NIB_PART_MASK)).of(NIB_PART_MASK);
  const Slot slots[kSlotCount] = {tailSlot(NIB_ROLE_OUTPUT, offset(NIB_PART_DIAGONAL)).of(NIB_PART_DIAGONAL), source,
                                  syrkResultSlot(offset(NIB_PART_RESULT), d.cols), spec.MASKED ? mask : Slot{}};
  return builder.add("syrk", 0, spec, push, syrkSharedBytes(spec), tiles, slots, syrkTileBytes(spec, d.tokens, bytes),
                     {}, &push.window_row);
}

#endif

constexpr Op<NibHessianDesc> kHessian = {
    .op = NIB_OP_HESSIAN,
    .name = "hessian",
    .getMemory = getMemory,
    .runRows =
        [](const NibHessianDesc& d) {
          return RunRows{d.tokens, false, 0};
        },
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibHessianDesc& d) {
          return Dims{d.tokens, d.cols};
        },
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .tolerance =
        [](const NibHessianDesc& d, NibPart) {
          return Tolerance{NIB_TYPE_F32, (d.tokens + 8.0) * 0x1p-22};
        },
    .accumulates = [](const NibHessianDesc&) { return true; },
};

}  // namespace

NIB_DEFINE_OP(hessian, NibHessianDesc, kHessian)

}  // namespace nib
