#include "ops/int8_product.h"

#include <nibble/formats.h>

#include <initializer_list>

namespace nib {
namespace {

NibResult checkSide(const char* op, const char* side, const NibWeights& weights, const Geometry& g, bool four_bits,
                    const Log& log) {
  const uint32_t format = weights.format;
  const bool eight = format == NIB_FORMAT_INT8 || format == NIB_FORMAT_UINT8;
  const bool four = format == NIB_FORMAT_INT4 || format == NIB_FORMAT_UINT4;
  if (!eight && !(four && four_bits)) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "%s: %s.format %s is not a format of %s8-bit integers", op, side,
                    g.format->info.name, four_bits ? "4-bit or " : "");
  }
  if (weights.granularity == NIB_GRANULARITY_COLUMN) {
    return log.fail(NIB_ERROR_UNSUPPORTED,
                    "%s: %s.granularity COLUMN: a scale per column cannot be factored out of a sum over columns", op,
                    side);
  }
  if (weights.flags & NIB_WEIGHTS_FLAT) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "%s: %s.flags: FLAT rows do not start on words", op, side);
  }
  return NIB_SUCCESS;
}

NibResult checkStrides(const char* op, const Log& log, Int8Product* p) {
  NibInt8GemmDesc& d = p->desc;
  const uint64_t tokens = uint64_t(d.batch) * d.tokens;
  if (d.input_stride == 0) d.input_stride = uint32_t(alignUp(d.cols, 4));
  if (d.input_stride % 4 != 0 || d.input_stride < d.cols) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: input_stride %u must be a multiple of 4 and at least cols %u", op,
                    d.input_stride, d.cols);
  }
  const uint32_t per_word = 4u / int8ResultBytes(d.result_type);
  if (d.result_stride == 0) d.result_stride = uint32_t(alignUp(d.rows, per_word));
  if (d.result_stride < d.rows || (tokens > 1 && d.result_stride % per_word != 0)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: result_stride %u must be a multiple of %u and at least rows %u",
                    op, d.result_stride, per_word, d.rows);
  }
  if (tokens * d.input_stride > kMaxElements || tokens * d.result_stride > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "%s: tokens * stride = %llu * %u is more than 2^32 - 2^21; run fewer tokens at a time", op,
                    (unsigned long long)tokens, d.input_stride > d.result_stride ? d.input_stride : d.result_stride);
  }
  return NIB_SUCCESS;
}

NibResult checkResult(const char* op, const NibInt8GemmDesc& d, const Log& log) {
  const bool code = isInt8Code(d.result_type);
  if (d.result_type > NIB_TYPE_BF16 && d.result_type != NIB_INT8_RESULT_I32 && !code) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: result_type %u must be F32, F16, BF16 or a NibInt8Result", op,
                    d.result_type);
  }
  if (d.activation > NIB_ACTIVATION_SILU) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: activation %u is not a NibActivation, 0 to %d", op, d.activation,
                    int(NIB_ACTIVATION_SILU));
  }
  if (d.flags & ~uint32_t(NIB_PRODUCT_BIAS | NIB_PRODUCT_RESIDUAL | NIB_PRODUCT_ONE_KERNEL)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: flags 0x%x has unknown bits", op, d.flags);
  }
  const bool steps = (d.flags & ~uint32_t(NIB_PRODUCT_ONE_KERNEL)) != 0 || d.activation != NIB_ACTIVATION_NONE;
  if (d.result_type == NIB_INT8_RESULT_I32 && steps) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: result_type I32 returns the sums: flags and activation must be 0",
                    op);
  }
  // Written so that NaN fails.
  constexpr float kLeast = 0x1p-60f, kMost = 0x1p60f;
  if (code ? !(d.result_scale >= kLeast && d.result_scale <= kMost) : !(d.result_scale == 0)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: result_scale %g must be %s", op, double(d.result_scale),
                    code ? "within 2^-60..2^60" : "0 unless the result is codes");
  }
  const int32_t first = d.result_type == NIB_INT8_RESULT_I8 ? -128 : 0;
  if (code ? d.result_zero < first || d.result_zero > first + 255 : d.result_zero != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: result_zero %d must be %s", op, d.result_zero,
                    code ? "one of the result's codes" : "0 unless the result is codes");
  }
  const bool table = hasTable(d);
  if (table ? !(d.table_scale >= kLeast && d.table_scale <= kMost) : !(d.table_scale == 0)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: table_scale %g must be %s", op, double(d.table_scale),
                    table ? "within 2^-60..2^60" : "0 if no table is used");
  }
  if (table ? d.table_zero < 0 || d.table_zero > 255 : d.table_zero != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: table_zero %d must be %s", op, d.table_zero,
                    table ? "within 0..255" : "0 if no table is used");
  }
  return NIB_SUCCESS;
}

uint32_t commonDivisor(uint32_t a, uint32_t b) {
  while (b != 0) {
    const uint32_t remainder = a % b;
    a = b;
    b = remainder;
  }
  return a;
}

}  // namespace

uint32_t int8Reach(const NibWeights& weights) {
  const bool four = weights.format == NIB_FORMAT_INT4 || weights.format == NIB_FORMAT_UINT4 ||
                    (weights.flags & NIB_WEIGHTS_FOUR_BITS) != 0;
  if (weights.flags & NIB_WEIGHTS_ASYMMETRIC) return four ? 15 : 255;
  if (four) return 8;
  return weights.flags & NIB_WEIGHTS_NARROW ? 127 : 128;
}

NibResult makeInt8Product(const char* op, const NibInt8GemmDesc& desc, bool four_bits, const Log& log,
                          Int8Product* out) {
  Int8Product p{};
  p.desc = desc;
  NibInt8GemmDesc& d = p.desc;
  if (d.batch == 0) d.batch = 1;
  if (d.rows == 0 || d.cols == 0 || d.tokens == 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: rows, cols and tokens must be at least 1, got %u, %u and %u", op,
                    d.rows, d.cols, d.tokens);
  }
  if (uint64_t(d.rows) * d.batch > UINT32_MAX || uint64_t(d.tokens) * d.batch > UINT32_MAX) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: batch %u times rows %u or tokens %u is more than 32 bits", op,
                    d.batch, d.rows, d.tokens);
  }
  NibResult result = makeGeometry(op, "weights", d.rows * d.batch, d.cols, d.weights, log, &p.weights);
  if (result == NIB_SUCCESS) result = checkSide(op, "weights", d.weights, p.weights, four_bits, log);
  if (result == NIB_SUCCESS) result = makeGeometry(op, "input", d.tokens * d.batch, d.cols, d.input, log, &p.input);
  if (result == NIB_SUCCESS) result = checkSide(op, "input", d.input, p.input, false, log);
  if (result == NIB_SUCCESS) result = checkResult(op, d, log);
  if (result == NIB_SUCCESS) result = checkStrides(op, log, &p);
  if (result != NIB_SUCCESS) return result;

  p.grouped = p.weights.groups_per_row > 1 || p.input.groups_per_row > 1;
  p.segment = p.weights.groups_per_row > 1 ? p.weights.group : d.cols;
  if (p.input.groups_per_row > 1) {
    p.segment = p.weights.groups_per_row > 1 ? commonDivisor(p.segment, p.input.group) : p.input.group;
  }
  if (d.result_type == NIB_INT8_RESULT_I32 && p.grouped) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "%s: result_type I32 has no scales and cannot be combined with granularity GROUP", op);
  }
  const uint32_t x_reach = int8Reach(d.input), w_reach = int8Reach(d.weights);
  if (uint64_t(p.segment) * x_reach * w_reach >= uint64_t(1) << 31) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "%s: cols: sums of %u products of up to %u * %u may exceed 2^31; use groups",
                    op, p.segment, x_reach, w_reach);
  }

  if (d.input_stride != p.input.row_words * 4u) {
    p.input.row_words = d.input_stride / 4u;
    p.input.codes_bytes = uint64_t(p.input.rows) * d.input_stride;
    p.input.scales_offset = alignUp(p.input.codes_bytes, kPartAlignmentBytes);
    p.input.zeros_offset = alignUp(p.input.scales_offset + p.input.scales_bytes, kPartAlignmentBytes);
    p.input.blob_bytes = p.input.zeros_bytes != 0 ? p.input.zeros_offset + p.input.zeros_bytes
                                                  : p.input.scales_offset + p.input.scales_bytes;
  }
  p.weights_bytes = p.weights.blob_bytes;
  if (d.flags & NIB_PRODUCT_BIAS) {
    p.bias_offset = alignUp(p.weights_bytes, kPartAlignmentBytes);
    p.weights_bytes = p.bias_offset + uint64_t(p.weights.rows) * 4u;
  }
  if (hasTable(d)) {
    p.table_offset = alignUp(p.weights_bytes, kPartAlignmentBytes);
    p.weights_bytes = p.table_offset + 256u * 4u;
  }
  p.output_bytes =
      wholeWordsBytes((uint64_t(p.input.rows - 1) * d.result_stride + d.rows) * int8ResultBytes(d.result_type));
  *out = p;
  return NIB_SUCCESS;
}

bool hasSmallSums(const Int8Product& p) {
  return uint64_t(p.segment) * int8Reach(p.desc.weights) * int8Reach(p.desc.input) <= kSmallSums;
}

void int8SmallDims(const Int8Product& p, SmallDims* list) {
  const NibInt8GemmDesc& d = p.desc;
  // Columns that keep several groups, or the size of the sums.
  uint32_t bound = 256;
  if (p.weights.groups_per_row > 1 && p.weights.group > bound) bound = p.weights.group;
  if (p.input.groups_per_row > 1 && p.input.group > bound) bound = p.input.group;
  if (!p.grouped && !hasSmallSums(p)) {
    const uint32_t most = kSmallSums / (int8Reach(d.weights) * int8Reach(d.input));
    if (most > bound) bound = most;
  }
  const uint32_t few = colsAbove(bound, d.cols);
  const uint32_t tokens = d.tokens < kFewTokens ? d.tokens : kFewTokens;
  for (const uint32_t cols : {few, d.cols < few ? d.cols : few}) {
    list->add(tokens, cols);
    // Kernels of eight tokens per invocation do not depend on more tokens, on a CPU, or on more than 32.
    if (d.tokens > 4) list->add(kFewTokens, cols);
    if (d.tokens > 4) list->add(ampleRows(2, cols), cols);
  }
  const uint32_t ample = colsAbove(kAmpleElements / tokens, d.cols);
  if (few < ample) list->add(tokens, ample);
}

void setInt8Memory(const Int8Product& p, NibMemory* memory) {
  setWeights(memory, p.weights);
  setRange(memory, NIB_ROLE_WEIGHTS, p.weights_bytes);
  if (p.bias_offset != 0) setPart(memory, NIB_PART_BIAS, p.bias_offset, uint64_t(p.weights.rows) * 4u);
  if (p.table_offset != 0) setPart(memory, NIB_PART_TABLE, p.table_offset, 256u * 4u);
  setRange(memory, NIB_ROLE_OUTPUT, p.output_bytes);
}

void setInt8Input(const Int8Product& p, NibMemory* memory) {
  setRange(memory, NIB_ROLE_INPUT, p.input.blob_bytes);
  setPart(memory, NIB_PART_INPUT_CODES, 0, p.input.codes_bytes);
  setPart(memory, NIB_PART_INPUT_SCALES, p.input.scales_offset, p.input.scales_bytes);
  if (p.input.zeros_bytes != 0) setPart(memory, NIB_PART_INPUT_ZEROS, p.input.zeros_offset, p.input.zeros_bytes);
}

}  // namespace nib
