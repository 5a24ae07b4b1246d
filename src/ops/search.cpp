// NIB_OP_SEARCH: validation, memory, kernel.
#include "plan/op.h"

#include "ops/search_shape.h"
#include "ops/tuning.h"
#include "plan/probe.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#include "shaders/ops/search.h"
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
  if (d.flags & ~uint32_t(NIB_SEARCH_STATUS | NIB_SEARCH_COLUMNS)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "search: flags 0x%x has unknown bits", d.flags);
  }
  const bool columns = has(d, NIB_SEARCH_COLUMNS);
  if (columns && isFlat(d)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "search: flags: COLUMNS excludes FLAT: groups are not within rows");
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
  setRange(memory, NIB_ROLE_INPUT, denseBytes(inputRows(d, s), d.cols, d.source_type, s.source_stride));
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

void fillProbe(const NibSearchDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::fillDense(binding.range[NIB_ROLE_INPUT].data, d.source_type, memory.range[NIB_ROLE_INPUT].size_bytes,
                   0x9e3779b9u);
}

#if !defined(NIB_NO_VULKAN)

NIB_SPEC_STRUCT(SearchSpec, SEARCH_SPEC)

constexpr uint32_t kWorkgroup = 128;
constexpr uint32_t kCpuWorkgroup = 16;  // the usual candidates fill five of them

NibResult build(const NibSearchDesc& d, const NibMemory&, PlanBuilder& builder) {
  SearchShape s;
  const NibResult result = makeSearchShape(d, Log(), &s);
  if (result != NIB_SUCCESS) return result;
  const Geometry& g = s.g;
  const bool columns = has(d, NIB_SEARCH_COLUMNS);
  SearchSpec spec;
  spec.WG = builder.workgroupSize(isCpu(builder.caps().device_type) ? kCpuWorkgroup : kWorkgroup);
  spec.SOURCE_TYPE = d.source_type;
  spec.SCALE_TYPE = d.weights.scale_type;
  spec.FLAGS = d.weights.flags;
  spec.STATUS = has(d, NIB_SEARCH_STATUS);
  spec.COLUMNS = columns;
  const uint32_t stride = isFlat(d) ? g.cols : s.source_stride;
  const uint32_t run_groups = columns ? uint32_t(ceilDiv(s.most, g.group)) : g.groups_per_row;
  const SearchPush push{{},
                        g.rows,
                        g.cols,
                        stride,
                        g.group,
                        run_groups,
                        g.groups_per_row,
                        g.scale_row_stride,
                        uint32_t(g.scales_offset / 4),
                        uint32_t(g.zeros_offset / 4),
                        s.steps,
                        s.step};
  TileRule tiles;
  tiles.mul = run_groups;
  if (columns) {
    tiles.rows = d.rows;
    tiles.push_n = true;
  }
  const uint64_t bytes = typeBytes(d.source_type);
  // A run of columns reads anywhere in a row.
  const Slot source = itemSlot(NIB_ROLE_INPUT, 0, stride * bytes, columns ? 0 : g.group * bytes, g.cols * bytes);
  const Slot scales = tailSlot(NIB_ROLE_WEIGHTS, g.scales_offset).of(kNoPart, {NIB_PART_SCALES, NIB_PART_ZEROS});
  const Slot slots[kSlotCount] = {scales, source, Slot{}, spec.STATUS ? wholeSlot(NIB_ROLE_AUX) : Slot{}};
  // Trying one candidate on one element takes about as long as moving a byte.
  const uint64_t tile_bytes = uint64_t(g.group) * (4 + s.steps);
  return builder.add("search", g.format->info.format, spec, push, kSearchPiece * 4 + spec.WG * 12, tiles, slots,
                     tile_bytes, {{&push.scales_word, NIB_PART_SCALES, 0}, {&push.zeros_word, NIB_PART_ZEROS, 0}});
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
