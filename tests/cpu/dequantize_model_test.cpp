// Dequantize against the definition in double precision (model.h), byte for byte.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <string>
#include <vector>

#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"

using namespace nib;
using namespace nib::tests;

namespace {

std::string compareWithModel(const selftest::Case& c) {
  const NibDequantizeDesc& d = c.as<NibDequantizeDesc>();
  Ranges ranges(c.desc());
  if (!ranges.valid()) return "refused";
  prepare(c, ranges);
  fillEdgeScales(c, ranges);
  const model::Bytes blob = ranges.copy(NIB_ROLE_WEIGHTS);
  model::Bytes result = ranges.copy(NIB_ROLE_OUTPUT);
  model::dequantize(d, blob, c.n, result);
  if (ranges.run(c.n) != NIB_SUCCESS) return "failed";
  if (!ranges.guardsHold()) return "wrote outside its ranges";
  if (ranges.copy(NIB_ROLE_WEIGHTS) != blob) return "wrote the weights";
  return firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size());
}

void checkMemory() {
  forEachWeights([](const NibWeights& w, const Extents& shape, uint64_t count) {
    const uint32_t dense = uint32_t(count % 3);
    const bool flat = (w.flags & NIB_WEIGHTS_FLAT) != 0;
    const uint64_t padded = (uint64_t(shape.cols) + 3 + count % 5 * 2) / 2 * 2;
    // Rows of 16-bit results start on words.
    uint64_t stride = flat ? shape.cols : evenStride(shape.cols, dense);
    NibDequantizeDesc d = dequantizeDesc(shape.rows, shape.cols, w, NibType(dense));
    if (!flat && count % 7 == 0 && padded * shape.rows <= kMostElements) stride = d.result_stride = uint32_t(padded);
    if (stride * shape.rows > kMostElements) return;
    const NibMemory memory = memoryOf(d);
    checkWeights(memory, model::layoutOf(shape.rows, shape.cols, w));
    CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == denseBytes(shape.rows, shape.cols, stride, dense));
    CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == 0);
    CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
  });
}

void checkRefusals() {
  using Desc = NibDequantizeDesc;
  for (const NibFormatInfo* info : scaledFormats()) {
    Desc right = dequantizeDesc(4, 64, weights(info->format, NIB_GRANULARITY_GROUP, 32), NIB_TYPE_BF16);
    right.result_stride = 66;
    expectEachRefused(right, "dequantize",
                      plus<Desc>(wrongWeights<Desc>(),
                                 {
                                     {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
                                     {"result_type", kInvalid, [](Desc& d) { d.result_type = 3; }},
                                     {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 62; }},
                                     {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 65; }},
                                     {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 0x40000000u; }},
                                     {"result_stride", kInvalid, [](Desc& d) { d.weights.flags = NIB_WEIGHTS_FLAT; }},
                                 }));
  }
}

}  // namespace

NIB_DEFINE_OP_TEST(dequantize, .memory = checkMemory, .refusals = checkRefusals)

TEST_CASE("dequantize gives the model's bytes for every case of the shared list") {
  for (const model::Format& format : model::formats()) {
    const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_DEQUANTIZE, format.id, selftest::Extent::kFull);
    INFO(nibFormatById(format.id)->name);
    CHECK(list.size() >= (nibFormatById(format.id)->granularities == 1u << NIB_GRANULARITY_GROUP ? 10 : 100));
    for (const selftest::Case& c : list) {
      const std::string difference = compareWithModel(c);
      if (!difference.empty()) {
        INFO(c.name());
        CHECK(difference == "");
      }
    }
  }
}

// Codes, scales and zero points of any bit pattern: values up to 255 times the largest fp32 must saturate.
TEST_CASE("dequantize gives the model's bytes for any blob") {
  uint64_t seed = 5;
  for (const model::Format& format : model::formats()) {
    const NibFormatInfo* info = nibFormatById(format.id);
    for (uint32_t types = 0; types < 15; ++types) {
      if (!(info->scale_types >> types % 5 & 1u)) continue;
      const uint32_t flags = info->weights_flags & NIB_WEIGHTS_ASYMMETRIC;
      const NibWeights w = weights(format.id, NIB_GRANULARITY_GROUP, info->group_multiple, flags, NibType(types % 5));
      const NibDequantizeDesc d = dequantizeDesc(400, 47, w, NibType(types / 5));
      Ranges ranges(asOp(d));
      REQUIRE(ranges.valid());
      fillBits(ranges.bytes(NIB_ROLE_WEIGHTS), ranges.size(NIB_ROLE_WEIGHTS), ++seed);
      const model::Bytes blob = ranges.copy(NIB_ROLE_WEIGHTS);
      model::Bytes result = ranges.copy(NIB_ROLE_OUTPUT);
      model::dequantize(d, blob, 400, result);
      REQUIRE(ranges.run(400) == NIB_SUCCESS);
      INFO(info->name, " scale type ", types % 3, " result type ", types / 3);
      CHECK(firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size()) == "");
    }
  }
}

TEST_CASE("a value beyond fp32 saturates, beyond a 16-bit type it is infinite, and zero is never negative") {
  if (nibFormatById(NIB_FORMAT_INT8) == nullptr) return;
  // Codes -128, -1, 0, 127 with the scale 2^121: -2^128 is one step too large, 127 * 2^121 is not.
  const NibDequantizeDesc d = dequantizeDesc(1, 4, weights(NIB_FORMAT_INT8, NIB_GRANULARITY_TENSOR, 0));
  Ranges ranges(asOp(d));
  ranges.write(NIB_ROLE_WEIGHTS, std::vector<uint8_t>{0x80, 0xff, 0x00, 0x7f});
  const float scale = 0x1p121f;
  std::memcpy(ranges.scales(), &scale, sizeof scale);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  CHECK(ranges.words(NIB_ROLE_OUTPUT, 0, 4) ==
        std::vector<uint32_t>{0xff7fffffu, 0xfc000000u, 0x00000000u, 0x7f7e0000u});

  // The same codes with the scale 512: -65536 and 65024 in half, whose largest value is 65504.
  const NibDequantizeDesc to_half = dequantizeDesc(1, 4, d.weights, NIB_TYPE_F16);
  Ranges half(asOp(to_half));
  half.write(NIB_ROLE_WEIGHTS, std::vector<uint8_t>{0x80, 0xff, 0x00, 0x7f});
  const float small = 512.0f;
  std::memcpy(half.scales(), &small, sizeof small);
  REQUIRE(half.run(1) == NIB_SUCCESS);
  // 65024 = 127 * 2^9 = 1.984375 * 2^15: exponent 30, fraction 0.984375 * 1024 = 1008 = 0x3f0. -512: exponent 24.
  CHECK(half.read<uint16_t>(NIB_ROLE_OUTPUT, 0, 4) == std::vector<uint16_t>{0xfc00, 0xe000, 0x0000, 0x7bf0});

  // bfloat16 of the saturated -3.4e38: the neighbours are -255 * 2^120 and -2^128; the second is nearer and infinite.
  const NibDequantizeDesc to_bfloat = dequantizeDesc(1, 2, d.weights, NIB_TYPE_BF16);
  Ranges bfloat(asOp(to_bfloat));
  bfloat.write(NIB_ROLE_WEIGHTS, std::vector<uint8_t>{0x80, 0x7f});
  std::memcpy(bfloat.scales(), &scale, sizeof scale);
  REQUIRE(bfloat.run(1) == NIB_SUCCESS);
  CHECK(bfloat.read<uint16_t>(NIB_ROLE_OUTPUT, 0, 2) == std::vector<uint16_t>{0xff80, 0x7f7e});
}

TEST_CASE("16-bit results are rounded a second time from fp32, ties to even") {
  if (nibFormatById(NIB_FORMAT_INT8) == nullptr) return;
  // Scale 1 + 2^-7 in fp32; code 3 gives 3.0234375 = 1.51171875 * 2. In bfloat16 (8 bits) the neighbours are 387/128
  // and 388/128 apart by 2^-6: 3.015625 = 193/64 and 3.03125 = 194/64; 3.0234375 = 193.5/64 is a tie: 194 is even. Code
  // 1 gives 129/128: exact. Code 5 gives 5.0390625 = 161.25/32: 161 = 0xa1. Code -3: the tie with a sign.
  const NibDequantizeDesc d = dequantizeDesc(1, 4, weights(NIB_FORMAT_INT8, NIB_GRANULARITY_TENSOR, 0), NIB_TYPE_BF16);
  Ranges ranges(asOp(d));
  ranges.write(NIB_ROLE_WEIGHTS, std::vector<uint8_t>{1, 3, 5, 0xfd});
  const float scale = 1.0078125f;
  std::memcpy(ranges.scales(), &scale, sizeof scale);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  // 129/128: exponent 127, fraction 1. 194/64 = 1.515625 * 2: exponent 128, fraction 0.515625 * 128 = 66 = 0x42.
  // 161/32 = 1.2578125 * 4: exponent 129, fraction 33 = 0x21.
  CHECK(ranges.read<uint16_t>(NIB_ROLE_OUTPUT, 0, 4) == std::vector<uint16_t>{0x3f81, 0x4042, 0x40a1, 0xc042});
}

TEST_CASE("quantizing dequantized values with the same scales gives the same codes") {
  uint64_t seed = 900;
  for (const model::Format& format : model::scaledFormats()) {
    const NibFormatInfo* info = nibFormatById(format.id);
    for (const uint32_t mode : {0u, uint32_t(NIB_WEIGHTS_ASYMMETRIC)}) {
      if ((mode & ~info->weights_flags) != 0) continue;
      const NibWeights w = weights(format.id, NIB_GRANULARITY_GROUP, 32, mode);
      const NibDequantizeDesc back = dequantizeDesc(16, 96, w);
      Ranges values(asOp(back));
      fillBits(values.bytes(NIB_ROLE_WEIGHTS), size_t(values.memory.part[NIB_PART_CODES].size_bytes), ++seed);
      // Infinities and NaNs have no code, nor has -2 in ternary; and FP4 quantizes to only one of its two zeros.
      uint8_t* codes_at = values.bytes(NIB_ROLE_WEIGHTS);
      for (uint64_t at = 0; at < values.memory.part[NIB_PART_CODES].size_bytes; ++at) {
        uint8_t& byte = codes_at[at];
        if (format.kind == model::Kind::kFloat && (byte & 0x7fu) > format.small.last) byte = 0;
        if (format.kind == model::Kind::kTernary) byte = uint8_t(byte | (~(byte << 1 | byte) & 0xaau));
        if (format.kind == model::Kind::kSignedCodebook && (byte & 0x0fu) == 0x08u) byte = 0;
        if (format.kind == model::Kind::kSignedCodebook && (byte & 0xf0u) == 0x80u) byte = 0;
      }
      fillBits(values.zeros(), size_t(values.memory.part[NIB_PART_ZEROS].size_bytes), ++seed);
      selftest::Random random(++seed);
      for (size_t i = 0; i < 48; ++i) {
        const float scale = float(random.unit() + 0.001);
        std::memcpy(values.scales() + 4 * i, &scale, sizeof scale);
      }
      REQUIRE(values.run(16) == NIB_SUCCESS);

      const NibQuantizeDesc again = quantizeDesc(16, 96, w, NIB_TYPE_F32, NIB_QUANTIZE_GIVEN_SCALES);
      Ranges codes(asOp(again));
      codes.clearStatus();
      codes.write(NIB_ROLE_WEIGHTS, values.copy(NIB_ROLE_WEIGHTS));
      std::memset(codes.bytes(NIB_ROLE_WEIGHTS), 0x5a, size_t(codes.memory.part[NIB_PART_CODES].size_bytes));
      codes.write(NIB_ROLE_INPUT, values.copy(NIB_ROLE_OUTPUT));
      REQUIRE(codes.run(16) == NIB_SUCCESS);
      INFO(info->name, " flags ", mode);
      CHECK(firstDifference(codes.bytes(NIB_ROLE_WEIGHTS), values.bytes(NIB_ROLE_WEIGHTS),
                            codes.size(NIB_ROLE_WEIGHTS)) == "");
    }
  }
}
