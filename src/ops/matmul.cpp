// NIB_OP_MATMUL: validation, memory, kernels.
#include "ops/matmul.h"

#include <nibble/formats.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "ops/code_dims.h"
#include "ops/dense_spec.h"
#include "plan/op.h"
#include "plan/probe_exact.h"
#include "reference/reference.h"

namespace nib {

extern const OpRow kOp_dequantize;

namespace {

constexpr uint32_t kDenseRun = 16;
constexpr uint32_t kKnownFlags =
    NIB_PRODUCT_BIAS | NIB_PRODUCT_RESIDUAL | NIB_PRODUCT_ORDER | NIB_PRODUCT_ONE_KERNEL | NIB_PRODUCT_EACH_INPUT;

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

// Rows of activations.
uint64_t inputRows(const NibMatmulDesc& d) {
  if (d.choices != 0) return uint64_t(d.tokens) * ((d.flags & NIB_PRODUCT_EACH_INPUT) != 0 ? d.choices : 1);
  return uint64_t(d.tokens) * (d.batch == 0 ? 1 : d.batch);
}

NibResult checkChoices(const NibMatmulDesc& d, const Log& log) {
  if (d.choices == 0) {
    if ((d.flags & NIB_PRODUCT_EACH_INPUT) == 0) return NIB_SUCCESS;
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "matmul: flags 0x%x has EACH_INPUT, which goes with choices", d.flags);
  }
  if (d.choices > NIB_MATMUL_MAX_CHOICES) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "matmul: choices %u is more than %u", d.choices,
                    uint32_t(NIB_MATMUL_MAX_CHOICES));
  }
  if (d.batch == 0 || d.batch > NIB_MATMUL_MAX_EXPERTS) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "matmul: batch %u with choices must be in 1..%u", d.batch,
                    uint32_t(NIB_MATMUL_MAX_EXPERTS));
  }
  if (d.flags & (NIB_PRODUCT_RESIDUAL | NIB_PRODUCT_ORDER)) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "matmul: flags 0x%x: choices go with neither RESIDUAL nor ORDER", d.flags);
  }
  if (d.input.format != NIB_FORMAT_DENSE) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "matmul: input.format %u: choices need dense activations, 0",
                    d.input.format);
  }
  if (d.result_type != NIB_TYPE_F32) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "matmul: result_type %u with choices must be F32", d.result_type);
  }
  const bool column = d.weights.format != NIB_FORMAT_DENSE && d.weights.granularity == NIB_GRANULARITY_COLUMN;
  if (column || (d.weights.flags & (NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED)) != 0) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "matmul: weights.%s with choices: each row needs scales of its own",
                    column ? "granularity COLUMN" : "flags FLAT or NESTED");
  }
  return NIB_SUCCESS;
}

// How many results of a matrix share its weights: about as many as there are, but no more than a kernel takes.
uint32_t groupTokens(uint64_t results, uint32_t matrices) {
  const uint64_t each = results / matrices;
  return each > 4 ? kMatvecTokens : each > 2 ? 4 : each > 1 ? 2 : 1;
}

// Groups of results, and scratch: their records, then their activations.
void makeGroups(const NibMatmulDesc& d, Matmul* m) {
  const uint64_t results = uint64_t(d.tokens) * d.choices;
  m->group_tokens = groupTokens(results, d.batch);
  // Each matrix has at most one group that is not full.
  m->groups =
      uint32_t(m->group_tokens == 1 ? results : results / m->group_tokens + std::min<uint64_t>(d.batch, results));
  m->indices_offset =
      alignUp(denseBytes(uint32_t(inputRows(d)), d.cols, d.input_type, m->input_stride), kPartAlignmentBytes);
  m->shape.tokens = m->group_tokens;
  m->copied = true;
  m->sums_bytes = 0;
  m->copy_offset = alignUp(uint64_t(m->groups) * m->recordWords() * 4, kPartAlignmentBytes);
  m->scratch_bytes =
      m->copy_offset + uint64_t(m->groups) * m->group_tokens * alignUp(d.cols, 4) * typeBytes(copyType(d));
}

}  // namespace

NibResult makeMatmul(const NibMatmulDesc& d, const Log& log, Matmul* out) {
  Matmul m{};
  const uint32_t batch = d.batch == 0 ? 1 : d.batch;
  if (d.flags & ~kKnownFlags) {
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
  NibResult result = checkChoices(d, log);
  if (result != NIB_SUCCESS) return result;
  // Rows of all results, and of activations.
  const uint64_t result_rows = uint64_t(d.tokens) * (d.choices != 0 ? d.choices : batch);
  const uint32_t input_rows = uint32_t(std::min<uint64_t>(inputRows(d), UINT32_MAX));
  const uint64_t dims[] = {uint64_t(d.rows) * batch, result_rows};
  if (dims[0] * d.cols > kMaxElements || dims[1] * d.cols > kMaxElements || dims[1] * d.rows > kMaxElements ||
      dims[0] > UINT32_MAX || dims[1] > UINT32_MAX) {
    return log.fail(
        NIB_ERROR_INVALID_ARGUMENT,
        "matmul: %u matrices of %u x %u, or their activations of %u tokens, have more than 2^32 - 2^21 elements; "
        "split rows, tokens or batch",
        batch, d.rows, d.cols, d.tokens);
  }
  const uint32_t rows = uint32_t(dims[0]);
  result = d.weights.format == NIB_FORMAT_DENSE
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
  result = checkDense("matmul", "input", input_rows, d.cols, d.input_type, m.coded, log, &m.input_stride,
                      {"tokens", "cols"});
  if (result == NIB_SUCCESS) result = makeDecode(d, d.tokens * batch, log, &m);
  if (result != NIB_SUCCESS) return result;
  m.result_stride = d.result_stride;
  result = checkDense("matmul", "result", uint32_t(result_rows), d.rows, d.result_type, true, log, &m.result_stride,
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
  m.choices = d.choices;
  if (d.choices != 0) {
    makeGroups(d, &m);
    *out = m;
    return NIB_SUCCESS;
  }
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
  if ((d.flags & NIB_PRODUCT_ONE_KERNEL) != 0 || (m.shape.batch > 1 && d.choices == 0)) return bytes;
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
  } else if (d.choices != 0) {
    const uint64_t indices_bytes = uint64_t(d.tokens) * d.choices * sizeof(uint32_t);
    setPart(memory, NIB_ROLE_INPUT, NIB_PART_SOURCE, 0,
            denseBytes(uint32_t(inputRows(d)), d.cols, d.input_type, m.input_stride));
    setPart(memory, NIB_ROLE_INPUT, NIB_PART_INDICES, m.indices_offset, indices_bytes);
    setRange(memory, NIB_ROLE_INPUT, m.indices_offset + indices_bytes);
  } else {
    setRange(memory, NIB_ROLE_INPUT, denseBytes(tokens, d.cols, d.input_type, m.input_stride));
  }
  const uint32_t results = d.choices != 0 ? d.tokens * d.choices : tokens;
  setRange(memory, NIB_ROLE_OUTPUT, denseBytes(results, d.rows, d.result_type, m.result_stride));
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

// Few tokens, of whose results as many share a matrix as of all.
uint32_t fewChoosing(const NibMatmulDesc& d) {
  const uint32_t group = groupTokens(uint64_t(d.tokens) * d.choices, d.batch);
  for (uint32_t tokens = d.tokens < 3 ? d.tokens : 3; tokens < d.tokens; ++tokens) {
    if (groupTokens(uint64_t(tokens) * d.choices, d.batch) == group) return tokens;
  }
  return d.tokens;
}

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
  if (d.choices != 0) {
    d.tokens = fewChoosing(desc);
  } else {
    d.batch = fewMatrices(d.batch);
  }
  return d;
}

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
  if (d.choices != 0) {
    for (uint32_t i = 0; i < count; ++i) {
      list->add(d.rows < kFewRows ? d.rows : kFewRows, cols[i]);
      list->add(ampleRows(2, cols[i]), cols[i]);
    }
    return;
  }
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
  if (uint32_t* indices = partOf<uint32_t>(memory, binding, NIB_ROLE_INPUT, NIB_PART_INDICES)) {
    probe::Sequence sequence(0x27d4eb2fu);
    // Some are beyond the last.
    for (uint64_t i = 0; i < uint64_t(d.tokens) * d.choices; ++i)
      indices[i] = uint32_t((uint64_t(sequence.next()) * (uint64_t(d.batch) + 1u)) >> 32);
  }
  if (float* bias = partOf<float>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_BIAS)) {
    probe::fillExact(bias, NIB_TYPE_F32, memory.part[NIB_PART_BIAS].size_bytes, 0x165667b1u);
  }
}

void runReference(const NibMatmulDesc& d, const HostRun& run) {
  Matmul m;
  if (makeMatmul(d, Log(), &m) == NIB_SUCCESS) matmulReference(d, m, run);
}

// Sums are exact in self-tests, so only the error of a smooth activation remains.
Tolerance tolerance(const NibMatmulDesc& d, NibPart) {
  return {d.result_type, d.activation >= NIB_ACTIVATION_GELU ? 0x1p-17 : 0.0};
}

// Several matrices lie `tokens` apart, so their operands depend on it.
bool withRows(const NibMatmulDesc& d, uint32_t tokens, NibMatmulDesc* out) {
  if ((d.flags & NIB_PRODUCT_ONE_KERNEL) != 0 || (d.batch > 1 && d.choices == 0)) return false;
  *out = d;
  out->tokens = tokens;
  return true;
}

constexpr Op<NibMatmulDesc> kMatmul = {
    .op = NIB_OP_MATMUL,
    .name = "matmul",
    .least_desc_bytes = offsetof(NibMatmulDesc, choices),
    .getMemory = getMemory,
    .runRows = runRows,
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = buildMatmul, ).dims = dims,
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .tolerance = tolerance,
    .withRows = withRows,
    .multiplyAdds =
        [](const NibMatmulDesc& d, uint32_t n) {
          return uint64_t(d.rows) * d.cols * n * (d.choices != 0 ? d.choices : d.batch != 0 ? d.batch : 1u);
        },
};

}  // namespace

NIB_DEFINE_OP(matmul, NibMatmulDesc, kMatmul)

}  // namespace nib
