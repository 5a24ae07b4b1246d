// NIB_OP_APPEND: validation, memory, kernels.
#include "plan/op.h"

#include "formats/geometry.h"
#include "ops/parts.h"
#include "plan/probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#include "plan/plan.h"
#include "shaders/ops/append.h"
#include "shaders/ops/append_codes.h"
#endif

namespace nib {
namespace {

bool isDense(const NibAppendDesc& d) { return d.cache.format == NIB_FORMAT_DENSE; }

// A dense cache: its elements have the type scale_type.
NibResult checkDenseCache(const NibWeights& cache, const Log& log) {
  if (cache.scale_type > NIB_TYPE_BF16) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "append: cache.scale_type %u, the type of a dense cache, must be F32, F16 or BF16",
                    cache.scale_type);
  }
  if (cache.granularity != 0 || cache.group_size != 0 || cache.flags != 0 || cache.reserved[0] != 0 ||
      cache.reserved[1] != 0) {
    return log.fail(
        NIB_ERROR_INVALID_ARGUMENT,
        "append: cache.granularity, group_size, flags and reserved of a dense cache must be 0, got %u, %u and 0x%x",
        cache.granularity, cache.group_size, cache.flags);
  }
  return NIB_SUCCESS;
}

NibResult checkStrides(const NibAppendDesc& d, const Log& log, AppendStrides* s) {
  if (d.flags != 0) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "append: flags 0x%x has unknown bits", d.flags);
  if (d.tokens == 0 || d.cache_rows == 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "append: tokens and cache_rows must be at least 1, got %u and %u",
                    d.tokens, d.cache_rows);
  }
  *s = {d.source_stride, d.cache_stride, {}};
  NibResult result =
      checkDense("append", "source", d.tokens, d.cols, d.source_type, false, log, &s->source, {"tokens", "cols"});
  if (result != NIB_SUCCESS) return result;
  if (!isDense(d)) {
    if (d.cache_stride != 0) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "append: cache_stride %u of a quantized cache must be 0",
                      d.cache_stride);
    }
    return makeCacheRow("append", d.cache_rows, d.cols, 0, d.cache, log, &s->row);
  }
  result = checkDenseCache(d.cache, log);
  if (result != NIB_SUCCESS) return result;
  return checkDense("append", "cache", d.cache_rows, d.cols, d.cache.scale_type, true, log, &s->cache,
                    {"cache_rows", "cols"});
}

NibResult getMemory(const NibAppendDesc& d, const Log& log, NibMemory* memory) {
  AppendStrides s;
  const NibResult result = checkStrides(d, log, &s);
  if (result != NIB_SUCCESS) return result;
  uint64_t end =
      addPart(memory, NIB_ROLE_INPUT, NIB_PART_SOURCE, 0, denseBytes(d.tokens, d.cols, d.source_type, s.source));
  end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_INDICES, end, uint64_t(d.tokens) * 4);
  setRange(memory, NIB_ROLE_INPUT, end);
  const uint64_t cache_bytes =
      isDense(d) ? denseBytes(d.cache_rows, d.cols, d.cache.scale_type, s.cache) : d.cache_rows * s.row.bytes();
  setRange(memory, NIB_ROLE_OUTPUT, addPart(memory, NIB_ROLE_OUTPUT, NIB_PART_RESULT, 0, cache_bytes));
  return NIB_SUCCESS;
}

void runReference(const NibAppendDesc& d, const HostRun& run) {
  AppendStrides strides;
  if (checkStrides(d, Log(), &strides) == NIB_SUCCESS) appendReference(d, strides, run);
}

NibAppendDesc resized(const NibAppendDesc& desc, Dims dims) {
  NibAppendDesc d = desc;
  AppendStrides s;
  // Rows of a quantized cache have whole groups.
  if (!isDense(d) && checkStrides(d, Log(), &s) == NIB_SUCCESS) dims.cols = uint32_t(alignUp(dims.cols, s.row.g.group));
  d.source_stride = strideLike(d.source_stride, d.cols, dims.cols);
  d.cache_stride = strideLike(d.cache_stride, d.cols, dims.cols);
  d.tokens = dims.rows;
  d.cols = dims.cols;
  if (d.cache_rows > d.tokens) d.cache_rows = d.tokens;
  return d;
}

void fillProbe(const NibAppendDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  const uint64_t size_bytes = memory.part[NIB_PART_SOURCE].size_bytes;
  uint32_t* source = partOf<uint32_t>(memory, binding, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  probe::fillDense(source, d.source_type, size_bytes, 0x27d4eb2fu);
  // Every third word is any bit pattern, so that every kind of overflow occurs.
  probe::Sequence sequence(0x165667b1u);
  for (uint64_t i = 0; i < size_bytes / 4u; i += 3) source[i] = sequence.next();
  // The numbers 0..tokens-1 in any order: those >= cache_rows name rows that the cache lacks.
  uint32_t* indices = partOf<uint32_t>(memory, binding, NIB_ROLE_INPUT, NIB_PART_INDICES);
  for (uint32_t i = 0; i < d.tokens; ++i) {
    const uint32_t other = uint32_t((uint64_t(sequence.next()) * (uint64_t(i) + 1u)) >> 32);
    indices[i] = indices[other];
    indices[other] = i;
  }
  if (d.tokens > 7) indices[3] = d.cache_rows + 1;
}

#if !defined(NIB_NO_VULKAN)

constexpr uint32_t kWorkgroup = 128;

NIB_SPEC_STRUCT(AppendSpec, APPEND_SPEC)
NIB_SPEC_STRUCT(AppendCodesSpec, APPEND_CODES_SPEC)

NibResult buildCodes(const NibAppendDesc& d, const NibMemory& memory, const AppendStrides& s, PlanBuilder& builder) {
  const auto word = [&](NibPart part) { return uint32_t(memory.part[part].offset_bytes / 4); };
  const uint64_t from = typeBytes(d.source_type);
  AppendCodesSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.SOURCE_TYPE = d.source_type;
  spec.VEC = vectorized(d.tokens, d.cols, s.source);
  spec.WIDE = wide(d.tokens, d.cols, s.source, from);
  spec.FLAGS = d.cache.flags;
  spec.GROUP = s.row.g.group;
  const Slot cache = builder
                         .anyRowSlot(NIB_ROLE_OUTPUT, memory.part[NIB_PART_RESULT].offset_bytes, d.cache_rows,
                                     s.row.bytes(), s.row.bytes())
                         .of(NIB_PART_RESULT);
  const uint32_t groups = s.row.g.groups_per_row;
  const AppendCodesPush push{{},
                             d.cols,
                             s.source,
                             groups,
                             uint32_t(alignUp(groups, 4)),
                             s.row.words,
                             s.row.scalesWord(),
                             s.row.zerosWord(),
                             d.cache_rows,
                             0,
                             cache.window_rows,
                             word(NIB_PART_SOURCE),
                             word(NIB_PART_RESULT),
                             word(NIB_PART_INDICES)};
  TileRule tiles;
  tiles.mul = push.token_items;
  tiles.div = spec.WG;
  const uint64_t work = spec.WG * (2 * from * spec.GROUP + uint64_t(s.row.bytes()) / groups);
  const uint32_t shared_bytes = spec.WG * 20;
  const Slot slots[kSlotCount] = {
      Slot{},
      itemSlot(NIB_ROLE_INPUT, memory.part[NIB_PART_SOURCE].offset_bytes, s.source * from, 0, d.cols * from)
          .of(NIB_PART_SOURCE),
      cache, itemSlot(NIB_ROLE_INPUT, memory.part[NIB_PART_INDICES].offset_bytes, 4, 0, 4).of(NIB_PART_INDICES)};
  return builder.add("append_codes", d.cache.format, spec, push, shared_bytes, tiles, slots, work, {},
                     &push.window_row);
}

NibResult build(const NibAppendDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  AppendStrides s;
  const NibResult checked = checkStrides(d, Log(), &s);
  if (checked != NIB_SUCCESS) return checked;
  if (!isDense(d)) return buildCodes(d, memory, s, builder);
  const auto offset = [&](NibPart part) { return memory.part[part].offset_bytes; };
  const auto word = [&](NibPart part) { return uint32_t(offset(part) / 4); };
  const uint64_t from = typeBytes(d.source_type), to = typeBytes(d.cache.scale_type);

  AppendSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.SOURCE_TYPE = d.source_type;
  spec.RESULT_TYPE = d.cache.scale_type;
  spec.VEC = vectorized(d.tokens, d.cols, s.source) && vectorized(d.cache_rows, d.cols, s.cache);
  spec.WIDE = spec.VEC && (from == 4 || wide(d.tokens, d.cols, s.source, from)) &&
              (to == 4 || wide(d.cache_rows, d.cols, s.cache, to));
  const Slot cache =
      builder.anyRowSlot(NIB_ROLE_OUTPUT, offset(NIB_PART_RESULT), d.cache_rows, s.cache * to, alignUp(d.cols * to, 4))
          .of(NIB_PART_RESULT);
  const AppendPush push{{},
                        d.cols,
                        s.source,
                        s.cache,
                        d.cache_rows,
                        0,
                        cache.window_rows,
                        word(NIB_PART_SOURCE),
                        word(NIB_PART_RESULT),
                        word(NIB_PART_INDICES)};
  TileRule tiles;
  tiles.mul = ceilDiv(d.cols, 8);
  tiles.div = spec.WG;
  const Slot slots[kSlotCount] = {
      Slot{},
      itemSlot(NIB_ROLE_INPUT, offset(NIB_PART_SOURCE), s.source * from, 8 * from, d.cols * from).of(NIB_PART_SOURCE),
      cache, itemSlot(NIB_ROLE_INPUT, offset(NIB_PART_INDICES), 4, 0, 4).of(NIB_PART_INDICES)};
  return builder.add("append", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * 8u * (from + to), {},
                     &push.window_row);
}

#endif

constexpr Op<NibAppendDesc> kAppend = {
    .op = NIB_OP_APPEND,
    .name = "append",
    .getMemory = getMemory,
    .runRows =
        [](const NibAppendDesc& d) {
          return RunRows{d.tokens, false, 0};
        },
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibAppendDesc& d) {
          return Dims{d.tokens, d.cols};
        },
    .resized = resized,
    .fillProbe = fillProbe,
};

}  // namespace

NIB_DEFINE_OP(append, NibAppendDesc, kAppend)

}  // namespace nib
