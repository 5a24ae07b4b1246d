// NIB_OP_FACTOR: validation, memory, kernels.
#include "plan/op.h"

#include <bit>
#include <cstddef>
#include <cstring>

#include "formats/geometry.h"
#include "ops/parts.h"
#include "ops/syrk.h"
#include "plan/probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "shaders/ops/factor_block.h"
#include "shaders/ops/factor_mean.h"
#include "shaders/ops/factor_prepare.h"
#include "shaders/ops/factor_product.h"
#endif

namespace nib {
namespace {

constexpr float kMostDamp = 0x1p20f;

bool isOrdered(const NibFactorDesc& d) { return (d.flags & NIB_FACTOR_ORDER) != 0; }
uint32_t blockOf(const NibFactorDesc& d) { return d.block != 0 ? d.block : 64; }

NibResult check(const NibFactorDesc& d, const Log& log) {
  if ((d.flags & ~uint32_t(NIB_FACTOR_ORDER)) != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "factor: flags 0x%x has unknown bits", d.flags);
  }
  if (d.stage > NIB_FACTOR_INVERT) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "factor: stage %u must be PREPARE, CHOLESKY or INVERT", d.stage);
  }
  if (d.cols == 0 || uint64_t(d.cols) * d.cols > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "factor: cols %u must be at least 1, and cols x cols at most 2^32 - 2^21", d.cols);
  }
  if (d.block != 0 && d.block != 32 && d.block != 64) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "factor: block %u must be 32, 64 or 0", d.block);
  }
  if (!(d.damp >= 0 && d.damp <= kMostDamp)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "factor: damp %g must be in 0..2^20", double(d.damp));
  }
  return NIB_SUCCESS;
}

// Scratch: the inverse of a block, then a panel of the rows above it.
uint64_t inverseBytes(const NibFactorDesc& d) { return uint64_t(blockOf(d)) * blockOf(d) * 4; }
uint64_t panelStride(const NibFactorDesc& d) { return alignUp(d.cols, 4); }

NibResult getMemory(const NibFactorDesc& d, const Log& log, NibMemory* memory) {
  const NibResult result = check(d, log);
  if (result != NIB_SUCCESS) return result;
  const uint64_t matrix_bytes = uint64_t(d.cols) * d.cols * 4;
  uint64_t end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_SOURCE, 0, matrix_bytes);
  end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_DIAGONAL, end, uint64_t(d.cols) * 4);
  end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_ORDER, end, isOrdered(d) ? uint64_t(d.cols) * 4 : 0);
  setRange(memory, NIB_ROLE_INPUT, end);
  end = addPart(memory, NIB_ROLE_OUTPUT, NIB_PART_RESULT, 0, matrix_bytes);
  end = addPart(memory, NIB_ROLE_OUTPUT, NIB_PART_FACTOR_INFO, end, sizeof(NibFactorInfo));
  setRange(memory, NIB_ROLE_OUTPUT, end);
  const uint64_t scratch_bytes = inverseBytes(d) + panelStride(d) * blockOf(d) * 4;
  setRange(memory, NIB_ROLE_AUX, addPart(memory, NIB_ROLE_AUX, NIB_PART_SCRATCH, 0, scratch_bytes));
  return NIB_SUCCESS;
}

void runReference(const NibFactorDesc& d, const HostRun& run) { factorReference(d, blockOf(d), run); }

NibFactorDesc resized(const NibFactorDesc& desc, Dims dims) {
  NibFactorDesc d = desc;
  d.cols = dims.cols;
  return d;
}

// Several blocks, with a tail.
void smallDims(const NibFactorDesc& d, SmallDims* list) {
  const uint32_t cols = colsAbove(240, d.cols);
  list->add(cols, cols);
}

void fillProbe(const NibFactorDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::Sequence sequence(0x27d4eb2fu);
  // +-2^-8 .. 2^-6, and a diagonal of 2.5 to 3.5: the matrix is positive definite, and the mean of its diagonal is not
  // near a power of two.
  const auto element = [&](bool diagonal) {
    const uint32_t r = sequence.next();
    if (diagonal) return exact::bitsOf(2.5f + float(r >> 8) * 0x1p-24f);
    return (r & 0x80000000u) | ((0x77u << 23) + (r & 0x00ffffffu));
  };
  uint32_t* source = partOf<uint32_t>(memory, binding, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  uint32_t* diagonal = partOf<uint32_t>(memory, binding, NIB_ROLE_INPUT, NIB_PART_DIAGONAL);
  uint32_t* order = partOf<uint32_t>(memory, binding, NIB_ROLE_INPUT, NIB_PART_ORDER);
  uint32_t* result = partOf<uint32_t>(memory, binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  if (d.stage == NIB_FACTOR_PREPARE) {
    for (uint64_t row = 0; row < d.cols; ++row) {
      for (uint64_t col = 0; col <= row; ++col) source[row * d.cols + col] = element(col == row);
      if (row % 97 == 5) source[row * d.cols + row] = 0;
      diagonal[row] = source[row * d.cols + row];
    }
    for (uint32_t i = 0; order != nullptr && i < d.cols; ++i) {
      const uint32_t other = uint32_t((uint64_t(sequence.next()) * (uint64_t(i) + 1u)) >> 32);
      order[i] = order[other];
      order[other] = i;
    }
    return;
  }
  for (uint64_t row = 0; row < d.cols; ++row) {
    for (uint64_t col = row; col < d.cols; ++col) result[row * d.cols + col] = element(col == row);
  }
  std::memset(partOf<void>(memory, binding, NIB_ROLE_OUTPUT, NIB_PART_FACTOR_INFO), 0, sizeof(NibFactorInfo));
}

#if !defined(NIB_NO_VULKAN)

static_assert(offsetof(NibFactorInfo, failed) == NIB_INFO_FAILED * 4 &&
                  offsetof(NibFactorInfo, dead) == NIB_INFO_DEAD * 4 &&
                  offsetof(NibFactorInfo, damp) == NIB_INFO_DAMP * 4 &&
                  offsetof(NibFactorInfo, unit) == NIB_INFO_UNIT * 4 &&
                  offsetof(NibFactorInfo, mean) == NIB_INFO_MEAN * 4 && sizeof(NibFactorInfo) == NIB_INFO_WORDS * 4,
              "factor_mean.h repeats NibFactorInfo");

constexpr uint32_t kWorkgroup = 128;

NIB_SPEC_STRUCT(FactorMeanSpec, FACTOR_MEAN_SPEC)
NIB_SPEC_STRUCT(FactorPrepareSpec, FACTOR_PREPARE_SPEC)
NIB_SPEC_STRUCT(FactorBlockSpec, FACTOR_BLOCK_SPEC)
NIB_SPEC_STRUCT(FactorProductSpec, FACTOR_PRODUCT_SPEC)

struct Build {
  const NibFactorDesc& d;
  const NibMemory& memory;
  PlanBuilder& builder;

  uint64_t offset(NibPart part) const { return memory.part[part].offset_bytes; }
  uint32_t word(NibPart part) const { return uint32_t(offset(part) / 4); }
  uint64_t rowBytes() const { return d.cols * 4ull; }
  uint32_t inverseWord() const { return word(NIB_PART_SCRATCH); }
  uint32_t panelWord() const { return inverseWord() + uint32_t(inverseBytes(d) / 4); }
  Slot tail(NibRole role, NibPart part) const { return tailSlot(role, offset(part)).of(part); }
  // Whole rows of the result.
  Slot resultSlot() const {
    return itemSlot(NIB_ROLE_OUTPUT, offset(NIB_PART_RESULT), rowBytes(), 0, rowBytes()).of(NIB_PART_RESULT);
  }
};

NibResult addPrepare(const Build& b) {
  const NibFactorDesc& d = b.d;
  FactorMeanSpec mean;
  mean.WG = b.builder.workgroupSize(kWorkgroup);
  const FactorMeanPush mean_push{
      {}, d.cols, b.word(NIB_PART_DIAGONAL), b.word(NIB_PART_FACTOR_INFO), std::bit_cast<uint32_t>(d.damp)};
  TileRule one;
  one.fixed = 1;
  // The order after the diagonal is covered too.
  const Slot mean_slots[kSlotCount] = {Slot{}, b.tail(NIB_ROLE_INPUT, NIB_PART_DIAGONAL),
                                       b.tail(NIB_ROLE_OUTPUT, NIB_PART_FACTOR_INFO), Slot{}};
  const NibResult result =
      b.builder.add("factor_mean", 0, mean, mean_push, mean.WG * 8, one, mean_slots, d.cols * 4ull);
  if (result != NIB_SUCCESS) return result;

  FactorPrepareSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  spec.ORDER = isOrdered(d);
  const Slot source =
      b.builder.anyRowSlot(NIB_ROLE_INPUT, b.offset(NIB_PART_SOURCE), d.cols, b.rowBytes(), b.rowBytes())
          .of(NIB_PART_SOURCE);
  const FactorPreparePush push{{},
                               d.cols,
                               b.word(NIB_PART_SOURCE),
                               b.word(NIB_PART_RESULT),
                               b.word(NIB_PART_ORDER),
                               b.word(NIB_PART_FACTOR_INFO),
                               0,
                               source.window_rows};
  TileRule tiles;
  tiles.mul = ceilDiv(d.cols, 4);
  tiles.div = spec.WG;
  Slot rows = b.resultSlot();
  rows.item_bytes = 16;
  const Slot slots[kSlotCount] = {b.tail(NIB_ROLE_OUTPUT, NIB_PART_FACTOR_INFO), source, rows,
                                  spec.ORDER ? b.tail(NIB_ROLE_INPUT, NIB_PART_ORDER) : Slot{}};
  return b.builder.add("factor_prepare", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * 4 * 8, {},
                       &push.window_row);
}

NibResult addBlock(const Build& b) {
  const NibFactorDesc& d = b.d;
  FactorBlockSpec spec;
  spec.WG = b.builder.workgroupSize(kWorkgroup);
  spec.BLOCK = blockOf(d);
  spec.INVERT = d.stage == NIB_FACTOR_INVERT;
  const FactorBlockPush push{{}, d.cols, b.word(NIB_PART_RESULT), b.word(NIB_PART_FACTOR_INFO), b.inverseWord()};
  TileRule tiles;
  tiles.row_block = spec.BLOCK;
  const Slot slots[kSlotCount] = {b.tail(NIB_ROLE_OUTPUT, NIB_PART_FACTOR_INFO), Slot{}, b.resultSlot(),
                                  wholeSlot(NIB_ROLE_AUX)};
  const uint32_t shared_bytes = (spec.BLOCK * (spec.BLOCK + 1) / 2 + spec.BLOCK) * 4;
  return b.builder.add("factor_block", 0, spec, push, shared_bytes, tiles, slots,
                       uint64_t(spec.BLOCK) * spec.BLOCK * 8);
}

NibResult addProduct(const Build& b, uint32_t kind) {
  const NibFactorDesc& d = b.d;
  FactorProductSpec spec;
  // On a CPU all invocations of a workgroup have the same rows, whose elements are then loaded once for a vector of
  // invocations. On a GPU tiles are small because the last step of an inversion has no more of them than rows allow.
  const bool cpu = isCpu(b.builder.caps().device_type);
  spec.BM = cpu ? 8 : 32;
  spec.TM = cpu ? 8 : 4;
  spec.BLOCK = blockOf(d);
  spec.WG = spec.BM / spec.TM * (spec.BLOCK / 4);
  spec.KIND = kind;
  spec.VEC = d.cols % 4 == 0;
  const FactorProductPush push{{},
                               d.cols,
                               b.word(NIB_PART_RESULT),
                               b.inverseWord(),
                               b.panelWord(),
                               kind == NIB_FACTOR_PANEL ? uint32_t(panelStride(d)) : spec.BLOCK};
  TileRule tiles;
  tiles.row_block = spec.BM;
  const Slot slots[kSlotCount] = {Slot{}, Slot{}, b.resultSlot(), wholeSlot(NIB_ROLE_AUX)};
  const uint32_t shared_bytes = NIB_FACTOR_STEP * (spec.BM + 4 + spec.BLOCK) * 4;
  const uint64_t terms = kind == NIB_FACTOR_INVERSE ? d.cols : spec.BLOCK;
  return b.builder.add("factor_product", 0, spec, push, shared_bytes, tiles, slots,
                       (spec.BM + spec.BLOCK) * terms * 4 + uint64_t(spec.BM) * spec.BLOCK * 8);
}

NibResult addUpdate(const Build& b) {
  const NibFactorDesc& d = b.d;
  SyrkSpec spec;
  fillSyrkTile(b.builder.caps().device_type, &spec);
  spec.SOURCE_TYPE = NIB_TYPE_F32;
  spec.VEC = true;
  spec.QUADS = d.cols % 4 == 0;
  spec.UPPER = true;
  const SyrkPush push{{}, d.cols,    uint32_t(panelStride(d)), b.panelWord(), b.word(NIB_PART_RESULT), 0, 0, 0,
                      0,  blockOf(d)};
  const Slot slots[kSlotCount] = {Slot{}, wholeSlot(NIB_ROLE_AUX), syrkResultSlot(b.offset(NIB_PART_RESULT), d.cols),
                                  Slot{}};
  return b.builder.add("syrk", 0, spec, push, syrkSharedBytes(spec), syrkTiles(spec, d.cols), slots,
                       syrkTileBytes(spec, blockOf(d), 4));
}

NibResult build(const NibFactorDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  const Build b{d, memory, builder};
  if (d.stage == NIB_FACTOR_PREPARE) return addPrepare(b);
  const bool invert = d.stage == NIB_FACTOR_INVERT;
  NibResult result = addBlock(b);
  if (result == NIB_SUCCESS) result = addProduct(b, invert ? NIB_FACTOR_INVERSE_PANEL : NIB_FACTOR_PANEL);
  if (result == NIB_SUCCESS) result = invert ? addProduct(b, NIB_FACTOR_INVERSE) : addUpdate(b);
  return result;
}

#endif

constexpr Op<NibFactorDesc> kFactor = {
    .op = NIB_OP_FACTOR,
    .name = "factor",
    .getMemory = getMemory,
    .runRows =
        [](const NibFactorDesc& d) {
          return RunRows{d.cols, false, 0};
        },
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibFactorDesc& d) {
          return Dims{d.cols, d.cols};
        },
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .tolerance =
        [](const NibFactorDesc& d, NibPart) {
          return Tolerance{NIB_TYPE_F32, (d.cols + 8.0) * 0x1p-22};
        },
    .accumulates = [](const NibFactorDesc& d) { return d.stage != NIB_FACTOR_PREPARE; },
};

}  // namespace

NIB_DEFINE_OP(factor, NibFactorDesc, kFactor)

}  // namespace nib
