// NIB_OP_QUANTIZE: validation, memory, kernels.
#include "plan/op.h"

#include <cstring>

#include "formats/geometry.h"
#include "formats/nested.h"
#include "formats/scale_store.h"
#include "ops/code_dims.h"
#include "ops/statistics.h"
#include "plan/probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#include "plan/plan.h"
#include "shaders/ops/encode.h"
#include "shaders/ops/nest.h"
#include "shaders/ops/quantize.h"
#include "shaders/ops/quantize_block.h"
#include "shaders/ops/quantize_super.h"
#include "shaders/ops/scale.h"
#endif

namespace nib {
namespace {

// The ways to quantize. They depend on where scales come from and how many elements share one.
enum class Path {
  kFused,   // scales of rows or groups: one dispatch
  kReduce,  // scales of few, large sets: statistics (and means), scales, codes
  kGiven,   // GIVEN_SCALES: codes only
  kBlock,   // formats with their own rule for blocks: one dispatch
  kSuper    // the same for super-blocks
};

// Rows of at least kLongRow elements are divided among workgroups if there are fewer than kFewRows.
constexpr uint32_t kLongRow = 1u << 16;
constexpr uint32_t kFewRows = 64;
constexpr uint32_t kNestedSums = 4;  // words: the largest scale, and three limbs of their sum

uint32_t maxRunRows(const NibQuantizeDesc& d) { return d.run_rows != 0 ? d.run_rows : d.rows; }

// Rows of the largest run, as kernels see them.
uint32_t kernelRows(const NibQuantizeDesc& d, const Geometry& g) {
  return d.weights.flags & NIB_WEIGHTS_FLAT ? g.rows : maxRunRows(d);
}

Path choosePath(const NibQuantizeDesc& d, const Geometry& g) {
  if (g.format->super.blocks != 0) return Path::kSuper;
  if (g.format->quantizeBlock != nullptr) return Path::kBlock;
  if (d.flags & NIB_QUANTIZE_GIVEN_SCALES) return Path::kGiven;
  const uint32_t granularity = d.weights.granularity;
  if (granularity == NIB_GRANULARITY_TENSOR || granularity == NIB_GRANULARITY_COLUMN) return Path::kReduce;
  return kernelRows(d, g) < kFewRows && g.group >= kLongRow ? Path::kReduce : Path::kFused;
}

uint32_t sourceStride(const NibQuantizeDesc& d) { return d.source_stride != 0 ? d.source_stride : d.cols; }

// Scratch, after the status and the importance: partials, extents, and the table of columns of the reduce path; or fp32
// scales.
struct Scratch {
  uint64_t importance_offset, begin_bytes;
  uint64_t partial_word, extent_word, table_word, end_bytes;
  uint64_t sum_word, nested_word;  // double quantization: sums, and the fp32 scales
};

bool isNested(const NibQuantizeDesc& d) { return (d.weights.flags & NIB_WEIGHTS_NESTED) != 0; }

Scratch layOutScratch(const NibQuantizeDesc& d, const Geometry& g) {
  Scratch s{};
  uint64_t at = alignUp(sizeof(NibStatus), kPartAlignmentBytes);
  s.importance_offset = at;
  if (d.flags & NIB_QUANTIZE_IMPORTANCE) at = alignUp(at + uint64_t(g.cols) * 4u, kPartAlignmentBytes);
  s.begin_bytes = at;
  const Path path = choosePath(d, g);
  const bool column = d.weights.granularity == NIB_GRANULARITY_COLUMN;
  // In the reduce path with scales per row, every row has one scale.
  const uint64_t scales = g.scale_row_stride != 0 && path == Path::kReduce ? kernelRows(d, g) : g.scale_count;
  if (path == Path::kReduce) {
    s.partial_word = at / 4;
    at = alignUp(at + statisticsPartials(d.weights.granularity, kernelRows(d, g), g.cols, sourceStride(d)) * 16u,
                 kPartAlignmentBytes);
    s.extent_word = at / 4;
    at = alignUp(at + scales * sizeof(NibExtent), kPartAlignmentBytes);
  }
  if (column || path == Path::kReduce) {
    s.table_word = at / 4;
    at += scales * 8u;
  }
  if (isNested(d)) {
    s.sum_word = at / 4;
    s.nested_word = s.sum_word + kNestedSums;
    at += (kNestedSums + uint64_t(g.scale_count)) * 4u;
  }
  s.end_bytes = at;
  return s;
}

NibResult geometryOf(const NibQuantizeDesc& d, const Log& log, Geometry* g) {
  NibResult result = makeGeometry("quantize", "weights", d.rows, d.cols, d.weights, log, g);
  if (result != NIB_SUCCESS) return result;
  if (d.flags & ~uint32_t(NIB_QUANTIZE_GIVEN_SCALES | NIB_QUANTIZE_STATUS | NIB_QUANTIZE_IMPORTANCE)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "quantize: flags 0x%x has unknown bits", d.flags);
  }
  if ((d.flags & NIB_QUANTIZE_GIVEN_SCALES) && (g->format->info.flags & NIB_FORMAT_OWN_SCALES)) {
    return log.fail(NIB_ERROR_UNSUPPORTED,
                    "quantize: flags: format %s computes scales by its own rule, they cannot be given",
                    g->format->info.name);
  }
  if ((d.flags & NIB_QUANTIZE_IMPORTANCE) && !g->format->searches) {
    return log.fail(NIB_ERROR_UNSUPPORTED,
                    "quantize: flags: format %s finds scales without a search, which IMPORTANCE would weigh",
                    g->format->info.name);
  }
  if (isNested(d) && (d.flags & NIB_QUANTIZE_GIVEN_SCALES)) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "quantize: flags: scales cannot be given where they are NESTED");
  }
  uint32_t stride = d.source_stride;
  if (d.run_rows > d.rows || (d.run_rows != 0 && d.run_rows != d.rows && !hasOwnRows(d.weights))) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "quantize: run_rows %u must be 0 or %s %u", d.run_rows,
                    hasOwnRows(d.weights) ? "at most rows," : "rows,", d.rows);
  }
  result = checkDense("quantize", "source", maxRunRows(d), d.cols, d.source_type, false, log, &stride);
  if (result != NIB_SUCCESS) return result;
  if ((d.weights.flags & NIB_WEIGHTS_FLAT) && stride != d.cols) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "quantize: source_stride %u with FLAT must be cols %u", stride, d.cols);
  }
  return NIB_SUCCESS;
}

NibResult getMemory(const NibQuantizeDesc& d, const Log& log, NibMemory* memory) {
  Geometry g;
  const NibResult result = geometryOf(d, log, &g);
  if (result != NIB_SUCCESS) return result;
  setWeights(memory, g);
  setRange(memory, NIB_ROLE_INPUT, denseBytes(maxRunRows(d), d.cols, d.source_type, sourceStride(d)));
  const Scratch scratch = layOutScratch(d, g);
  if (d.flags & NIB_QUANTIZE_STATUS) {
    setRange(memory, NIB_ROLE_AUX, sizeof(NibStatus));
    setPart(memory, NIB_PART_STATUS, 0, sizeof(NibStatus));
  }
  if (d.flags & NIB_QUANTIZE_IMPORTANCE) {
    setRange(memory, NIB_ROLE_AUX, scratch.importance_offset + uint64_t(g.cols) * 4u);
    setPart(memory, NIB_ROLE_AUX, NIB_PART_IMPORTANCE, scratch.importance_offset, uint64_t(g.cols) * 4u);
  }
  if (scratch.end_bytes > scratch.begin_bytes) {
    setRange(memory, NIB_ROLE_AUX, scratch.end_bytes);
    setPart(memory, NIB_PART_SCRATCH, scratch.begin_bytes, scratch.end_bytes - scratch.begin_bytes);
  }
  return NIB_SUCCESS;
}

RunRows runRows(const NibQuantizeDesc& d) {
  return {maxRunRows(d), (d.weights.flags & NIB_WEIGHTS_FLAT) != 0, hasOwnRows(d.weights) ? d.rows : 0};
}

Dims dims(const NibQuantizeDesc& d) { return weightsDims(d.weights, d.rows, d.cols); }

NibQuantizeDesc resized(const NibQuantizeDesc& desc, Dims dims) {
  NibQuantizeDesc d = desc;
  d.source_stride = strideLike(d.source_stride, d.cols, dims.cols);
  d.run_rows = d.run_rows == 0 ? 0 : d.run_rows == d.rows ? dims.rows : (dims.rows + 1) / 2;
  d.rows = dims.rows;
  d.cols = dims.cols;
  return d;
}

void fillProbe(const NibQuantizeDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::fillDense(binding.range[NIB_ROLE_INPUT].data, d.source_type, memory.range[NIB_ROLE_INPUT].size_bytes,
                   0x9e3779b9u);
  float* importance = partOf<float>(memory, binding, NIB_ROLE_AUX, NIB_PART_IMPORTANCE);
  probe::Sequence sequence(0x165667b1u);
  for (uint64_t i = 0; i < memory.part[NIB_PART_IMPORTANCE].size_bytes / 4; ++i)
    importance[i] = float(sequence.next() >> 8) * 0x1p-16f;
  if (!(d.flags & NIB_QUANTIZE_GIVEN_SCALES)) return;
  probe::fillScales(partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_SCALES), d.weights.scale_type,
                    memory.part[NIB_PART_SCALES].size_bytes, 0x7f4a7c15u);
  probe::fillBits(partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_ZEROS),
                  memory.part[NIB_PART_ZEROS].size_bytes, 0x85ebca6bu);
}

constexpr uint32_t kWorkgroup = 128;

// The number of groups whose scales and zero points share words.
uint32_t packOf(const NibWeights& weights) {
  return (weights.flags & NIB_WEIGHTS_ASYMMETRIC) ? 4u : 4u / scaleBytes(weights.scale_type);
}

// Rows and columns as kernels see them: runs of one row are one row.
Dims kernelDims(const NibQuantizeDesc& d, const Geometry& g) { return {kernelRows(d, g) == 1 ? 1 : g.rows, g.cols}; }

// For rows of several groups. A workgroup of a GPU has a run per invocation, one of a CPU a group.
void groupSmallDims(const NibQuantizeDesc& d, const Geometry& g, SmallDims* list) {
  const Dims whole = kernelDims(d, g);
  const uint32_t pack = packOf(d.weights);
  const uint32_t solo = kWorkgroup * pack;  // groups of a CPU's workgroup
  addDimsAbove(uint64_t(solo) * g.format->run, whole, list);
  if (avoidsExchange(kCpuDeviceType, uint64_t(kernelRows(d, g)) * g.groups_per_row / pack)) {
    const uint32_t cols = colsAbove(kWorkgroupCols, whole.cols);
    if (whole.rows > 1) list->add(ampleRows(whole.rows, cols, solo / (cols / g.group) + 1), cols);
    if (whole.rows == 1 || g.groups_per_row > solo) addDimsAbove(uint64_t(solo) * g.group, whole, list);
  } else if (whole.rows > 1) {
    addDimsAbove(256, whole, list);
  }
  constexpr uint32_t kNestScales = 64 * kWorkgroup;
  if (isNested(d) && g.scale_count > kNestScales) addDimsAbove(uint64_t(kNestScales) * g.group, whole, list);
}

// For rows of one group: a kernel is made for a number of runs per row.
void rowSmallDims(const NibQuantizeDesc& d, const Geometry& g, SmallDims* list) {
  constexpr uint32_t kMostLanes = 32;
  const Dims whole = kernelDims(d, g);
  const uint32_t run = g.format->run, keep = 64 / run, pack = packOf(d.weights);
  const uint32_t runs = uint32_t(ceilDiv(g.cols, run));
  const bool flat = (d.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  if (runs <= kMostLanes) {
    list->add(ampleRows(whole.rows, whole.cols, kWorkgroup / runs * pack + 1), whole.cols);
    if (!flat && whole.rows == 1) list->add(ampleRows(2, whole.cols), whole.cols);
  } else {
    uint32_t each = (runs - 1) / kWorkgroup;
    if (each > keep) each = keep;
    const uint32_t cols = colsAbove(each == 0 ? kMostLanes * run : each * kWorkgroup * run, whole.cols);
    list->add(ampleRows(whole.rows, cols, 5), cols);
    if (!flat && whole.rows == 1) list->add(ampleRows(2, cols, 5), cols);
  }
  if (!avoidsExchange(kCpuDeviceType, kernelRows(d, g) / pack)) return;
  // A CPU's invocation has a row.
  const uint32_t cols = runs <= keep ? whole.cols : colsAbove(256, whole.cols);
  list->add(ampleRows(whole.rows, cols, kWorkgroup * pack + 1), cols);
}

void smallDims(const NibQuantizeDesc& d, SmallDims* list) {
  Geometry g;
  if (geometryOf(d, Log(), &g) != NIB_SUCCESS) return;
  constexpr uint32_t kBlockCols = kWorkgroup * 2 * 32;  // of a workgroup of quantize_block
  switch (choosePath(d, g)) {
    case Path::kBlock: return addDimsAbove(kBlockCols, kernelDims(d, g), list);
    case Path::kSuper: return addDimsAbove(kWorkgroup * g.format->info.group_max, kernelDims(d, g), list);
    case Path::kGiven: return codeSmallDims(d.weights, kernelDims(d, g), list);
    case Path::kFused: {
      if (g.groups_per_row == 1) rowSmallDims(d, g, list);
      if (d.weights.granularity != NIB_GRANULARITY_GROUP || d.weights.group_size == UINT32_MAX) return;
      // Rows shorter than a group may have as many runs as one.
      Geometry longer = g;
      longer.group = d.weights.group_size != 0 ? d.weights.group_size : g.format->info.default_group_size;
      const uint32_t run = g.format->run;
      if (ceilDiv(longer.group, run) == ceilDiv(g.group, run)) groupSmallDims(d, longer, list);
      return;
    }
    case Path::kReduce: break;
  }
  if (d.weights.granularity == NIB_GRANULARITY_COLUMN) codeSmallDims(d.weights, kernelDims(d, g), list);
  const uint32_t granularity =
      d.weights.granularity == NIB_GRANULARITY_GROUP ? uint32_t(NIB_GRANULARITY_ROW) : d.weights.granularity;
  const uint32_t stride = (d.weights.flags & NIB_WEIGHTS_FLAT) ? g.cols : sourceStride(d);
  statisticsSmallDims(granularity, kernelRows(d, g), g.cols, stride, list);
  // Rows with padding that are long for the kernel that writes codes.
  for (const uint32_t bound : {kWorkgroupCols / 2, kWorkgroupCols}) {
    if (granularity == NIB_GRANULARITY_TENSOR && g.rows > 1 && stride != g.cols && g.cols > bound)
      list->add(139, colsAbove(bound, g.cols));
  }
}

#if !defined(NIB_NO_VULKAN)

NIB_SPEC_STRUCT(QuantizeSpec, QUANTIZE_SPEC)
NIB_SPEC_STRUCT(QuantizeBlockSpec, QUANTIZE_BLOCK_SPEC)
NIB_SPEC_STRUCT(QuantizeSuperSpec, QUANTIZE_SUPER_SPEC)
NIB_SPEC_STRUCT(EncodeSpec, ENCODE_SPEC)
NIB_SPEC_STRUCT(NestSpec, NEST_SPEC)
NIB_SPEC_STRUCT(ScaleSpec, SCALE_SPEC)

// The arguments that the build functions share.
struct Build {
  const NibQuantizeDesc& d;
  const Geometry& g;
  const NibMemory& memory;
  PlanBuilder& builder;
  Scratch scratch;
  uint32_t stride;
  uint32_t rows;  // of the largest run
  bool vec, wide, full, status;
  uint32_t source_bytes;

  bool weighs() const { return (d.flags & NIB_QUANTIZE_IMPORTANCE) != 0; }
  bool nested() const { return isNested(d); }
  uint32_t scalesWord() const { return uint32_t(nested() ? scratch.nested_word : g.scales_offset / 4); }
  uint32_t zerosWord() const { return uint32_t(g.zeros_offset / 4); }
  uint32_t runsPerRow() const { return uint32_t(ceilDiv(g.cols, g.format->run)); }
  uint64_t runCodeBytes() const { return uint64_t(g.format->run) * g.format->info.bits / 8; }
  Slot codesSlot(uint64_t item_bytes) const {
    const uint64_t row_bytes = uint64_t(g.row_words) * 4;
    return itemSlot(NIB_ROLE_WEIGHTS, 0, row_bytes, item_bytes, row_bytes).of(NIB_PART_CODES).moving();
  }
  Slot paramsSlot() const {
    return tailSlot(NIB_ROLE_WEIGHTS, g.scales_offset).of(kNoPart, {NIB_PART_SCALES, NIB_PART_ZEROS, NIB_PART_NESTED});
  }
  Slot sourceSlot(uint64_t item_elements) const {
    return itemSlot(NIB_ROLE_INPUT, 0, uint64_t(stride) * source_bytes, item_elements * source_bytes,
                    uint64_t(g.cols) * source_bytes);
  }
  Slot auxSlot() const { return memory.range[NIB_ROLE_AUX].size_bytes != 0 ? wholeSlot(NIB_ROLE_AUX) : Slot{}; }
};

NibResult buildFused(const Build& b) {
  const uint32_t runs = uint32_t(ceilDiv(b.g.group, b.g.format->run));
  QuantizeSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  spec.PACK = packOf(b.d.weights);
  const Teams teams = chooseTeams(b.builder.caps().device_type, spec.WG, b.g.format->run, runs,
                                  uint64_t(b.rows) * b.g.groups_per_row / spec.PACK);
  spec.LANES = teams.lanes;
  spec.KEEP = teams.keep;
  spec.MORE = teams.more;
  spec.SOURCE_TYPE = b.d.source_type;
  spec.SCALE_TYPE = b.d.weights.scale_type;
  spec.FLAGS = b.d.weights.flags;
  spec.VEC = b.vec;
  spec.WIDE = b.wide;
  spec.FULL = b.full;
  spec.STATUS = b.status;
  const QuantizePush push{{},
                          b.g.cols,
                          b.stride,
                          b.g.group,
                          b.g.groups_per_row,
                          b.g.scale_row_stride,
                          b.g.row_words,
                          b.scalesWord(),
                          b.zerosWord(),
                          b.g.rows};
  TileRule tiles;
  tiles.mul = b.g.scale_row_stride;
  tiles.div = spec.WG / spec.LANES * spec.PACK;
  tiles.share = spec.PACK;
  // Scales of 16 bits share words across rows too. A tile begins at a whole word, as tiles.div is a multiple of PACK.
  const uint64_t code_bytes = runs * b.runCodeBytes();
  const Slot scales = b.nested() ? wholeSlot(NIB_ROLE_AUX) : b.paramsSlot();
  const Slot slots[kSlotCount] = {b.codesSlot(code_bytes), b.sourceSlot(b.g.group), scales, b.auxSlot()};
  const uint32_t shared = spec.WG * (b.g.format->info.flags & NIB_FORMAT_MEAN_SCALE ? 36u : 20u);  // extents, and sums
  return b.builder.add("quantize", b.g.format->info.format, spec, push, shared, tiles, slots,
                       tiles.div * (uint64_t(b.g.group) * b.source_bytes + code_bytes),
                       {{&push.scales_word, NIB_PART_SCALES, 2}, {&push.zeros_word, NIB_PART_ZEROS, 2}});
}

// Adds the phases that double quantize the fp32 scales in scratch.
NibResult buildNest(const Build& b) {
  constexpr uint32_t kEach = 64;  // scales per invocation in nest.comp
  NestSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  const NestPush push{{},
                      b.g.scale_count,
                      uint32_t(b.scratch.nested_word),
                      uint32_t(b.scratch.sum_word),
                      uint32_t(b.g.scales_offset / 4),
                      uint32_t(b.g.nested_offset / 4)};
  for (spec.PHASE = 0; spec.PHASE < 4; ++spec.PHASE) {
    const uint64_t each = spec.PHASE == 3 ? kNestedBlock : kEach;
    TileRule tiles;
    tiles.fixed = spec.PHASE == 0 ? 1u : uint32_t(ceilDiv(b.g.scale_count, each * spec.WG));
    const Slot codes = spec.PHASE == 3 ? b.paramsSlot() : Slot{};
    const Slot slots[kSlotCount] = {Slot{}, Slot{}, codes, wholeSlot(NIB_ROLE_AUX)};
    const NibResult result =
        b.builder.add("nest", 0, spec, push, 0, tiles, slots, each * spec.WG * 4,
                      {{&push.code_word, NIB_PART_SCALES, 2}, {&push.nested_word, NIB_PART_NESTED, 2}});
    if (result != NIB_SUCCESS) return result;
  }
  return NIB_SUCCESS;
}

NibResult buildBlocks(const Build& b) {
  QuantizeBlockSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  spec.SOURCE_TYPE = b.d.source_type;
  spec.VEC = b.vec;
  spec.WIDE = b.wide;
  spec.FULL = b.full;
  spec.STATUS = b.status;
  spec.IMPORTANCE = b.weighs();
  const QuantizeBlockPush push{{},
                               b.g.cols,
                               b.stride,
                               b.g.groups_per_row,
                               b.g.scale_row_stride,
                               b.g.row_words,
                               b.scalesWord(),
                               b.zerosWord(),
                               b.g.rows,
                               uint32_t(b.scratch.importance_offset / 4)};
  TileRule tiles;
  tiles.mul = b.g.scale_row_stride;
  tiles.div = uint64_t(spec.WG) * 2;  // two blocks, whose fp16 scales share a word
  tiles.share = 2;
  const Slot slots[kSlotCount] = {b.codesSlot(b.runCodeBytes()), b.sourceSlot(b.g.format->run), b.paramsSlot(),
                                  b.auxSlot()};
  return b.builder.add("quantize_block", b.g.format->info.format, spec, push, 0, tiles, slots,
                       tiles.div * (b.g.format->run * b.source_bytes + b.runCodeBytes()),
                       {{&push.scales_word, NIB_PART_SCALES, 2},
                        {&push.zeros_word, NIB_PART_ZEROS, 2},
                        {&push.importance_word, NIB_PART_IMPORTANCE, 3}});
}

NibResult buildSuperBlocks(const Build& b) {
  const uint32_t group = b.g.format->info.group_max;
  QuantizeSuperSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  spec.SOURCE_TYPE = b.d.source_type;
  spec.VEC = b.vec;
  spec.WIDE = b.wide;
  spec.FULL = b.full;
  spec.STATUS = b.status;
  spec.IMPORTANCE = b.weighs();
  const QuantizeSuperPush push{{},
                               b.g.cols,
                               b.stride,
                               b.g.groups_per_row,
                               b.g.scale_row_stride,
                               b.g.row_words,
                               b.scalesWord(),
                               b.zerosWord(),
                               uint32_t(b.g.nested_offset / 4),
                               uint32_t(b.scratch.importance_offset / 4)};
  TileRule tiles;
  tiles.mul = b.g.scale_row_stride;
  tiles.div = spec.WG;  // whole super-blocks
  const uint64_t group_bytes = uint64_t(group) * b.g.format->info.bits / 8;
  const Slot slots[kSlotCount] = {b.codesSlot(group_bytes), b.sourceSlot(group), b.paramsSlot(), b.auxSlot()};
  constexpr uint32_t kSharedWords = 6;  // of an invocation
  return b.builder.add("quantize_super", b.g.format->info.format, spec, push, spec.WG * kSharedWords * 4, tiles, slots,
                       spec.WG * (group * b.source_bytes + group_bytes),
                       {{&push.scales_word, NIB_PART_SCALES, 2},
                        {&push.zeros_word, NIB_PART_ZEROS, 2},
                        {&push.nested_word, NIB_PART_NESTED, 2},
                        {&push.importance_word, NIB_PART_IMPORTANCE, 3}});
}

NibResult buildScale(const Build& b, bool given, bool table) {
  ScaleSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  spec.SCALE_TYPE = b.d.weights.scale_type;
  spec.FLAGS = b.d.weights.flags;
  spec.STATUS = b.status;
  spec.GIVEN = given;
  spec.TABLE = table;
  spec.PER_ROW = b.g.scale_row_stride != 0;
  const ScalePush push{{},
                       b.g.scale_count,
                       uint32_t(b.scratch.extent_word),
                       b.scalesWord(),
                       b.zerosWord(),
                       uint32_t(b.scratch.table_word),
                       b.g.scale_row_stride,
                       b.g.rows};
  TileRule tiles;
  if (spec.PER_ROW) {
    tiles.div = uint64_t(spec.WG) * 4;
    tiles.share = 4;
  } else {
    tiles.fixed = uint32_t(ceilDiv(b.g.scale_count, uint64_t(spec.WG) * 4));
  }
  const Slot slots[kSlotCount] = {Slot{}, Slot{}, b.paramsSlot(), wholeSlot(NIB_ROLE_AUX)};
  return b.builder.add("scale", b.g.format->info.format, spec, push, 0, tiles, slots, uint64_t(spec.WG) * 4 * 24,
                       {{&push.scales_word, NIB_PART_SCALES, 2}, {&push.zeros_word, NIB_PART_ZEROS, 2}});
}

NibResult buildEncode(const Build& b, bool given, bool table) {
  const bool column = b.d.weights.granularity == NIB_GRANULARITY_COLUMN;
  EncodeSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  spec.ROW_BLOCK = column ? columnRows(b.builder.caps().device_type, b.rows, 16) : 1u;
  spec.SOURCE_TYPE = b.d.source_type;
  spec.SCALE_TYPE = b.d.weights.scale_type;
  spec.FLAGS = b.d.weights.flags;
  spec.VEC = b.vec;
  spec.WIDE = b.wide;
  spec.FULL = b.full;
  spec.STATUS = b.status;
  spec.GIVEN = given;
  spec.COLUMN = column;
  spec.ONE = b.g.scale_count == 1;
  spec.TABLE = table;
  const EncodePush push{{},
                        b.g.cols,
                        b.stride,
                        b.g.group,
                        table ? (b.g.scale_row_stride != 0 ? 1u : 0u) : b.g.scale_row_stride,
                        b.g.row_words,
                        b.scalesWord(),
                        b.zerosWord(),
                        uint32_t(b.scratch.table_word)};
  TileRule tiles;
  tiles.row_block = spec.ROW_BLOCK;
  tiles.mul = b.runsPerRow();
  tiles.div = spec.WG;
  const Slot slots[kSlotCount] = {b.codesSlot(b.runCodeBytes()), b.sourceSlot(b.g.format->run), b.paramsSlot(),
                                  b.auxSlot()};
  return b.builder.add("encode", b.g.format->info.format, spec, push, 0, tiles, slots,
                       uint64_t(spec.WG) * spec.ROW_BLOCK * (b.g.format->run * b.source_bytes + b.runCodeBytes()),
                       {{&push.scales_word, NIB_PART_SCALES, 2}, {&push.zeros_word, NIB_PART_ZEROS, 2}});
}

NibResult build(const NibQuantizeDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  Geometry g;
  NibResult result = geometryOf(d, Log(), &g);
  if (result != NIB_SUCCESS) return result;
  const uint32_t stride = sourceStride(d);
  const uint32_t rows = kernelRows(d, g);
  const Build b{d,
                g,
                memory,
                builder,
                layOutScratch(d, g),
                (d.weights.flags & NIB_WEIGHTS_FLAT) ? g.cols : stride,
                rows,
                vectorized(rows, g.cols, stride),
                wide(rows, g.cols, stride, typeBytes(d.source_type)),
                g.cols % g.format->run == 0,
                (d.flags & NIB_QUANTIZE_STATUS) != 0,
                typeBytes(d.source_type)};
  const bool column = d.weights.granularity == NIB_GRANULARITY_COLUMN;
  switch (choosePath(d, g)) {
    case Path::kFused: result = buildFused(b); return result == NIB_SUCCESS && b.nested() ? buildNest(b) : result;
    case Path::kBlock: return buildBlocks(b);
    case Path::kSuper: return buildSuperBlocks(b);
    case Path::kGiven:
      if (column) {
        result = buildScale(b, true, true);
        if (result != NIB_SUCCESS) return result;
      }
      return buildEncode(b, true, column);
    case Path::kReduce: break;
  }
  const Statistics statistics{
      (d.weights.flags & NIB_WEIGHTS_ASYMMETRIC) ? ExtentOf::kRange : ExtentOf::kAbsmax,
      d.weights.granularity == NIB_GRANULARITY_GROUP ? uint32_t(NIB_GRANULARITY_ROW) : d.weights.granularity,
      b.rows,
      g.cols,
      b.stride,
      d.source_type,
      b.status,
      uint32_t(b.scratch.partial_word),
      NIB_ROLE_AUX,
      uint32_t(b.scratch.extent_word)};
  result = addStatistics(statistics, builder);
  if (result != NIB_SUCCESS) return result;
  if (isMeanScale(*g.format, d.weights)) {
    result = addMeans(statistics, builder);
    if (result != NIB_SUCCESS) return result;
  }
  result = buildScale(b, false, true);
  if (result != NIB_SUCCESS) return result;
  return buildEncode(b, false, true);
}

#endif

constexpr Op<NibQuantizeDesc> kQuantize = {
    .op = NIB_OP_QUANTIZE,
    .name = "quantize",
    .getMemory = getMemory,
    .runRows = runRows,
    .runReference = quantizeReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = dims,
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .written = [](const NibQuantizeDesc&) { return NIB_ROLE_WEIGHTS; },
};

}  // namespace

NIB_DEFINE_OP(quantize, NibQuantizeDesc, kQuantize)

}  // namespace nib
