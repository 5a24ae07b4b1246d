// Where everything of a quantized matrix lies: one place for the arithmetic that NibWeights implies.
#ifndef NIB_FORMATS_GEOMETRY_H
#define NIB_FORMATS_GEOMETRY_H

#include <nibble/nibble.h>

#include "base/log.h"
#include "formats/format.h"

namespace nib {

inline constexpr uint64_t kPartAlignmentBytes = 256;  // of sub-ranges; fixed, so that blobs are the same everywhere
inline constexpr uint32_t kRangeAlignmentBytes = 16;  // of ranges, so that kernels may load four words at once

// Elements of a tensor, strides included. Kernels count in 32 bits and look up to a tile beyond the end.
inline constexpr uint64_t kMaxElements = (uint64_t(1) << 32) - (1u << 21);

constexpr uint64_t ceilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }
constexpr uint64_t alignUp(uint64_t value, uint64_t alignment) { return ceilDiv(value, alignment) * alignment; }

inline uint32_t typeBytes(uint32_t type) { return type == NIB_TYPE_F32 ? 4u : 2u; }
// Of the entries of NIB_PART_ZEROS.
inline uint32_t zeroBytes(const FormatDesc& format) { return format.info.flags & NIB_FORMAT_MINIMUM ? 2u : 1u; }
inline uint64_t wholeWordsBytes(uint64_t bytes) { return alignUp(bytes, 4); }

struct Geometry {
  const FormatDesc* format;
  uint32_t rows, cols;         // FLAT: 1 row of rows * cols elements
  uint32_t group;              // neighbours along cols sharing a scale: group_size, 1 for COLUMN, cols otherwise
  uint32_t groups_per_row;     // ceil(cols / group)
  uint32_t scale_row_stride;   // scale index = row * scale_row_stride + col / group; ALIGNED: a row's scales are words
  uint32_t scale_count;
  uint32_t row_words;          // code words of a row
  uint64_t codes_bytes, scales_bytes, zeros_bytes;
  uint64_t scales_offset, zeros_offset, blob_bytes;
  uint64_t nested_offset, nested_bytes;
};

// Validates rows, cols and weights; `op` begins the messages.
NibResult makeGeometry(const char* op, uint32_t rows, uint32_t cols, const NibWeights& weights, const Log& log,
                       Geometry* out);

// Validates a dense operand's type and stride (0 = the default, which replaces it).
NibResult checkDense(const char* op, const char* field, uint32_t rows, uint32_t cols, uint32_t type, bool written,
                     const Log& log, uint32_t* stride);

// Bytes of a dense operand: whole words, the last row without its stride's tail.
inline uint64_t denseBytes(uint32_t rows, uint32_t cols, uint32_t type, uint32_t stride) {
  return wholeWordsBytes((uint64_t(rows - 1) * stride + cols) * typeBytes(type));
}

// A stride for rows of `cols` that allows the same loads as `stride` does for rows of `old_cols`: 0 if those are dense,
// else longer than the rows, with the same residue of eight.
inline uint32_t strideLike(uint32_t stride, uint32_t old_cols, uint32_t cols) {
  return stride == 0 || stride == old_cols ? 0u : uint32_t(alignUp(cols, 8)) + 8u + stride % 8u;
}

// Whether runs may write rows of the blob, or read them, from a first row on.
inline bool hasOwnRows(const NibWeights& w) {
  return (w.granularity == NIB_GRANULARITY_ROW || w.granularity == NIB_GRANULARITY_GROUP) && !(w.flags & NIB_WEIGHTS_FLAT);
}

struct Sides {
  uint32_t rows, cols;
};

// Rows and columns of quantized weights as kernels see them.
inline Sides weightsSides(const NibWeights& weights, uint32_t rows, uint32_t cols) {
  return (weights.flags & NIB_WEIGHTS_FLAT) != 0 ? Sides{1u, rows * cols} : Sides{rows, cols};
}

void setRange(NibMemory* memory, NibRole role, uint64_t size_bytes);
// The role that holds a part of most ops.
NibRole roleOfPart(NibPart part);
void setPart(NibMemory* memory, NibPart part, uint64_t offset, uint64_t size);
void setPart(NibMemory* memory, NibRole role, NibPart part, uint64_t offset, uint64_t size);
// The weights range with its three parts.
void setWeights(NibMemory* memory, const Geometry& geometry);

}  // namespace nib
#endif
