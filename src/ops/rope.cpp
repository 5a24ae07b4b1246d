// NIB_OP_ROPE: validation, memory, kernel, tables.
#include "plan/op.h"

#include <cmath>

#include "formats/geometry.h"
#include "ops/parts.h"
#include "plan/probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#include "plan/plan.h"
#include "shaders/ops/rope.h"
#endif

namespace nib {
namespace {

bool isInterleaved(const NibRopeDesc& d) { return (d.flags & NIB_ROPE_INTERLEAVED) != 0; }

NibResult checkSizes(const NibRopeDesc& d, const Log& log, RopeSizes* s) {
  if (d.flags & ~uint32_t(NIB_ROPE_INTERLEAVED)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "rope: flags 0x%x has unknown bits", d.flags);
  }
  if (d.tokens == 0 || d.heads == 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "rope: tokens and heads must be at least 1, got %u and %u", d.tokens,
                    d.heads);
  }
  if (d.head_size == 0 || d.head_size % 2 != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "rope: head_size %u must be even and at least 2", d.head_size);
  }
  s->rotary = d.rotary_size != 0 ? d.rotary_size : d.head_size;
  const uint32_t multiple = isInterleaved(d) ? 2 : 4;
  if (s->rotary > d.head_size || s->rotary % multiple != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "rope: rotary_size %u must be a multiple of %u and at most head_size, %u%s", s->rotary, multiple,
                    d.head_size, isInterleaved(d) ? "" : "; INTERLEAVED allows any even number");
  }
  if (uint64_t(d.heads) * d.head_size > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "rope: heads * head_size = %u * %u must be at most 2^32 - 2^21",
                    d.heads, d.head_size);
  }
  s->cols = d.heads * d.head_size;
  if (d.positions == 0 || uint64_t(d.positions) * s->rotary > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "rope: positions %u must be at least 1, and positions * rotary_size at most 2^32 - 2^21",
                    d.positions);
  }
  s->source = d.source_stride;
  s->result = d.result_stride;
  constexpr DenseNames kNames{"tokens", "heads * head_size"};
  const NibResult result =
      checkDense("rope", "source", d.tokens, s->cols, d.source_type, false, log, &s->source, kNames);
  if (result != NIB_SUCCESS) return result;
  return checkDense("rope", "result", d.tokens, s->cols, d.result_type, true, log, &s->result, kNames);
}

NibResult getMemory(const NibRopeDesc& d, const Log& log, NibMemory* memory) {
  RopeSizes s;
  const NibResult result = checkSizes(d, log, &s);
  if (result != NIB_SUCCESS) return result;
  const uint64_t table_bytes = uint64_t(d.positions) * s.rotary * 4;
  setRange(memory, NIB_ROLE_WEIGHTS, addPart(memory, NIB_ROLE_WEIGHTS, NIB_PART_TABLE, 0, table_bytes));
  uint64_t end =
      addPart(memory, NIB_ROLE_INPUT, NIB_PART_SOURCE, 0, denseBytes(d.tokens, s.cols, d.source_type, s.source));
  end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_INDICES, end, uint64_t(d.tokens) * 4);
  setRange(memory, NIB_ROLE_INPUT, end);
  const uint64_t result_bytes = denseBytes(d.tokens, s.cols, d.result_type, s.result);
  setRange(memory, NIB_ROLE_OUTPUT, addPart(memory, NIB_ROLE_OUTPUT, NIB_PART_RESULT, 0, result_bytes));
  return NIB_SUCCESS;
}

void runReference(const NibRopeDesc& d, const HostRun& run) {
  RopeSizes sizes;
  if (checkSizes(d, Log(), &sizes) == NIB_SUCCESS) ropeReference(d, sizes, run);
}

// As many heads as about `dims.cols` elements have.
NibRopeDesc resized(const NibRopeDesc& desc, Dims dims) {
  constexpr uint32_t kFewPositions = 67;
  NibRopeDesc d = desc;
  d.heads = dims.cols / desc.head_size;
  if (d.heads == 0) d.heads = 1;
  const uint32_t old_cols = desc.heads * desc.head_size, cols = d.heads * d.head_size;
  d.source_stride = strideLike(d.source_stride, old_cols, cols);
  d.result_stride = strideLike(d.result_stride, old_cols, cols);
  d.tokens = dims.rows;
  if (d.positions > kFewPositions) d.positions = kFewPositions;
  return d;
}

void fillProbe(const NibRopeDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  void* source = partOf<void>(memory, binding, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  probe::fillDense(source, d.source_type, memory.part[NIB_PART_SOURCE].size_bytes, 0x27d4eb2fu);
  void* table = partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_TABLE);
  probe::fillDense(table, NIB_TYPE_F32, memory.part[NIB_PART_TABLE].size_bytes, 0x9e3779b9u);
  // Some positions are beyond the last row.
  uint32_t* indices = partOf<uint32_t>(memory, binding, NIB_ROLE_INPUT, NIB_PART_INDICES);
  probe::Sequence sequence(0x165667b1u);
  for (uint32_t i = 0; i < d.tokens; ++i) {
    indices[i] = uint32_t((uint64_t(sequence.next()) * (uint64_t(d.positions) + 2u)) >> 32);
  }
}

bool mayAlias(const NibRopeDesc& d, NibPart written, NibPart other) {
  RopeSizes s;
  if (checkSizes(d, Log(), &s) != NIB_SUCCESS) return false;
  return written == NIB_PART_RESULT && other == NIB_PART_SOURCE && d.result_type == d.source_type &&
         s.result == s.source;
}

#if !defined(NIB_NO_VULKAN)

constexpr uint32_t kWorkgroup = 128;

NIB_SPEC_STRUCT(RopeSpec, ROPE_SPEC)

NibResult build(const NibRopeDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  RopeSizes s;
  const NibResult checked = checkSizes(d, Log(), &s);
  if (checked != NIB_SUCCESS) return checked;
  const auto offset = [&](NibPart part) { return memory.part[part].offset_bytes; };
  const auto word = [&](NibPart part) { return uint32_t(offset(part) / 4); };

  RopeSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.INTERLEAVED = isInterleaved(d);
  spec.SOURCE_TYPE = d.source_type;
  spec.RESULT_TYPE = d.result_type;
  spec.VEC = d.head_size % 8 == 0 && s.rotary % 8 == 0 && vectorized(d.tokens, s.cols, s.source) &&
             vectorized(d.tokens, s.cols, s.result);
  const uint32_t item = spec.VEC ? 8 : 4;
  const uint32_t head_items = uint32_t(ceilDiv(s.rotary, item) + ceilDiv(d.head_size - s.rotary, item));
  const uint64_t token_items = uint64_t(head_items) * d.heads, row_bytes = uint64_t(s.rotary) * 4;
  const Slot table = builder.anyRowSlot(NIB_ROLE_WEIGHTS, offset(NIB_PART_TABLE), d.positions, row_bytes, row_bytes)
                         .of(NIB_PART_TABLE);
  const RopePush push{{},
                      uint32_t(token_items),
                      head_items,
                      d.head_size,
                      s.rotary,
                      s.source,
                      s.result,
                      d.positions,
                      0,
                      table.window_rows,
                      word(NIB_PART_TABLE),
                      word(NIB_PART_SOURCE),
                      word(NIB_PART_RESULT),
                      word(NIB_PART_INDICES)};
  TileRule tiles;
  tiles.mul = token_items;
  tiles.div = spec.WG;
  const auto rows = [&](NibPart part, uint64_t stride_bytes, uint64_t size_bytes) {
    return itemSlot(NibRole(memory.part[part].role), offset(part), stride_bytes, 0, size_bytes).of(part);
  };
  const uint64_t from = typeBytes(d.source_type), to = typeBytes(d.result_type);
  const Slot slots[kSlotCount] = {table, rows(NIB_PART_SOURCE, s.source * from, s.cols * from),
                                  rows(NIB_PART_RESULT, s.result * to, s.cols * to).moving(),
                                  rows(NIB_PART_INDICES, 4, 4)};
  return builder.add("rope", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * item * (from + to), {},
                     &push.window_row);
}

#endif

constexpr Op<NibRopeDesc> kRope = {
    .op = NIB_OP_ROPE,
    .name = "rope",
    .getMemory = getMemory,
    .runRows =
        [](const NibRopeDesc& d) {
          return RunRows{d.tokens, false, d.tokens};
        },
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibRopeDesc& d) {
          return Dims{d.tokens, d.heads * d.head_size};
        },
    .resized = resized,
    .fillProbe = fillProbe,
    .mayAlias = mayAlias,
};

}  // namespace

NIB_DEFINE_OP(rope, NibRopeDesc, kRope)

}  // namespace nib

extern "C" NibResult nibFillRopeTable(const double* frequencies, uint32_t rotary_size, double factor,
                                      uint32_t first_position, uint32_t count, float* rows, const NibLog* log) {
  const nib::Log to(log);
  if (frequencies == nullptr || rows == nullptr) {
    return to.fail(NIB_ERROR_INVALID_ARGUMENT, "nibFillRopeTable: NULL argument");
  }
  if (rotary_size == 0 || rotary_size % 2 != 0) {
    return to.fail(NIB_ERROR_INVALID_ARGUMENT, "nibFillRopeTable: rotary_size %u must be even and at least 2",
                   rotary_size);
  }
  if (uint64_t(first_position) + count > uint64_t(1) << 32) {
    return to.fail(NIB_ERROR_INVALID_ARGUMENT, "nibFillRopeTable: first_position %u and count %u go beyond 2^32",
                   first_position, count);
  }
  for (uint32_t i = 0; i < count; ++i) {
    const double position = double(first_position) + i;
    for (uint32_t pair = 0; pair < rotary_size / 2; ++pair) {
      const double angle = position * frequencies[pair];
      *rows++ = float(std::cos(angle) * factor);
      *rows++ = float(std::sin(angle) * factor);
    }
  }
  return NIB_SUCCESS;
}
