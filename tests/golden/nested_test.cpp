// Double quantization by its definition: the dynamic map, the mean, codes and their values.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <algorithm>
#include <cmath>

#include "../../shaders/numerics/dynamic_map.h"
#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {

constexpr uint32_t kMap[256] = {NIB_DYNAMIC_MAP};
constexpr uint32_t kMidpoints[255] = {NIB_DYNAMIC_MIDPOINTS};

float floatOfBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

struct Nested {
  Bytes codes;
  std::vector<float> parts;  // offset, then scales of blocks
};

// NF4 of a matrix whose blocks of 16 have these absmax values.
Nested nest(const std::vector<float>& absmax) {
  const uint32_t count = uint32_t(absmax.size());
  std::vector<float> x(size_t(count) * 16, 0.0f);
  for (uint32_t i = 0; i < count; ++i) x[size_t(i) * 16] = absmax[i];
  const NibQuantizeDesc desc = nib::tests::quantizeDesc(
      count, 16, weights(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 16, NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED));
  nib::tests::Ranges ranges(nib::tests::asOp(desc));
  REQUIRE(ranges.valid());
  ranges.clearStatus();
  ranges.write(NIB_ROLE_INPUT, x);
  REQUIRE(ranges.run(count) == NIB_SUCCESS);
  CHECK(ranges.guardsHold());
  const NibMemoryPart& codes = ranges.memory.part[NIB_PART_SCALES];
  const NibMemoryPart& nested = ranges.memory.part[NIB_PART_NESTED];
  return {ranges.read<uint8_t>(NIB_ROLE_WEIGHTS, codes.offset_bytes, size_t(codes.size_bytes)),
          ranges.read<float>(NIB_ROLE_WEIGHTS, nested.offset_bytes, size_t(nested.size_bytes / 4))};
}

}  // namespace

TEST_CASE("the dynamic map is bitsandbytes': means of bins of linspace(0.1, 1), seven decades, both signs, 0 and 1") {
  std::vector<double> wanted{0.0, 1.0};
  for (int i = 0; i < 7; ++i) {
    const int bins = 1 << i;
    for (int b = 0; b < bins; ++b) {
      const double mean = 0.1 + 0.9 * (b + 0.5) / bins, v = mean * std::pow(10.0, i - 6);
      wanted.insert(wanted.end(), {v, -v});
    }
  }
  std::sort(wanted.begin(), wanted.end());
  REQUIRE(wanted.size() == 256);
  for (size_t i = 0; i < 256; ++i) CHECK(std::fabs(floatOfBits(kMap[i]) - wanted[i]) <= std::fabs(wanted[i]) * 2e-7);
  CHECK(kMap[127] == 0);
  CHECK(kMap[255] == 0x3f800000u);
  CHECK(floatOfBits(kMap[0]) == doctest::Approx(-0.99296874).epsilon(1e-7));
  for (size_t i = 0; i < 255; ++i) {
    CHECK(floatOfBits(kMidpoints[i]) == float((double(floatOfBits(kMap[i])) + double(floatOfBits(kMap[i + 1]))) / 2));
  }
}

TEST_CASE("double quantization: the offset is the mean, a block's largest difference is the end of the map") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  // 1, 2, 3, 6: mean 3; differences -2, -1, 0, 3; largest 3. 3/3 = 1: 255; 0: 127. -2/3 = -0.6667 is between -0.6695
  // (23) and -0.6555; -1/3.
  const Nested nested = nest({1.0f, 2.0f, 3.0f, 6.0f});
  REQUIRE(nested.parts.size() == 2);
  CHECK(nested.parts[0] == 3.0f);
  CHECK(nested.parts[1] == 3.0f);
  CHECK(nested.codes[3] == 255);
  CHECK(nested.codes[2] == 127);
  const double wanted[2] = {-2.0 / 3.0, -1.0 / 3.0};
  for (size_t i = 0; i < 2; ++i) {
    size_t nearest = 0;
    for (size_t j = 0; j < 256; ++j) {
      if (std::fabs(floatOfBits(kMap[j]) - wanted[i]) < std::fabs(floatOfBits(kMap[nearest]) - wanted[i])) nearest = j;
    }
    CHECK(nested.codes[i] == nearest);
  }
}

TEST_CASE("double quantization: equal scales equal the offset, and each block of 256 has its own scale") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  const Nested same = nest(std::vector<float>(5, 0.75f));
  CHECK(same.parts == std::vector<float>{0.75f, 0.0f});
  CHECK(same.codes == Bytes{127, 127, 127, 127, 127, 0, 0, 0});
  // 256 alternating ones and twos, then one 4: mean (128 + 256 + 4) / 257 = 388 / 257.
  std::vector<float> absmax;
  for (int i = 0; i < 256; ++i) absmax.push_back(i % 2 == 0 ? 1.0f : 2.0f);
  absmax.push_back(4.0f);
  const Nested two = nest(absmax);
  REQUIRE(two.parts.size() == 3);
  const float mean = float(388.0 / 257.0);
  CHECK(two.parts[0] == mean);
  CHECK(two.parts[1] == mean - 1.0f);
  CHECK(two.parts[2] == 4.0f - mean);
  CHECK(two.codes[256] == 255);
  CHECK(two.codes[0] == 0);  // -1, whose nearest entry is the first
}

TEST_CASE("double quantization: values are table * (map * block scale + offset)") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  const NibWeights w = weights(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 16, NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED);
  const NibDequantizeDesc desc = nib::tests::dequantizeDesc(3, 16, w);
  nib::tests::Ranges ranges(nib::tests::asOp(desc));
  REQUIRE(ranges.valid());
  ranges.write(NIB_ROLE_WEIGHTS, Bytes(24, 0xff));  // every code 15, whose value is 1
  const Bytes codes{255, 127, 0, 0};                // 1, 0, -0.99296874
  const float parts[2] = {0.5f, 2.0f};
  std::memcpy(ranges.scales(), codes.data(), 4);
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS) + ranges.memory.part[NIB_PART_NESTED].offset_bytes, parts, sizeof parts);
  REQUIRE(ranges.run(3) == NIB_SUCCESS);
  const std::vector<float> y = ranges.read<float>(NIB_ROLE_OUTPUT, 0, 48);
  CHECK(y[0] == 2.5f);
  CHECK(y[16] == 0.5f);
  CHECK(y[32] == float(double(float(double(floatOfBits(kMap[0])) * 2.0)) + 0.5));  // negative values are kept
  CHECK(y[47] == y[32]);
}

TEST_CASE("double quantization requires flat groups of fp32 scales, and excludes given scales") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  NibMemory memory{sizeof(NibMemory)};
  const uint32_t both = NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED;
  const auto result = [&](const NibWeights& w, uint32_t flags = 0) {
    const NibQuantizeDesc desc = nib::tests::quantizeDesc(4, 64, w, NIB_TYPE_F32, flags);
    return nibGetMemory(nib::tests::asOp(desc), nullptr, &memory);
  };
  CHECK(result(weights(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 64, both)) == NIB_SUCCESS);
  CHECK(memory.part[NIB_PART_SCALES].size_bytes == 4);
  CHECK(memory.part[NIB_PART_NESTED].size_bytes == 8);
  CHECK(result(weights(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_NESTED)) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(result(weights(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 64, both, NIB_TYPE_F16)) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(result(weights(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, UINT32_MAX, both)) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(result(weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 64, both)) == NIB_ERROR_UNSUPPORTED);
  CHECK(result(weights(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 64, both), NIB_QUANTIZE_GIVEN_SCALES) ==
        NIB_ERROR_UNSUPPORTED);
}
