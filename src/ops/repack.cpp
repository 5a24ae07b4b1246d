// NIB_OP_REPACK: validation, memory, kernels.
#include "plan/op.h"

#include <nibble/formats.h>

#include <cstring>

#include "formats/geometry.h"
#include "formats/layout.h"
#include "plan/probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#include "shaders/ops/repack.h"
#include "shaders/ops/repack_block.h"
#include "shaders/ops/repack_super.h"
#endif

namespace nib {
namespace {

constexpr uint32_t kWorkgroup = 128;

bool unpacks(const NibRepackDesc& d) { return (d.flags & NIB_REPACK_UNPACK) != 0; }

NibResult geometryOf(const NibRepackDesc& d, const Log& log, Geometry* g, const LayoutDesc** layout) {
  if (d.flags & ~uint32_t(NIB_REPACK_UNPACK)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "repack: flags 0x%x has unknown bits", d.flags);
  }
  *layout = findLayout(d.layout);
  if (*layout == nullptr) return log.fail(NIB_ERROR_UNSUPPORTED, "repack: layout %u is not in this build", d.layout);
  const NibResult result = makeGeometry("repack", "weights", d.rows, d.cols, d.weights, log, g);
  if (result != NIB_SUCCESS) return result;
  if (d.weights.flags & NIB_WEIGHTS_ALIGNED) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "repack: weights.flags: no layout has ALIGNED scales");
  }
  if (!(*layout)->takes(*g->format)) {
    char formats[160];
    listFormats(**layout, formats, sizeof formats);
    return log.fail(NIB_ERROR_UNSUPPORTED, "repack: layout %s: formats are %s", (*layout)->name, formats);
  }
  const char* why = (*layout)->refuses(d.weights, *g);
  if (why != nullptr) return log.fail(NIB_ERROR_UNSUPPORTED, "repack: layout %s: %s", (*layout)->name, why);
  return NIB_SUCCESS;
}

NibResult getMemory(const NibRepackDesc& d, const Log& log, NibMemory* memory) {
  Geometry g;
  const LayoutDesc* layout = nullptr;
  const NibResult result = geometryOf(d, log, &g, &layout);
  if (result != NIB_SUCCESS) return result;
  setWeights(memory, g);
  const uint64_t codes = wholeWordsBytes(layout->codesBytes(g));
  const uint64_t zeros = layout->zerosBytes(g);
  const uint64_t zeros_offset = alignUp(codes, kPartAlignmentBytes);
  setRange(memory, unpacks(d) ? NIB_ROLE_INPUT : NIB_ROLE_OUTPUT, zeros != 0 ? zeros_offset + zeros : codes);
  const NibRole packed = unpacks(d) ? NIB_ROLE_INPUT : NIB_ROLE_OUTPUT;
  setPart(memory, packed, NIB_PART_PACKED_CODES, 0, codes);
  if (zeros != 0) setPart(memory, packed, NIB_PART_PACKED_ZEROS, zeros_offset, zeros);
  return NIB_SUCCESS;
}

RunRows runRows(const NibRepackDesc& d) {
  return {d.rows, (d.weights.flags & NIB_WEIGHTS_FLAT) != 0, hasOwnRows(d.weights) ? d.rows : 0};
}

Dims dims(const NibRepackDesc& d) { return weightsDims(d.weights, d.rows, d.cols); }

NibRepackDesc resized(const NibRepackDesc& desc, Dims dims) {
  NibRepackDesc d = desc;
  d.rows = dims.rows;
  d.cols = dims.cols;
  return d;
}

void fillProbe(const NibRepackDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  const NibRole from = unpacks(d) ? NIB_ROLE_INPUT : NIB_ROLE_WEIGHTS;
  probe::fillBits(binding.range[from].data, memory.range[from].size_bytes, 0xc2b2ae35u);
}

void smallDims(const NibRepackDesc& d, SmallDims* list) {
  const Dims whole = dims(d);
  const FormatDesc* format = findFormat(d.weights.format);
  if (format->super.blocks != 0) {
    // More words than invocations of a workgroup, in whole super-blocks.
    const uint32_t cols = uint32_t(alignUp(whole.rows == 1 ? kAmpleElements : 4096, kSuperCols)) + kSuperCols;
    return list->add(ampleRows(whole.rows, cols, 5), cols);
  }
  // More words than invocations of a workgroup, and more rows than share words in the smallest codes.
  const uint32_t cols = colsAbove(kWorkgroup * 32u / format->info.bits, whole.cols);
  if (whole.rows == 1) return usualSmallDims(whole, list);
  list->add(ampleRows(whole.rows, cols, 37), cols);
}

NibRole written(const NibRepackDesc& d) { return unpacks(d) ? NIB_ROLE_WEIGHTS : NIB_ROLE_OUTPUT; }

#if !defined(NIB_NO_VULKAN)

NIB_SPEC_STRUCT(RepackSpec, REPACK_SPEC)
NIB_SPEC_STRUCT(RepackBlockSpec, REPACK_BLOCK_SPEC)
NIB_SPEC_STRUCT(RepackSuperSpec, REPACK_SUPER_SPEC)

static_assert(NIB_K_Q2 == NIB_FORMAT_Q2_K && NIB_K_Q3 == NIB_FORMAT_Q3_K && NIB_K_Q4 == NIB_FORMAT_Q4_K);
static_assert(NIB_K_Q5 == NIB_FORMAT_Q5_K && NIB_K_Q6 == NIB_FORMAT_Q6_K && NIB_K_IQ4 == NIB_FORMAT_IQ4_XS);

// A slot whose items may access all of their row block.
Slot rowsSlot(NibRole role, uint64_t part_offset, uint64_t row_bytes) {
  return itemSlot(role, part_offset, row_bytes, 0, row_bytes);
}

NibResult buildCodes(const NibRepackDesc& d, const Geometry& g, const LayoutDesc& layout, PlanBuilder& builder) {
  const uint64_t row_bits = uint64_t(g.cols) * g.format->info.bits;
  RepackSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.BITS = g.format->info.bits;
  spec.FLIP = layout.offset_binary && d.weights.format == NIB_FORMAT_INT8 ? 0x80808080u : 0u;
  spec.SWAP = d.layout == NIB_LAYOUT_BITSANDBYTES;
  spec.GATHER = d.layout == NIB_LAYOUT_ROWS && row_bits % 32 != 0;
  spec.UNPACK = unpacks(d);
  uint32_t cols = g.cols;
  if (d.layout == NIB_LAYOUT_WORDS && spec.BITS == 3) {
    // Rows are whole words, which move as they are.
    spec.BITS = 4;
    cols = g.row_words * 8;
  }
  const RepackPush push{{}, cols, g.row_words, 0, 0, 0, g.rows};
  TileRule tiles;
  tiles.absolute = true;
  tiles.div = spec.WG;
  const uint64_t words = uint64_t(g.row_words) * 4;
  Slot blob = itemSlot(NIB_ROLE_WEIGHTS, 0, words, 4, words);
  const NibRole other = spec.UNPACK ? NIB_ROLE_INPUT : NIB_ROLE_OUTPUT;
  Slot packed = itemSlot(other, 0, words, 4, words);
  tiles.mul = g.row_words;
  if (spec.GATHER) {
    // This many rows are whole words in both layouts.
    tiles.row_block = 32u / spec.BITS;
    tiles.mul = spec.UNPACK ? uint64_t(g.row_words) * tiles.row_block : g.cols;
    blob = rowsSlot(NIB_ROLE_WEIGHTS, 0, words);
    packed = rowsSlot(other, 0, row_bits / 8);
  }
  blob = blob.of(NIB_PART_CODES);
  packed = packed.of(NIB_PART_PACKED_CODES);
  const Slot slots[kSlotCount] = {spec.UNPACK ? packed : blob, spec.UNPACK ? blob : packed, Slot{}, Slot{}};
  return builder.add("repack", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * 8);
}

NibResult buildZeros(const NibRepackDesc& d, const Geometry& g, const NibMemory& memory, PlanBuilder& builder) {
  const bool one = g.scale_row_stride == 0;
  RepackSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.BITS = g.format->info.bits;
  spec.FLIP = d.weights.format == NIB_FORMAT_INT8 ? 0x80808080u : 0u;
  spec.SWAP = false;
  spec.GATHER = false;
  spec.ZEROS = true;
  spec.UNPACK = unpacks(d);
  const uint64_t packed_offset = memory.part[NIB_PART_PACKED_ZEROS].offset_bytes;
  const RepackPush push{{},
                        one ? 1u : g.scale_row_stride,
                        g.row_words,
                        uint32_t(g.zeros_offset / 4),
                        uint32_t(packed_offset / 4),
                        one ? 1u : 0u,
                        g.rows};
  TileRule tiles;
  tiles.absolute = true;
  tiles.div = spec.WG;
  if (one) {
    tiles.fixed = 1;
  } else {
    tiles.row_block = spec.UNPACK ? 4u : 32u / spec.BITS;
    tiles.mul = g.scale_row_stride;
  }
  const Slot blob = tailSlot(NIB_ROLE_WEIGHTS, g.zeros_offset).of(kNoPart, {NIB_PART_ZEROS});
  const Slot packed =
      tailSlot(spec.UNPACK ? NIB_ROLE_INPUT : NIB_ROLE_OUTPUT, packed_offset).of(kNoPart, {NIB_PART_PACKED_ZEROS});
  const Slot slots[kSlotCount] = {spec.UNPACK ? packed : blob, spec.UNPACK ? blob : packed, Slot{}, Slot{}};
  return builder.add("repack", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * 8,
                     {{&push.zeros_word, NIB_PART_ZEROS, spec.UNPACK ? 1u : 0u},
                      {&push.packed_word, NIB_PART_PACKED_ZEROS, spec.UNPACK ? 0u : 1u}});
}

NibResult buildBlocks(const NibRepackDesc& d, const Geometry& g, PlanBuilder& builder) {
  RepackBlockSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.BITS = g.format->info.bits;
  spec.MINIMUM = (g.format->info.flags & NIB_FORMAT_MINIMUM) != 0;
  spec.UNPACK = unpacks(d);
  spec.CODES = spec.UNPACK;
  const RepackBlockPush push{{}, g.groups_per_row, uint32_t(g.scales_offset / 4), uint32_t(g.zeros_offset / 4), g.rows};
  const uint32_t halves = (spec.MINIMUM ? 2u : 1u) + 2u * spec.BITS;
  const Slot codes = rowsSlot(NIB_ROLE_WEIGHTS, 0, uint64_t(g.row_words) * 4).of(NIB_PART_CODES);
  const Slot params = tailSlot(NIB_ROLE_WEIGHTS, g.scales_offset).of(kNoPart, {NIB_PART_SCALES, NIB_PART_ZEROS});
  const Slot blocks =
      rowsSlot(spec.UNPACK ? NIB_ROLE_INPUT : NIB_ROLE_OUTPUT, 0, uint64_t(g.groups_per_row) * halves * 2)
          .of(NIB_PART_PACKED_CODES);
  TileRule tiles;
  tiles.absolute = true;
  tiles.row_block = 2;  // rows are whole halves, so two rows are whole words
  tiles.div = spec.WG;
  if (!spec.UNPACK) {
    tiles.mul = uint64_t(g.groups_per_row) * halves;
    const Slot slots[kSlotCount] = {codes, params, blocks, Slot{}};
    return builder.add("repack_block", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * 8,
                       {{&push.scales_word, NIB_PART_SCALES, 1}, {&push.zeros_word, NIB_PART_ZEROS, 1}});
  }
  tiles.mul = uint64_t(g.row_words) * 2;
  const Slot code_slots[kSlotCount] = {blocks, Slot{}, codes, Slot{}};
  const NibResult result = builder.add("repack_block", 0, spec, push, 0, tiles, code_slots, uint64_t(spec.WG) * 8);
  if (result != NIB_SUCCESS) return result;
  spec.CODES = false;
  tiles.mul = g.groups_per_row;
  const Slot scale_slots[kSlotCount] = {blocks, Slot{}, params, Slot{}};
  return builder.add("repack_block", 0, spec, push, 0, tiles, scale_slots, uint64_t(spec.WG) * 8,
                     {{&push.scales_word, NIB_PART_SCALES, 2}, {&push.zeros_word, NIB_PART_ZEROS, 2}});
}

NibResult buildSuperBlocks(const NibRepackDesc& d, const Geometry& g, const LayoutDesc& layout, PlanBuilder& builder) {
  RepackSuperSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.FORMAT = g.format->info.format;
  spec.UNPACK = unpacks(d);
  const uint32_t blocks_per_row = g.cols / kSuperCols;
  const RepackSuperPush push{
      {},    blocks_per_row, uint32_t(g.scales_offset / 4), uint32_t(g.zeros_offset / 4), uint32_t(g.nested_offset / 4),
      g.rows};
  const uint64_t packed_row = layout.codesBytes(g) / g.rows;
  const Slot codes = rowsSlot(NIB_ROLE_WEIGHTS, 0, uint64_t(g.row_words) * 4).of(NIB_PART_CODES);
  const Slot params =
      tailSlot(NIB_ROLE_WEIGHTS, g.scales_offset).of(kNoPart, {NIB_PART_SCALES, NIB_PART_ZEROS, NIB_PART_NESTED});
  const Slot blocks = rowsSlot(spec.UNPACK ? NIB_ROLE_INPUT : NIB_ROLE_OUTPUT, 0, packed_row).of(NIB_PART_PACKED_CODES);
  TileRule tiles;
  tiles.absolute = true;
  tiles.row_block = 2;  // rows are whole halves, so two rows are whole words
  tiles.div = spec.WG;
  const auto add = [&](uint64_t half_words, const Slot(&slots)[kSlotCount], uint32_t params_binding) {
    tiles.mul = half_words;
    return builder.add("repack_super", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * 8,
                       {{&push.scales_word, NIB_PART_SCALES, params_binding},
                        {&push.zeros_word, NIB_PART_ZEROS, params_binding},
                        {&push.nested_word, NIB_PART_NESTED, params_binding}});
  };
  if (!spec.UNPACK) {
    const Slot slots[kSlotCount] = {codes, params, blocks, Slot{}};
    return add(packed_row / 2, slots, 1);
  }
  const Slot code_slots[kSlotCount] = {blocks, Slot{}, codes, Slot{}};
  tiles.mul = uint64_t(g.row_words) * 2;
  NibResult result = builder.add("repack_super", 0, spec, push, 0, tiles, code_slots, uint64_t(spec.WG) * 8);
  const Slot param_slots[kSlotCount] = {blocks, Slot{}, params, Slot{}};
  const uint64_t scale_words = g.scale_row_stride / 4,
                 words[] = {0, scale_words, g.zeros_bytes != 0 ? scale_words : 0, blocks_per_row};
  for (spec.PART = 1; spec.PART < 4 && result == NIB_SUCCESS; ++spec.PART) {
    if (words[spec.PART] != 0) result = add(words[spec.PART] * 2, param_slots, 2);
  }
  return result;
}

NibResult build(const NibRepackDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  Geometry g;
  const LayoutDesc* layout = nullptr;
  NibResult result = geometryOf(d, Log(), &g, &layout);
  if (result != NIB_SUCCESS) return result;
  if (g.format->super.blocks != 0) return buildSuperBlocks(d, g, *layout, builder);
  if (layout->placeScale != nullptr) return buildBlocks(d, g, builder);
  result = buildCodes(d, g, *layout, builder);
  if (result != NIB_SUCCESS || memory.part[NIB_PART_PACKED_ZEROS].size_bytes == 0) return result;
  return buildZeros(d, g, memory, builder);
}

#endif

constexpr Op<NibRepackDesc> kRepack = {
    .op = NIB_OP_REPACK,
    .name = "repack",
    .getMemory = getMemory,
    .runRows = runRows,
    .runReference = repackReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = dims,
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .written = written,
};

}  // namespace

NIB_DEFINE_OP(repack, NibRepackDesc, kRepack)

}  // namespace nib
