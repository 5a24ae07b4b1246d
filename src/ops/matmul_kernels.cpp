// Kernels of NIB_OP_MATMUL: their tiles, windows and constants.
#include "ops/dense_spec.h"
#include "ops/matmul.h"
#include "ops/shader_constants.h"
#include "plan/plan.h"
#include "shaders/ops/matgroup.h"
#include "shaders/ops/matinput.h"
#include "shaders/ops/matmul.h"
#include "shaders/ops/matmul_half.h"
#include "shaders/ops/matmul_rows.h"
#include "shaders/ops/matpick.h"
#include "shaders/ops/matsum.h"
#include "shaders/ops/matvec.h"

namespace nib {

extern const OpRow kOp_dequantize;

namespace {

NIB_SPEC_STRUCT(MatvecSpec, MATVEC_SPEC)
NIB_SPEC_STRUCT(MatmulHalfSpec, MATMUL_HALF_SPEC)
NIB_SPEC_STRUCT(MatmulSpec, MATMUL_SPEC)
NIB_SPEC_STRUCT(MatmulRowsSpec, MATMUL_ROWS_SPEC)
NIB_SPEC_STRUCT(MatsumSpec, MATSUM_SPEC)
NIB_SPEC_STRUCT(MatinputSpec, MATINPUT_SPEC)
NIB_SPEC_STRUCT(MatgroupSpec, MATGROUP_SPEC)
NIB_SPEC_STRUCT(MatpickSpec, MATPICK_SPEC)

uint32_t subgroupSize(const PlanBuilder& builder) {
  return builder.caps().features & NIB_FEATURE_SUBGROUP ? builder.caps().plain_subgroup_size : 0;
}

// Decodes activations that are codes into scratch. A batch decodes all tokens, because a run's are not contiguous.
NibResult addDecode(const Matmul& m, const PlanBuilder& builder) {
  Placement decode;
  decode.operand[NIB_ROLE_WEIGHTS] = {
      .role = NIB_ROLE_INPUT, .size_bytes = m.decode_memory.range[NIB_ROLE_WEIGHTS].size_bytes, .input_codes = true};
  decode.operand[NIB_ROLE_OUTPUT] = {.role = NIB_ROLE_AUX,
                                     .offset_bytes = m.decoded_offset,
                                     .size_bytes = m.decode_memory.range[NIB_ROLE_OUTPUT].size_bytes,
                                     .scratch = true};
  if (m.batch > 1) {
    decode.rows = m.decode.rows;
    decode.sees_first_row = false;
    decode.whole = true;
  }
  PlanBuilder placed = builder.placed(decode);
  return kOp_dequantize.build(reinterpret_cast<const NibOpDesc*>(&m.decode), m.decode_memory, placed);
}

// The builder of the product's phases: decoded activations are in scratch.
PlanBuilder multiplying(const Matmul& m, const PlanBuilder& builder) {
  Placement product;
  if (m.coded) {
    product.operand[NIB_ROLE_INPUT] = {.role = NIB_ROLE_AUX,
                                       .offset_bytes = m.decoded_offset,
                                       .size_bytes = m.decode_memory.range[NIB_ROLE_OUTPUT].size_bytes};
  }
  return builder.placed(product);
}

// How far first_row moves the activations, in bytes per token. Only the decoded activations of a batch move, because
// scratch then holds all tokens.
uint64_t inputMove(const NibMatmulDesc& d, const Matmul& m) {
  return m.coded && m.batch > 1 ? uint64_t(m.input_stride) * typeBytes(d.input_type) : 0;
}

// Adds the phase that copies activations, to reorder columns or to align rows for loads of four.
NibResult addMatinput(const NibMatmulDesc& d, const Matmul& m, PlanBuilder& builder) {
  MatinputSpec spec;
  spec.WG = builder.workgroupSize(kMatvecWorkgroup);
  spec.INPUT_TYPE = d.input_type;
  const uint32_t quads = uint32_t(ceilDiv(d.cols, 4));
  spec.ORDER = m.ordered;
  const MatinputPush push = {{},
                             d.cols,
                             quads,
                             d.tokens,
                             m.shape.batch,
                             m.input_stride,
                             uint32_t(m.copy_offset / 4),
                             uint32_t(m.order_offset / 4)};
  TileRule tiles;
  tiles.mul = uint64_t(m.shape.batch) * quads;
  tiles.div = spec.WG;
  const bool windows = m.shape.batch == 1;
  const uint64_t input_bytes = typeBytes(d.input_type);
  const uint64_t quad_bytes = 4 * typeBytes(copyType(d));
  // A reordered copy may read any column of a token.
  const uint64_t item_bytes = m.ordered ? 0 : 4 * input_bytes;
  const Slot slots[kSlotCount] = {
      m.ordered ? tailSlot(NIB_ROLE_WEIGHTS, m.order_offset).of(kNoPart, {NIB_PART_ORDER}) : Slot{},
      windows ? itemSlot(NIB_ROLE_INPUT, 0, m.input_stride * input_bytes, item_bytes, d.cols * input_bytes)
              : wholeSlot(NIB_ROLE_INPUT).moving(inputMove(d, m)),
      windows ? itemSlot(NIB_ROLE_AUX, m.copy_offset, quads * quad_bytes, quad_bytes, quads * quad_bytes)
              : tailSlot(NIB_ROLE_AUX, m.copy_offset),
      Slot{}};
  const uint64_t read_bytes = 4 * input_bytes + (m.ordered ? 16 : 0);
  return builder.add("matinput", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * (quad_bytes + read_bytes),
                     {{&push.order_word, NIB_PART_ORDER, 0}});
}

// Adds the phase that sums the parts of the columns and applies bias, activation and residual.
NibResult addMatsum(const NibMatmulDesc& d, const Matmul& m, uint32_t splits, PlanBuilder& builder) {
  MatsumSpec spec;
  spec.WG = builder.workgroupSize(kMatvecWorkgroup);
  spec.RESULT_TYPE = d.result_type;
  spec.BIAS = (d.flags & NIB_PRODUCT_BIAS) != 0;
  spec.RESIDUAL = (d.flags & NIB_PRODUCT_RESIDUAL) != 0;
  spec.ACTIVATION = d.activation;
  const MatsumPush push = {{}, d.rows, d.tokens, m.shape.batch, m.result_stride, uint32_t(m.bias_offset / 4), splits};
  TileRule tiles;
  tiles.mul = uint64_t(m.shape.batch) * ceilDiv(d.rows, 2);
  tiles.div = spec.WG;
  const Slot slots[kSlotCount] = {
      wholeSlot(NIB_ROLE_AUX),
      spec.BIAS ? tailSlot(NIB_ROLE_WEIGHTS, m.bias_offset).of(kNoPart, {NIB_PART_BIAS}) : wholeSlot(NIB_ROLE_AUX),
      wholeSlot(NIB_ROLE_OUTPUT).moving(uint64_t(m.result_stride) * typeBytes(d.result_type)), Slot{}};
  return builder.add("matsum", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * 8 * (splits + 1),
                     {{&push.bias_word, NIB_PART_BIAS, 1}});
}

// Adds the phase that sorts the results of a run by matrix into groups.
NibResult addGroups(const NibMatmulDesc& d, const Matmul& m, PlanBuilder& builder) {
  MatgroupSpec spec;
  spec.WG = builder.workgroupSize(256);
  spec.TOKENS = m.group_tokens;
  const MatgroupPush push = {{}, d.choices, d.batch, m.groups, uint32_t(m.indices_offset / 4)};
  TileRule tiles;
  tiles.row_block = d.tokens;  // one tile
  const Slot slots[kSlotCount] = {tailSlot(NIB_ROLE_INPUT, m.indices_offset).of(kNoPart, {NIB_PART_INDICES}), Slot{},
                                  wholeSlot(NIB_ROLE_AUX), Slot{}};
  const uint32_t shared_bytes = (2 * NIB_MATMUL_MAX_EXPERTS + spec.WG) * 4;
  return builder.add("matgroup", 0, spec, push, shared_bytes, tiles, slots, uint64_t(d.tokens) * d.choices * 12,
                     {{&push.indices_word, NIB_PART_INDICES, 0}});
}

// Adds the phase that copies the activations of each group's results, and writes the records of groups of one.
NibResult addPick(const NibMatmulDesc& d, const Matmul& m, PlanBuilder& builder) {
  MatpickSpec spec;
  spec.WG = builder.workgroupSize(kMatvecWorkgroup);
  spec.INPUT_TYPE = d.input_type;
  spec.TOKENS = m.group_tokens;
  spec.EACH = (d.flags & NIB_PRODUCT_EACH_INPUT) != 0;
  const uint32_t quads = uint32_t(ceilDiv(d.cols, 4));
  const MatpickPush push = {{},
                            d.cols,
                            quads,
                            d.choices,
                            d.batch,
                            m.groups,
                            m.input_stride,
                            uint32_t(m.indices_offset / 4),
                            0,
                            uint32_t(m.copy_offset / 4)};
  TileRule tiles;
  tiles.row_block = m.group_tokens == 1 ? 1 : d.tokens;
  tiles.mul = uint64_t(quads) * (m.group_tokens == 1 ? d.choices : m.groups * m.group_tokens);
  tiles.div = spec.WG;
  const Slot slots[kSlotCount] = {tailSlot(NIB_ROLE_INPUT, m.indices_offset).of(kNoPart, {NIB_PART_INDICES}),
                                  wholeSlot(NIB_ROLE_INPUT).of(kNoPart, {NIB_PART_SOURCE}), wholeSlot(NIB_ROLE_AUX),
                                  Slot{}};
  const uint64_t quad_bytes = 4 * (typeBytes(d.input_type) + typeBytes(copyType(d)));
  return builder.add("matpick", 0, spec, push, 0, tiles, slots, uint64_t(spec.WG) * quad_bytes,
                     {{&push.indices_word, NIB_PART_INDICES, 0}, {&push.source_word, NIB_PART_SOURCE, 1}});
}

// The results of a tile, and the parts of the columns (split-K).
struct Tiling {
  uint32_t rows, tokens, splits, units_per_split;
};

uint32_t rowBlocks(const Matmul& m, const Tiling& t) { return uint32_t(ceilDiv(m.shape.rows, t.rows)); }
// Whether windows follow the tiles. With several matrices, or parts of columns, whole ranges must fit a storage range.
bool hasWindows(const Matmul& m, const Tiling& t) { return m.shape.batch == 1 && t.splits == 1; }
// The type and stride of what kernels read: the activations or their copy.
uint32_t readType(const NibMatmulDesc& d, const Matmul& m) { return m.copied ? copyType(d) : d.input_type; }
uint32_t readStride(const NibMatmulDesc& d, const Matmul& m) {
  return m.copied ? uint32_t(alignUp(d.cols, 4)) : m.input_stride;
}

ProductPush pushOf(const NibMatmulDesc& d, const Matmul& m, const Tiling& t) {
  ProductPush push{};
  push.matrix_rows = d.rows;
  push.cols = d.cols;
  push.tokens = d.tokens;
  push.batch = m.shape.batch;
  push.row_blocks = rowBlocks(m, t);
  push.input_stride = readStride(d, m);
  push.result_stride = m.result_stride;
  push.row_words = m.row_words;
  push.group = m.g.group;
  push.scale_row_stride = m.scale_row_stride;
  push.scales_word = uint32_t(m.g.scales_offset / 4);
  push.zeros_word = uint32_t(m.g.zeros_offset / 4);
  push.nested_word = uint32_t(m.g.nested_offset / 4);
  push.bias_word = uint32_t(m.bias_offset / 4);
  push.splits = t.splits;
  push.units_per_split = t.units_per_split;
  push.input_word = m.copied ? uint32_t(m.copy_offset / 4) : 0u;
  return push;
}

TileRule rowsByTokens(const Matmul& m, const Tiling& t) {
  TileRule tiles;
  tiles.row_block = t.tokens;
  tiles.mul = uint64_t(m.shape.batch) * rowBlocks(m, t) * t.splits;
  return tiles;
}

void slotsOf(const NibMatmulDesc& d, const Matmul& m, const Tiling& t, Slot (&slots)[kSlotCount]) {
  const bool windows = hasWindows(m, t);
  const uint64_t result_row = m.result_stride * uint64_t(typeBytes(d.result_type));
  slots[0] = windows ? sharedSlot(NIB_ROLE_WEIGHTS, 0, uint64_t(t.rows) * m.row_words * 4, m.g.codes_bytes)
                     : wholeSlot(NIB_ROLE_WEIGHTS);
  slots[0] = slots[0].of(NIB_PART_CODES);
  const bool bias = (d.flags & NIB_PRODUCT_BIAS) != 0;
  slots[1] = m.g.format != nullptr ? tailSlot(NIB_ROLE_WEIGHTS, m.g.scales_offset)
             : bias                ? tailSlot(NIB_ROLE_WEIGHTS, m.bias_offset)
                                   : Slot{};
  slots[1] = slots[1].of(kNoPart, {NIB_PART_SCALES, NIB_PART_ZEROS, NIB_PART_NESTED, NIB_PART_BIAS});
  slots[2] = t.splits > 1 ? wholeSlot(NIB_ROLE_AUX)
             : windows    ? itemSlot(NIB_ROLE_OUTPUT, 0, result_row, t.rows * typeBytes(d.result_type),
                                     d.rows * typeBytes(d.result_type))
                             .moving()
                       : wholeSlot(NIB_ROLE_OUTPUT).moving(result_row);
  const NibRole role = m.copied ? NIB_ROLE_AUX : NIB_ROLE_INPUT;
  const uint64_t bytes = typeBytes(readType(d, m));
  const uint64_t offset = m.copied ? m.copy_offset : 0;
  const uint64_t row_bytes = (m.copied ? readStride(d, m) : d.cols) * bytes;
  slots[3] = windows    ? itemSlot(role, offset, readStride(d, m) * bytes, 0, row_bytes)
             : m.copied ? tailSlot(role, offset)
                        : tailSlot(role, offset).moving(inputMove(d, m));
}

// With choices every matrix may be read for every group, so weights have windows of rows of all matrices.
void slotsOfChoices(const NibMatmulDesc& d, const Matmul& m, const PlanBuilder& builder, Slot (&slots)[kSlotCount]) {
  const uint64_t row_bytes = m.row_words * 4ull;
  slots[0] = builder.anyRowSlot(NIB_ROLE_WEIGHTS, 0, d.rows * d.batch, row_bytes, row_bytes).of(NIB_PART_CODES);
  slots[2] = wholeSlot(NIB_ROLE_OUTPUT).moving(uint64_t(m.result_stride) * sizeof(float) * d.choices);
  slots[3] = wholeSlot(NIB_ROLE_AUX);
}

// Adds the phase of a kernel of float products.
template <class Spec>
NibResult addProduct(const char* name, const NibMatmulDesc& d, const Matmul& m, const Spec& spec, const Tiling& tiling,
                     uint32_t shared_bytes, uint64_t work, PlanBuilder& builder) {
  Slot slots[kSlotCount];
  slotsOf(d, m, tiling, slots);
  ProductPush push = pushOf(d, m, tiling);
  TileRule tiles = rowsByTokens(m, tiling);
  if (d.choices != 0) {
    slotsOfChoices(d, m, builder, slots);
    push.window_rows = slots[0].window_rows;
    tiles.row_block = m.group_tokens == 1 ? 1 : d.tokens;
    tiles.mul = uint64_t(rowBlocks(m, tiling)) * (m.group_tokens == 1 ? d.choices : m.groups) *
                (m.group_tokens / tiling.tokens);
  }
  return builder.add(name, d.weights.format, spec, push, shared_bytes, tiles, slots, work,
                     {{&push.scales_word, NIB_PART_SCALES, 1},
                      {&push.zeros_word, NIB_PART_ZEROS, 1},
                      {&push.nested_word, NIB_PART_NESTED, 1},
                      {&push.bias_word, NIB_PART_BIAS, 1}},
                     d.choices != 0 ? &push.window_row : nullptr);
}

// Sets the specialization constants that these kernels share.
template <class Spec>
void fillSpec(const NibMatmulDesc& d, const Matmul& m, Spec* spec) {
  spec->RESULT_TYPE = d.result_type;
  spec->SCALE_TYPE = scaleTypeConstant(d.weights);
  spec->FLAGS = d.weights.flags;
  spec->FULL = d.cols % m.shape.run == 0;
  spec->COLUMN = m.g.format != nullptr && d.weights.granularity == NIB_GRANULARITY_COLUMN;
  spec->BIAS = (d.flags & NIB_PRODUCT_BIAS) != 0;
  spec->RESIDUAL = (d.flags & NIB_PRODUCT_RESIDUAL) != 0;
  spec->ACTIVATION = d.activation;
}

// Work of a tile in bytes; a multiply-add counts as one byte.
uint64_t workOf(const NibMatmulDesc& d, const Matmul& m, const Tiling& t) {
  return t.rows * (uint64_t(m.row_words) * 4 + uint64_t(d.cols) * t.tokens) / t.splits;
}

NibResult addMatmul(const NibMatmulDesc& d, const Matmul& m, const MatmulTiles& t, PlanBuilder& builder) {
  MatmulSpec spec;
  fillSpec(d, m, &spec);
  spec.INPUT_TYPE = readType(d, m);
  spec.WG = t.workgroup;
  spec.BM = t.rows;
  spec.BN = t.tokens;
  spec.TN = t.invocation_tokens;
  spec.GROUP = spec.COLUMN ? 0 : groupOf(m);
  const Tiling tiling{t.rows, t.tokens, 1, 0};
  const uint64_t work = uint64_t(t.rows) * t.tokens * d.cols;  // in bytes, as workOf
  return addProduct("matmul", d, m, spec, tiling, t.shared_bytes, work, builder);
}

// Adds a product on matrix units if the activations are halves and the device has matrices of halves. *added says
// whether it did.
NibResult addMatmulHalf(const NibMatmulDesc& d, const Matmul& m, PlanBuilder& builder, bool* added) {
  const vk::Caps& caps = builder.caps();
  *added = false;
  if (d.input_type != NIB_TYPE_F16 || d.tokens <= kMatvecTokens || !usesMatrices(caps.device_type)) return NIB_SUCCESS;
  const MatrixDevice device = matrixDevice(caps);
  MatmulHalfTiles best{};
  MatrixShape shape{};
  for (uint32_t i = 0; i < caps.coop_count; ++i) {
    const vk::CoopShape& c = caps.coop[i];
    if (c.a_type != VK_COMPONENT_TYPE_FLOAT16_KHR || c.b_type != VK_COMPONENT_TYPE_FLOAT16_KHR ||
        c.c_type != VK_COMPONENT_TYPE_FLOAT32_KHR || c.r_type != VK_COMPONENT_TYPE_FLOAT32_KHR || c.saturating) {
      continue;
    }
    const MatrixShape of{c.m, c.n, c.k};
    const MatmulHalfTiles t = chooseMatmulHalf(m.shape, of, device);
    const uint32_t reuse = matrixReuse(of), had = best.workgroup != 0 ? matrixReuse(shape) : 0;
    const bool better = best.workgroup == 0 || reuse > had || (reuse == had && of.k > shape.k);
    if (t.workgroup == 0 || !better) continue;
    best = t;
    shape = of;
  }
  if (best.workgroup == 0 ||
      !builder.offers("matmul_half", d.weights.format, best.workgroup, best.shared_bytes, sizeof(ProductPush))) {
    return NIB_SUCCESS;
  }
  *added = true;
  MatmulHalfSpec spec;
  fillSpec(d, m, &spec);
  spec.WG = best.workgroup;
  spec.SG = best.subgroup;
  spec.SGM = best.division.subgroups_m;
  spec.SGN = best.division.subgroups_n;
  spec.FM = best.division.matrices_m;
  spec.FN = best.division.matrices_n;
  spec.CM = shape.m;
  spec.CN = shape.n;
  spec.CK = shape.k;
  spec.BK = best.step;
  spec.WHOLE = d.cols % best.step == 0;
  spec.WIDE = readStride(d, m) % 8 == 0;
  spec.GROUP = spec.COLUMN ? 0 : groupOf(m);
  spec.HALVES = spec.SCALE_TYPE == NIB_TYPE_F16 && caps.halves_kept;
  const Tiling tiling{best.rows, best.tokens, 1, 0};
  return addProduct("matmul_half", d, m, spec, tiling, best.shared_bytes,
                    uint64_t(best.rows) * best.tokens * d.cols / 4, builder);
}

// Adds the kernel that gives whole rows to an invocation.
NibResult addMatmulRows(const NibMatmulDesc& d, const Matmul& m, const MatvecTiles& t, uint32_t workgroup,
                        PlanBuilder& builder) {
  MatmulRowsSpec spec;
  fillSpec(d, m, &spec);
  spec.INPUT_TYPE = readType(d, m);
  spec.WG = workgroup;
  spec.TOKENS = t.tokens;
  spec.UNIT = t.unit;
  spec.LOAD_RUNS = t.load_runs;
  const Tiling tiling{workgroup * t.rows, t.tokens, 1, 0};
  return addProduct("matmul_rows", d, m, spec, tiling, 0, workOf(d, m, tiling), builder);
}

NibResult addMatvec(const NibMatmulDesc& d, const Matmul& m, PlanBuilder& builder) {
  MatvecSpec spec;
  spec.WG = builder.workgroupSize(kMatvecWorkgroup);
  if (isCpu(builder.caps().device_type)) spec.WG = builder.workgroupSize(64);
  const uint32_t rows_workgroup = builder.workgroupSize(kRowsWorkgroup);
  const bool whole_rows =
      d.choices == 0 && builder.offers("matmul_rows", d.weights.format, rows_workgroup, 0, sizeof(ProductPush));
  const ProductDevice device{builder.caps().device_type, spec.WG, subgroupSize(builder), whole_rows};
  MatvecTiles t = chooseMatvec(m.shape, device);
  if (const uint32_t* value = builder.tuned(NIB_TUNABLE_MATVEC, d.weights.format, d.tokens))
    tuneMatvec(value, m.shape, device, &t);
  if (d.choices != 0) t.splits = 1;
  if (t.lanes == 0) return addMatmulRows(d, m, t, rows_workgroup, builder);
  spec.LANES = t.lanes;
  spec.ROWS = t.rows;
  spec.TOKENS = t.tokens;
  spec.UNIT = t.unit;
  fillSpec(d, m, &spec);
  spec.INPUT_TYPE = readType(d, m);
  spec.WHOLE = d.cols % (m.shape.run * t.unit) == 0 && (t.unit == 1 || m.row_words % 4 == 0);
  spec.GROUP = groupRule(d.cols, m.g.group);
  spec.HALVES = builder.caps().halves_kept;
  // GPUs with wider subgroups have conversions of unsigned bytes alone.
  spec.SIGNED_BYTES = builder.caps().max_subgroup_size <= 32;
  spec.CHOICES = m.choices != 0 ? m.group_tokens : 0;
  if (t.splits > 1) {
    // This phase only sums. matsum does the rest.
    spec.SPLIT = true;
    spec.RESULT_TYPE = NIB_TYPE_F32;
    spec.BIAS = spec.RESIDUAL = false;
    spec.ACTIVATION = NIB_ACTIVATION_NONE;
  }
  const Tiling tiling{spec.WG / t.lanes * t.rows, t.tokens, t.splits, t.units_per_split};
  constexpr uint32_t kMostValues = 256;
  const uint32_t shared_bytes = (spec.WG + kMostValues) * 4;
  const NibResult result = addProduct("matvec", d, m, spec, tiling, shared_bytes, workOf(d, m, tiling), builder);
  if (result != NIB_SUCCESS || t.splits == 1) return result;
  return addMatsum(d, m, t.splits, builder);
}

}  // namespace

NibResult buildMatmul(const NibMatmulDesc& d, const NibMemory&, PlanBuilder& whole) {
  Matmul m;
  NibResult result = makeMatmul(d, Log(), &m);
  if (result == NIB_SUCCESS && d.choices != 0) {
    if (m.group_tokens > 1) result = addGroups(d, m, whole);
    if (result == NIB_SUCCESS) result = addPick(d, m, whole);
    return result == NIB_SUCCESS ? addMatvec(d, m, whole) : result;
  }
  if (result == NIB_SUCCESS && m.coded) result = addDecode(m, whole);
  PlanBuilder builder = multiplying(m, whole);
  if (result == NIB_SUCCESS && m.copied) result = addMatinput(d, m, builder);
  if (result != NIB_SUCCESS) return result;
  bool added = false;
  const NibResult half = addMatmulHalf(d, m, builder, &added);
  if (half != NIB_SUCCESS || added) return half;
  const vk::Caps& caps = builder.caps();
  const ProductDevice device{caps.device_type, builder.workgroupSize(kMatvecWorkgroup), 0, false};
  MatmulTiles tiles = chooseMatmul(m.shape, device, caps.max_shared_bytes);
  if (const uint32_t* value = builder.tuned(NIB_TUNABLE_MATMUL, d.weights.format, d.tokens)) {
    tuneMatmul(value[0], m.shape, device, caps.max_shared_bytes, &tiles);
  }
  return tiles.rows != 0 ? addMatmul(d, m, tiles, builder) : addMatvec(d, m, builder);
}

}  // namespace nib
