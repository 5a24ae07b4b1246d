// Formulas for the results of nibGetMemory that share no code with the library, for the tests of every op's memory.
#ifndef NIB_TESTS_MEMORY_CHECKS_H
#define NIB_TESTS_MEMORY_CHECKS_H

#include <doctest/doctest.h>

#include <vector>

#include "model_ops.h"
#include "op_test.h"
#include "run_op.h"

namespace nib::tests {

// 2^32 - 2^21, the largest number of elements of a tensor.
inline constexpr uint64_t kMostElements = 4292870144u;

struct Extents {
  uint32_t rows, cols;
};

inline constexpr Extents kExtents[] = {{1, 1},           {1, 2},           {2, 1},       {3, 7},        {1, 15},
                                       {1, 16},          {5, 17},          {7, 63},      {64, 64},      {31, 65},
                                       {2, 127},         {128, 128},       {9, 129},     {4, 255},      {1, 257},
                                       {33, 1000},       {1000, 33},       {4096, 4096}, {11008, 4096}, {65535, 65504},
                                       {1, 4292870144u}, {4292870144u, 1}, {50257, 768}};

// Returns the memory of a description. A refusal fails the test.
template <class Desc>
NibMemory memoryOf(const Desc& desc) {
  NibMemory memory{sizeof(NibMemory)};
  REQUIRE(nibGetMemory(asOp(desc), nullptr, &memory) == NIB_SUCCESS);
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (memory.range[role].size_bytes != 0) CHECK(memory.range[role].alignment_bytes == 4);
    CHECK(memory.range[role].usage == 0);
    CHECK(memory.range[role].size_bytes % 4 == 0);
  }
  CHECK(memory.dynamic_alignment_bytes == 1);
  CHECK(memory.slice_count == 1);
  return memory;
}

// Checks codes, scales and zero points of a blob, but not the parts after them.
inline void checkWeightParts(const NibMemory& memory, const model::Layout& l) {
  CHECK(memory.part[NIB_PART_CODES].offset_bytes == 0);
  CHECK(memory.part[NIB_PART_CODES].size_bytes == l.codes_bytes);
  CHECK(memory.part[NIB_PART_SCALES].offset_bytes == l.scales_offset);
  CHECK(memory.part[NIB_PART_SCALES].size_bytes == l.scales_bytes);
  CHECK(memory.part[NIB_PART_ZEROS].size_bytes == l.zeros_bytes);
  CHECK(memory.part[NIB_PART_ZEROS].offset_bytes == (l.zeros_bytes != 0 ? l.zeros_offset : 0));
}

inline void checkWeights(const NibMemory& memory, const model::Layout& l) {
  CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == l.blob_bytes);
  checkWeightParts(memory, l);
}

// Checks that a part, if it exists, starts at the first multiple of 256 bytes from `begin`. Returns the part's end.
inline uint64_t checkNext(const NibMemory& memory, NibPart part, uint64_t begin, uint64_t size_bytes) {
  CHECK(memory.part[part].size_bytes == size_bytes);
  if (size_bytes == 0) return begin;
  const uint64_t at = (begin + 255) / 256 * 256;
  CHECK(memory.part[part].offset_bytes == at);
  return at + size_bytes;
}

// Size of a dense operand: rows by their stride, the last one without padding, in whole words.
inline uint64_t denseBytes(uint64_t rows, uint64_t cols, uint64_t stride, uint32_t type) {
  const uint64_t bytes = ((rows - 1) * stride + cols) * (type == NIB_TYPE_F32 ? 4 : 2);
  return bytes + (4 - bytes % 4) % 4;
}

// The stride of a result whose 16-bit rows start on words.
inline uint64_t evenStride(uint64_t cols, uint32_t type) { return type == NIB_TYPE_F32 ? cols : cols + cols % 2; }

// Checks that status and scratch do not overlap, start at multiples of 256, and that the range ends with the last.
inline void checkAux(const NibMemory& memory, bool status) {
  const NibMemoryPart& s = memory.part[NIB_PART_STATUS];
  const NibMemoryPart& scratch = memory.part[NIB_PART_SCRATCH];
  CHECK(s.offset_bytes == 0);
  CHECK(s.size_bytes == (status ? sizeof(NibStatus) : 0));
  CHECK(scratch.offset_bytes % 256 == 0);
  if (status && scratch.size_bytes != 0) CHECK(scratch.offset_bytes >= 256);
  const uint64_t end = scratch.size_bytes != 0 ? scratch.offset_bytes + scratch.size_bytes : s.size_bytes;
  CHECK(memory.range[NIB_ROLE_AUX].size_bytes == end);
}

// Every combination of scale type, mode and granularity that a format supports.
inline std::vector<NibWeights> allWeights(const NibFormatInfo& info) {
  std::vector<NibWeights> list;
  for (uint32_t type = 0; type < 5; ++type) {
    if (!(info.scale_types >> type & 1u)) continue;
    for (const uint32_t mode : {0u, uint32_t(NIB_WEIGHTS_ASYMMETRIC), uint32_t(NIB_WEIGHTS_NARROW)}) {
      if ((mode & ~info.weights_flags) != 0) continue;
      for (const NibGranularity granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN}) {
        if (!(info.granularities >> granularity & 1u)) continue;
        list.push_back(weights(info.format, granularity, 0, mode, NibType(type)));
      }
      for (const uint32_t group : {16u, 32u, 48u, 64u, 128u, 256u, UINT32_MAX}) {
        const bool one_size = info.group_multiple == info.group_max;
        if (group == UINT32_MAX ? one_size : group % info.group_multiple != 0 || group > info.group_max) continue;
        for (const uint32_t flat : {0u, uint32_t(NIB_WEIGHTS_FLAT)}) {
          if ((flat & ~info.weights_flags) != 0) continue;
          list.push_back(weights(info.format, NIB_GRANULARITY_GROUP, group, mode | flat, NibType(type)));
        }
      }
      if (info.default_group_size != 0)
        list.push_back(weights(info.format, NIB_GRANULARITY_GROUP, 0, mode, NibType(type)));
    }
  }
  return list;
}

// visit(weights, extents, count) for every format, way and shape.
template <class Visit>
void forEachWeights(Visit&& visit) {
  uint64_t checked = 0;
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    for (const NibWeights& w : allWeights(*nibFormatAt(i))) {
      for (const Extents& shape : kExtents) {
        // A row has whole super-blocks of scales, of which there may be 2^32 - 1.
        const NibFormatInfo& info = *nibFormatAt(i);
        const uint64_t scales = uint64_t(shape.rows) * ((uint64_t(shape.cols) + 255) / 256) * 256 / info.group_multiple;
        if ((info.flags & NIB_FORMAT_SUPER_BLOCKS) != 0 && scales > UINT32_MAX) continue;
        INFO(nibFormatAt(i)->name, " granularity ", w.granularity, " group ", w.group_size, " flags ", w.flags,
             " scales ", w.scale_type, " ", shape.rows, "x", shape.cols);
        visit(w, shape, checked++);
      }
    }
  }
  CHECK(checked > 20 * nibFormatCount());
}

}  // namespace nib::tests
#endif
