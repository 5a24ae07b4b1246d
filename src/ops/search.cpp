// NIB_OP_SEARCH: validation, memory, kernel.
#include "plan/op.h"

#include "ops/parts.h"
#include "ops/search_shape.h"
#include "ops/tuning.h"
#include "plan/probe.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#include "shaders/ops/search.h"
#include "shaders/ops/search_form.h"
#endif

namespace nib {
namespace {

constexpr uint32_t kUsualSteps = 80;
constexpr float kUsualLeast = 0.2f, kLowestLeast = 0.0625f;

bool has(const NibSearchDesc& d, uint32_t flag) { return (d.flags & flag) != 0; }
bool isFlat(const NibSearchDesc& d) { return (d.weights.flags & NIB_WEIGHTS_FLAT) != 0; }

NibResult checkWeights(const NibSearchDesc& d, const Log& log, Geometry* g) {
  const NibResult result = makeGeometry("search", "weights", d.rows, d.cols, d.weights, log, g);
  if (result != NIB_SUCCESS) return result;
  if (g->format->info.flags & (NIB_FORMAT_OWN_SCALES | NIB_FORMAT_MEAN_SCALE)) {
    return log.fail(NIB_ERROR_UNSUPPORTED,
                    "search: weights.format: scales of format %s do not follow the largest magnitude",
                    g->format->info.name);
  }
  if (d.weights.granularity != NIB_GRANULARITY_ROW && d.weights.granularity != NIB_GRANULARITY_GROUP) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "search: weights.granularity must be ROW or GROUP");
  }
  if (d.weights.flags & NIB_WEIGHTS_NESTED) {
    return log.fail(NIB_ERROR_UNSUPPORTED,
                    "search: weights.flags: NESTED: search without it, and nest the scales with nibNestScales");
  }
  return NIB_SUCCESS;
}

NibResult checkRun(const NibSearchDesc& d, const Log& log, SearchShape* s) {
  if (d.flags & ~uint32_t(NIB_SEARCH_STATUS | NIB_SEARCH_COLUMNS | NIB_SEARCH_HESSIAN)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "search: flags 0x%x has unknown bits", d.flags);
  }
  const bool columns = has(d, NIB_SEARCH_COLUMNS);
  if (columns && isFlat(d)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "search: flags: COLUMNS excludes FLAT: groups are not within rows");
  }
  if (has(d, NIB_SEARCH_HESSIAN)) {
    if (isFlat(d)) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "search: flags: HESSIAN excludes FLAT: groups are not within rows");
    }
    if (uint64_t(d.cols) * d.cols > kMaxElements) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "search: cols %u with HESSIAN: cols * cols is more than 2^32 - 2^21",
                      d.cols);
    }
  }
  const uint32_t all = columns ? d.cols : d.rows;
  if (d.run_rows > all || (d.run_rows != 0 && d.run_rows != all && isFlat(d))) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "search: run_rows %u must be 0 or %s %s %u", d.run_rows,
                    isFlat(d) ? "the" : "at most the", columns ? "columns," : "rows,", all);
  }
  s->most = d.run_rows != 0 ? d.run_rows : all;
  return NIB_SUCCESS;
}

NibResult checkGrid(const NibSearchDesc& d, const Log& log, SearchShape* s) {
  s->steps = d.steps != 0 ? d.steps : kUsualSteps;
  if (s->steps > NIB_SEARCH_MAX_STEPS) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "search: steps %u must be at most %u", d.steps,
                    uint32_t(NIB_SEARCH_MAX_STEPS));
  }
  const float least = d.least != 0.0f ? d.least : kUsualLeast;
  if (!(least >= kLowestLeast && least <= 1.0f)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "search: least %g must be from 1/16 to 1", double(d.least));
  }
  s->step = exact::nibDiv(1.0f - least, float(s->steps));
  return NIB_SUCCESS;
}

// The rows of the input.
uint32_t inputRows(const NibSearchDesc& d, const SearchShape& s) {
  return has(d, NIB_SEARCH_COLUMNS) ? d.rows : s.most;
}

}  // namespace

NibResult makeSearchShape(const NibSearchDesc& d, const Log& log, SearchShape* s) {
  *s = {};
  NibResult result = checkWeights(d, log, &s->g);
  if (result == NIB_SUCCESS) result = checkRun(d, log, s);
  if (result == NIB_SUCCESS) result = checkGrid(d, log, s);
  if (result != NIB_SUCCESS) return result;
  s->source_stride = d.source_stride;
  result = checkDense("search", "source", inputRows(d, *s), d.cols, d.source_type, false, log, &s->source_stride);
  if (result != NIB_SUCCESS) return result;
  if (isFlat(d) && s->source_stride != d.cols) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "search: source_stride %u with FLAT must be cols %u", s->source_stride,
                    d.cols);
  }
  return NIB_SUCCESS;
}

namespace {

NibResult getMemory(const NibSearchDesc& d, const Log& log, NibMemory* memory) {
  SearchShape s;
  const NibResult result = makeSearchShape(d, log, &s);
  if (result != NIB_SUCCESS) return result;
  setWeights(memory, s.g);
  const uint64_t source_bytes = denseBytes(inputRows(d, s), d.cols, d.source_type, s.source_stride);
  setRange(memory, NIB_ROLE_INPUT, source_bytes);
  if (has(d, NIB_SEARCH_HESSIAN)) {
    const uint64_t end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_SOURCE, 0, source_bytes);
    setRange(memory, NIB_ROLE_INPUT,
             addPart(memory, NIB_ROLE_INPUT, NIB_PART_HESSIAN, end, uint64_t(d.cols) * d.cols * 4));
  }
  if (has(d, NIB_SEARCH_STATUS)) {
    setRange(memory, NIB_ROLE_AUX, sizeof(NibStatus));
    setPart(memory, NIB_PART_STATUS, 0, sizeof(NibStatus));
  }
  return NIB_SUCCESS;
}

RunRows runRows(const NibSearchDesc& d) {
  SearchShape s;
  if (makeSearchShape(d, Log(), &s) != NIB_SUCCESS) return {0};
  return {s.most, isFlat(d), isFlat(d) ? 0 : has(d, NIB_SEARCH_COLUMNS) ? d.cols : d.rows};
}

void runReference(const NibSearchDesc& d, const HostRun& run) {
  SearchShape s;
  if (makeSearchShape(d, Log(), &s) == NIB_SUCCESS) searchReference(d, s, run);
}

NibSearchDesc resized(const NibSearchDesc& desc, Dims dims) {
  NibSearchDesc d = desc;
  const bool columns = has(d, NIB_SEARCH_COLUMNS);
  const uint32_t all = columns ? d.cols : d.rows, now = columns ? dims.cols : dims.rows;
  d.source_stride = strideLike(d.source_stride, d.cols, dims.cols);
  d.run_rows = d.run_rows == 0 ? 0 : d.run_rows == all ? now : (now + 1) / 2;
  d.rows = dims.rows;
  d.cols = dims.cols;
  return d;
}

// One kernel for all lengths: several groups, of which a row's last one is as short as the plan's.
void smallDims(const NibSearchDesc& d, SmallDims* list) {
  const Dims whole = weightsDims(d.weights, d.rows, d.cols);
  const uint32_t cols = colsAbove(kAmpleCols, whole.cols);
  list->add(ampleRows(whole.rows, cols, 5), cols);
  if (whole.rows == 1) addDimsAbove(kAmpleElements, whole, list);
}

// A matrix whose diagonal outweighs the rest, some of which counts as 0. Entries above the diagonal are not read.
void fillHessian(uint32_t* hessian, uint32_t cols) {
  probe::Sequence sequence(0x68e31da4u);
  for (uint32_t i = 0; i < cols; ++i) {
    for (uint32_t j = 0; j < cols; ++j) {
      const uint32_t r = sequence.next(), kind = (r >> 8) & 31u;
      uint32_t bits = (r & 0x80000000u) | (0x3d000000u + (r & 0x01ffffffu));  // 2^-5 .. 2^-1
      if (kind == 0) bits = 0;
      if (kind == 1) bits = (r & 0x80ffffffu) + 0x2f000000u;  // around 2^-32
      hessian[uint64_t(i) * cols + j] = i < j ? 0x7fc00000u : i == j ? 0x40800000u + (r & 0x00ffffffu) : bits;
    }
  }
}

void fillProbe(const NibSearchDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  const uint64_t source_bytes =
      has(d, NIB_SEARCH_HESSIAN) ? memory.part[NIB_PART_SOURCE].size_bytes : memory.range[NIB_ROLE_INPUT].size_bytes;
  probe::fillDense(binding.range[NIB_ROLE_INPUT].data, d.source_type, source_bytes, 0x9e3779b9u);
  if (!has(d, NIB_SEARCH_HESSIAN)) return;
  fillHessian(partOf<uint32_t>(memory, binding, NIB_ROLE_INPUT, NIB_PART_HESSIAN), d.cols);
}

#if !defined(NIB_NO_VULKAN)

NIB_SPEC_STRUCT(SearchSpec, SEARCH_SPEC)

NIB_SPEC_STRUCT(SearchFormSpec, SEARCH_FORM_SPEC)

constexpr uint32_t kWorkgroup = 128;
constexpr uint32_t kCpuWorkgroup = 16;  // the usual candidates fill five of them
constexpr uint32_t kFormBytes = 8192;   // of shared memory, for errors

struct Build {
  const NibSearchDesc& d;
  const NibMemory& memory;
  PlanBuilder& builder;
  SearchShape s;

  bool columns() const { return has(d, NIB_SEARCH_COLUMNS); }
  uint32_t stride() const { return isFlat(d) ? s.g.cols : s.source_stride; }
  uint32_t runGroups() const { return columns() ? uint32_t(ceilDiv(s.most, s.g.group)) : s.g.groups_per_row; }
  TileRule tiles() const {
    TileRule tiles;
    tiles.mul = runGroups();
    if (columns()) {
      tiles.rows = d.rows;
      tiles.push_n = true;
    }
    return tiles;
  }
  template <class Spec>
  void fill(Spec* spec) const {
    spec->SOURCE_TYPE = d.source_type;
    spec->SCALE_TYPE = d.weights.scale_type;
    spec->FLAGS = d.weights.flags;
    spec->STATUS = has(d, NIB_SEARCH_STATUS);
    spec->COLUMNS = columns();
  }
  template <class Push>
  void fillPush(Push* push) const {
    const Geometry& g = s.g;
    push->rows = g.rows;
    push->cols = g.cols;
    push->stride = stride();
    push->group = g.group;
    push->run_groups = runGroups();
    push->groups_per_row = g.groups_per_row;
    push->scale_row_stride = g.scale_row_stride;
    push->scales_word = uint32_t(g.scales_offset / 4);
    push->zeros_word = uint32_t(g.zeros_offset / 4);
    push->steps = s.steps;
    push->step = s.step;
  }
  Slot scales() const {
    return tailSlot(NIB_ROLE_WEIGHTS, s.g.scales_offset).of(kNoPart, {NIB_PART_SCALES, NIB_PART_ZEROS});
  }
  // A run of columns reads anywhere in a row.
  Slot source() const {
    const uint64_t bytes = typeBytes(d.source_type);
    return itemSlot(NIB_ROLE_INPUT, 0, stride() * bytes, columns() ? 0 : s.g.group * bytes, s.g.cols * bytes);
  }
  Slot status() const { return has(d, NIB_SEARCH_STATUS) ? wholeSlot(NIB_ROLE_AUX) : Slot{}; }
};

NibResult buildErrors(const Build& b) {
  SearchSpec spec;
  spec.WG = b.builder.workgroupSize(isCpu(b.builder.caps().device_type) ? kCpuWorkgroup : kWorkgroup);
  b.fill(&spec);
  SearchPush push{};
  b.fillPush(&push);
  const Slot slots[kSlotCount] = {b.scales(), b.source(), Slot{}, b.status()};
  // Trying one candidate on one element takes about as long as moving a byte.
  const uint64_t tile_bytes = uint64_t(b.s.g.group) * (4 + b.s.steps);
  return b.builder.add("search", b.s.g.format->info.format, spec, push, kSearchPiece * 4 + spec.WG * 12, b.tiles(),
                       slots, tile_bytes,
                       {{&push.scales_word, NIB_PART_SCALES, 0}, {&push.zeros_word, NIB_PART_ZEROS, 0}});
}

// Windows of whole groups of H's rows.
Slot hessianSlot(const Build& b) {
  const uint64_t row_bytes = uint64_t(b.d.cols) * 4;
  Slot slot =
      b.builder.anyRowSlot(NIB_ROLE_INPUT, b.memory.part[NIB_PART_HESSIAN].offset_bytes, b.d.cols, row_bytes, row_bytes)
          .of(NIB_PART_HESSIAN);
  if (slot.window_rows < b.d.cols) slot.window_rows = slot.window_rows / b.s.g.group * b.s.g.group;
  return slot;
}

NibResult buildForms(const Build& b) {
  const uint32_t group = b.s.g.group;
  SearchFormSpec spec;
  spec.SPAN = uint32_t(alignUp(group < kSearchFormPiece ? group : kSearchFormPiece, kSearchFormSums));
  const uint32_t most = b.builder.workgroupSize(kWorkgroup);
  spec.WG = kSearchFormSums;
  while (spec.WG * 2 <= most && spec.WG * 2 * spec.SPAN <= kFormBytes) spec.WG *= 2;
  b.fill(&spec);
  const Slot hessian = hessianSlot(b);
  SearchFormPush push{};
  b.fillPush(&push);
  push.hessian_word = uint32_t(b.memory.part[NIB_PART_HESSIAN].offset_bytes / 4);
  push.window_rows = hessian.window_rows;
  const Slot slots[kSlotCount] = {b.scales(), b.source().of(NIB_PART_SOURCE), hessian, b.status()};
  const uint64_t tile_bytes = uint64_t(group) * (4 + uint64_t(b.s.steps) * (1 + spec.SPAN / 8));
  return b.builder.add(
      "search_form", b.s.g.format->info.format, spec, push, spec.SPAN * spec.WG + spec.WG * 12, b.tiles(), slots,
      tile_bytes, {{&push.scales_word, NIB_PART_SCALES, 0}, {&push.zeros_word, NIB_PART_ZEROS, 0}}, &push.window_row);
}

NibResult build(const NibSearchDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  Build b{d, memory, builder, {}};
  const NibResult result = makeSearchShape(d, Log(), &b.s);
  if (result != NIB_SUCCESS) return result;
  return has(d, NIB_SEARCH_HESSIAN) ? buildForms(b) : buildErrors(b);
}

#endif

constexpr Op<NibSearchDesc> kSearch = {
    .op = NIB_OP_SEARCH,
    .name = "search",
    .getMemory = getMemory,
    .runRows = runRows,
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibSearchDesc& d) { return weightsDims(d.weights, d.rows, d.cols); },
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .written = [](const NibSearchDesc&) { return NIB_ROLE_WEIGHTS; },
};

}  // namespace

NIB_DEFINE_OP(search, NibSearchDesc, kSearch)

}  // namespace nib
