// Sizes and offsets of a quantized matrix, which follow from its shape and NibWeights.
#ifndef NIB_FORMATS_GEOMETRY_H
#define NIB_FORMATS_GEOMETRY_H

#include <nibble/nibble.h>

#include "base/log.h"
#include "formats/format.h"

namespace nib {

inline constexpr uint64_t kPartAlignmentBytes = 256;  // of parts; fixed, so that blobs are the same on every device
inline constexpr uint32_t kRangeAlignmentBytes = 16;  // of ranges, so that kernels may load four words at a time

// The most elements of a tensor, including strides. Kernels count in 32 bits and compute indices up to a tile beyond
// the end.
inline constexpr uint64_t kMaxElements = (uint64_t(1) << 32) - (1u << 21);

constexpr uint64_t ceilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }
constexpr uint64_t alignUp(uint64_t value, uint64_t alignment) { return ceilDiv(value, alignment) * alignment; }

inline uint32_t typeBytes(uint32_t type) { return type == NIB_TYPE_F32 ? 4u : 2u; }
// Bytes of an entry of NIB_PART_ZEROS.
inline uint32_t zeroBytes(const FormatDesc& format) {
  return (format.info.flags & NIB_FORMAT_MINIMUM) != 0 && format.super.blocks == 0 ? 2u : 1u;
}
inline uint64_t wholeWordsBytes(uint64_t bytes) { return alignUp(bytes, 4); }

struct Geometry {
  const FormatDesc* format;   // NULL: dense
  uint32_t rows, cols;        // FLAT: 1 row of rows * cols elements
  uint32_t group;             // adjacent columns that share a scale: group_size, 1 for COLUMN, cols otherwise
  uint32_t groups_per_row;    // ceil(cols / group)
  uint32_t scale_row_stride;  // scale index = row * scale_row_stride + col / group; ALIGNED: rows of scales are words;
                              // super-blocks: whole ones
  uint32_t scale_count;
  uint32_t row_words;  // words of codes per row
  uint64_t codes_bytes, scales_bytes, zeros_bytes;
  uint64_t scales_offset, zeros_offset, blob_bytes;
  uint64_t nested_offset, nested_bytes;
};

// Validates rows, cols and weights, then fills *out. Messages start with `op` and call the NibWeights `field`, their
// name in the description.
NibResult makeGeometry(const char* op, const char* field, uint32_t rows, uint32_t cols, const NibWeights& weights,
                       const Log& log, Geometry* out);

// The same of a dense matrix, whose rows start on words. It has no format, and no scales.
NibResult makeDenseGeometry(const char* op, const char* field, uint32_t rows, uint32_t cols, const NibWeights& weights,
                            const Log& log, Geometry* out);

// How a description calls the rows and columns of an operand, for messages.
struct DenseNames {
  const char* rows = "rows";
  const char* cols = "cols";
};

// Validates a dense operand's shape, type and *stride. A *stride of 0 is replaced by the default.
NibResult checkDense(const char* op, const char* field, uint32_t rows, uint32_t cols, uint32_t type, bool written,
                     const Log& log, uint32_t* stride, DenseNames names = {});

// Bytes of a dense operand in whole words. The last row counts cols elements, not stride.
inline uint64_t denseBytes(uint32_t rows, uint32_t cols, uint32_t type, uint32_t stride) {
  return wholeWordsBytes((uint64_t(rows - 1) * stride + cols) * typeBytes(type));
}

// A stride for rows of `cols` that allows the same loads as `stride` does for rows of `old_cols`: 0 if those are
// contiguous, else longer than the rows and equal to `stride` modulo 8.
inline uint32_t strideLike(uint32_t stride, uint32_t old_cols, uint32_t cols) {
  return stride == 0 || stride == old_cols ? 0u : uint32_t(alignUp(cols, 8)) + 8u + stride % 8u;
}

// True if rows have their own scales, so that a run may write or read rows of the blob from a first row on.
inline bool hasOwnRows(const NibWeights& w) {
  return (w.granularity == NIB_GRANULARITY_ROW || w.granularity == NIB_GRANULARITY_GROUP) &&
         !(w.flags & NIB_WEIGHTS_FLAT);
}

struct Dims {
  uint32_t rows, cols;
};

// Rows and columns of quantized weights as kernels use them: FLAT weights are one row.
inline Dims weightsDims(const NibWeights& weights, uint32_t rows, uint32_t cols) {
  return (weights.flags & NIB_WEIGHTS_FLAT) != 0 ? Dims{1u, rows * cols} : Dims{rows, cols};
}

void setRange(NibMemory* memory, NibRole role, uint64_t size_bytes);
// The role whose range holds a part in most ops.
NibRole roleOfPart(NibPart part);
void setPart(NibMemory* memory, NibPart part, uint64_t offset, uint64_t size);
void setPart(NibMemory* memory, NibRole role, NibPart part, uint64_t offset, uint64_t size);
// The weights range and its parts.
void setWeights(NibMemory* memory, const Geometry& geometry);

}  // namespace nib
#endif
