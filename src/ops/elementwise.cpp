// NIB_OP_ELEMENTWISE: validation, memory, kernels.
#include "plan/op.h"

#include <algorithm>
#include <bit>

#include "formats/geometry.h"
#include "numerics/float_bits.h"
#include "ops/parts.h"
#include "plan/probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#include "ops/tuning.h"
#include "plan/plan.h"
#include "shaders/ops/elementwise.h"
#endif

namespace nib {
namespace {

constexpr uint32_t kFlags = NIB_ELEMENTWISE_ONE_ROW | NIB_ELEMENTWISE_HALVES;

bool isGated(const NibElementwiseDesc& d) { return d.kind == NIB_ELEMENTWISE_GATED; }
bool isCap(const NibElementwiseDesc& d) { return d.kind == NIB_ELEMENTWISE_CAP; }
bool isBounded(const NibElementwiseDesc& d) { return isGated(d) || isCap(d); }
bool hasFactor(const NibElementwiseDesc& d) { return d.kind == NIB_ELEMENTWISE_SCALE || isCap(d); }
bool hasHalves(const NibElementwiseDesc& d) { return (d.flags & NIB_ELEMENTWISE_HALVES) != 0; }
bool hasOneRow(const NibElementwiseDesc& d) { return (d.flags & NIB_ELEMENTWISE_ONE_ROW) != 0; }
bool hasSecond(const NibElementwiseDesc& d) { return !hasFactor(d) && !hasHalves(d); }
uint32_t sourceCols(const NibElementwiseDesc& d) { return hasHalves(d) ? d.cols * 2 : d.cols; }

NibResult checkKind(const NibElementwiseDesc& d, const Log& log) {
  if (d.kind > NIB_ELEMENTWISE_CAP) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "elementwise: kind %u must be ADD, MUL, SCALE, GATED or CAP", d.kind);
  }
  if (d.flags & ~kFlags) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "elementwise: flags 0x%x has unknown bits", d.flags);
  }
  if (hasHalves(d) && !isGated(d)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "elementwise: flags: HALVES requires GATED");
  }
  if (hasOneRow(d) && !hasSecond(d)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "elementwise: flags: ONE_ROW requires a second operand, which SCALE, CAP and HALVES lack");
  }
  if (d.activation > (isGated(d) ? uint32_t(NIB_ACTIVATION_SILU) : uint32_t(NIB_ACTIVATION_NONE))) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "elementwise: activation %u must be %s", d.activation,
                    isGated(d) ? "a NibActivation" : "0 without GATED");
  }
  if (isCap(d) && !(d.factor >= 0x1p-10f && d.factor <= 0x1p20f)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "elementwise: factor %g of CAP must be in 2^-10..2^20",
                    double(d.factor));
  }
  const uint32_t factor = exact::bitsOf(d.factor);
  if (hasFactor(d) ? exact::nibIsNonFinite(factor) : factor != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "elementwise: factor %g must be %s", double(d.factor),
                    hasFactor(d) ? "finite" : "0 without SCALE and CAP");
  }
  if (hasHalves(d) && d.cols > kMaxElements / 2) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "elementwise: cols %u with HALVES must be at most 2^31 - 2^20", d.cols);
  }
  return NIB_SUCCESS;
}

NibResult checkSecond(const NibElementwiseDesc& d, const Log& log, uint32_t* stride) {
  *stride = 0;
  if (!hasSecond(d)) {
    if (d.second_type == 0 && d.second_stride == 0) return NIB_SUCCESS;
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "elementwise: second_type %u and second_stride %u must be 0 without a second operand",
                    d.second_type, d.second_stride);
  }
  if (hasOneRow(d)) {
    if (d.second_stride != 0) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "elementwise: second_stride %u must be 0 with ONE_ROW",
                      d.second_stride);
    }
    uint32_t cols = 0;
    return checkDense("elementwise", "second", 1, d.cols, d.second_type, false, log, &cols);
  }
  *stride = d.second_stride;
  return checkDense("elementwise", "second", d.rows, d.cols, d.second_type, false, log, stride);
}

NibResult checkStrides(const NibElementwiseDesc& d, const Log& log, ElementwiseStrides* s) {
  *s = {d.source_stride, 0, d.result_stride};
  NibResult result = checkDense("elementwise", "source", d.rows, sourceCols(d), d.source_type, false, log, &s->source);
  if (result == NIB_SUCCESS) result = checkSecond(d, log, &s->second);
  if (result != NIB_SUCCESS) return result;
  return checkDense("elementwise", "result", d.rows, d.cols, d.result_type, true, log, &s->result);
}

NibResult getMemory(const NibElementwiseDesc& d, const Log& log, NibMemory* memory) {
  ElementwiseStrides s;
  NibResult result = checkKind(d, log);
  if (result == NIB_SUCCESS) result = checkStrides(d, log, &s);
  if (result != NIB_SUCCESS) return result;
  const uint64_t source_bytes = denseBytes(d.rows, sourceCols(d), d.source_type, s.source);
  const uint64_t second_bytes =
      hasSecond(d) ? denseBytes(hasOneRow(d) ? 1 : d.rows, d.cols, d.second_type, s.second) : 0;
  uint64_t end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_SOURCE, 0, source_bytes);
  end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_SECOND, end, second_bytes);
  setRange(memory, NIB_ROLE_INPUT, end);
  const uint64_t result_bytes = denseBytes(d.rows, d.cols, d.result_type, s.result);
  setRange(memory, NIB_ROLE_OUTPUT, addPart(memory, NIB_ROLE_OUTPUT, NIB_PART_RESULT, 0, result_bytes));
  return NIB_SUCCESS;
}

void runReference(const NibElementwiseDesc& d, const HostRun& run) {
  ElementwiseStrides strides;
  if (checkStrides(d, Log(), &strides) == NIB_SUCCESS) elementwiseReference(d, strides, run);
}

NibElementwiseDesc resized(const NibElementwiseDesc& desc, Dims dims) {
  NibElementwiseDesc d = desc;
  const uint32_t factor = hasHalves(d) ? 2 : 1;
  d.source_stride = strideLike(d.source_stride, d.cols * factor, dims.cols * factor);
  d.second_stride = strideLike(d.second_stride, d.cols, dims.cols);
  d.result_stride = strideLike(d.result_stride, d.cols, dims.cols);
  d.rows = dims.rows;
  d.cols = dims.cols;
  return d;
}

// Gates from -8 to 8, other factors up to 1/2: results of elements that are not finite are undefined.
void fillGated(void* data, uint32_t type, uint64_t size_bytes, uint32_t seed, bool gates) {
  probe::Sequence sequence(seed);
  for (uint64_t i = 0; i < size_bytes / typeBytes(type); ++i) {
    const uint32_t r = sequence.next();
    const uint32_t lowest = gates && r % 2 != 0 ? 0x3e000000u : 0x3c000000u;
    storeDense(data, type, i, (r & 0x80000000u) | (lowest + (r >> 1 & 0x02ffffffu)));
  }
}

void fillProbe(const NibElementwiseDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  const auto fill = [&](NibPart part, uint32_t type, uint32_t seed) {
    void* data = partOf<void>(memory, binding, NIB_ROLE_INPUT, part);
    if (data == nullptr) return;
    const uint64_t size_bytes = memory.part[part].size_bytes;
    if (isBounded(d)) {
      fillGated(data, type, size_bytes, seed, part == NIB_PART_SOURCE);
      return;
    }
    probe::fillDense(data, type, size_bytes, seed);
    // Every third word is any bit pattern, so that every kind of overflow occurs.
    probe::Sequence sequence(seed);
    for (uint64_t i = 0; i < size_bytes / 4; i += 3) static_cast<uint32_t*>(data)[i] = sequence.next();
  };
  fill(NIB_PART_SOURCE, d.source_type, 0x27d4eb2fu);
  fill(NIB_PART_SECOND, d.second_type, 0x165667b1u);
}

Tolerance tolerance(const NibElementwiseDesc& d, NibPart) { return {d.result_type, isBounded(d) ? 0x1p-17 : 0.0}; }

bool mayAlias(const NibElementwiseDesc& d, NibPart written, NibPart other) {
  ElementwiseStrides s;
  if (written != NIB_PART_RESULT || checkStrides(d, Log(), &s) != NIB_SUCCESS) return false;
  if (other == NIB_PART_SECOND) {
    return hasSecond(d) && !hasOneRow(d) && d.result_type == d.second_type && s.result == s.second;
  }
  if (other != NIB_PART_SOURCE || d.result_type != d.source_type || s.result != s.source) return false;
  // The word of an odd gate's last element also holds an element of the other half.
  return !hasHalves(d) || d.result_type == NIB_TYPE_F32 || d.cols % 2 == 0;
}

#if !defined(NIB_NO_VULKAN)

constexpr uint32_t kWorkgroup = 128;

NIB_SPEC_STRUCT(ElementwiseSpec, ELEMENTWISE_SPEC)

struct Build {
  const NibElementwiseDesc& d;
  const NibMemory& memory;
  ElementwiseStrides s;
  bool flat;  // every operand is one row

  uint32_t word(NibPart part) const { return uint32_t(memory.part[part].offset_bytes / 4); }
  uint32_t secondType() const { return hasHalves(d) ? d.source_type : d.second_type; }
  uint32_t secondStride() const { return hasHalves(d) ? s.source : s.second; }

  // Every operand's rows start and end at multiples of `run` elements; of 16-bit operands alone if `halves`.
  bool aligned(uint32_t run, bool halves) const {
    const auto fits = [&](uint32_t type, uint32_t stride) {
      return (halves && type == NIB_TYPE_F32) || flat || stride % run == 0;
    };
    return d.cols % run == 0 && fits(d.source_type, s.source) && fits(d.result_type, s.result) &&
           (hasFactor(d) || fits(secondType(), secondStride()));
  }

  // A part whose items are elements of one row, or runs of eight of a row.
  Slot slot(NibPart part, uint32_t type, uint32_t stride, uint64_t first_byte = 0) const {
    const NibMemoryPart& p = memory.part[part];
    const uint64_t bytes = typeBytes(type), offset = p.offset_bytes + first_byte;
    return itemSlot(NibRole(p.role), offset, (flat ? d.cols : stride) * bytes, (flat ? 1 : 8) * bytes, d.cols * bytes)
        .of(part);
  }
  Slot secondSlot() const {
    if (hasFactor(d)) return {};
    const uint64_t bytes = typeBytes(secondType());
    if (hasHalves(d)) return slot(NIB_PART_SOURCE, d.source_type, s.source, d.cols * bytes);
    if (!hasOneRow(d) || flat) return slot(NIB_PART_SECOND, d.second_type, s.second);
    const uint64_t offset = memory.part[NIB_PART_SECOND].offset_bytes;
    return sharedSlot(NIB_ROLE_INPUT, offset, 8 * bytes, d.cols * bytes).of(NIB_PART_SECOND);
  }
};

NibResult build(const NibElementwiseDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  Build b{d, memory, {}, false};
  const NibResult checked = checkStrides(d, Log(), &b.s);
  if (checked != NIB_SUCCESS) return checked;
  // Contiguous matrices are processed as one long row: no row tails, and no division per run.
  b.flat = d.rows == 1 || (b.s.source == d.cols && b.s.result == d.cols && (hasFactor(d) || b.s.second == d.cols));

  ElementwiseSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.OCTETS = isCpu(builder.caps().device_type) ? 4 : 2;
  spec.KIND = d.kind;
  spec.ACTIVATION = d.activation;
  spec.SOURCE_TYPE = d.source_type;
  spec.SECOND_TYPE = b.secondType();
  spec.RESULT_TYPE = d.result_type;
  spec.VEC = b.aligned(4, false);
  spec.WIDE = spec.VEC && b.aligned(8, true);
  spec.FULL = d.cols % 8u == 0;
  spec.FLATTEN = b.flat;
  const bool halves = hasHalves(d);
  const ElementwisePush push{{},
                             d.cols,
                             b.s.source,
                             b.secondStride(),
                             b.s.result,
                             halves ? d.cols : 0,
                             b.word(NIB_PART_SOURCE),
                             b.word(halves ? NIB_PART_SOURCE : NIB_PART_SECOND),
                             b.word(NIB_PART_RESULT),
                             exact::nibCanonicalBits(exact::bitsOf(d.factor))};
  const uint32_t item = b.flat ? 1 : 8;
  TileRule tiles;
  tiles.mul = ceilDiv(d.cols, item);
  tiles.div = uint64_t(spec.WG) * spec.OCTETS * 8u / item;
  const Slot slots[kSlotCount] = {Slot{}, b.slot(NIB_PART_SOURCE, d.source_type, b.s.source),
                                  b.slot(NIB_PART_RESULT, d.result_type, b.s.result).moving(), b.secondSlot()};
  uint64_t element_bytes = typeBytes(d.source_type) + typeBytes(d.result_type);
  if (!hasFactor(d)) element_bytes += typeBytes(b.secondType());
  return builder.add(isBounded(d) ? "elementwise_gated" : "elementwise", 0, spec, push, 0, tiles, slots,
                     uint64_t(spec.WG) * spec.OCTETS * 8u * element_bytes);
}

#endif

constexpr Op<NibElementwiseDesc> kElementwise = {
    .op = NIB_OP_ELEMENTWISE,
    .name = "elementwise",
    .getMemory = getMemory,
    .runRows =
        [](const NibElementwiseDesc& d) {
          return RunRows{d.rows, false, d.rows};
        },
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibElementwiseDesc& d) {
          return Dims{d.rows, d.cols};
        },
    .resized = resized,
    .fillProbe = fillProbe,
    .tolerance = tolerance,
    .mayAlias = mayAlias,
};

}  // namespace

NIB_DEFINE_OP(elementwise, NibElementwiseDesc, kElementwise)

}  // namespace nib
