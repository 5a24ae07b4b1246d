// NIB_OP_MATMUL: validation, memory, kernels.
#include "ops/matmul.h"

#include <nibble/formats.h>

#include <cstring>

#include "ops/code_dims.h"
#include "ops/dense_spec.h"
#include "ops/shader_constants.h"
#include "plan/op.h"
#include "plan/probe_exact.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#include "shaders/ops/matinput.h"
#include "shaders/ops/matmul.h"
#include "shaders/ops/matmul_half.h"
#include "shaders/ops/matmul_rows.h"
#include "shaders/ops/matsum.h"
#include "shaders/ops/matvec.h"
#endif

namespace nib {

extern const OpRow kOp_dequantize;

namespace {

constexpr uint32_t kDenseRun = 16;

// The type of the copy of the activations. Halves stay halves, because matrix units need them.
uint32_t copyType(const NibMatmulDesc& d) { return d.input_type == NIB_TYPE_F16 ? NIB_TYPE_F16 : NIB_TYPE_F32; }

// Validates the description of the activations. If they are codes, prepares their dequantization, for all matrices.
NibResult makeDecode(const NibMatmulDesc& d, uint32_t tokens, const Log& log, Matmul* m) {
  const NibWeights& w = d.input;
  if (!m->coded) {
    if (w.granularity == 0 && w.group_size == 0 && w.scale_type == 0 && w.flags == 0) return NIB_SUCCESS;
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "matmul: input.granularity, group_size, scale_type and flags of dense activations must be 0, got "
                    "%u, %u, %u and 0x%x",
                    w.granularity, w.group_size, w.scale_type, w.flags);
  }
  if (w.format != NIB_FORMAT_FP8 && w.format != NIB_FORMAT_FP8_E5M2) {
    return log.fail(NIB_ERROR_UNSUPPORTED,
                    "matmul: input.format %u is neither fp8 nor fp8_e5m2, nor 0 for dense activations", w.format);
  }
  if (w.granularity == NIB_GRANULARITY_COLUMN) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "matmul: input.granularity COLUMN: activations have scales per token");
  }
  if (w.flags & NIB_WEIGHTS_FLAT) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "matmul: input.flags: FLAT groups would span tokens");
  }
  if (d.input_stride != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "matmul: input_stride %u of activations that are codes must be 0",
                    d.input_stride);
  }
  Geometry g;
  const NibResult result = makeGeometry("matmul", "input", tokens, d.cols, w, log, &g);
  if (result != NIB_SUCCESS) return result;
  m->decode = {NIB_OP_DEQUANTIZE, sizeof(NibDequantizeDesc), 0, tokens, d.cols, d.input_type, 0, w};
  return kOp_dequantize.getMemory(reinterpret_cast<const NibOpDesc*>(&m->decode), log, &m->decode_memory);
}

}  // namespace

NibResult makeMatmul(const NibMatmulDesc& d, const Log& log, Matmul* out) {
  Matmul m{};
  const uint32_t batch = d.batch == 0 ? 1 : d.batch;
  if (d.flags & ~uint32_t(NIB_PRODUCT_BIAS | NIB_PRODUCT_RESIDUAL | NIB_PRODUCT_ORDER | NIB_PRODUCT_ONE_KERNEL)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "matmul: flags 0x%x has unknown bits", d.flags);
  }
  if (d.activation > NIB_ACTIVATION_SILU) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "matmul: activation %u is not a NibActivation, 0 to %d", d.activation,
                    int(NIB_ACTIVATION_SILU));
  }
  if (d.rows == 0 || d.cols == 0 || d.tokens == 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "matmul: rows, cols and tokens must be at least 1, got %u, %u and %u",
                    d.rows, d.cols, d.tokens);
  }
  const uint64_t dims[] = {uint64_t(d.rows) * batch, uint64_t(d.tokens) * batch};
  if (dims[0] * d.cols > kMaxElements || dims[1] * d.cols > kMaxElements || dims[1] * d.rows > kMaxElements ||
      dims[0] > UINT32_MAX || dims[1] > UINT32_MAX) {
    return log.fail(
        NIB_ERROR_INVALID_ARGUMENT,
        "matmul: %u matrices of %u x %u, or their activations of %u tokens, have more than 2^32 - 2^21 elements; "
        "split rows, tokens or batch",
        batch, d.rows, d.cols, d.tokens);
  }
  const uint32_t rows = uint32_t(dims[0]);
  NibResult result = d.weights.format == NIB_FORMAT_DENSE
                         ? makeDenseGeometry("matmul", "weights", rows, d.cols, d.weights, log, &m.g)
                         : makeGeometry("matmul", "weights", rows, d.cols, d.weights, log, &m.g);
  if (result != NIB_SUCCESS) return result;
  m.row_words = m.g.row_words;
  m.scale_row_stride = m.g.scale_row_stride;
  m.flat = (d.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  if (m.flat) {
    if (d.cols % 32u != 0 || d.cols % m.g.group != 0) {
      return log.fail(NIB_ERROR_UNSUPPORTED, "matmul: cols %u with FLAT must be a multiple of 32 and of the group, %u",
                      d.cols, m.g.group);
    }
    // If the rows of a flat matrix are whole runs and groups, they are ordinary rows without padding.
    m.row_words = d.cols / 32u * m.g.format->info.bits;
    m.scale_row_stride = d.cols / m.g.group;
  }
  m.coded = d.input.format != NIB_FORMAT_DENSE;
  m.input_stride = d.input_stride;
  result = checkDense("matmul", "input", d.tokens * batch, d.cols, d.input_type, m.coded, log, &m.input_stride,
                      {"tokens", "cols"});
  if (result == NIB_SUCCESS) result = makeDecode(d, d.tokens * batch, log, &m);
  if (result != NIB_SUCCESS) return result;
  m.result_stride = d.result_stride;
  result = checkDense("matmul", "result", d.tokens * batch, d.rows, d.result_type, true, log, &m.result_stride,
                      {"tokens", "rows"});
  if (result != NIB_SUCCESS) return result;
  m.shape.rows = d.rows;
  m.shape.cols = d.cols;
  m.shape.tokens = d.tokens;
  m.shape.batch = batch;
  m.batch = batch;
  m.shape.run = m.g.format != nullptr ? m.g.format->run : kDenseRun;
  const bool column = d.weights.format != NIB_FORMAT_DENSE && d.weights.granularity == NIB_GRANULARITY_COLUMN;
  m.shape.group_runs = column ? UINT32_MAX : uint32_t(ceilDiv(m.g.group, m.shape.run));
  m.bias_offset = alignUp(m.g.blob_bytes, kPartAlignmentBytes);
  m.ordered = (d.flags & NIB_PRODUCT_ORDER) != 0;
  const bool bias = (d.flags & NIB_PRODUCT_BIAS) != 0;
  m.order_offset = alignUp(bias ? m.bias_offset + dims[0] * 4 : m.g.blob_bytes, kPartAlignmentBytes);
  const uint32_t parts = columnParts(m.shape);
  m.sums_bytes = parts == 1 ? 0 : uint64_t(parts) * dims[1] * d.rows * 4;
  m.copied = m.ordered || !vectorized(d.tokens * batch, d.cols, m.input_stride);
  m.copy_offset = alignUp(m.sums_bytes, kPartAlignmentBytes);
  const uint64_t element_bytes = typeBytes(copyType(d));
  m.scratch_bytes = m.copied ? m.copy_offset + dims[1] * alignUp(d.cols, 4) * element_bytes : m.sums_bytes;
  m.decoded_offset = alignUp(m.scratch_bytes, kPartAlignmentBytes);
  if (m.coded) m.scratch_bytes = m.decoded_offset + m.decode_memory.range[NIB_ROLE_OUTPUT].size_bytes;
  *out = m;
  return NIB_SUCCESS;
}

namespace {

// Scratch of the kernels for `tokens` tokens and for fewer.
uint64_t scratchBytes(const NibMatmulDesc& d, const Matmul& m) {
  uint64_t bytes = m.scratch_bytes;
  if ((d.flags & NIB_PRODUCT_ONE_KERNEL) != 0 || m.shape.batch > 1) return bytes;
  for (uint32_t tokens = 1; tokens < d.tokens && tokens <= kMatvecTokens; tokens *= 2) {
    NibMatmulDesc few = d;
    few.tokens = tokens;
    Matmul of_few;
    if (makeMatmul(few, Log(), &of_few) == NIB_SUCCESS && of_few.scratch_bytes > bytes) bytes = of_few.scratch_bytes;
  }
  return bytes;
}

NibResult getMemory(const NibMatmulDesc& d, const Log& log, NibMemory* memory) {
  Matmul m;
  const NibResult result = makeMatmul(d, log, &m);
  if (result != NIB_SUCCESS) return result;
  setWeights(memory, m.g);
  if (d.flags & NIB_PRODUCT_BIAS) {
    const uint64_t size = uint64_t(d.rows) * m.shape.batch * 4;
    setPart(memory, NIB_PART_BIAS, m.bias_offset, size);
    setRange(memory, NIB_ROLE_WEIGHTS, m.bias_offset + size);
  }
  if (m.ordered) {
    setPart(memory, NIB_PART_ORDER, m.order_offset, uint64_t(d.cols) * 4);
    setRange(memory, NIB_ROLE_WEIGHTS, m.order_offset + uint64_t(d.cols) * 4);
  }
  const uint32_t tokens = d.tokens * m.shape.batch;
  if (m.coded) {
    const NibMemoryPart& scales = m.decode_memory.part[NIB_PART_SCALES];
    setRange(memory, NIB_ROLE_INPUT, m.decode_memory.range[NIB_ROLE_WEIGHTS].size_bytes);
    setPart(memory, NIB_PART_INPUT_CODES, 0, m.decode_memory.part[NIB_PART_CODES].size_bytes);
    setPart(memory, NIB_PART_INPUT_SCALES, scales.offset_bytes, scales.size_bytes);
  } else {
    setRange(memory, NIB_ROLE_INPUT, denseBytes(tokens, d.cols, d.input_type, m.input_stride));
  }
  setRange(memory, NIB_ROLE_OUTPUT, denseBytes(tokens, d.rows, d.result_type, m.result_stride));
  if (const uint64_t bytes = scratchBytes(d, m); bytes != 0) {
    setRange(memory, NIB_ROLE_AUX, bytes);
    setPart(memory, NIB_PART_SCRATCH, 0, bytes);
  }
  return NIB_SUCCESS;
}

RunRows runRows(const NibMatmulDesc& d) { return {d.tokens, false, d.tokens}; }

Dims dims(const NibMatmulDesc& d) { return {d.rows, d.cols}; }

constexpr uint32_t kFewRows = 67;
constexpr uint32_t fewMatrices(uint32_t batch) { return batch < 3 ? batch : 3; }

NibMatmulDesc resized(const NibMatmulDesc& desc, Dims dims) {
  // Enough for more than one tile of tokens, few enough for a self-test with any size of matrix.
  constexpr uint32_t kFewTokens = 69;
  NibMatmulDesc d = desc;
  d.input_stride = strideLike(d.input_stride, d.cols, dims.cols);
  d.result_stride = strideLike(d.result_stride, d.rows, dims.rows);
  d.rows = dims.rows;
  d.cols = dims.cols;
  uint32_t tokens = kFewTokens;
  for (const TileDims& small : kSmallTiles) {
    if (small.rows == dims.rows) tokens = small.tokens;
  }
  d.tokens = d.tokens < tokens ? d.tokens : tokens;
  d.batch = fewMatrices(d.batch);
  return d;
}

// Columns sharing a scale, 0 if a row has one.
uint32_t groupOf(const Matmul& m) { return m.g.format != nullptr && m.g.groups_per_row > 1 ? m.g.group : 0; }

// More columns than `bound`, and than a group.
uint32_t smallColsAbove(const NibMatmulDesc& d, const Matmul& m, uint32_t bound) {
  const uint32_t least = bound > groupOf(m) ? bound : groupOf(m);
  return m.flat ? flatCols(d.weights, d.cols, least) : colsAbove(least, d.cols);
}

// Lists columns at which products are divided as at the plan's, and returns their number.
constexpr uint32_t kMostSmallCols = 4;
uint32_t smallCols(const NibMatmulDesc& d, const Matmul& m, uint32_t (&cols)[kMostSmallCols]) {
  constexpr uint32_t kFewCols = 544;
  const uint32_t group = groupOf(m);
  const auto above = [&](uint32_t bound) { return smallColsAbove(d, m, bound); };
  if (d.cols <= kFewCols) {
    cols[0] = above(256);
    cols[1] = smallWholeRows(m.shape, kAmpleCols, group);
    cols[2] = d.cols;
    // Less than one group, which is at most 256 columns.
    cols[3] = colsAbove(128, d.cols);
    return d.cols < 160 && group == 0 ? 4 : 3;
  }
  // As many lanes of a GPU share a row as its columns are powers of two, up to a workgroup of 32 columns per lane.
  const uint32_t units = uint32_t(ceilDiv(d.cols, 32));
  uint32_t lanes = powerOfTwoUpTo(units);
  if (lanes > kMatvecWorkgroup) lanes = kMatvecWorkgroup;
  uint32_t count = 0;
  cols[count++] = smallWholeRows(m.shape, m.copied || m.coded ? lanes * 32 : kAmpleCols, group);
  cols[count++] = units == lanes ? d.cols : above(lanes * 32);
  // Many rows have a subgroup each, however long they are.
  if (fillsDevice(uint64_t(d.rows + 1) / 2 * m.shape.batch)) cols[count++] = above(256);
  if (columnParts(m.shape) > 1) cols[count++] = above(2 * 32 * kMatvecWorkgroup);
  return count;
}

void smallDims(const NibMatmulDesc& d, SmallDims* list) {
  Matmul m;
  if (makeMatmul(d, Log(), &m) != NIB_SUCCESS) return;
  uint32_t cols[kMostSmallCols];
  const uint32_t count = smallCols(d, m, cols);
  const uint32_t rows = d.rows < kFewRows ? d.rows : kFewRows;
  // A CPU's invocations have whole rows, two or four each, if there are 64 invocations or more.
  const uint64_t all_rows = uint64_t(d.rows) * m.shape.batch;
  const uint32_t batch = fewMatrices(m.shape.batch);
  const uint32_t whole_rows = (all_rows >= 256 || d.tokens <= 2 ? 261 : 139) / batch | 1u;
  for (uint32_t i = 0; i < count; ++i) {
    list->add(rows, cols[i]);
    list->add(kFewRows, cols[i]);
    list->add(whole_rows, cols[i]);
    list->add(ampleRows(2, cols[i]), cols[i]);
  }
  // A workgroup has up to 512 short rows.
  if (d.cols < 64) list->add(601, d.cols);
  if (d.tokens <= kMatvecTokens) return;
  for (const TileDims& small : kSmallTiles) list->add(small.rows, smallColsAbove(d, m, 256));
}

// Values whose dot products are exact, so that every order of summation gives the reference's bytes.
void fillProbe(const NibMatmulDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::fillExactWeights(d.weights, memory, binding);
  void* input = binding.range[NIB_ROLE_INPUT].data;
  if (d.input.format != NIB_FORMAT_DENSE) {
    probe::fillExactInput(d.input, input, memory.range[NIB_ROLE_INPUT].size_bytes, memory.part[NIB_PART_INPUT_SCALES]);
  } else {
    probe::fillExact(input, d.input_type, memory.range[NIB_ROLE_INPUT].size_bytes, 0x9e3779b9u);
  }
  uint32_t* order = partOf<uint32_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_ORDER);
  if (order != nullptr) probe::fillOrder(order, d.cols);
  if (float* bias = partOf<float>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_BIAS)) {
    probe::fillExact(bias, NIB_TYPE_F32, memory.part[NIB_PART_BIAS].size_bytes, 0x165667b1u);
  }
}

void runReference(const NibMatmulDesc& d, const HostRun& run) {
  Matmul m;
  if (makeMatmul(d, Log(), &m) == NIB_SUCCESS) matmulReference(d, m, run);
}

#if !defined(NIB_NO_VULKAN)

NIB_SPEC_STRUCT(MatvecSpec, MATVEC_SPEC)
NIB_SPEC_STRUCT(MatmulHalfSpec, MATMUL_HALF_SPEC)
NIB_SPEC_STRUCT(MatmulSpec, MATMUL_SPEC)
NIB_SPEC_STRUCT(MatmulRowsSpec, MATMUL_ROWS_SPEC)
NIB_SPEC_STRUCT(MatsumSpec, MATSUM_SPEC)
NIB_SPEC_STRUCT(MatinputSpec, MATINPUT_SPEC)

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

// Adds the phase of a kernel of float products.
template <class Spec>
NibResult addProduct(const char* name, const NibMatmulDesc& d, const Matmul& m, const Spec& spec, const Tiling& tiling,
                     uint32_t shared_bytes, uint64_t work, PlanBuilder& builder) {
  Slot slots[kSlotCount];
  slotsOf(d, m, tiling, slots);
  const ProductPush push = pushOf(d, m, tiling);
  return builder.add(name, d.weights.format, spec, push, shared_bytes, rowsByTokens(m, tiling), slots, work,
                     {{&push.scales_word, NIB_PART_SCALES, 1},
                      {&push.zeros_word, NIB_PART_ZEROS, 1},
                      {&push.nested_word, NIB_PART_NESTED, 1},
                      {&push.bias_word, NIB_PART_BIAS, 1}});
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
  const bool whole_rows = builder.offers("matmul_rows", d.weights.format, rows_workgroup, 0, sizeof(ProductPush));
  const ProductDevice device{builder.caps().device_type, spec.WG, subgroupSize(builder), whole_rows};
  MatvecTiles t = chooseMatvec(m.shape, device);
  if (const uint32_t* value = builder.tuned(NIB_TUNABLE_MATVEC, d.weights.format, d.tokens))
    tuneMatvec(value, m.shape, device, &t);
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

NibResult build(const NibMatmulDesc& d, const NibMemory&, PlanBuilder& whole) {
  Matmul m;
  NibResult result = makeMatmul(d, Log(), &m);
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

#endif

// Sums are exact in self-tests, so only the error of a smooth activation remains.
Tolerance tolerance(const NibMatmulDesc& d, NibPart) {
  return {d.result_type, d.activation >= NIB_ACTIVATION_GELU ? 0x1p-17 : 0.0};
}

// Several matrices lie `tokens` apart, so their operands depend on it.
bool withRows(const NibMatmulDesc& d, uint32_t tokens, NibMatmulDesc* out) {
  if ((d.flags & NIB_PRODUCT_ONE_KERNEL) != 0 || d.batch > 1) return false;
  *out = d;
  out->tokens = tokens;
  return true;
}

constexpr Op<NibMatmulDesc> kMatmul = {
    .op = NIB_OP_MATMUL,
    .name = "matmul",
    .getMemory = getMemory,
    .runRows = runRows,
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = dims,
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .tolerance = tolerance,
    .withRows = withRows,
    .multiplyAdds = [](const NibMatmulDesc& d,
                       uint32_t n) { return uint64_t(d.rows) * d.cols * n * (d.batch != 0 ? d.batch : 1u); },
};

}  // namespace

NIB_DEFINE_OP(matmul, NibMatmulDesc, kMatmul)

}  // namespace nib
