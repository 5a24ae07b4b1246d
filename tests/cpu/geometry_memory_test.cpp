// nibGetMemory: the size of every range and the place of every part, as formulas that share nothing with the library.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <vector>

#include "model_ops.h"
#include "run_op.h"

using namespace nib;
using namespace nib::tests;

namespace {

// 2^32 - 2^21, what a tensor may have.
constexpr uint64_t kMost = 4292870144u;

struct Shape {
  uint32_t rows, cols;
};

constexpr Shape kShapes[] = {{1, 1},           {1, 2},           {2, 1},       {3, 7},        {1, 15},
                             {1, 16},          {5, 17},          {7, 63},      {64, 64},      {31, 65},
                             {2, 127},         {128, 128},       {9, 129},     {4, 255},      {1, 257},
                             {33, 1000},       {1000, 33},       {4096, 4096}, {11008, 4096}, {65535, 65504},
                             {1, 4292870144u}, {4292870144u, 1}, {50257, 768}};

void checkPlain(const NibMemory& memory) {
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (memory.range[role].size_bytes != 0) CHECK(memory.range[role].alignment_bytes == 4);
    CHECK(memory.range[role].usage == 0);
    CHECK(memory.range[role].size_bytes % 4 == 0);
  }
  CHECK(memory.dynamic_alignment_bytes == 1);
  CHECK(memory.slice_count == 1);
}

void checkWeights(const NibMemory& memory, const model::Layout& l) {
  CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == l.blob_bytes);
  CHECK(memory.part[NIB_PART_CODES].offset_bytes == 0);
  CHECK(memory.part[NIB_PART_CODES].size_bytes == l.codes_bytes);
  CHECK(memory.part[NIB_PART_SCALES].offset_bytes == l.scales_offset);
  CHECK(memory.part[NIB_PART_SCALES].size_bytes == l.scales_bytes);
  CHECK(memory.part[NIB_PART_ZEROS].size_bytes == l.zeros_bytes);
  CHECK(memory.part[NIB_PART_ZEROS].offset_bytes == (l.zeros_bytes != 0 ? l.zeros_offset : 0));
}

// A dense operand: rows by their stride, the last one without its tail, in whole words.
uint64_t denseBytes(uint64_t rows, uint64_t cols, uint64_t stride, uint32_t type) {
  const uint64_t bytes = ((rows - 1) * stride + cols) * (type == NIB_TYPE_F32 ? 4 : 2);
  return bytes + (4 - bytes % 4) % 4;
}

// Status and scratch lie apart, on multiples of 256, and the range ends with the last of them.
void checkAux(const NibMemory& memory, bool status) {
  const NibMemoryPart& s = memory.part[NIB_PART_STATUS];
  const NibMemoryPart& scratch = memory.part[NIB_PART_SCRATCH];
  CHECK(s.offset_bytes == 0);
  CHECK(s.size_bytes == (status ? sizeof(NibStatus) : 0));
  CHECK(scratch.offset_bytes % 256 == 0);
  if (status && scratch.size_bytes != 0) CHECK(scratch.offset_bytes >= 256);
  const uint64_t end = scratch.size_bytes != 0 ? scratch.offset_bytes + scratch.size_bytes : s.size_bytes;
  CHECK(memory.range[NIB_ROLE_AUX].size_bytes == end);
}

std::vector<NibWeights> allWeights(const NibFormatInfo& info) {
  std::vector<NibWeights> list;
  for (uint32_t type = 0; type < 4; ++type) {
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

}  // namespace

TEST_CASE("nibGetMemory sizes quantize and dequantize by the formulas of the layout, for every shape") {
  uint64_t checked = 0;
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    for (const NibWeights& w : allWeights(*nibFormatAt(i))) {
      for (const Shape& shape : kShapes) {
        const uint32_t dense = uint32_t(checked % 3);
        const bool status = checked % 2 == 0, flat = (w.flags & NIB_WEIGHTS_FLAT) != 0;
        const uint64_t padded = uint64_t(shape.cols) + 2 + checked % 5 * 2;
        const bool strided = !flat && checked % 7 == 0 && (padded + 1) * shape.rows <= kMost;
        const model::Layout l = model::layoutOf(shape.rows, shape.cols, w);
        INFO(nibFormatAt(i)->name, " granularity ", w.granularity, " group ", w.group_size, " flags ", w.flags,
             " scales ", w.scale_type, " dense ", dense, " ", shape.rows, "x", shape.cols, strided ? " strided" : "");
        NibMemory memory;

        NibQuantizeDesc q = quantizeDesc(shape.rows, shape.cols, w, NibType(dense));
        if (!status) q.flags = 0;
        if (strided) q.source_stride = uint32_t(padded) + 1;
        REQUIRE(nibGetMemory(asOp(q), nullptr, &memory) == NIB_SUCCESS);
        checkPlain(memory);
        checkWeights(memory, l);
        checkAux(memory, status);
        CHECK(memory.range[NIB_ROLE_INPUT].size_bytes ==
              denseBytes(shape.rows, shape.cols, strided ? padded + 1 : shape.cols, dense));
        CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 0);

        NibDequantizeDesc d = dequantizeDesc(shape.rows, shape.cols, w, NibType(dense));
        // Rows of 16-bit results start on words.
        uint64_t stride = dense != NIB_TYPE_F32 && !flat ? uint64_t(shape.cols) + shape.cols % 2 : shape.cols;
        if (strided) stride = d.result_stride = uint32_t(padded + padded % 2);
        if (stride * shape.rows <= kMost) {
          REQUIRE(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
          checkPlain(memory);
          checkWeights(memory, l);
          CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == denseBytes(shape.rows, shape.cols, stride, dense));
          CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == 0);
          CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
        }
        ++checked;
      }
    }
  }
  CHECK(checked > 1000);
}

TEST_CASE("nibGetMemory sizes minmax by its result and its source") {
  for (const Shape& shape : kShapes) {
    for (uint32_t type = 0; type < 3; ++type) {
      for (const uint32_t extra : {0u, 3u}) {
        if ((uint64_t(shape.cols) + extra) * shape.rows > kMost) continue;
        for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN}) {
          const uint32_t stride = extra != 0 ? shape.cols + extra : 0;
          const NibMinMaxDesc d{NIB_OP_MINMAX, 0, shape.rows, shape.cols, type, stride, granularity};
          NibMemory memory;
          REQUIRE(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
          checkPlain(memory);
          const uint64_t count = granularity == NIB_GRANULARITY_TENSOR ? 1
                                 : granularity == NIB_GRANULARITY_ROW  ? shape.rows
                                                                       : shape.cols;
          CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 16 * count);
          CHECK(memory.range[NIB_ROLE_INPUT].size_bytes ==
                denseBytes(shape.rows, shape.cols, shape.cols + extra, type));
          CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
          checkAux(memory, false);
        }
      }
    }
  }
}

TEST_CASE("nibGetMemory sizes histograms and moments by what they count and sum") {
  for (const Shape& shape : kShapes) {
    for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN}) {
      const uint64_t count = granularity == NIB_GRANULARITY_TENSOR ? 1
                             : granularity == NIB_GRANULARITY_ROW  ? shape.rows
                                                                   : shape.cols;
      if (uint64_t(shape.rows) * shape.cols > kMost || count > (1u << 22)) continue;
      const uint64_t source = denseBytes(shape.rows, shape.cols, shape.cols, NIB_TYPE_F32);
      const NibHistogramDesc h{NIB_OP_HISTOGRAM, 0, shape.rows, shape.cols, NIB_TYPE_F32, 0, granularity, 128};
      NibMemory memory;
      REQUIRE(nibGetMemory(asOp(h), nullptr, &memory) == NIB_SUCCESS);
      checkPlain(memory);
      CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == source);
      CHECK(memory.part[NIB_PART_HEADS].offset_bytes == 0);
      CHECK(memory.part[NIB_PART_HEADS].size_bytes == 32 * count);
      CHECK(memory.part[NIB_PART_COUNTS].offset_bytes == (32 * count + 255) / 256 * 256);
      CHECK(memory.part[NIB_PART_COUNTS].size_bytes == 1024 * count);
      CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == (32 * count + 255) / 256 * 256 + 1024 * count);
      CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
      if (granularity == NIB_GRANULARITY_ROW) continue;
      const NibMomentsDesc m{NIB_OP_MOMENTS, 0, shape.rows, shape.cols, NIB_TYPE_F32, 0, granularity};
      REQUIRE(nibGetMemory(asOp(m), nullptr, &memory) == NIB_SUCCESS);
      checkPlain(memory);
      const uint64_t tiles = granularity == NIB_GRANULARITY_TENSOR ? (uint64_t(shape.rows) * shape.cols + 1023) / 1024
                                                                   : (uint64_t(shape.rows) + 255) / 256 * shape.cols;
      CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 32 * tiles);
      CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == source);
    }
  }
}

TEST_CASE("nibGetMemory sizes convert and errors by their operands") {
  for (const Shape& shape : kShapes) {
    for (uint32_t pair = 0; pair < 9; ++pair) {
      for (const uint32_t extra : {0u, 4u}) {
        if ((uint64_t(shape.cols) + extra + 1) * shape.rows > kMost) continue;
        const uint32_t stride = extra != 0 ? shape.cols + extra : 0;
        const uint32_t even = extra != 0 ? stride + stride % 2 : 0;
        const uint64_t result_stride = extra != 0 ? even : pair % 3 == NIB_TYPE_F32 ? shape.cols : shape.cols + shape.cols % 2;
        const uint64_t source = denseBytes(shape.rows, shape.cols, shape.cols + extra, pair / 3);
        NibConvertDesc c{NIB_OP_CONVERT, pair % 2 * NIB_CONVERT_STATUS, shape.rows, shape.cols, pair / 3, stride, pair % 3, even};
        NibMemory memory;
        REQUIRE(nibGetMemory(asOp(c), nullptr, &memory) == NIB_SUCCESS);
        checkPlain(memory);
        CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == source);
        CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == denseBytes(shape.rows, shape.cols, result_stride, pair % 3));
        CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
        checkAux(memory, pair % 2 != 0);

        const NibErrorsDesc e{NIB_OP_ERRORS, 0, shape.rows, shape.cols, pair / 3, stride, pair % 3, even};
        const uint64_t candidate = denseBytes(shape.rows, shape.cols, extra != 0 ? even : shape.cols, pair % 3);
        REQUIRE(nibGetMemory(asOp(e), nullptr, &memory) == NIB_SUCCESS);
        checkPlain(memory);
        CHECK(memory.part[NIB_PART_REFERENCE].offset_bytes == 0);
        CHECK(memory.part[NIB_PART_REFERENCE].size_bytes == source);
        CHECK(memory.part[NIB_PART_CANDIDATE].offset_bytes % 256 == 0);
        CHECK(memory.part[NIB_PART_CANDIDATE].offset_bytes - source < 256);
        CHECK(memory.part[NIB_PART_CANDIDATE].size_bytes == candidate);
        CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == memory.part[NIB_PART_CANDIDATE].offset_bytes + candidate);
        const uint64_t elements = uint64_t(shape.rows) * shape.cols;
        CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 72 * (elements / 1024 + (elements % 1024 != 0)));
        CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
        CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
      }
    }
  }
}

// The formulas above, once more as numbers.
TEST_CASE("nibGetMemory gives these sizes") {
  NibMemory memory;
  if (nibFormatById(NIB_FORMAT_INT4) != nullptr) {
    // 3 x 100 in groups of 32: 50 bytes of codes a row make 13 words = 52 bytes; 156 bytes, so scales at 256; 4 groups
    // a row, 12 scales of 2 bytes = 24; zeros at 512, 12 bytes.
    const NibQuantizeDesc d =
        quantizeDesc(3, 100, weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F16),
                     NIB_TYPE_F16);
    REQUIRE(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
    CHECK(memory.part[NIB_PART_CODES].size_bytes == 156);
    CHECK(memory.part[NIB_PART_SCALES].offset_bytes == 256);
    CHECK(memory.part[NIB_PART_SCALES].size_bytes == 24);
    CHECK(memory.part[NIB_PART_ZEROS].offset_bytes == 512);
    CHECK(memory.part[NIB_PART_ZEROS].size_bytes == 12);
    CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 524);
    CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == 600);
  }
  if (nibFormatById(NIB_FORMAT_NF4) != nullptr) {
    // 3 x 43 flat in blocks of 64: 129 codes in 17 words; 3 scales.
    const NibDequantizeDesc d =
        dequantizeDesc(3, 43, weights(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 0, NIB_WEIGHTS_FLAT), NIB_TYPE_BF16);
    REQUIRE(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
    CHECK(memory.part[NIB_PART_CODES].size_bytes == 68);
    CHECK(memory.part[NIB_PART_SCALES].size_bytes == 12);
    CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 268);
    // 129 elements of 2 bytes, whole words.
    CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 260);
  }
  if (nibFormatById(NIB_FORMAT_INT8) != nullptr) {
    // 5 x 7 per row: 2 words a row = 40 bytes; 5 half scales = 10 bytes, 12 as words. bfloat16 results: rows of 8, the
    // last without its tail: 4 * 8 + 7 = 39 elements, 78 bytes, 80 as words.
    const NibDequantizeDesc d =
        dequantizeDesc(5, 7, weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16), NIB_TYPE_BF16);
    REQUIRE(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
    CHECK(memory.part[NIB_PART_CODES].size_bytes == 40);
    CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 268);
    CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 80);
  }
}
