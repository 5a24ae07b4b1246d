// NIB_OP_ERRORS: validation, memory, kernel.
#include "plan/op.h"

#include <cstring>

#include "formats/geometry.h"
#include "ops/tuning.h"
#include "plan/probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#include "shaders/ops/errors.h"
#endif

namespace nib {
namespace {

static_assert(sizeof(NibErrorTile) == 18 * 4, "errors.comp writes 18 words");

NibResult checkStrides(const NibErrorsDesc& d, const Log& log, uint32_t* reference, uint32_t* candidate) {
  *reference = d.reference_stride;
  *candidate = d.candidate_stride;
  const NibResult result = checkDense("errors", "reference", d.rows, d.cols, d.reference_type, false, log, reference);
  if (result != NIB_SUCCESS) return result;
  return checkDense("errors", "candidate", d.rows, d.cols, d.candidate_type, false, log, candidate);
}

NibResult getMemory(const NibErrorsDesc& d, const Log& log, NibMemory* memory) {
  uint32_t reference_stride = 0, candidate_stride = 0;
  const NibResult result = checkStrides(d, log, &reference_stride, &candidate_stride);
  if (result != NIB_SUCCESS) return result;
  if (d.flags != 0) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "errors: flags 0x%x has unknown bits", d.flags);
  const uint64_t reference_bytes = denseBytes(d.rows, d.cols, d.reference_type, reference_stride);
  const uint64_t candidate_bytes = denseBytes(d.rows, d.cols, d.candidate_type, candidate_stride);
  const uint64_t candidate_offset = alignUp(reference_bytes, kPartAlignmentBytes);
  setRange(memory, NIB_ROLE_INPUT, candidate_offset + candidate_bytes);
  setPart(memory, NIB_PART_REFERENCE, 0, reference_bytes);
  setPart(memory, NIB_PART_CANDIDATE, candidate_offset, candidate_bytes);
  setRange(memory, NIB_ROLE_OUTPUT, ceilDiv(uint64_t(d.rows) * d.cols, NIB_ERROR_TILE) * sizeof(NibErrorTile));
  return NIB_SUCCESS;
}

RunRows runRows(const NibErrorsDesc& d) { return {d.rows}; }

Dims dims(const NibErrorsDesc& d) { return {d.rows, d.cols}; }

NibErrorsDesc resized(const NibErrorsDesc& desc, Dims dims) {
  NibErrorsDesc d = desc;
  d.reference_stride = strideLike(d.reference_stride, d.cols, dims.cols);
  d.candidate_stride = strideLike(d.candidate_stride, d.cols, dims.cols);
  d.rows = dims.rows;
  d.cols = dims.cols;
  return d;
}

// Tiles that a CPU's workgroup processes, one in an invocation, if there are enough of them.
constexpr uint32_t kSoloWorkgroup = 32;

void smallDims(const NibErrorsDesc& d, SmallDims* list) {
  addDimsAbove(NIB_ERROR_TILE, dims(d), list);
  const bool solo = avoidsExchange(kCpuDeviceType, ceilDiv(uint64_t(d.rows) * d.cols, NIB_ERROR_TILE));
  if (solo) addDimsAbove(kSoloWorkgroup * NIB_ERROR_TILE, dims(d), list);
}

void fillProbe(const NibErrorsDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::fillDense(partOf<void>(memory, binding, NIB_ROLE_INPUT, NIB_PART_REFERENCE), d.reference_type,
                   memory.part[NIB_PART_REFERENCE].size_bytes, 0x2545f491u);
  probe::fillDense(partOf<void>(memory, binding, NIB_ROLE_INPUT, NIB_PART_CANDIDATE), d.candidate_type,
                   memory.part[NIB_PART_CANDIDATE].size_bytes, 0x9e3779b9u);
}

#if !defined(NIB_NO_VULKAN)

constexpr uint32_t kLeaf = 8;
// One invocation per leaf of the summation tree. Every device supports workgroups of this size.
constexpr uint32_t kWorkgroup = NIB_ERROR_TILE / kLeaf;
constexpr uint32_t kSharedBytes = 144 * 16 + 16 * 16 + 4 + 6 * 144 * 8 + 6 * 16 * 8;

NIB_SPEC_STRUCT(ErrorsSpec, ERRORS_SPEC)

// The kernel's *_LAYOUT. 2: rows are contiguous, so the operand is one row. 1: every whole leaf is contiguous, starting
// at a multiple of its length. 0: neither.
uint32_t layoutOf(const NibErrorsDesc& d, uint32_t stride) {
  if (d.rows == 1 || stride == d.cols) return 2;
  return d.cols % kLeaf == 0 && stride % kLeaf == 0 ? 1 : 0;
}

Slot operandSlot(const NibErrorsDesc& d, const NibMemoryPart& part, uint32_t type, uint32_t stride) {
  const uint64_t bytes = typeBytes(type);
  return itemSlot(NIB_ROLE_INPUT, part.offset_bytes, stride * bytes, bytes, d.cols * bytes);
}

NibResult build(const NibErrorsDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  uint32_t reference_stride = 0, candidate_stride = 0;
  const NibResult result = checkStrides(d, Log(), &reference_stride, &candidate_stride);
  if (result != NIB_SUCCESS) return result;
  const NibMemoryPart& reference = memory.part[NIB_PART_REFERENCE];
  const NibMemoryPart& candidate = memory.part[NIB_PART_CANDIDATE];

  ErrorsSpec spec;
  spec.SOLO = avoidsExchange(builder.caps().device_type, ceilDiv(uint64_t(d.rows) * d.cols, NIB_ERROR_TILE));
  spec.WG = spec.SOLO ? kSoloWorkgroup : kWorkgroup;
  spec.REFERENCE_TYPE = d.reference_type;
  spec.CANDIDATE_TYPE = d.candidate_type;
  spec.REFERENCE_LAYOUT = layoutOf(d, reference_stride);
  spec.CANDIDATE_LAYOUT = layoutOf(d, candidate_stride);
  const ErrorsPush push{{}, d.cols, reference_stride, candidate_stride, uint32_t(candidate.offset_bytes / 4)};
  TileRule tiles;
  tiles.mul = d.cols;
  tiles.div = uint64_t(NIB_ERROR_TILE) * (spec.SOLO ? kSoloWorkgroup : 1u);
  const Slot slots[kSlotCount] = {operandSlot(d, candidate, d.candidate_type, candidate_stride).of(NIB_PART_CANDIDATE),
                                  operandSlot(d, reference, d.reference_type, reference_stride).of(NIB_PART_REFERENCE),
                                  wholeSlot(NIB_ROLE_OUTPUT), Slot{}};
  return builder.add("errors", 0, spec, push, kSharedBytes, tiles, slots,
                     tiles.div * (typeBytes(d.reference_type) + typeBytes(d.candidate_type)));
}

#endif

constexpr Op<NibErrorsDesc> kErrors = {
    .op = NIB_OP_ERRORS,
    .name = "errors",
    .getMemory = getMemory,
    .runRows = runRows,
    .runReference = errorsReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = dims,
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
};

}  // namespace

NIB_DEFINE_OP(errors, NibErrorsDesc, kErrors)

}  // namespace nib
