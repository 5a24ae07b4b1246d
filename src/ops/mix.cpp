// NIB_OP_MIX: validation, memory, kernel.
#include "plan/op.h"

#include "formats/geometry.h"
#include "ops/dense_spec.h"
#include "ops/parts.h"
#include "plan/probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#include "shaders/ops/mix.h"
#endif

namespace nib {
namespace {

struct Strides {
  uint32_t source, result;
};

NibResult check(const NibMixDesc& d, const Log& log, Strides* s) {
  if (d.flags & ~uint32_t(NIB_MIX_RESIDUAL)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "mix: flags 0x%x has unknown bits", d.flags);
  }
  if (d.count == 0 || d.count > NIB_MIX_MAX_COUNT) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "mix: count %u must be in 1..%u", d.count, uint32_t(NIB_MIX_MAX_COUNT));
  }
  if (d.weighting > NIB_MIX_SIGMOID) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "mix: weighting %u is not a NibMixWeighting, 0 to %d", d.weighting,
                    int(NIB_MIX_SIGMOID));
  }
  if (uint64_t(d.rows) * d.count > UINT32_MAX) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "mix: rows %u times count %u exceeds 2^32 - 1", d.rows, d.count);
  }
  *s = {d.source_stride, d.result_stride};
  const NibResult result = checkDense("mix", "source", d.rows * d.count, d.cols, NIB_TYPE_F32, false, log, &s->source);
  if (result != NIB_SUCCESS) return result;
  return checkDense("mix", "result", d.rows, d.cols, NIB_TYPE_F32, true, log, &s->result);
}

NibResult getMemory(const NibMixDesc& d, const Log& log, NibMemory* memory) {
  Strides s;
  const NibResult result = check(d, log, &s);
  if (result != NIB_SUCCESS) return result;
  uint64_t end =
      addPart(memory, NIB_ROLE_INPUT, NIB_PART_SOURCE, 0, denseBytes(d.rows * d.count, d.cols, NIB_TYPE_F32, s.source));
  end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_SECOND, end, uint64_t(d.rows) * d.count * sizeof(float));
  if (d.weighting == NIB_MIX_SOFTMAX_ALL) {
    end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_LOG_SUM, end, uint64_t(d.rows) * sizeof(float));
  }
  setRange(memory, NIB_ROLE_INPUT, end);
  const uint64_t result_bytes = denseBytes(d.rows, d.cols, NIB_TYPE_F32, s.result);
  setRange(memory, NIB_ROLE_OUTPUT, addPart(memory, NIB_ROLE_OUTPUT, NIB_PART_RESULT, 0, result_bytes));
  return NIB_SUCCESS;
}

NibMixDesc resized(const NibMixDesc& desc, Dims dims) {
  NibMixDesc d = desc;
  d.source_stride = strideLike(d.source_stride, d.cols, dims.cols);
  d.result_stride = strideLike(d.result_stride, d.cols, dims.cols);
  d.rows = dims.rows;
  d.cols = dims.cols;
  return d;
}

// Positive numbers, so that nothing cancels, and logits of a few powers of e.
void fillProbe(const NibMixDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  const auto fill = [&](NibRole role, NibPart part, uint32_t seed, float from, float to) {
    float* data = partOf<float>(memory, binding, role, part);
    if (data == nullptr) return;
    probe::Sequence sequence(seed);
    for (uint64_t i = 0; i < memory.part[part].size_bytes / sizeof(float); ++i) {
      data[i] = from + (to - from) * float(sequence.next() >> 8) * 0x1p-24f;
    }
  };
  fill(NIB_ROLE_INPUT, NIB_PART_SOURCE, 0x27d4eb2fu, 1, 2);
  fill(NIB_ROLE_INPUT, NIB_PART_SECOND, 0x165667b1u, -3, 3);
  fill(NIB_ROLE_INPUT, NIB_PART_LOG_SUM, 0x9e3779b9u, 3, 5);
  if (d.flags & NIB_MIX_RESIDUAL) fill(NIB_ROLE_OUTPUT, NIB_PART_RESULT, 0x85ebca6bu, 1, 2);
}

#if !defined(NIB_NO_VULKAN)

constexpr uint32_t kWorkgroup = 128;

NIB_SPEC_STRUCT(MixSpec, MIX_SPEC)

NibResult build(const NibMixDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  Strides s;
  const NibResult checked = check(d, Log(), &s);
  if (checked != NIB_SUCCESS) return checked;
  MixSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.WEIGHTING = d.weighting;
  spec.VEC = vectorized(d.rows * d.count, d.cols, s.source) && vectorized(d.rows, d.cols, s.result);
  spec.RESIDUAL = (d.flags & NIB_MIX_RESIDUAL) != 0;
  const auto word = [&](NibPart part) { return uint32_t(memory.part[part].offset_bytes / 4); };
  const uint32_t quads = uint32_t(ceilDiv(d.cols, 4));
  const MixPush push{{},
                     d.cols,
                     quads,
                     d.count,
                     s.source,
                     s.result,
                     word(NIB_PART_LOG_SUM),
                     word(NIB_PART_SOURCE),
                     word(NIB_PART_RESULT),
                     word(NIB_PART_SECOND)};
  TileRule tiles;
  tiles.mul = quads;
  tiles.div = spec.WG;
  const auto rows = [&](NibPart part, uint64_t row_bytes, uint64_t item_bytes, uint64_t size_bytes) {
    const NibMemoryPart& p = memory.part[part];
    return itemSlot(NibRole(p.role), p.offset_bytes, row_bytes, item_bytes, size_bytes).of(part);
  };
  const uint64_t last_row = (uint64_t(d.count - 1) * s.source + d.cols) * sizeof(float);
  const Slot slots[kSlotCount] = {d.weighting == NIB_MIX_SOFTMAX_ALL ? rows(NIB_PART_LOG_SUM, 4, 0, 4) : Slot{},
                                  rows(NIB_PART_SOURCE, uint64_t(d.count) * s.source * sizeof(float), 0, last_row),
                                  rows(NIB_PART_RESULT, s.result * sizeof(float), 16, d.cols * sizeof(float)).moving(),
                                  rows(NIB_PART_SECOND, uint64_t(d.count) * 4, 0, uint64_t(d.count) * 4)};
  return builder.add("mix", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * 16 * (d.count + 1));
}

#endif

constexpr Op<NibMixDesc> kMix = {
    .op = NIB_OP_MIX,
    .name = "mix",
    .getMemory = getMemory,
    .runRows =
        [](const NibMixDesc& d) {
          return RunRows{d.rows, false, d.rows};
        },
    .runReference = mixReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibMixDesc& d) {
          return Dims{d.rows, d.cols};
        },
    .resized = resized,
    .fillProbe = fillProbe,
    .tolerance =
        [](const NibMixDesc&, NibPart) {
          return Tolerance{NIB_TYPE_F32, 0x1p-14};
        },
    .accumulates = [](const NibMixDesc& d) { return (d.flags & NIB_MIX_RESIDUAL) != 0; },
};

}  // namespace

NIB_DEFINE_OP(mix, NibMixDesc, kMix)

}  // namespace nib
