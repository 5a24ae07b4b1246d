// NIB_OP_NORM: validation, memory, kernels.
#include "plan/op.h"

#include <nibble/formats.h>

#include <algorithm>
#include <bit>

#include "formats/geometry.h"
#include "plan/probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#include "plan/plan.h"
#include "shaders/ops/norm.h"
#endif

namespace nib {
namespace {

constexpr uint32_t kFlags = NIB_NORM_MEAN | NIB_NORM_GAIN | NIB_NORM_BIAS | NIB_NORM_RESIDUAL | NIB_NORM_CODES;
constexpr float kLeastEpsilon = 0x1p-100f, kMostEpsilon = 0x1p20f;

bool hasResidual(const NibNormDesc& d) { return (d.flags & NIB_NORM_RESIDUAL) != 0; }
bool hasCodes(const NibNormDesc& d) { return (d.flags & NIB_NORM_CODES) != 0; }

NibResult checkResult(const NibNormDesc& d, const Log& log, NormStrides* strides) {
  if (!hasCodes(d)) {
    strides->result = d.result_stride;
    return checkDense("norm", "result", d.rows, d.cols, d.result_type, true, log, &strides->result);
  }
  if (d.result_type != 0 || d.result_stride != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "norm: result_type %u and result_stride %u must be 0 with CODES",
                    d.result_type, d.result_stride);
  }
  if (findFormat(NIB_FORMAT_INT8) == nullptr) {
    return log.fail(NIB_ERROR_UNSUPPORTED,
                    "norm: flags: CODES needs the format int8, which is not in this build: add "
                    "int8 to NIBBLE_FORMATS");
  }
  strides->result = uint32_t(alignUp(d.cols, 4));
  return NIB_SUCCESS;
}

NibResult checkStrides(const NibNormDesc& d, const Log& log, NormStrides* strides) {
  *strides = {d.source_stride, 0, 0};
  NibResult result = checkDense("norm", "source", d.rows, d.cols, d.source_type, false, log, &strides->source);
  if (result != NIB_SUCCESS) return result;
  if (hasResidual(d)) {
    strides->residual = d.residual_stride;
    result = checkDense("norm", "residual", d.rows, d.cols, d.residual_type, true, log, &strides->residual);
    if (result != NIB_SUCCESS) return result;
  } else if (d.residual_type != 0 || d.residual_stride != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "norm: residual_type %u and residual_stride %u must be 0 without RESIDUAL", d.residual_type,
                    d.residual_stride);
  }
  return checkResult(d, log, strides);
}

// Appends a part after the earlier ones, and returns where the next may begin.
uint64_t addPart(NibMemory* memory, NibPart part, uint64_t from, uint64_t size_bytes) {
  if (size_bytes == 0) return from;
  const uint64_t at = alignUp(from, kPartAlignmentBytes);
  setPart(memory, part, at, size_bytes);
  return at + size_bytes;
}

NibResult getMemory(const NibNormDesc& d, const Log& log, NibMemory* memory) {
  NormStrides s;
  const NibResult result = checkStrides(d, log, &s);
  if (result != NIB_SUCCESS) return result;
  if (d.flags & ~kFlags) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "norm: flags 0x%x has unknown bits", d.flags);
  if (!(d.epsilon >= kLeastEpsilon && d.epsilon <= kMostEpsilon)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "norm: epsilon %g must be in 2^-100..2^20", double(d.epsilon));
  }
  const uint64_t vector_bytes = uint64_t(d.cols) * 4;
  uint64_t end = addPart(memory, NIB_PART_GAIN, 0, d.flags & NIB_NORM_GAIN ? vector_bytes : 0);
  end = addPart(memory, NIB_PART_BIAS, end, d.flags & NIB_NORM_BIAS ? vector_bytes : 0);
  setRange(memory, NIB_ROLE_WEIGHTS, end);

  const uint64_t residual_bytes = hasResidual(d) ? denseBytes(d.rows, d.cols, d.residual_type, s.residual) : 0;
  end = addPart(memory, NIB_PART_SOURCE, 0, denseBytes(d.rows, d.cols, d.source_type, s.source));
  end = addPart(memory, NIB_PART_RESIDUAL_IN, end, residual_bytes);
  setRange(memory, NIB_ROLE_INPUT, end);

  const uint64_t result_bytes =
      hasCodes(d) ? uint64_t(d.rows) * s.result : denseBytes(d.rows, d.cols, d.result_type, s.result);
  end = addPart(memory, NIB_PART_RESULT, 0, result_bytes);
  end = addPart(memory, NIB_PART_RESULT_SCALES, end, hasCodes(d) ? uint64_t(d.rows) * 4 : 0);
  end = addPart(memory, NIB_PART_RESIDUAL_OUT, end, residual_bytes);
  setRange(memory, NIB_ROLE_OUTPUT, end);
  return NIB_SUCCESS;
}

void runReference(const NibNormDesc& d, const HostRun& run) {
  NormStrides strides;
  if (checkStrides(d, Log(), &strides) == NIB_SUCCESS) normReference(d, strides, run);
}

NibNormDesc resized(const NibNormDesc& desc, Dims dims) {
  NibNormDesc d = desc;
  d.source_stride = strideLike(d.source_stride, d.cols, dims.cols);
  d.residual_stride = strideLike(d.residual_stride, d.cols, dims.cols);
  d.result_stride = strideLike(d.result_stride, d.cols, dims.cols);
  d.rows = dims.rows;
  d.cols = dims.cols;
  return d;
}

constexpr uint32_t kRun = 8;  // elements that an invocation processes at a time
constexpr uint32_t kMaxWorkgroup = 256;
constexpr uint32_t kMaxKeep = 4;  // runs that an invocation keeps

void smallDims(const NibNormDesc& d, SmallDims* list) {
  // The workgroup grows to the device's limit, of at least 128 invocations, and then the runs that each keeps.
  uint32_t bound = 0;
  for (uint32_t step = 32; step <= kMaxKeep * kMaxWorkgroup; step = step < 128 ? 2 * step : step + 128) {
    if (step * kRun < d.cols) bound = step * kRun;
  }
  // More columns in the shortest class, for an ample problem.
  const uint32_t cols = bound == 0 ? 224 + d.cols % 32 : colsAbove(bound, d.cols);
  list->add(ampleRows(d.rows, cols), cols);
  if (d.rows == 1) list->add(ampleRows(2, cols), cols);
}

// Ordinary numbers: results of a row with a NaN or an infinity are undefined.
void fillOrdinary(void* data, uint32_t type, uint64_t size_bytes, uint32_t seed) {
  probe::Sequence sequence(seed);
  for (uint64_t i = 0; i < size_bytes / typeBytes(type); ++i) {
    const uint32_t r = sequence.next();
    storeDense(data, type, i, (r & 0x80000000u) | ((0x3cu << 24) + (r & 0x02ffffffu)));  // 2^-7 .. 2^-1
  }
}

void fillProbe(const NibNormDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  const auto fill = [&](NibRole role, NibPart part, uint32_t type, uint32_t seed) {
    void* data = partOf<void>(memory, binding, role, part);
    if (data != nullptr) fillOrdinary(data, type, memory.part[part].size_bytes, seed);
  };
  fill(NIB_ROLE_WEIGHTS, NIB_PART_GAIN, NIB_TYPE_F32, 0x9e3779b9u);
  fill(NIB_ROLE_WEIGHTS, NIB_PART_BIAS, NIB_TYPE_F32, 0x85ebca6bu);
  fill(NIB_ROLE_INPUT, NIB_PART_SOURCE, d.source_type, 0x27d4eb2fu);
  fill(NIB_ROLE_INPUT, NIB_PART_RESIDUAL_IN, d.residual_type, 0x165667b1u);
}

Tolerance tolerance(const NibNormDesc& d, NibPart part) {
  const double relative = (d.cols + 8.0) * 0x1p-20;
  if (part == NIB_PART_RESIDUAL_OUT) return {d.residual_type, 0};
  if (part == NIB_PART_RESULT && hasCodes(d)) return {kCodeType, 1};
  return {part == NIB_PART_RESULT ? d.result_type : uint32_t(NIB_TYPE_F32), relative};
}

bool mayAlias(const NibNormDesc& d, NibPart written, NibPart other) {
  NormStrides s;
  if (checkStrides(d, Log(), &s) != NIB_SUCCESS) return false;
  if (written == NIB_PART_RESIDUAL_OUT && other == NIB_PART_RESIDUAL_IN) return true;
  if (other != NIB_PART_SOURCE) return false;
  if (written == NIB_PART_RESIDUAL_OUT) return d.residual_type == d.source_type && s.residual == s.source;
  return written == NIB_PART_RESULT && !hasResidual(d) && !hasCodes(d) && d.result_type == d.source_type &&
         s.result == s.source;
}

#if !defined(NIB_NO_VULKAN)

NIB_SPEC_STRUCT(NormSpec, NORM_SPEC)

// Rows of a part, from row 0 on.
Slot rowsSlot(const NibMemory& memory, NibPart part, uint64_t row_bytes, uint64_t row_size_bytes) {
  const NibMemoryPart& p = memory.part[part];
  return itemSlot(NibRole(p.role), p.offset_bytes, row_bytes, 0, row_size_bytes).of(part);
}

struct Build {
  const NibNormDesc& d;
  const NibMemory& memory;
  PlanBuilder& builder;
  NormStrides s;

  uint32_t word(NibPart part) const { return uint32_t(memory.part[part].offset_bytes / 4); }
  Slot sourceSlot() const {
    const uint64_t bytes = typeBytes(d.source_type);
    return rowsSlot(memory, NIB_PART_SOURCE, s.source * bytes, d.cols * bytes);
  }
  Slot residualSlot(NibPart part) const {
    const uint64_t bytes = typeBytes(d.residual_type);
    return rowsSlot(memory, part, s.residual * bytes, alignUp(d.cols * bytes, 4));
  }
  Slot resultSlot() const {
    const uint64_t bytes = hasCodes(d) ? 1 : typeBytes(d.result_type);
    return rowsSlot(memory, NIB_PART_RESULT, s.result * bytes, alignUp(d.cols * bytes, 4)).moving();
  }
  Slot scalesSlot() const { return hasCodes(d) ? rowsSlot(memory, NIB_PART_RESULT_SCALES, 4, 4).moving() : Slot{}; }
  Slot weightsSlot() const {
    if ((d.flags & (NIB_NORM_GAIN | NIB_NORM_BIAS)) == 0) return {};
    return wholeSlot(NIB_ROLE_WEIGHTS).of(kNoPart, {NIB_PART_GAIN, NIB_PART_BIAS});
  }
};

NormSpec specOf(const Build& b) {
  const NibNormDesc& d = b.d;
  NormSpec spec;
  const uint32_t runs = uint32_t(ceilDiv(d.cols, kRun));
  spec.WG = b.builder.workgroupSize(std::clamp(std::bit_ceil(runs), 32u, kMaxWorkgroup));
  spec.KEEP = uint32_t(ceilDiv(runs, spec.WG));
  spec.MORE = spec.KEEP > kMaxKeep;
  if (spec.MORE) spec.KEEP = 1;
  spec.SOURCE_TYPE = d.source_type;
  spec.RESIDUAL_TYPE = d.residual_type;
  spec.RESULT_TYPE = d.result_type;
  spec.VEC = vectorized(d.rows, d.cols, b.s.source) && vectorized(d.rows, d.cols, b.s.result) &&
             (!hasResidual(d) || vectorized(d.rows, d.cols, b.s.residual));
  spec.WIDE = wide(d.rows, d.cols, b.s.source, typeBytes(d.source_type));
  spec.MEAN = (d.flags & NIB_NORM_MEAN) != 0;
  spec.GAIN = (d.flags & NIB_NORM_GAIN) != 0;
  spec.BIAS = (d.flags & NIB_NORM_BIAS) != 0;
  return spec;
}

NibResult addNorm(const Build& b, const NormSpec& spec, uint32_t source_type, uint32_t source_stride, NibPart source,
                  const Slot (&slots)[kSlotCount]) {
  const NibNormDesc& d = b.d;
  const NormPush push{{},
                      d.cols,
                      source_stride,
                      b.s.residual,
                      hasCodes(d) ? b.s.result / 4 : b.s.result,
                      b.word(source),
                      b.word(NIB_PART_RESIDUAL_IN),
                      b.word(NIB_PART_RESIDUAL_OUT),
                      b.word(NIB_PART_RESULT),
                      b.word(NIB_PART_RESULT_SCALES),
                      b.word(NIB_PART_GAIN),
                      b.word(NIB_PART_BIAS),
                      std::bit_cast<uint32_t>(d.epsilon)};
  const bool codes = hasCodes(d) && !spec.SUM;
  const uint32_t scales_slot = spec.WHOLE ? 2u : 3u;
  const uint64_t element_bytes = typeBytes(source_type) + (spec.RESIDUAL ? 2 * typeBytes(d.residual_type) : 0) +
                                 (spec.SUM ? 0
                                  : codes  ? 1
                                           : typeBytes(d.result_type));
  const uint32_t shared_bytes = spec.WG * (codes ? 16u : 4u);
  const char* name = codes ? "norm_codes" : "norm";
  const uint32_t format = codes ? uint32_t(NIB_FORMAT_INT8) : 0u;
  const TileRule tiles;
  if (spec.WHOLE) {
    return b.builder.add(name, format, spec, push, shared_bytes, tiles, slots, d.cols * element_bytes,
                         {{&push.gain_word, NIB_PART_GAIN, 0},
                          {&push.bias_word, NIB_PART_BIAS, 0},
                          {&push.result_word, NIB_PART_RESULT, 2},
                          {&push.scales_word, NIB_PART_RESULT_SCALES, scales_slot},
                          {&push.residual_out_word, NIB_PART_RESIDUAL_OUT, 2}});
  }
  return b.builder.add(name, format, spec, push, shared_bytes, tiles, slots, d.cols * element_bytes,
                       {{&push.gain_word, NIB_PART_GAIN, 0}, {&push.bias_word, NIB_PART_BIAS, 0}});
}

NibResult build(const NibNormDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  Build b{d, memory, builder, {}};
  const NibResult checked = checkStrides(d, Log(), &b.s);
  if (checked != NIB_SUCCESS) return checked;
  NormSpec spec = specOf(b);
  if (!hasResidual(d)) {
    const Slot slots[kSlotCount] = {b.weightsSlot(), b.sourceSlot(), b.resultSlot(), b.scalesSlot()};
    return addNorm(b, spec, d.source_type, b.s.source, NIB_PART_SOURCE, slots);
  }
  if (memory.range[NIB_ROLE_OUTPUT].size_bytes <= builder.largestWindow()) {
    spec.RESIDUAL = spec.WHOLE = true;
    const Slot output =
        wholeSlot(NIB_ROLE_OUTPUT).of(kNoPart, {NIB_PART_RESULT, NIB_PART_RESULT_SCALES, NIB_PART_RESIDUAL_OUT});
    const Slot slots[kSlotCount] = {b.weightsSlot(), b.sourceSlot(), output, b.residualSlot(NIB_PART_RESIDUAL_IN)};
    return addNorm(b, spec, d.source_type, b.s.source, NIB_PART_SOURCE, slots);
  }
  // The result and the sum each have a window of their own: one phase makes the sum, another reads it.
  NormSpec sum = spec;
  sum.RESIDUAL = sum.SUM = sum.MORE = true;
  sum.KEEP = 1;
  sum.MEAN = sum.GAIN = sum.BIAS = false;
  const Slot sum_slots[kSlotCount] = {Slot{}, b.sourceSlot(), b.residualSlot(NIB_PART_RESIDUAL_OUT).moving(),
                                      b.residualSlot(NIB_PART_RESIDUAL_IN)};
  const NibResult result = addNorm(b, sum, d.source_type, b.s.source, NIB_PART_SOURCE, sum_slots);
  if (result != NIB_SUCCESS) return result;
  spec.SOURCE_TYPE = d.residual_type;
  spec.WIDE = wide(d.rows, d.cols, b.s.residual, typeBytes(d.residual_type));
  const Slot slots[kSlotCount] = {b.weightsSlot(), b.residualSlot(NIB_PART_RESIDUAL_OUT).moving(), b.resultSlot(),
                                  b.scalesSlot()};
  return addNorm(b, spec, d.residual_type, b.s.residual, NIB_PART_RESIDUAL_OUT, slots);
}

#endif

constexpr Op<NibNormDesc> kNorm = {
    .op = NIB_OP_NORM,
    .name = "norm",
    .getMemory = getMemory,
    .runRows =
        [](const NibNormDesc& d) {
          return RunRows{d.rows, false, d.rows};
        },
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibNormDesc& d) {
          return Dims{d.rows, d.cols};
        },
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .tolerance = tolerance,
    .mayAlias = mayAlias,
};

}  // namespace

NIB_DEFINE_OP(norm, NibNormDesc, kNorm)

}  // namespace nib
