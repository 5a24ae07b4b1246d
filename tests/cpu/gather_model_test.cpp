// Gathered rows against the definition in double precision: the rows of what model.h dequantizes, or of a dense matrix
// converted element by element, byte for byte.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "../golden/golden.h"
#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"

using namespace nib;
using namespace nib::tests;

namespace {

NibGatherDesc gatherDesc(uint32_t rows, uint32_t cols, uint32_t count, const NibWeights& w,
                         NibType result = NIB_TYPE_F32) {
  NibGatherDesc d = selftest::describe<NibGatherDesc>(NIB_OP_GATHER);
  d.rows = rows;
  d.cols = cols;
  d.count = count;
  d.result_type = result;
  d.weights = w;
  return d;
}

bool isDense(const NibGatherDesc& d) { return d.weights.format == NIB_FORMAT_DENSE; }

// A matrix in the result's type, and the elements from row to row.
struct Decoded {
  model::Bytes bytes;
  uint64_t stride;
};

Decoded decode(const NibGatherDesc& d, const model::Bytes& blob) {
  const bool flat = (d.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  const uint32_t size = model::sizeOf(d.result_type);
  const uint64_t stride = flat || size == 4 ? d.cols : model::roundUp(d.cols, 2);
  Decoded decoded{model::Bytes(size_t(stride * d.rows * size + 4)), stride};
  if (!isDense(d)) {
    NibDequantizeDesc whole = dequantizeDesc(d.rows, d.cols, d.weights, NibType(d.result_type));
    model::dequantize(whole, blob, d.rows, decoded.bytes);
    return decoded;
  }
  const uint32_t type = d.weights.scale_type, from = model::sizeOf(type);
  const uint64_t row_bytes = model::roundUp(uint64_t(d.cols) * from, 4);
  for (uint64_t row = 0; row < d.rows; ++row) {
    for (uint64_t col = 0; col < d.cols; ++col) {
      const uint32_t pattern = model::loadBits(&blob[size_t(row * row_bytes + col * from)], from);
      const double v = model::valueOf(type, pattern);
      const bool negative = (pattern >> (from * 8 - 1) & 1u) != 0;
      const double y = std::isnan(v) ? std::copysign(NAN, negative ? -1 : 1) : model::roundTo(d.result_type, v);
      model::storeBits(&decoded.bytes[size_t((row * stride + col) * size)], size, model::bitsOf(d.result_type, y));
    }
  }
  return decoded;
}

std::string compareWithModel(const selftest::Case& c) {
  const NibGatherDesc& d = c.as<NibGatherDesc>();
  Ranges ranges(c.desc());
  if (!ranges.valid()) return "refused";
  prepare(c, ranges);
  if (!isDense(d)) fillEdgeScales(c, ranges);
  const model::Bytes blob = ranges.copy(NIB_ROLE_WEIGHTS), input = ranges.copy(NIB_ROLE_INPUT);
  model::Bytes result = ranges.copy(NIB_ROLE_OUTPUT);
  const uint32_t size = model::sizeOf(d.result_type);
  const auto [dense, dense_stride] = decode(d, blob);
  const uint64_t stride = d.result_stride != 0 ? d.result_stride : size == 2 ? (d.cols + 1) / 2 * 2 : d.cols;
  const uint64_t row_bytes = uint64_t(d.cols) * size;
  for (uint32_t i = 0; i < c.n; ++i) {
    uint32_t number = 0;
    std::memcpy(&number, &input[i * sizeof number], sizeof number);
    uint8_t* row = &result[size_t(i * stride * size)];
    if (number < d.rows) {
      std::memcpy(row, &dense[size_t(number * dense_stride * size)], size_t(row_bytes));
    } else {
      std::memset(row, 0, size_t(row_bytes));
    }
    if (size == 2 && d.cols % 2 != 0) std::memset(row + row_bytes, 0, 2);  // a shared last word is whole
  }
  if (ranges.run(c.n) != NIB_SUCCESS) return "failed";
  if (!ranges.guardsHold()) return "wrote beside its ranges";
  if (ranges.copy(NIB_ROLE_WEIGHTS) != blob || ranges.copy(NIB_ROLE_INPUT) != input) return "wrote what it reads";
  return firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size());
}

void checkMemory() {
  forEachWeights([](const NibWeights& w, const Extents& shape, uint64_t turn) {
    const uint32_t dense = uint32_t(turn % 3);
    const uint64_t count = 1 + turn % 9, stride = evenStride(shape.cols, dense);
    // Rows of flat weights are whole groups and multiples of 32.
    const model::Layout l = model::layoutOf(shape.rows, shape.cols, w);
    if ((w.flags & NIB_WEIGHTS_FLAT) && (shape.cols % 32 != 0 || shape.cols % l.group != 0)) return;
    if (stride * count > kMostElements) return;
    const NibMemory memory = memoryOf(gatherDesc(shape.rows, shape.cols, uint32_t(count), w, NibType(dense)));
    checkWeights(memory, l);
    CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == 4 * count);
    CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == denseBytes(count, shape.cols, stride, dense));
    CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
  });
  for (const Extents& shape : kExtents) {
    for (uint32_t type = 0; type < 9; ++type) {
      const uint64_t stride = evenStride(shape.cols, type / 3);
      if (stride * 5 > kMostElements) continue;
      INFO(shape.rows, "x", shape.cols, " type ", type % 3, " -> ", type / 3);
      const NibMemory memory =
          memoryOf(gatherDesc(shape.rows, shape.cols, 5, selftest::denseWeights(type % 3), NibType(type / 3)));
      // Rows of dense weights start on words, as those of a product do.
      const uint64_t bytes = shape.rows * evenStride(shape.cols, type % 3) * (type % 3 == NIB_TYPE_F32 ? 4 : 2);
      CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == bytes);
      CHECK(memory.part[NIB_PART_CODES].offset_bytes == 0);
      CHECK(memory.part[NIB_PART_CODES].size_bytes == bytes);
      CHECK(memory.part[NIB_PART_SCALES].size_bytes == 0);
      CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == 20);
      CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == denseBytes(5, shape.cols, stride, type / 3));
      NibMatmulDesc product = selftest::describe<NibMatmulDesc>(NIB_OP_MATMUL);
      product.rows = shape.rows;
      product.cols = shape.cols;
      product.tokens = 1;
      product.weights = selftest::denseWeights(type % 3);
      CHECK(memoryOf(product).range[NIB_ROLE_WEIGHTS].size_bytes == bytes);
    }
  }
}

void checkRefusals() {
  using Desc = NibGatherDesc;
  for (const NibFormatInfo* info : scaledFormats()) {
    Desc right = gatherDesc(4, 64, 9, weights(info->format, NIB_GRANULARITY_GROUP, 32), NIB_TYPE_BF16);
    right.result_stride = 66;
    expectEachRefused(
        right, "gather",
        plus<Desc>(wrongWeights<Desc>(true),
                   {
                       {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
                       {"count", kInvalid, [](Desc& d) { d.count = 0; }},
                       {"count", kInvalid, [](Desc& d) { d.count = 1u << 26; }},
                       {"result_type", kInvalid, [](Desc& d) { d.result_type = 3; }},
                       {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 62; }},
                       {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 65; }},
                       {"cols", kUnsupported,
                        [](Desc& d) { d.weights.flags = NIB_WEIGHTS_FLAT, d.cols = 80, d.result_stride = 80; }},
                   }));
  }
  expectEachRefused(gatherDesc(4, 64, 9, selftest::denseWeights(NIB_TYPE_F16)), "gather",
                    {
                        {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
                        {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
                        {"rows", kInvalid, [](Desc& d) { d.cols = 0; }},
                        {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = 65536; }},
                        {"count", kInvalid, [](Desc& d) { d.count = 0; }},
                        {"count", kInvalid, [](Desc& d) { d.count = 1u << 26; }},
                        {"result_type", kInvalid, [](Desc& d) { d.result_type = 3; }},
                        {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 63; }},
                        {"weights.scale_type", kInvalid, [](Desc& d) { d.weights.scale_type = NIB_TYPE_E8M0; }},
                        {"weights.granularity", kInvalid, [](Desc& d) { d.weights.granularity = NIB_GRANULARITY_ROW; }},
                        {"group_size", kInvalid, [](Desc& d) { d.weights.group_size = 32; }},
                        {"flags", kInvalid, [](Desc& d) { d.weights.flags = NIB_WEIGHTS_FLAT; }},
                        {"reserved", kInvalid, [](Desc& d) { d.weights.reserved[1] = 1; }},
                    });
}

}  // namespace

NIB_DEFINE_OP_TEST(gather, .memory = checkMemory, .refusals = checkRefusals)

TEST_CASE("gather gives the model's bytes for every case of the shared list") {
  std::vector<uint32_t> formats = {NIB_FORMAT_DENSE};
  for (const model::Format& format : model::formats()) formats.push_back(format.id);
  for (const uint32_t format : formats) {
    const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_GATHER, format, selftest::Extent::kFull);
    const NibFormatInfo* info = nibFormatById(format);
    INFO((info != nullptr ? info->name : "dense"));
    CHECK(list.size() >= (info != nullptr && info->granularities == 1u << NIB_GRANULARITY_GROUP ? 10 : 100));
    for (const selftest::Case& c : list) {
      const std::string difference = compareWithModel(c);
      if (!difference.empty()) {
        INFO(c.name());
        CHECK(difference == "");
      }
    }
  }
}

// int8 per row: codes 1, 2, 3, 4 with scale 1/2, and 5, 6, 7, -8 with scale 2.
TEST_CASE("gather takes rows by their numbers, twice and none, and gives zeros where there is no such row") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  const NibGatherDesc d = gatherDesc(2, 4, 5, weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0));
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  const uint32_t codes[] = {0x04030201u, 0xf8070605u};
  const float scales[] = {0.5f, 2.0f};
  const uint32_t numbers[] = {1, 0, 2, 1, 0xffffffffu};
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), codes, sizeof codes);
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS) + 256, scales, sizeof scales);
  std::memcpy(ranges.bytes(NIB_ROLE_INPUT), numbers, sizeof numbers);
  REQUIRE(ranges.run(5) == NIB_SUCCESS);
  const float expected[] = {10, 12, 14, -16, 0.5f, 1, 1.5f, 2, 0, 0, 0, 0, 10, 12, 14, -16, 0, 0, 0, 0};
  CHECK(std::memcmp(ranges.bytes(NIB_ROLE_OUTPUT), expected, sizeof expected) == 0);
}

// fp32 2^-130, which is a denormal, a signalling NaN and -0; 65520, which is beyond fp16, 2^-24 and 1.
TEST_CASE("gather of a dense matrix flushes denormals, keeps signs and rounds beyond the largest half to infinity") {
  const NibGatherDesc d = gatherDesc(2, 3, 3, selftest::denseWeights(NIB_TYPE_F32), NIB_TYPE_F16);
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  const uint32_t elements[] = {0x00080000u, 0xff800001u, 0x80000000u, 0x477ff000u, 0x33800000u, 0x3f800000u};
  const uint32_t numbers[] = {1, 2, 0};
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), elements, sizeof elements);
  std::memcpy(ranges.bytes(NIB_ROLE_INPUT), numbers, sizeof numbers);
  REQUIRE(ranges.run(3) == NIB_SUCCESS);
  // Rows of three halves take four. The last word of a range is whole.
  const uint16_t expected[] = {0x7c00, 0x0001, 0x3c00, 0, 0, 0, 0, 0, 0, 0xfe00, 0x8000, 0};
  CHECK(std::memcmp(ranges.bytes(NIB_ROLE_OUTPUT), expected, sizeof expected) == 0);
}
