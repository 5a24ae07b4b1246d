// Convert against the definition in double precision (model.h): every 16-bit pattern to every type, fp32 patterns of
// every kind to the 16-bit types, and each rule in a test of its own.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/names.h"
#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"

using namespace nib;
using namespace nib::tests;

namespace {

constexpr uint32_t kTypes = 3;
constexpr uint32_t kNans[] = {0x7fc00000u, 0x7e00u, 0x7fc0u};

struct Expected {
  uint32_t bits;
  bool saturated;
};

// The expected pattern, computed from the value alone.
Expected expectedOf(uint32_t from, uint32_t pattern, uint32_t to, bool saturate) {
  const double v = model::valueOf(from, pattern);
  const bool negative = pattern >> (from == NIB_TYPE_F32 ? 31 : 15) & 1u;
  if (std::isnan(v)) return {kNans[to] | uint32_t(negative) << (to == NIB_TYPE_F32 ? 31 : 15), false};
  const double rounded = model::roundTo(to, v);
  const bool beyond = std::isfinite(v) && !std::isfinite(rounded);
  return {model::bitsOf(to, beyond && saturate ? std::copysign(model::kFloatTypes[to].largest, v) : rounded), beyond};
}

// The bytes that a run must leave in the result range, which held `result` before, and the status.
void convertModel(const NibConvertDesc& d, const uint8_t* source, uint32_t n, model::Bytes& result, NibStatus* status) {
  const uint32_t from_bytes = model::sizeOf(d.source_type), to_bytes = model::sizeOf(d.result_type);
  const uint64_t source_stride = d.source_stride != 0 ? d.source_stride : d.cols;
  uint64_t result_stride = d.result_stride;
  if (result_stride == 0) result_stride = to_bytes == 2 ? model::roundUp(d.cols, 2) : d.cols;
  for (uint64_t row = n; row-- > 0;) {
    for (uint64_t col = d.cols; col-- > 0;) {
      const uint32_t pattern = model::loadBits(source + (row * source_stride + col) * from_bytes, from_bytes);
      const Expected e = expectedOf(d.source_type, pattern, d.result_type, (d.flags & NIB_CONVERT_SATURATE) != 0);
      model::storeBits(&result[size_t((row * result_stride + col) * to_bytes)], to_bytes, e.bits);
      if (status == nullptr) continue;
      status->saturated_count += e.saturated;
      if (std::isfinite(model::valueOf(d.source_type, pattern))) continue;
      ++status->nonfinite_count;
      // The loops run backwards, so that the lowest index is stored last.
      status->first_nonfinite_not = ~uint32_t(row * d.cols + col);
    }
    if (to_bytes == 2 && d.cols % 2 != 0) model::storeBits(&result[size_t((row * result_stride + d.cols) * 2)], 2, 0);
  }
}

NibConvertDesc convertDesc(uint32_t rows, uint32_t cols, uint32_t source, uint32_t result, uint32_t flags) {
  NibConvertDesc d = selftest::describe<NibConvertDesc>(NIB_OP_CONVERT);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.source_type = source;
  d.result_type = result;
  return d;
}

template <class To, class From>
std::vector<To> convert(const std::vector<From>& patterns, NibType from, NibType to, uint32_t flags = 0,
                        NibStatus* status = nullptr) {
  const NibConvertDesc d = convertDesc(1, uint32_t(patterns.size()), from, to, flags | NIB_CONVERT_STATUS);
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  ranges.clearStatus();
  ranges.write(NIB_ROLE_INPUT, patterns);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  if (status != nullptr) *status = ranges.status();
  return ranges.read<To>(NIB_ROLE_OUTPUT, 0, patterns.size());
}

template <class To, class From>
uint64_t differences(const std::vector<From>& patterns, NibType from, NibType to, uint32_t flags) {
  NibStatus status{};
  const std::vector<To> got = convert<To>(patterns, from, to, flags, &status);
  uint64_t wrong = 0;
  uint32_t saturated = 0;
  for (size_t i = 0; i < patterns.size(); ++i) {
    const Expected e = expectedOf(from, patterns[i], to, (flags & NIB_CONVERT_SATURATE) != 0);
    saturated += e.saturated;
    if (got[i] == e.bits) continue;
    if (wrong++ == 0) MESSAGE(patterns[i] << " gives " << got[i] << ", must give " << e.bits);
  }
  CHECK(status.saturated_count == saturated);
  return wrong;
}

using Words = std::vector<uint32_t>;
using Halves = std::vector<uint16_t>;

void checkMemory() {
  for (const Extents& shape : kExtents) {
    for (uint32_t pair = 0; pair < 9; ++pair) {
      const uint32_t from = pair / 3, to = pair % 3;
      for (const uint32_t extra : {0u, 4u}) {
        if ((uint64_t(shape.cols) + extra + 1) * shape.rows > kMostElements) continue;
        const uint32_t stride = extra != 0 ? shape.cols + extra : 0, even = stride + stride % 2;
        NibConvertDesc d = convertDesc(shape.rows, shape.cols, from, to, pair % 2 * NIB_CONVERT_STATUS);
        d.source_stride = stride;
        d.result_stride = even;
        const NibMemory memory = memoryOf(d);
        const uint64_t result_stride = extra != 0 ? even : evenStride(shape.cols, to);
        CHECK(memory.range[NIB_ROLE_INPUT].size_bytes ==
              denseBytes(shape.rows, shape.cols, uint64_t(shape.cols) + extra, from));
        CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == denseBytes(shape.rows, shape.cols, result_stride, to));
        CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
        checkAux(memory, pair % 2 != 0);
      }
    }
  }
}

void checkRefusals() {
  using Desc = NibConvertDesc;
  Desc right = convertDesc(4, 64, NIB_TYPE_F32, NIB_TYPE_F16, 0);
  right.source_stride = 67;
  right.result_stride = 66;
  expectEachRefused<Desc>(right, "convert",
                          {
                              {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
                              {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
                              {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = 65536; }},
                              {"flags", kInvalid, [](Desc& d) { d.flags = 4; }},
                              {"source_type", kInvalid, [](Desc& d) { d.source_type = NIB_TYPE_E8M0; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 0x40000000u; }},
                              {"result_type", kInvalid, [](Desc& d) { d.result_type = NIB_TYPE_E8M0; }},
                              {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 62; }},
                              {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 65; }},
                              {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 0x40000000u; }},
                          });
}

}  // namespace

NIB_DEFINE_OP_TEST(convert, .memory = checkMemory, .refusals = checkRefusals)

TEST_CASE("convert gives the model's bytes and status for every case of the shared list") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_CONVERT, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 100);
  for (const selftest::Case& c : list) {
    Ranges ranges(c.desc());
    REQUIRE(ranges.valid());
    prepare(c, ranges);
    model::Bytes result = ranges.copy(NIB_ROLE_OUTPUT);
    const model::Bytes source = ranges.copy(NIB_ROLE_INPUT);
    const bool counts = (c.as<NibConvertDesc>().flags & NIB_CONVERT_STATUS) != 0;
    NibStatus status{};
    convertModel(c.as<NibConvertDesc>(), source.data(), c.n, result, counts ? &status : nullptr);
    REQUIRE(ranges.run(c.n) == NIB_SUCCESS);
    INFO(c.name());
    CHECK(firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size()) == "");
    CHECK(ranges.guardsHold());
    CHECK(ranges.copy(NIB_ROLE_INPUT) == source);
    if (!counts) continue;
    const NibStatus got = ranges.status();
    CHECK(std::memcmp(&got, &status, sizeof got) == 0);
  }
}

TEST_CASE("every 16-bit pattern converts to every type by its value") {
  Halves all(65536);
  for (uint32_t i = 0; i < all.size(); ++i) all[i] = uint16_t(i);
  for (const uint32_t from : {NIB_TYPE_F16, NIB_TYPE_BF16}) {
    for (uint32_t to = 0; to < kTypes; ++to) {
      for (const uint32_t flags : {0u, uint32_t(NIB_CONVERT_SATURATE)}) {
        INFO(typeName(from), " -> ", typeName(to), " flags ", flags);
        const uint64_t wrong = to == NIB_TYPE_F32 ? differences<uint32_t>(all, NibType(from), NibType(to), flags)
                                                  : differences<uint16_t>(all, NibType(from), NibType(to), flags);
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("fp32 patterns convert to every type by their values: ten million at random, and some near ties") {
  constexpr size_t kBatch = 1u << 20;
  selftest::Random random(20);
  Words batch(kBatch);
  uint64_t checked = 0;
  for (uint32_t round = 0; round < 12; ++round) {
    for (uint32_t& bits : batch) {
      bits = random.bits();
      // A third is near a half, a bfloat16 or a midpoint of these; a third is within fp16's range.
      if (round % 3 == 1) bits = (bits & (random.below(2) != 0 ? 0xfffff000u : 0xffff8000u)) + random.below(3) - 1u;
      if (round % 3 == 2) bits = (bits & 0x80000000u) | (0x32800000u + random.below(0x15800000u));
    }
    for (uint32_t to = 0; to < kTypes; ++to) {
      const uint32_t flags = (round + to) % 2 * NIB_CONVERT_SATURATE;
      INFO(typeName(to), " flags ", flags, " round ", round);
      const uint64_t wrong = to == NIB_TYPE_F32 ? differences<uint32_t>(batch, NIB_TYPE_F32, NibType(to), flags)
                                                : differences<uint16_t>(batch, NIB_TYPE_F32, NibType(to), flags);
      CHECK(wrong == 0);
    }
    checked += kBatch;
  }
  CHECK(checked >= 10'000'000);
}

// The values are derived by hand.
TEST_CASE("convert keeps infinities and signs, quiets NaN, and flushes denormals of fp32 and bfloat16 alone") {
  const Words special{0x00000000u, 0x80000000u, 0x007fffffu, 0x80000001u, 0x7f800000u,
                      0xff800000u, 0x7f800001u, 0xffffffffu, 0x00800000u, 0x3f800000u};
  CHECK(convert<uint32_t>(special, NIB_TYPE_F32, NIB_TYPE_F32) == Words{0, 0x80000000u, 0, 0x80000000u, 0x7f800000u,
                                                                        0xff800000u, 0x7fc00000u, 0xffc00000u,
                                                                        0x00800000u, 0x3f800000u});
  CHECK(convert<uint16_t>(special, NIB_TYPE_F32, NIB_TYPE_F16) ==
        Halves{0, 0x8000, 0, 0x8000, 0x7c00, 0xfc00, 0x7e00, 0xfe00, 0, 0x3c00});
  CHECK(convert<uint16_t>(special, NIB_TYPE_F32, NIB_TYPE_BF16) ==
        Halves{0, 0x8000, 0, 0x8000, 0x7f80, 0xff80, 0x7fc0, 0xffc0, 0x0080, 0x3f80});
  // Half 0x0001 is 2^-24; 0x7c01 a signalling NaN.
  CHECK(convert<uint32_t>(Halves{0x0001, 0x83ff, 0x7c01, 0xfc00}, NIB_TYPE_F16, NIB_TYPE_F32) ==
        Words{0x33800000u, 0xb87fc000u, 0x7fc00000u, 0xff800000u});
  CHECK(convert<uint16_t>(Halves{0x0001, 0x83ff, 0xfc01}, NIB_TYPE_F16, NIB_TYPE_F16) ==
        Halves{0x0001, 0x83ff, 0xfe00});
  CHECK(convert<uint16_t>(Halves{0x0001, 0x807f, 0x0080}, NIB_TYPE_BF16, NIB_TYPE_BF16) == Halves{0, 0x8000, 0x0080});
}

TEST_CASE("convert overflows to infinity or saturates, and counts these elements") {
  // 65519.996, 65520 and the largest fp32, with both signs; infinity is not counted.
  const Words values{0x477fefffu, 0x477ff000u, 0xff7fffffu, 0x7f800000u, 0x477fe000u};
  NibStatus status{};
  CHECK(convert<uint16_t>(values, NIB_TYPE_F32, NIB_TYPE_F16, 0, &status) ==
        Halves{0x7bff, 0x7c00, 0xfc00, 0x7c00, 0x7bff});
  CHECK(status.saturated_count == 2);
  CHECK(status.nonfinite_count == 1);
  CHECK(status.first_nonfinite_not == ~3u);
  CHECK(convert<uint16_t>(values, NIB_TYPE_F32, NIB_TYPE_F16, NIB_CONVERT_SATURATE, &status) ==
        Halves{0x7bff, 0x7bff, 0xfbff, 0x7c00, 0x7bff});
  CHECK(status.saturated_count == 2);
  // The largest bfloat16 is 0x7f7f; half a unit more rounds away from it.
  const Words large{0x7f7f7fffu, 0x7f7f8000u, 0xff800000u};
  CHECK(convert<uint16_t>(large, NIB_TYPE_F32, NIB_TYPE_BF16, 0, &status) == Halves{0x7f7f, 0x7f80, 0xff80});
  CHECK(status.saturated_count == 1);
  CHECK(convert<uint16_t>(large, NIB_TYPE_F32, NIB_TYPE_BF16, NIB_CONVERT_SATURATE) == Halves{0x7f7f, 0x7f7f, 0xff80});
}
