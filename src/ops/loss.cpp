// NIB_OP_LOSS: validation, memory, kernel.
#include "plan/op.h"

#include <bit>

#include "formats/geometry.h"
#include "ops/logits_probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#include "plan/plan.h"
#include "shaders/ops/loss.h"
#endif

namespace nib {
namespace {

constexpr uint32_t kResultBytes = 16;  // of a row
constexpr float kLeastCap = 0x1p-10f, kMostCap = 0x1p20f;

bool hasReference(const NibLossDesc& d) { return (d.flags & NIB_LOSS_REFERENCE) != 0; }

// Elements from row to row.
struct Strides {
  uint32_t candidate, reference;
};

NibResult checkStrides(const NibLossDesc& d, const Log& log, Strides* strides) {
  *strides = {d.candidate_stride, d.reference_stride};
  const NibResult result =
      checkDense("loss", "candidate", d.rows, d.cols, d.candidate_type, false, log, &strides->candidate);
  if (result != NIB_SUCCESS) return result;
  if (hasReference(d)) {
    return checkDense("loss", "reference", d.rows, d.cols, d.reference_type, false, log, &strides->reference);
  }
  if (d.reference_type != 0 || d.reference_stride != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "loss: reference_type %u and reference_stride %u must be 0 without REFERENCE", d.reference_type,
                    d.reference_stride);
  }
  return NIB_SUCCESS;
}

NibResult getMemory(const NibLossDesc& d, const Log& log, NibMemory* memory) {
  Strides s{};
  const NibResult result = checkStrides(d, log, &s);
  if (result != NIB_SUCCESS) return result;
  if (d.flags & ~uint32_t(NIB_LOSS_REFERENCE)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "loss: flags 0x%x has unknown bits", d.flags);
  }
  if (d.soft_cap != 0.0f && !(d.soft_cap >= kLeastCap && d.soft_cap <= kMostCap)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "loss: soft_cap %g must be 0 or in 2^-10..2^20", double(d.soft_cap));
  }
  uint64_t end = 0;
  const auto add = [&](NibPart part, uint64_t size_bytes) {
    end = alignUp(end, kPartAlignmentBytes);
    setPart(memory, NIB_ROLE_INPUT, part, end, size_bytes);
    end += size_bytes;
  };
  if (hasReference(d)) add(NIB_PART_REFERENCE, denseBytes(d.rows, d.cols, d.reference_type, s.reference));
  add(NIB_PART_CANDIDATE, denseBytes(d.rows, d.cols, d.candidate_type, s.candidate));
  add(NIB_PART_INDICES, uint64_t(d.rows) * sizeof(uint32_t));
  setRange(memory, NIB_ROLE_INPUT, end);
  setPart(memory, NIB_ROLE_OUTPUT, NIB_PART_RESULT, 0, uint64_t(d.rows) * kResultBytes);
  setRange(memory, NIB_ROLE_OUTPUT, uint64_t(d.rows) * kResultBytes);
  return NIB_SUCCESS;
}

NibLossDesc resized(const NibLossDesc& desc, Dims dims) {
  NibLossDesc d = desc;
  d.candidate_stride = strideLike(d.candidate_stride, d.cols, dims.cols);
  d.reference_stride = strideLike(d.reference_stride, d.cols, dims.cols);
  d.rows = dims.rows;
  d.cols = dims.cols;
  return d;
}

void fillProbe(const NibLossDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  const auto fill = [&](NibPart part, uint32_t type, uint32_t seed) {
    void* data = partOf<void>(memory, binding, NIB_ROLE_INPUT, part);
    if (data != nullptr) probe::fillLogits(data, type, memory.part[part].size_bytes, false, seed);
  };
  fill(NIB_PART_REFERENCE, d.reference_type, 0x2545f491u);
  fill(NIB_PART_CANDIDATE, d.candidate_type, 0x9e3779b9u);
  probe::Sequence sequence(0x165667b1u);
  uint32_t* targets = partOf<uint32_t>(memory, binding, NIB_ROLE_INPUT, NIB_PART_INDICES);
  for (uint32_t row = 0; row < d.rows; ++row) {
    targets[row] = row % 7 == 5 ? UINT32_MAX : uint32_t(uint64_t(sequence.next()) * d.cols >> 32);
  }
}

#if !defined(NIB_NO_VULKAN)

constexpr uint32_t kMaxWorkgroup = 256;

NIB_SPEC_STRUCT(LossSpec, LOSS_SPEC)

NibResult build(const NibLossDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  Strides s{};
  const NibResult result = checkStrides(d, Log(), &s);
  if (result != NIB_SUCCESS) return result;
  const uint64_t candidate_bytes = typeBytes(d.candidate_type);
  const uint64_t reference_bytes = hasReference(d) ? typeBytes(d.reference_type) : 0;
  LossSpec spec;
  spec.WG = builder.workgroupSize(kMaxWorkgroup);
  spec.SOURCE_TYPE = d.candidate_type;
  spec.REFERENCE_TYPE = d.reference_type;
  spec.REFERENCE = hasReference(d);
  spec.VEC = vectorized(d.rows, d.cols, s.candidate) && (!spec.REFERENCE || vectorized(d.rows, d.cols, s.reference));
  spec.WIDE = wide(d.rows, d.cols, s.candidate, candidate_bytes);
  spec.CAP = d.soft_cap != 0.0f;
  const auto word = [&](NibPart part) { return uint32_t(memory.part[part].offset_bytes / 4); };
  const LossPush push{{},
                      d.cols,
                      s.candidate,
                      s.reference,
                      word(NIB_PART_CANDIDATE),
                      word(NIB_PART_REFERENCE),
                      word(NIB_PART_INDICES),
                      word(NIB_PART_RESULT),
                      std::bit_cast<uint32_t>(d.soft_cap)};
  const auto rows = [&](NibPart part, uint64_t row_bytes, uint64_t row_size_bytes) {
    const NibMemoryPart& p = memory.part[part];
    return itemSlot(NibRole(p.role), p.offset_bytes, row_bytes, 0, row_size_bytes).of(part);
  };
  const Slot reference =
      spec.REFERENCE ? rows(NIB_PART_REFERENCE, s.reference * reference_bytes, d.cols * reference_bytes) : Slot{};
  const Slot slots[kSlotCount] = {reference,
                                  rows(NIB_PART_CANDIDATE, s.candidate * candidate_bytes, d.cols * candidate_bytes),
                                  rows(NIB_PART_RESULT, kResultBytes, kResultBytes).moving(),
                                  rows(NIB_PART_INDICES, sizeof(uint32_t), sizeof(uint32_t))};
  return builder.add("loss", 0, spec, push, spec.WG * (12u + 8u), TileRule(), slots,
                     d.cols * (candidate_bytes + reference_bytes));
}

#endif

constexpr Op<NibLossDesc> kLoss = {
    .op = NIB_OP_LOSS,
    .name = "loss",
    .getMemory = getMemory,
    .runRows =
        [](const NibLossDesc& d) {
          return RunRows{d.rows, false, d.rows};
        },
    .runReference = lossReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibLossDesc& d) {
          return Dims{d.rows, d.cols};
        },
    .resized = resized,
    .fillProbe = fillProbe,
    .tolerance =
        [](const NibLossDesc& d, NibPart) {
          return Tolerance{NIB_TYPE_F32, 0x1p-16 * (1 + double(d.soft_cap))};
        },
};

}  // namespace

NIB_DEFINE_OP(loss, NibLossDesc, kLoss)

}  // namespace nib
