// Importance of columns: what it does to errors, and which numbers mean the same.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "model_ops.h"
#include "run_op.h"

using namespace nib;
using namespace nib::tests;

namespace {

constexpr uint32_t kRows = 24, kCols = 768;

struct Result {
  model::Bytes blob;
  std::vector<double> values;
};

std::vector<float> normal(uint64_t seed) {
  std::vector<float> x(size_t(kRows) * kCols);
  uint64_t state = seed * 2654435761u + 1;
  const auto uniform = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return double(state >> 33) / double(1ull << 31) - 0.5;
  };
  for (float& v : x) v = float(uniform() + uniform() + uniform() + uniform());
  return x;
}

// With `importance`, or without if it is empty.
Result quantized(const NibFormatInfo& info, const std::vector<float>& x, const std::vector<float>& importance) {
  const NibType type = (info.flags & NIB_FORMAT_SUPER_BLOCKS) != 0 ? NIB_TYPE_BYTE : NIB_TYPE_F16;
  const NibWeights w = weights(info.format, NIB_GRANULARITY_GROUP, 0, 0, type);
  const NibQuantizeDesc d =
      quantizeDesc(kRows, kCols, w, NIB_TYPE_F32, importance.empty() ? 0 : uint32_t(NIB_QUANTIZE_IMPORTANCE));
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  ranges.clearStatus();
  ranges.write(NIB_ROLE_INPUT, x);
  const NibMemoryPart& part = ranges.memory.part[NIB_PART_IMPORTANCE];
  CHECK(part.size_bytes == importance.size() * 4);
  if (!importance.empty()) {
    CHECK(part.role == NIB_ROLE_AUX);
    CHECK(part.offset_bytes == 256);  // after the status
    std::memcpy(ranges.bytes(NIB_ROLE_AUX) + part.offset_bytes, importance.data(), size_t(part.size_bytes));
  }
  REQUIRE(ranges.run(kRows) == NIB_SUCCESS);
  CHECK(ranges.guardsHold());
  Result result{ranges.copy(NIB_ROLE_WEIGHTS), {}};
  const model::Layout l = model::layoutOf(kRows, kCols, w);
  for (uint64_t row = 0; row < kRows; ++row) {
    for (uint64_t col = 0; col < kCols; ++col) {
      uint32_t code = 0;
      for (uint32_t b = 0; b < info.bits; ++b) {
        const uint64_t bit = col * info.bits + b;
        code |= (uint32_t(result.blob[size_t(row * l.row_bytes + bit / 8)]) >> (bit % 8) & 1u) << b;
      }
      result.values.push_back(
          model::decode(*l.format, model::scaleAt(l, w, result.blob.data(), l.scaleIndex(row, col)), code));
    }
  }
  return result;
}

double squaredError(const std::vector<float>& x, const Result& y, const std::vector<float>& importance) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i)
    sum += double(importance[i % kCols]) * (y.values[i] - double(x[i])) * (y.values[i] - double(x[i]));
  return sum;
}

std::vector<const NibFormatInfo*> searchedFormats() {
  std::vector<const NibFormatInfo*> list;
  for (uint32_t i = 0; const NibFormatInfo* info = nibFormatAt(i); ++i) {
    if (model::formatOf(info->format)->kind == model::Kind::kSearched) list.push_back(info);
  }
  return list;
}

}  // namespace

TEST_CASE("importance lowers the errors that it weighs") {
  const std::vector<float> x = normal(3);
  std::vector<float> importance(kCols);
  for (size_t i = 0; i < kCols; ++i) importance[i] = i % 5 == 0 ? 100.0f : 1.0f;
  for (const NibFormatInfo* info : searchedFormats()) {
    INFO(info->name);
    const double with = squaredError(x, quantized(*info, x, importance), importance);
    const double without = squaredError(x, quantized(*info, x, {}), importance);
    CHECK(with < 0.95 * without);
  }
}

TEST_CASE("numbers of importance that mean the same give the same bytes") {
  const std::vector<float> x = normal(5);
  std::vector<float> some(kCols), scaled(kCols), signs(kCols), none(kCols), least(kCols);
  for (size_t i = 0; i < kCols; ++i) {
    some[i] = float(1 + i * 7 % 13);
    scaled[i] = some[i] * 0x1p-90f;
    signs[i] = i % 3 == 0 ? (i % 2 == 0 ? -4.0f : NAN) : i % 3 == 1 ? INFINITY : some[i];
    none[i] = i % 3 == 2 ? some[i] : 0.0f;
    least[i] = i % 3 == 2 ? some[i] : 0x1p-40f;
  }
  for (const NibFormatInfo* info : searchedFormats()) {
    INFO(info->name);
    // Only ratios within a super-block count.
    CHECK(quantized(*info, x, some).blob == quantized(*info, x, scaled).blob);
    // Negative numbers, NaN and infinity are 0, and 0 is 2^-20 of the largest.
    CHECK(quantized(*info, x, signs).blob == quantized(*info, x, none).blob);
    CHECK(quantized(*info, x, none).blob == quantized(*info, x, least).blob);
    // Without any, all are equal: a power of two is the weight 1.
    CHECK(quantized(*info, x, std::vector<float>(kCols, 0.0f)).blob ==
          quantized(*info, x, std::vector<float>(kCols, 4.0f)).blob);
    CHECK(quantized(*info, x, some).blob != quantized(*info, x, {}).blob);
  }
}

TEST_CASE("errors of searched scales are below those of scales by the range") {
  // A plain rule for a group: scale and minimum by its range, or scale by its largest magnitude, and codes to the
  // nearest. It stores its scales in double, and the search in six bits or less.
  const std::vector<float> x = normal(11);
  const std::vector<float> ones(kCols, 1.0f);
  for (const NibFormatInfo* info : searchedFormats()) {
    INFO(info->name);
    const model::Format& format = *model::formatOf(info->format);
    Result plain;
    for (size_t first = 0; first < x.size(); first += info->group_max) {
      double low = 0, high = 0;
      for (size_t i = first; i < first + info->group_max; ++i) {
        low = std::fmin(low, double(x[i]));
        high = std::fmax(high, double(x[i]));
      }
      model::Scale scale;
      const double reach = format.values != nullptr ? 120.0 : format.middle() - 0.5;
      scale.value = format.minimum() ? (high - low) / format.levels() : std::fmax(-low, high) / reach;
      scale.zero = format.minimum() ? low : 0.0;
      for (size_t i = first; i < first + info->group_max; ++i) {
        double best = INFINITY, value = 0;
        for (uint32_t code = 0; code < 1u << info->bits; ++code) {
          const double v = model::decode(format, scale, code);
          if (std::fabs(v - double(x[i])) < best) best = std::fabs(v - double(x[i])), value = v;
        }
        plain.values.push_back(value);
      }
    }
    CHECK(squaredError(x, quantized(*info, x, {}), ones) < squaredError(x, plain, ones));
  }
}
