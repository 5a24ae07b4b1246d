// NIB_OP_GPTQ: validation, memory, kernels.
#include "ops/gptq_shape.h"

#include <algorithm>

#include "numerics/gptq.h"
#include "ops/parts.h"
#include "ops/tuning.h"
#include "plan/op.h"
#include "plan/probe_exact.h"
#include "plan/probe_weights.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#include "shaders/ops/gptq.h"
#include "shaders/ops/gptq_load.h"
#include "shaders/ops/gptq_loss.h"
#include "shaders/ops/gptq_order.h"
#include "shaders/ops/gptq_scale.h"
#include "shaders/ops/gptq_store.h"
#include "shaders/ops/gptq_update.h"
#endif

namespace nib {
namespace {

constexpr uint32_t kFlags =
    NIB_GPTQ_GIVEN_SCALES | NIB_GPTQ_ORDER | NIB_GPTQ_KEEP_ORDER | NIB_GPTQ_DEAD | NIB_GPTQ_PARITY | NIB_GPTQ_MEASURE;
constexpr uint32_t kMostBlock = 128;  // columns that a workgroup keeps

bool has(const NibGptqDesc& d, uint32_t flag) { return (d.flags & flag) != 0; }

NibResult checkFlags(const NibGptqDesc& d, const Log& log) {
  if (d.stage > NIB_GPTQ_STORE) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "gptq: stage %u must be LOAD, COLUMNS or STORE", d.stage);
  }
  if (d.flags & ~kFlags) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "gptq: flags 0x%x has unknown bits", d.flags);
  if (has(d, NIB_GPTQ_KEEP_ORDER) && !has(d, NIB_GPTQ_ORDER)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "gptq: flags: KEEP_ORDER requires ORDER");
  }
  if (has(d, NIB_GPTQ_PARITY) && has(d, NIB_GPTQ_GIVEN_SCALES)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "gptq: flags: PARITY and GIVEN_SCALES exclude each other");
  }
  if (!has(d, NIB_GPTQ_MEASURE)) return NIB_SUCCESS;
  if (has(d, NIB_GPTQ_GIVEN_SCALES) || has(d, NIB_GPTQ_PARITY) || has(d, NIB_GPTQ_KEEP_ORDER)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "gptq: flags: MEASURE excludes GIVEN_SCALES, PARITY and KEEP_ORDER: there are no codes");
  }
  if (d.stage == NIB_GPTQ_STORE) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "gptq: stage: with MEASURE there are no codes to store");
  }
  return NIB_SUCCESS;
}

NibResult checkWeights(const NibGptqDesc& d, const Log& log, Geometry* g) {
  const NibWeights& w = d.weights;
  if (has(d, NIB_GPTQ_MEASURE)) {
    *g = {};
    if ((w.format | w.granularity | w.group_size | w.scale_type | w.flags | w.reserved[0] | w.reserved[1]) != 0) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "gptq: weights.format and all of weights must be 0 with MEASURE");
    }
    return NIB_SUCCESS;
  }
  const NibResult result = makeGeometry("gptq", "weights", d.rows, d.cols, w, log, g);
  if (result != NIB_SUCCESS) return result;
  if (g->format->info.flags & NIB_FORMAT_OWN_SCALES) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "gptq: weights.format: format %s computes scales by its own rule",
                    g->format->info.name);
  }
  if (!hasOwnRows(w)) {
    return log.fail(NIB_ERROR_UNSUPPORTED,
                    "gptq: weights.granularity must be ROW or GROUP, and weights.flags not FLAT");
  }
  if ((w.flags & NIB_WEIGHTS_FOUR_BITS) != 0) {
    return log.fail(NIB_ERROR_UNSUPPORTED,
                    "gptq: weights.flags: FOUR_BITS is for activations; weights of 4 bits are the format int4");
  }
  if (has(d, NIB_GPTQ_ORDER) && !has(d, NIB_GPTQ_KEEP_ORDER) && !has(d, NIB_GPTQ_GIVEN_SCALES) &&
      g->groups_per_row > 1) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "gptq: flags: ORDER requires KEEP_ORDER, GIVEN_SCALES or one scale per row: the columns of a group "
                    "are not neighbours in the order");
  }
  return NIB_SUCCESS;
}

// The group size of the description, whatever the number of columns; 0 = whole rows.
uint32_t groupSize(const NibGptqDesc& d, const Geometry& g) {
  if (g.format == nullptr || d.weights.granularity != NIB_GRANULARITY_GROUP || d.weights.group_size == UINT32_MAX)
    return 0;
  return d.weights.group_size != 0 ? d.weights.group_size : g.format->info.default_group_size;
}

NibResult checkBlock(const NibGptqDesc& d, const Log& log, GptqShape* s) {
  const uint32_t group = groupSize(d, s->g);
  s->block = d.block;
  if (d.block == 0) {
    // Groups are multiples of 16 up to 256.
    s->block = group == 0 ? kMostBlock : group <= kMostBlock ? kMostBlock / group * group : group / 2;
    return NIB_SUCCESS;
  }
  if (d.block % 8 != 0 || d.block > kMostBlock) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "gptq: block %u must be a multiple of 8 up to %u", d.block, kMostBlock);
  }
  if (group != 0 && d.block % group != 0 && group % d.block != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "gptq: block %u must be a multiple or a divisor of the group size %u",
                    d.block, group);
  }
  return NIB_SUCCESS;
}

}  // namespace

NibResult makeGptqShape(const NibGptqDesc& d, const Log& log, GptqShape* s) {
  *s = {};
  NibResult result = checkFlags(d, log);
  if (result == NIB_SUCCESS) result = checkWeights(d, log, &s->g);
  s->source_stride = d.source_stride;
  if (result == NIB_SUCCESS)
    result = checkDense("gptq", "source", d.rows, d.cols, d.source_type, false, log, &s->source_stride);
  if (result == NIB_SUCCESS) result = checkBlock(d, log, s);
  if (result != NIB_SUCCESS) return result;
  if (uint64_t(d.cols) * d.cols > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "gptq: cols %u: cols * cols is more than 2^32 - 2^21", d.cols);
  }
  s->errors_stride = uint32_t(alignUp(d.rows, 4));
  s->order_offset = alignUp(sizeof(NibStatus), kPartAlignmentBytes);
  s->errors_offset =
      alignUp(s->order_offset + (has(d, NIB_GPTQ_ORDER) ? uint64_t(d.cols) * 4 : 0), kPartAlignmentBytes);
  s->aux_bytes = s->errors_offset + uint64_t(s->block) * s->errors_stride * 4;
  return NIB_SUCCESS;
}

namespace {

NibResult getMemory(const NibGptqDesc& d, const Log& log, NibMemory* memory) {
  GptqShape s;
  const NibResult result = makeGptqShape(d, log, &s);
  if (result != NIB_SUCCESS) return result;
  if (!s.measures()) setWeights(memory, s.g);
  const auto input = [&](NibPart part, uint64_t from, uint64_t bytes) {
    return addPart(memory, NIB_ROLE_INPUT, part, from, bytes);
  };
  const uint64_t column_bytes = uint64_t(d.cols) * 4;
  uint64_t end = input(NIB_PART_SOURCE, 0, denseBytes(d.rows, d.cols, d.source_type, s.source_stride));
  end = input(NIB_PART_FACTOR, end, d.cols * column_bytes);
  end = input(NIB_PART_ORDER, end, has(d, NIB_GPTQ_ORDER) ? column_bytes : 0);
  end = input(NIB_PART_DIAGONAL, end, has(d, NIB_GPTQ_DEAD) ? column_bytes : 0);
  setRange(memory, NIB_ROLE_INPUT, end);
  end = addPart(memory, NIB_ROLE_OUTPUT, NIB_PART_RESULT, 0, d.rows * column_bytes);
  end = addPart(memory, NIB_ROLE_OUTPUT, NIB_PART_LOSS, end, uint64_t(d.rows) * 4);
  setRange(memory, NIB_ROLE_OUTPUT, end);
  setPart(memory, NIB_PART_STATUS, 0, sizeof(NibStatus));
  setPart(memory, NIB_PART_SCRATCH, s.order_offset, s.aux_bytes - s.order_offset);
  setRange(memory, NIB_ROLE_AUX, s.aux_bytes);
  return NIB_SUCCESS;
}

RunRows runRows(const NibGptqDesc& d) {
  if (d.stage != NIB_GPTQ_COLUMNS) return {d.rows, false, d.rows};
  GptqShape s;
  if (makeGptqShape(d, Log(), &s) != NIB_SUCCESS) return {0};
  return {std::min(s.block, d.cols), false, d.cols, s.block};
}

void runReference(const NibGptqDesc& d, const HostRun& run) {
  GptqShape s;
  if (makeGptqShape(d, Log(), &s) == NIB_SUCCESS) gptqReference(d, s, run);
}

NibGptqDesc resized(const NibGptqDesc& desc, Dims dims) {
  NibGptqDesc d = desc;
  d.source_stride = strideLike(d.source_stride, d.cols, dims.cols);
  d.rows = dims.rows;
  d.cols = dims.cols;
  return d;
}

constexpr uint32_t kLoadRun = 8;  // elements of an invocation of gptq_load
constexpr uint32_t kTile = 64;    // rows and columns of a tile of gptq_update
constexpr uint32_t kWorkgroup = 128;
constexpr uint32_t kRowWorkgroup = 32;  // of gptq_store for one row: it has words of up to 1024 codes

void smallDims(const NibGptqDesc& d, SmallDims* list) {
  // Several tiles beyond the block, each of several groups; and all columns in one block. A row of LOAD, and one of
  // STORE that is alone, has several tiles.
  const bool long_rows = d.stage == NIB_GPTQ_LOAD || (d.stage == NIB_GPTQ_STORE && d.rows == 1);
  const uint32_t bound = long_rows ? kLoadRun * kWorkgroup : kAmpleCols + 2 * kTile;
  const uint32_t cols = colsAbove(bound, d.cols);
  list->add(ampleRows(d.rows, cols, 131), cols);
  if (d.rows < 131) list->add(d.rows, cols);  // an invocation per row is for many rows
  if (d.cols <= 256) list->add(ampleRows(d.rows, d.cols, 131), d.cols);
}

NibRole written(const NibGptqDesc& d) { return d.stage == NIB_GPTQ_STORE ? NIB_ROLE_WEIGHTS : NIB_ROLE_OUTPUT; }

// An upper factor with a diagonal from 1/2 to 2, zeros below it, and small numbers above, some of which count as 0.
void fillFactor(uint32_t* factor, uint32_t cols) {
  probe::Sequence sequence(0x68e31da4u);
  for (uint32_t i = 0; i < cols; ++i) {
    for (uint32_t j = 0; j < cols; ++j) {
      const uint32_t r = sequence.next(), kind = (r >> 8) & 31u;
      uint32_t bits = (r & 0x80000000u) | ((0x3du << 24) + (r & 0x00ffffffu));  // 2^-5 .. 2^-3
      if (kind == 0) bits = 0;
      if (kind == 1) bits = (r & 0x80ffffffu) + 0x2b000000u;  // around 2^-40
      factor[uint64_t(i) * cols + j] = i < j ? bits : i == j ? 0x3f000000u + (r & 0x00ffffffu) : 0u;
    }
  }
}

void fillProbe(const NibGptqDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  const auto part = [&](NibRole role, NibPart p) { return partOf<uint32_t>(memory, binding, role, p); };
  probe::fillDense(part(NIB_ROLE_INPUT, NIB_PART_SOURCE), d.source_type, memory.part[NIB_PART_SOURCE].size_bytes,
                   0x9e3779b9u);
  fillFactor(part(NIB_ROLE_INPUT, NIB_PART_FACTOR), d.cols);
  if (has(d, NIB_GPTQ_ORDER)) probe::fillOrder(part(NIB_ROLE_INPUT, NIB_PART_ORDER), d.cols);
  probe::Sequence sequence(0x7feb352du);
  if (uint32_t* diagonal = part(NIB_ROLE_INPUT, NIB_PART_DIAGONAL)) {
    for (uint32_t i = 0; i < d.cols; ++i) diagonal[i] = sequence.next() & 0x700u ? 0x3f800000u : 0u;
  }
  if (d.stage != NIB_GPTQ_LOAD) {
    uint32_t* result = part(NIB_ROLE_OUTPUT, NIB_PART_RESULT);
    for (uint64_t i = 0; i < memory.part[NIB_PART_RESULT].size_bytes / 4; ++i) {
      const uint32_t bits = probe::value(sequence, i);
      result[i] = d.stage == NIB_GPTQ_STORE ? bits : gptq::isBeyond(bits) ? 0u : gptq::weightBits(bits);
    }
    uint32_t* loss = part(NIB_ROLE_OUTPUT, NIB_PART_LOSS);
    for (uint32_t i = 0; i < d.rows; ++i) loss[i] = 0x3f800000u;
  }
  if (!has(d, NIB_GPTQ_GIVEN_SCALES)) return;
  probe::fillScales(part(NIB_ROLE_WEIGHTS, NIB_PART_SCALES), d.weights.scale_type,
                    memory.part[NIB_PART_SCALES].size_bytes, 0x7f4a7c15u);
  probe::fillBits(part(NIB_ROLE_WEIGHTS, NIB_PART_ZEROS), memory.part[NIB_PART_ZEROS].size_bytes, 0x85ebca6bu);
}

#if !defined(NIB_NO_VULKAN)

NIB_SPEC_STRUCT(GptqSpec, GPTQ_SPEC)
NIB_SPEC_STRUCT(GptqLoadSpec, GPTQ_LOAD_SPEC)
NIB_SPEC_STRUCT(GptqLossSpec, GPTQ_LOSS_SPEC)
NIB_SPEC_STRUCT(GptqOrderSpec, GPTQ_ORDER_SPEC)
NIB_SPEC_STRUCT(GptqScaleSpec, GPTQ_SCALE_SPEC)
NIB_SPEC_STRUCT(GptqStoreSpec, GPTQ_STORE_SPEC)
NIB_SPEC_STRUCT(GptqUpdateSpec, GPTQ_UPDATE_SPEC)

constexpr uint32_t kUpdateWorkgroup = 64;
constexpr uint32_t kUpdateStep = 16;  // columns of the block that a workgroup of gptq_update keeps at a time

struct Build {
  const NibGptqDesc& d;
  const NibMemory& memory;
  PlanBuilder& builder;
  GptqShape s;

  uint32_t word(NibPart part) const { return uint32_t(memory.part[part].offset_bytes / 4); }
  uint32_t errorsWord() const { return uint32_t(s.errors_offset / 4); }
  uint64_t rowBytes() const { return uint64_t(d.cols) * 4; }
  bool vec() const { return d.cols % 4 == 0; }
  uint32_t format() const { return s.g.format->info.format; }
  // Whether a kernel of its own finds the scales, from elements as they are before the run.
  bool findsBefore() const {
    return !s.measures() && !has(d, NIB_GPTQ_GIVEN_SCALES) && (has(d, NIB_GPTQ_PARITY) || s.g.group > s.block);
  }
  // Whether the groups of a run's columns are scattered over the row.
  bool scattered() const {
    return !s.measures() && has(d, NIB_GPTQ_ORDER) && !has(d, NIB_GPTQ_KEEP_ORDER) && s.g.groups_per_row > 1;
  }

  Slot resultSlot() const {
    return itemSlot(NIB_ROLE_OUTPUT, memory.part[NIB_PART_RESULT].offset_bytes, rowBytes(), 0, rowBytes())
        .of(NIB_PART_RESULT);
  }
  Slot paramsSlot() const {
    if (s.measures()) return {};
    return tailSlot(NIB_ROLE_WEIGHTS, s.g.scales_offset).of(kNoPart, {NIB_PART_SCALES, NIB_PART_ZEROS});
  }
  // Windows of whole blocks of rows, of which a run works on one.
  Slot factorSlot() const {
    Slot slot =
        builder.anyRowSlot(NIB_ROLE_INPUT, memory.part[NIB_PART_FACTOR].offset_bytes, d.cols, rowBytes(), rowBytes())
            .of(NIB_PART_FACTOR);
    if (slot.window_rows < d.cols) slot.window_rows = slot.window_rows / s.block * s.block;
    return slot;
  }
  // Tiles of COLUMNS: over the rows of W, whatever the run's columns.
  TileRule rowTiles() const {
    TileRule tiles;
    tiles.rows = d.rows;
    tiles.push_n = true;
    return tiles;
  }
};

NibResult buildLoad(const Build& b) {
  const NibGptqDesc& d = b.d;
  GptqLoadSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  spec.SOURCE_TYPE = d.source_type;
  spec.ORDER = has(d, NIB_GPTQ_ORDER);
  spec.DEAD = has(d, NIB_GPTQ_DEAD);
  const GptqLoadPush push{{},
                          d.cols,
                          b.s.source_stride,
                          b.word(NIB_PART_SOURCE),
                          b.word(NIB_PART_RESULT),
                          b.word(NIB_PART_ORDER),
                          b.word(NIB_PART_DIAGONAL),
                          uint32_t(ceilDiv(d.cols, uint64_t(spec.WG) * kLoadRun))};
  TileRule tiles;
  tiles.mul = push.tiles;
  const uint64_t bytes = typeBytes(d.source_type);
  const Slot source = itemSlot(NIB_ROLE_INPUT, b.memory.part[NIB_PART_SOURCE].offset_bytes, b.s.source_stride * bytes,
                               0, d.cols * bytes)
                          .of(NIB_PART_SOURCE);
  Slot columns;
  if (spec.ORDER || spec.DEAD) {
    const NibPart first = spec.ORDER ? NIB_PART_ORDER : NIB_PART_DIAGONAL;
    columns =
        tailSlot(NIB_ROLE_INPUT, b.memory.part[first].offset_bytes).of(kNoPart, {NIB_PART_ORDER, NIB_PART_DIAGONAL});
  }
  const Slot slots[kSlotCount] = {columns, source, b.resultSlot().moving(), wholeSlot(NIB_ROLE_AUX)};
  return b.builder.add("gptq_load", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * kLoadRun * (4 + bytes),
                       {{&push.order_word, NIB_PART_ORDER, 0}, {&push.diagonal_word, NIB_PART_DIAGONAL, 0}});
}

// A word of scratch per column: INVERT, its position; else the group of the column at a position.
NibResult addOrder(const Build& b, bool invert) {
  GptqOrderSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  spec.INVERT = invert;
  const GptqOrderPush push{{}, b.d.cols, b.s.g.group, b.word(NIB_PART_ORDER), uint32_t(b.s.order_offset / 4)};
  TileRule tiles;
  tiles.rows = b.d.cols;
  tiles.div = spec.WG;
  const Slot order = itemSlot(NIB_ROLE_INPUT, b.memory.part[NIB_PART_ORDER].offset_bytes, 4, 0, 4).of(NIB_PART_ORDER);
  const Slot slots[kSlotCount] = {Slot{}, order, Slot{}, wholeSlot(NIB_ROLE_AUX)};
  return b.builder.add("gptq_order", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * 8);
}

NibResult addScales(const Build& b) {
  const Geometry& g = b.s.g;
  GptqScaleSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  spec.SCALE_TYPE = b.d.weights.scale_type;
  spec.FLAGS = b.d.weights.flags;
  const uint32_t groups = g.group >= b.s.block ? 1 : b.s.block / g.group;
  spec.SOLO = avoidsExchange(b.builder.caps().device_type, uint64_t(b.d.rows) * groups);
  const GptqScalePush push{{},
                           b.d.rows,
                           b.d.cols,
                           g.group,
                           groups,
                           g.groups_per_row,
                           g.scale_row_stride,
                           uint32_t(g.scales_offset / 4),
                           uint32_t(g.zeros_offset / 4),
                           b.word(NIB_PART_RESULT)};
  TileRule tiles = b.rowTiles();
  tiles.mul = groups;
  tiles.div = spec.SOLO ? spec.WG : 1;
  const Slot slots[kSlotCount] = {b.paramsSlot(), Slot{}, b.resultSlot(), wholeSlot(NIB_ROLE_AUX)};
  return b.builder.add("gptq_scale", b.format(), spec, push, spec.WG * 24u, tiles, slots, tiles.div * g.group * 4,
                       {{&push.scales_word, NIB_PART_SCALES, 0}, {&push.zeros_word, NIB_PART_ZEROS, 0}});
}

NibResult addBlock(const Build& b) {
  const Geometry& g = b.s.g;
  GptqSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  spec.SLOTS = uint32_t(ceilDiv(b.s.block, 32));
  spec.SCALE_TYPE = b.d.weights.scale_type;
  spec.FLAGS = b.d.weights.flags;
  spec.VEC = b.vec();
  spec.FIND = !b.s.measures() && !has(b.d, NIB_GPTQ_GIVEN_SCALES) && !b.findsBefore();
  spec.SCATTERED = b.scattered();
  const Slot factor = b.factorSlot();
  const GptqPush push{{},
                      b.d.rows,
                      b.d.cols,
                      b.s.block,
                      b.s.measures() ? b.d.cols : g.group,
                      g.groups_per_row,
                      g.scale_row_stride,
                      uint32_t(g.scales_offset / 4),
                      uint32_t(g.zeros_offset / 4),
                      b.word(NIB_PART_FACTOR),
                      b.word(NIB_PART_RESULT),
                      uint32_t(b.s.order_offset / 4),
                      b.errorsWord(),
                      b.s.errors_stride,
                      0,
                      factor.window_rows};
  TileRule tiles = b.rowTiles();
  tiles.row_block = spec.WG / 4;
  const Slot slots[kSlotCount] = {b.paramsSlot(), factor, b.resultSlot(), wholeSlot(NIB_ROLE_AUX)};
  const char* name = b.s.measures() ? "gptq_measure" : "gptq";
  const uint32_t shared_bytes = spec.WG * 16 + spec.WG * 12;
  const uint64_t tile_bytes = uint64_t(tiles.row_block) * b.s.block * 16;
  if (b.s.measures())
    return b.builder.add(name, 0, spec, push, shared_bytes, tiles, slots, tile_bytes, {}, &push.window_row);
  return b.builder.add(name, b.format(), spec, push, shared_bytes, tiles, slots, tile_bytes,
                       {{&push.scales_word, NIB_PART_SCALES, 0}, {&push.zeros_word, NIB_PART_ZEROS, 0}},
                       &push.window_row);
}

NibResult addLoss(const Build& b) {
  GptqLossSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  const GptqLossPush push{{}, b.d.rows, b.word(NIB_PART_LOSS), b.errorsWord(), b.s.errors_stride};
  TileRule tiles = b.rowTiles();
  tiles.div = spec.WG;
  const Slot loss = itemSlot(NIB_ROLE_OUTPUT, b.memory.part[NIB_PART_LOSS].offset_bytes, 4, 0, 4).of(NIB_PART_LOSS);
  const Slot slots[kSlotCount] = {Slot{}, Slot{}, loss, wholeSlot(NIB_ROLE_AUX)};
  return b.builder.add("gptq_loss", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * b.s.block * 4);
}

NibResult addUpdate(const Build& b) {
  GptqUpdateSpec spec;
  spec.WG = kUpdateWorkgroup;
  spec.VEC = b.vec();
  const Slot factor = b.factorSlot();
  const uint32_t tiles_per_row = uint32_t(ceilDiv(b.d.cols - b.s.block, kTile));
  const GptqUpdatePush push{{},
                            b.d.rows,
                            b.d.cols,
                            b.s.block,
                            tiles_per_row,
                            b.word(NIB_PART_FACTOR),
                            b.word(NIB_PART_RESULT),
                            b.errorsWord(),
                            b.s.errors_stride,
                            0,
                            factor.window_rows};
  TileRule tiles = b.rowTiles();
  tiles.row_block = kTile;
  tiles.mul = tiles_per_row;
  const Slot slots[kSlotCount] = {Slot{}, factor, b.resultSlot(), wholeSlot(NIB_ROLE_AUX)};
  return b.builder.add("gptq_update", 0, spec, push, 2 * kUpdateStep * kTile * 4, tiles, slots,
                       uint64_t(kTile) * (kTile + b.s.block) * 8, {}, &push.window_row);
}

NibResult buildColumns(const Build& b) {
  NibResult result = b.scattered() ? addOrder(b, false) : NIB_SUCCESS;
  if (result == NIB_SUCCESS && b.findsBefore()) result = addScales(b);
  if (result == NIB_SUCCESS) result = addBlock(b);
  if (result == NIB_SUCCESS) result = addLoss(b);
  if (result == NIB_SUCCESS && b.d.cols > b.s.block) result = addUpdate(b);
  return result;
}

NibResult buildStore(const Build& b) {
  const Geometry& g = b.s.g;
  const bool inverse = has(b.d, NIB_GPTQ_ORDER) && !has(b.d, NIB_GPTQ_KEEP_ORDER);
  if (inverse) {
    const NibResult result = addOrder(b, true);
    if (result != NIB_SUCCESS) return result;
  }
  GptqStoreSpec spec;
  spec.WG = b.builder.workgroupSize(b.d.rows == 1 ? kRowWorkgroup : kWorkgroup);
  spec.BITS = g.format->info.bits;
  spec.INVERSE = inverse;
  const GptqStorePush push{{}, b.d.cols, g.row_words, b.word(NIB_PART_RESULT), uint32_t(b.s.order_offset / 4)};
  TileRule tiles;
  tiles.mul = g.row_words;
  tiles.div = spec.WG;
  const uint64_t code_bytes = uint64_t(g.row_words) * 4;
  const Slot codes = itemSlot(NIB_ROLE_WEIGHTS, 0, code_bytes, 4, code_bytes).of(NIB_PART_CODES).moving();
  const Slot slots[kSlotCount] = {codes, Slot{}, b.resultSlot().moving(), inverse ? wholeSlot(NIB_ROLE_AUX) : Slot{}};
  return b.builder.add("gptq_store", 0, spec, push, 0, tiles, slots,
                       uint64_t(spec.WG) * (4 + 128 / g.format->info.bits));
}

NibResult build(const NibGptqDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  Build b{d, memory, builder, {}};
  const NibResult result = makeGptqShape(d, Log(), &b.s);
  if (result != NIB_SUCCESS) return result;
  switch (d.stage) {
    case NIB_GPTQ_LOAD: return buildLoad(b);
    case NIB_GPTQ_STORE: return buildStore(b);
    default: return buildColumns(b);
  }
}

#endif

constexpr Op<NibGptqDesc> kGptq = {
    .op = NIB_OP_GPTQ,
    .name = "gptq",
    .getMemory = getMemory,
    .runRows = runRows,
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibGptqDesc& d) {
          return Dims{d.rows, d.cols};
        },
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .written = written,
    .accumulates = [](const NibGptqDesc& d) { return d.stage == NIB_GPTQ_COLUMNS; },
};

}  // namespace

NIB_DEFINE_OP(gptq, NibGptqDesc, kGptq)

}  // namespace nib
