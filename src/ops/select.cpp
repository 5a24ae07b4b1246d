// NIB_OP_SELECT: validation, memory, kernel.
#include "plan/op.h"

#include <algorithm>
#include <bit>

#include "formats/geometry.h"
#include "ops/logits_probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#include "plan/plan.h"
#include "shaders/ops/select.h"
#endif

namespace nib {
namespace {

// Rows of this many or more elements are split into pieces if there are few of them, because one workgroup does not
// reach the device's bandwidth. The size of the scratch is the same on every device.
constexpr uint32_t kPiece = 4096;
constexpr uint32_t kMostPieces = 64;
constexpr uint32_t kFewRows = 64;
constexpr uint32_t kRun = 8;         // elements that an invocation processes at a time
constexpr uint32_t kPieceWords = 4;  // of a piece besides its candidates

uint32_t piecesOf(const NibSelectDesc& d) {
  if (d.rows >= kFewRows) return 1;
  return uint32_t(std::min<uint64_t>(kMostPieces, ceilDiv(d.cols, kPiece)));
}

uint32_t scratchWords(const NibSelectDesc& d) {  // of a row
  return piecesOf(d) > 1 ? piecesOf(d) * (2 * d.count + kPieceWords) : 0;
}

NibResult getMemory(const NibSelectDesc& d, const Log& log, NibMemory* memory) {
  uint32_t stride = d.source_stride;
  const NibResult result = checkDense("select", "source", d.rows, d.cols, d.source_type, false, log, &stride);
  if (result != NIB_SUCCESS) return result;
  if (d.flags != 0) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "select: flags 0x%x has unknown bits", d.flags);
  if (d.count == 0 || d.count > NIB_SELECT_MAX_COUNT || d.count > d.cols) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "select: count %u must be in 1..%u and at most cols %u", d.count,
                    uint32_t(NIB_SELECT_MAX_COUNT), d.cols);
  }
  const uint64_t source_bytes = denseBytes(d.rows, d.cols, d.source_type, stride);
  setPart(memory, NIB_PART_SOURCE, 0, source_bytes);
  setRange(memory, NIB_ROLE_INPUT, source_bytes);
  uint64_t end = 0;
  const auto add = [&](NibPart part, uint64_t size_bytes) {
    end = alignUp(end, kPartAlignmentBytes);
    setPart(memory, NIB_ROLE_OUTPUT, part, end, size_bytes);
    end += size_bytes;
  };
  add(NIB_PART_RESULT, uint64_t(d.rows) * d.count * sizeof(float));
  add(NIB_PART_RESULT_INDICES, uint64_t(d.rows) * d.count * sizeof(uint32_t));
  add(NIB_PART_LOG_SUM, uint64_t(d.rows) * sizeof(float));
  setRange(memory, NIB_ROLE_OUTPUT, end);
  const uint64_t scratch_bytes = uint64_t(d.rows) * scratchWords(d) * 4;
  if (scratch_bytes != 0) setPart(memory, NIB_PART_SCRATCH, 0, scratch_bytes);
  setRange(memory, NIB_ROLE_AUX, scratch_bytes);
  return NIB_SUCCESS;
}

NibSelectDesc resized(const NibSelectDesc& desc, Dims dims) {
  NibSelectDesc d = desc;
  d.source_stride = strideLike(d.source_stride, d.cols, dims.cols);
  d.rows = dims.rows;
  d.cols = dims.cols;
  d.count = std::min(d.count, d.cols);
  return d;
}

void smallDims(const NibSelectDesc& d, SmallDims* list) {
  // Rows of several pieces, and workgroups that read more than a piece, have kernels of their own.
  const uint32_t longest = d.rows < kFewRows ? kMostPieces * kPiece : kPiece;
  uint32_t bound = d.count > 256 ? d.count : 256;
  if (d.cols > kPiece) bound = kPiece;
  if (d.cols > longest) bound = longest;
  const uint32_t cols = bound < d.cols ? colsAbove(bound, d.cols) : d.cols;
  list->add(ampleRows(d.rows, cols, d.rows < kFewRows ? 3 : kFewRows), cols);
}

void fillProbe(const NibSelectDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::fillLogits(partOf<void>(memory, binding, NIB_ROLE_INPUT, NIB_PART_SOURCE), d.source_type,
                    memory.part[NIB_PART_SOURCE].size_bytes, true, 0x9e3779b9u);
}

Tolerance tolerance(const NibSelectDesc&, NibPart part) {
  return {NIB_TYPE_F32, part == NIB_PART_LOG_SUM ? 0x1p-18 : 0.0};
}

#if !defined(NIB_NO_VULKAN)

constexpr uint32_t kMaxWorkgroup = 256;
constexpr uint32_t kDigitWords = 256 + 16 + 1;  // counts of select.comp

NIB_SPEC_STRUCT(SelectSpec, SELECT_SPEC)

struct Build {
  const NibSelectDesc& d;
  const NibMemory& memory;
  PlanBuilder& builder;
  uint32_t stride, pieces;

  uint32_t word(NibPart part) const { return uint32_t(memory.part[part].offset_bytes / 4); }
  uint32_t pieceCols() const { return uint32_t(alignUp(ceilDiv(d.cols, pieces), kRun)); }

  Slot rows(NibPart part, uint64_t row_bytes) const {
    const NibMemoryPart& p = memory.part[part];
    return itemSlot(NibRole(p.role), p.offset_bytes, row_bytes, 0, row_bytes).of(part);
  }
  Slot sourceSlot() const {
    const uint64_t bytes = typeBytes(d.source_type);
    const uint64_t item_bytes = pieces > 1 ? pieceCols() * bytes : 0;
    return itemSlot(NIB_ROLE_INPUT, 0, stride * bytes, item_bytes, d.cols * bytes).of(NIB_PART_SOURCE);
  }
  Slot scratchSlot() const { return rows(NIB_PART_SCRATCH, uint64_t(scratchWords(d)) * 4); }
  Slot resultSlot(NibPart part) const { return rows(part, uint64_t(d.count) * 4).moving(); }
  Slot logSumSlot() const { return rows(NIB_PART_LOG_SUM, 4).moving(); }
};

SelectSpec specOf(const Build& b) {
  const NibSelectDesc& d = b.d;
  SelectSpec spec;
  spec.WG = b.builder.workgroupSize(kMaxWorkgroup);
  // As many as a piece has, so that the kernel does not depend on the number of columns.
  spec.KEEP = kPiece / (kRun * spec.WG);
  spec.MORE = b.pieceCols() > kPiece;
  if (spec.MORE) spec.KEEP = 1;
  spec.SOURCE_TYPE = d.source_type;
  spec.VEC = vectorized(d.rows, d.cols, b.stride);
  spec.WIDE = wide(d.rows, d.cols, b.stride, typeBytes(d.source_type));
  spec.ONE = d.count == 1;
  spec.LIST = std::bit_ceil(d.count);
  return spec;
}

NibResult addSelect(const Build& b, const SelectSpec& spec, const TileRule& tiles, const Slot (&slots)[kSlotCount],
                    uint64_t tile_bytes) {
  const SelectPush push{{},
                        b.d.cols,
                        b.stride,
                        b.d.count,
                        b.pieces,
                        b.pieceCols(),
                        b.word(NIB_PART_SOURCE),
                        b.word(NIB_PART_RESULT),
                        b.word(NIB_PART_RESULT_INDICES),
                        b.word(NIB_PART_LOG_SUM),
                        b.word(NIB_PART_SCRATCH),
                        scratchWords(b.d)};
  const uint32_t shared_bytes = spec.WG * (12u + 8u) + kDigitWords * 4u + spec.LIST * 8u;
  return b.builder.add("select", 0, spec, push, shared_bytes, tiles, slots, tile_bytes);
}

NibResult build(const NibSelectDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  const Build b{d, memory, builder, d.source_stride != 0 ? d.source_stride : d.cols, piecesOf(d)};
  const uint64_t bytes = typeBytes(d.source_type);
  SelectSpec spec = specOf(b);
  if (b.pieces == 1) {
    const Slot slots[kSlotCount] = {b.logSumSlot(), b.sourceSlot(), b.resultSlot(NIB_PART_RESULT),
                                    b.resultSlot(NIB_PART_RESULT_INDICES)};
    return addSelect(b, spec, TileRule(), slots, d.cols * bytes);
  }
  TileRule pieces;
  pieces.mul = b.pieces;
  SelectSpec merge = spec;
  spec.PIECES = true;
  spec.LIST = 1;
  const Slot piece_slots[kSlotCount] = {Slot{}, b.sourceSlot(), b.scratchSlot(), Slot{}};
  const NibResult result = addSelect(b, spec, pieces, piece_slots, b.pieceCols() * bytes);
  if (result != NIB_SUCCESS) return result;
  merge.MERGE = merge.MORE = true;
  merge.KEEP = 1;
  merge.SOURCE_TYPE = NIB_TYPE_F32;
  merge.VEC = merge.WIDE = false;
  const Slot slots[kSlotCount] = {b.logSumSlot(), b.scratchSlot(), b.resultSlot(NIB_PART_RESULT),
                                  b.resultSlot(NIB_PART_RESULT_INDICES)};
  return addSelect(b, merge, TileRule(), slots, uint64_t(scratchWords(d)) * 4);
}

#endif

constexpr Op<NibSelectDesc> kSelect = {
    .op = NIB_OP_SELECT,
    .name = "select",
    .getMemory = getMemory,
    .runRows =
        [](const NibSelectDesc& d) {
          return RunRows{d.rows, false, d.rows};
        },
    .runReference = selectReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibSelectDesc& d) {
          return Dims{d.rows, d.cols};
        },
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .tolerance = tolerance,
};

}  // namespace

NIB_DEFINE_OP(select, NibSelectDesc, kSelect)

}  // namespace nib
