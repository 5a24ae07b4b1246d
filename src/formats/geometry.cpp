#include "formats/geometry.h"

#include "base/names.h"
#include "formats/nested.h"
#include "formats/scale_store.h"

namespace nib {

NibResult makeGeometry(const char* op, const char* field, uint32_t rows, uint32_t cols, const NibWeights& weights,
                       const Log& log, Geometry* out) {
  Geometry g{};
  g.format = findFormat(weights.format);
  if (g.format == nullptr) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "%s: %s.format %u is not in this build", op, field, weights.format);
  }
  const NibFormatInfo& info = g.format->info;
  if (rows == 0 || cols == 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: rows and cols must be at least 1, got %u x %u", op, rows, cols);
  }
  if (uint64_t(rows) * cols > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "%s: rows * cols = %u * %u is more than 2^32 - 2^21; split the tensor by rows", op, rows, cols);
  }
  if (weights.flags & ~uint32_t(NIB_WEIGHTS_ASYMMETRIC | NIB_WEIGHTS_NARROW | NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED |
                                NIB_WEIGHTS_ALIGNED | NIB_WEIGHTS_FOUR_BITS | NIB_WEIGHTS_SCALE_RULE)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s.flags 0x%x has unknown bits", op, field, weights.flags);
  }
  if (weights.flags & ~uint32_t(NIB_WEIGHTS_ALIGNED) & ~info.weights_flags) {
    return log.fail(
        NIB_ERROR_UNSUPPORTED, "%s: %s.flags 0x%x: format %s has no %s", op, field, weights.flags, info.name,
        (weights.flags & ~info.weights_flags & NIB_WEIGHTS_ASYMMETRIC)  ? "zero points"
        : (weights.flags & ~info.weights_flags & NIB_WEIGHTS_NARROW)    ? "narrow range"
        : (weights.flags & ~info.weights_flags & NIB_WEIGHTS_FLAT)      ? "flat blocks"
        : (weights.flags & ~info.weights_flags & NIB_WEIGHTS_NESTED)    ? "double quantization"
        : (weights.flags & ~info.weights_flags & NIB_WEIGHTS_FOUR_BITS) ? "narrower codes (FOUR_BITS is for int8)"
                                                                        : "scale rules");
  }
  if (weights.reserved[0] != 0 || weights.reserved[1] != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s.reserved must be 0", op, field);
  }
  if ((weights.flags & NIB_WEIGHTS_ALIGNED) && !hasOwnRows(weights)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s.flags: ALIGNED requires ROW or GROUP granularity without FLAT",
                    op, field);
  }
  if ((weights.flags & NIB_WEIGHTS_ASYMMETRIC) && (weights.flags & NIB_WEIGHTS_NARROW)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s.flags: NARROW and ASYMMETRIC exclude each other", op, field);
  }
  if (weights.scale_type > NIB_TYPE_BYTE) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s.scale_type %u must be F32, F16, BF16, E8M0 or BYTE", op, field,
                    weights.scale_type);
  }
  if (!(info.scale_types >> weights.scale_type & 1u)) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "%s: %s.scale_type: format %s has no %s scales", op, field, info.name,
                    typeName(weights.scale_type));
  }
  if (weights.granularity > NIB_GRANULARITY_GROUP) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s.granularity %u must be TENSOR, ROW, COLUMN or GROUP", op, field,
                    weights.granularity);
  }
  const bool flat = (weights.flags & NIB_WEIGHTS_FLAT) != 0;
  if (flat && weights.granularity != NIB_GRANULARITY_GROUP) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s.flags: FLAT requires GROUP granularity", op, field);
  }
  const bool nested = (weights.flags & NIB_WEIGHTS_NESTED) != 0;
  if (nested && (!flat || weights.scale_type != NIB_TYPE_F32 || weights.group_size == UINT32_MAX)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "%s: %s.flags: NESTED requires FLAT groups of a size other than -1 and fp32 scales", op, field);
  }
  if (weights.granularity != NIB_GRANULARITY_GROUP && weights.group_size != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s.group_size %u without GROUP granularity must be 0", op, field,
                    weights.group_size);
  }
  if (!(info.granularities >> weights.granularity & 1u)) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "%s: %s.granularity: format %s has no %s per %s", op, field, info.name,
                    weights.granularity == NIB_GRANULARITY_TENSOR ? "one scale" : "scales",
                    granularityName(weights.granularity));
  }
  g.rows = flat ? 1u : rows;
  g.cols = flat ? rows * cols : cols;
  switch (weights.granularity) {
    case NIB_GRANULARITY_TENSOR:
      g.group = g.cols;
      g.scale_row_stride = 0;
      g.scale_count = 1;
      break;
    case NIB_GRANULARITY_ROW:
      g.group = g.cols;
      g.scale_row_stride = 1;
      g.scale_count = g.rows;
      break;
    case NIB_GRANULARITY_COLUMN:
      g.group = 1;
      g.scale_row_stride = 0;
      g.scale_count = g.cols;
      break;
    case NIB_GRANULARITY_GROUP: {
      uint32_t size = weights.group_size;
      if (size == 0) size = info.default_group_size;
      if (size == 0) {
        return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s.group_size: format %s has no default group size; set one",
                        op, field, info.name);
      }
      const bool one_size = info.group_multiple == info.group_max;
      if (one_size && size != info.group_max) {
        return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s.group_size of format %s must be %u", op, field, info.name,
                        info.group_max);
      }
      if (size == UINT32_MAX) {
        size = g.cols;
      } else if (size == 0 || size > info.group_max || size % info.group_multiple != 0) {
        return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                        "%s: %s.group_size %u of format %s must be a multiple of %u from %u to %u, or -1", op, field,
                        size, info.name, info.group_multiple, info.group_multiple, info.group_max);
      }
      g.group = size < g.cols ? size : g.cols;
      g.scale_row_stride = uint32_t(ceilDiv(g.cols, g.group));
      g.scale_count = g.rows * g.scale_row_stride;
      break;
    }
  }
  if (weights.flags & NIB_WEIGHTS_ALIGNED) {
    const bool bytes = (weights.flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
    const uint32_t per_word = bytes ? 4u : 4u / scaleBytes(weights.scale_type);
    const uint64_t count = alignUp(g.scale_row_stride, per_word) * g.rows;
    if (count > UINT32_MAX)
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: more than 2^32 scales; split the tensor by rows", op);
    g.scale_row_stride = uint32_t(alignUp(g.scale_row_stride, per_word));
    g.scale_count = uint32_t(count);
  }
  const SuperBlocks& super = g.format->super;
  if (super.blocks != 0) {
    const uint64_t super_blocks = ceilDiv(g.cols, kSuperCols) * g.rows;
    if (super_blocks * super.blocks > UINT32_MAX) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: more than 2^32 scales; split the tensor by rows", op);
    }
    g.scale_count = uint32_t(super_blocks * super.blocks);
    g.scale_row_stride = g.scale_count / g.rows;
    g.nested_bytes = super_blocks * 4u;
  }
  g.groups_per_row = uint32_t(ceilDiv(g.cols, g.group));
  // Rows are whole storage units: a word, or 32 codes where codes cross words (3 and 5 bits).
  const uint64_t unit_bits = 32u % info.bits == 0 ? 32u : 32u * info.bits;
  g.row_words = uint32_t(ceilDiv(uint64_t(g.cols) * info.bits, unit_bits) * unit_bits / 32u);
  g.codes_bytes = uint64_t(g.rows) * g.row_words * 4u;
  g.scales_bytes = wholeWordsBytes(uint64_t(g.scale_count) * (nested ? 1u : scaleBytes(weights.scale_type)));
  const bool has_zeros = (weights.flags & NIB_WEIGHTS_ASYMMETRIC) || (info.flags & NIB_FORMAT_MINIMUM);
  g.zeros_bytes = has_zeros ? wholeWordsBytes(uint64_t(g.scale_count) * zeroBytes(*g.format)) : 0;
  g.scales_offset = alignUp(g.codes_bytes, kPartAlignmentBytes);
  g.zeros_offset = alignUp(g.scales_offset + g.scales_bytes, kPartAlignmentBytes);
  g.blob_bytes = g.zeros_bytes != 0 ? g.zeros_offset + g.zeros_bytes : g.scales_offset + g.scales_bytes;
  if (nested) g.nested_bytes = 4u + 4u * ceilDiv(g.scale_count, kNestedBlock);
  if (g.nested_bytes != 0) {
    g.nested_offset = alignUp(g.blob_bytes, kPartAlignmentBytes);
    g.blob_bytes = g.nested_offset + g.nested_bytes;
  }
  *out = g;
  return NIB_SUCCESS;
}

NibResult makeDenseGeometry(const char* op, const char* field, uint32_t rows, uint32_t cols, const NibWeights& weights,
                            const Log& log, Geometry* out) {
  if (rows == 0 || cols == 0 || uint64_t(rows) * cols > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: rows * cols = %u * %u must be in 1..2^32 - 2^21", op, rows, cols);
  }
  if (weights.scale_type > NIB_TYPE_BF16) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "%s: %s.scale_type %u, the type of dense weights, must be F32, F16 or BF16", op, field,
                    weights.scale_type);
  }
  if (weights.granularity != 0 || weights.group_size != 0 || weights.flags != 0 || weights.reserved[0] != 0 ||
      weights.reserved[1] != 0) {
    return log.fail(
        NIB_ERROR_INVALID_ARGUMENT,
        "%s: %s.granularity, group_size, flags and reserved of dense weights must be 0, got %u, %u and 0x%x", op, field,
        weights.granularity, weights.group_size, weights.flags);
  }
  *out = Geometry{};
  out->rows = rows;
  out->cols = cols;
  out->group = cols;
  out->groups_per_row = 1;
  out->row_words = uint32_t(ceilDiv(uint64_t(cols) * typeBytes(weights.scale_type), 4));
  out->codes_bytes = out->blob_bytes = out->scales_offset = uint64_t(rows) * out->row_words * 4;
  return NIB_SUCCESS;
}

NibResult checkDense(const char* op, const char* field, uint32_t rows, uint32_t cols, uint32_t type, bool written,
                     const Log& log, uint32_t* stride, DenseNames names) {
  if (type > NIB_TYPE_BF16) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s_type %u must be F32, F16 or BF16", op, field, type);
  }
  if (rows == 0 || cols == 0 || uint64_t(rows) * cols > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s * %s = %u * %u must be in 1..2^32 - 2^21", op, names.rows,
                    names.cols, rows, cols);
  }
  if (*stride == 0) *stride = written && type != NIB_TYPE_F32 && rows > 1 ? cols + (cols & 1u) : cols;
  if (*stride < cols) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s_stride %u is less than %s, %u", op, field, *stride, names.cols,
                    cols);
  }
  if (uint64_t(rows) * *stride > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "%s: %s * %s_stride = %u * %u is more than 2^32 - 2^21; split the tensor by rows", op, names.rows,
                    field, rows, *stride);
  }
  if (written && type != NIB_TYPE_F32 && rows > 1 && *stride % 2 != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "%s: %s_stride %u must be even: rows of a 16-bit result start on a word", op, field, *stride);
  }
  return NIB_SUCCESS;
}

void setRange(NibMemory* memory, NibRole role, uint64_t size_bytes) { memory->range[role] = {size_bytes, 4, 0}; }

NibRole roleOfPart(NibPart part) {
  switch (part) {
    case NIB_PART_STATUS:
    case NIB_PART_SCRATCH: return NIB_ROLE_AUX;
    case NIB_PART_REFERENCE:
    case NIB_PART_CANDIDATE:
    case NIB_PART_INPUT_CODES:
    case NIB_PART_INPUT_SCALES:
    case NIB_PART_INPUT_ZEROS:
    case NIB_PART_SOURCE:
    case NIB_PART_RESIDUAL_IN: return NIB_ROLE_INPUT;
    case NIB_PART_HEADS:
    case NIB_PART_COUNTS:
    case NIB_PART_RESULT:
    case NIB_PART_RESIDUAL_OUT:
    case NIB_PART_RESULT_SCALES: return NIB_ROLE_OUTPUT;
    default: return NIB_ROLE_WEIGHTS;
  }
}

void setPart(NibMemory* memory, NibPart part, uint64_t offset, uint64_t size) {
  setPart(memory, roleOfPart(part), part, offset, size);
}

void setPart(NibMemory* memory, NibRole role, NibPart part, uint64_t offset, uint64_t size) {
  memory->part[part] = {offset, size, uint32_t(role), 0};
}

void setWeights(NibMemory* memory, const Geometry& g) {
  setRange(memory, NIB_ROLE_WEIGHTS, g.blob_bytes);
  setPart(memory, NIB_PART_CODES, 0, g.codes_bytes);
  if (g.format != nullptr) setPart(memory, NIB_PART_SCALES, g.scales_offset, g.scales_bytes);
  if (g.zeros_bytes != 0) setPart(memory, NIB_PART_ZEROS, g.zeros_offset, g.zeros_bytes);
  if (g.nested_bytes != 0) setPart(memory, NIB_PART_NESTED, g.nested_offset, g.nested_bytes);
}

}  // namespace nib
