// Cache rows against their definition: elements as their values say, or the blob of one row that the model quantizes
// (model.h), at the rows that tokens name, and no other byte.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"

using namespace nib;
using namespace nib::tests;

namespace {

using Desc = NibAppendDesc;
using Halves = std::vector<uint16_t>;
using Bytes = std::vector<uint8_t>;

Desc appendDesc(uint32_t tokens, uint32_t cols, uint32_t cache_rows, uint32_t source = NIB_TYPE_F32,
                uint32_t type = NIB_TYPE_F32) {
  Desc d = selftest::describe<Desc>(NIB_OP_APPEND);
  d.tokens = tokens;
  d.cols = cols;
  d.cache_rows = cache_rows;
  d.source_type = source;
  d.cache.scale_type = type;
  return d;
}

NibWeights cacheOf(uint32_t format, uint32_t group, uint32_t flags = 0) {
  return {format, NIB_GRANULARITY_GROUP, group, NIB_TYPE_F16, flags, {0, 0}};
}

// The bytes of a row: codes, then two bytes for each scale and one for each zero point, in whole words.
uint64_t rowBytes(const NibWeights& w, uint64_t cols) {
  const uint64_t bits = model::formatOf(w.format)->bits, group = w.group_size != 0 ? w.group_size : 32;
  const uint64_t zeros = (w.flags & NIB_WEIGHTS_ASYMMETRIC) != 0 ? model::roundUp(cols / group, 4) : 0;
  return cols * bits / 8 + model::roundUp(cols / group * 2, 4) + zeros;
}

// The same of a quantized cache: the model's blob of each token, without the gaps.
void quantizeModel(const Desc& d, const uint8_t* source, const uint8_t* indices, uint32_t n, model::Bytes& cache) {
  const uint64_t stride = (d.source_stride != 0 ? d.source_stride : d.cols) * uint64_t(model::sizeOf(d.source_type));
  NibQuantizeDesc quantize = selftest::describe<NibQuantizeDesc>(NIB_OP_QUANTIZE);
  quantize.rows = 1;
  quantize.cols = d.cols;
  quantize.source_type = d.source_type;
  quantize.weights = d.cache;
  const model::Layout l = model::layoutOf(1, d.cols, d.cache);
  for (uint64_t token = 0; token < n; ++token) {
    const uint64_t row = model::loadBits(indices + token * 4, 4);
    if (row >= d.cache_rows) continue;
    model::Bytes blob(static_cast<size_t>(l.blob_bytes));
    model::quantize(quantize, source + token * stride, 1, blob, nullptr);
    uint8_t* to = &cache[size_t(row * rowBytes(d.cache, d.cols))];
    to = std::copy_n(blob.data(), l.codes_bytes, to);
    to = std::copy_n(blob.data() + l.scales_offset, l.scales_bytes, to);
    std::copy_n(blob.data() + l.zeros_offset, l.zeros_bytes, to);
  }
}

// The bytes that a run must leave in the cache, which held `cache` before.
void appendModel(const Desc& d, const uint8_t* source, const uint8_t* indices, uint32_t n, model::Bytes& cache) {
  if (d.cache.format != NIB_FORMAT_DENSE) return quantizeModel(d, source, indices, n, cache);
  const uint32_t type = d.cache.scale_type, size = model::sizeOf(type);
  const uint64_t source_stride = d.source_stride != 0 ? d.source_stride : d.cols;
  uint64_t stride = d.cache_stride;
  if (stride == 0) stride = size == 2 ? model::roundUp(d.cols, 2) : d.cols;
  for (uint64_t token = 0; token < n; ++token) {
    const uint64_t row = model::loadBits(indices + token * 4, 4);
    if (row >= d.cache_rows) continue;
    for (uint64_t col = 0; col < d.cols; ++col) {
      const uint32_t from = model::sizeOf(d.source_type);
      const uint32_t pattern = model::loadBits(source + (token * source_stride + col) * from, from);
      const double v = model::valueOf(d.source_type, pattern);
      const bool negative = (pattern >> (from * 8 - 1) & 1u) != 0;
      const double y = std::isnan(v) ? std::copysign(NAN, negative ? -1 : 1) : model::roundTo(type, v);
      model::storeBits(&cache[size_t((row * stride + col) * size)], size, model::bitsOf(type, y));
    }
    if (size == 2 && d.cols % 2 != 0) model::storeBits(&cache[size_t((row * stride + d.cols) * 2)], 2, 0);
  }
}

void checkMemory() {
  uint32_t turn = 0;
  for (const Extents& shape : kExtents) {
    for (const uint32_t rows : {1u, 300u, 65536u}) {
      ++turn;
      Desc d = appendDesc(shape.rows, shape.cols, rows, turn % 3, turn / 3 % 3);
      const uint32_t type = d.cache.scale_type;
      if ((uint64_t(shape.cols) + 1) * std::max(shape.rows, rows) > kMostElements) continue;
      INFO(shape.rows, " tokens of ", shape.cols, ", a cache of ", rows);
      const NibMemory memory = memoryOf(d);
      uint64_t end =
          checkNext(memory, NIB_PART_SOURCE, 0, denseBytes(shape.rows, shape.cols, shape.cols, d.source_type));
      end = checkNext(memory, NIB_PART_INDICES, end, uint64_t(shape.rows) * 4);
      CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
      const uint64_t stride = rows > 1 ? evenStride(shape.cols, type) : shape.cols;
      end = checkNext(memory, NIB_PART_RESULT, 0, denseBytes(rows, shape.cols, stride, type));
      CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == end);
      CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
      CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
      CHECK(memory.part[NIB_PART_INDICES].role == uint32_t(NIB_ROLE_INPUT));
      CHECK(memory.part[NIB_PART_RESULT].role == uint32_t(NIB_ROLE_OUTPUT));
    }
  }
  const auto cacheBytes = [](const NibWeights& cache) {
    Desc d = appendDesc(2, 192, 5);
    d.cache = cache;
    return memoryOf(d).range[NIB_ROLE_OUTPUT].size_bytes;
  };
  const auto has = [](uint32_t format) { return nibFormatById(format) != nullptr; };
  // 192 codes, and six scales in twelve bytes; with zero points six bytes in two words.
  if (has(NIB_FORMAT_INT8)) {
    CHECK(cacheBytes(cacheOf(NIB_FORMAT_INT8, 32)) == 5 * (192 + 12));
    CHECK(cacheBytes(cacheOf(NIB_FORMAT_INT8, 64)) == 5 * (192 + 8));
  }
  if (has(NIB_FORMAT_INT4)) {
    CHECK(cacheBytes(cacheOf(NIB_FORMAT_INT4, 32)) == 5 * (96 + 12));
    CHECK(cacheBytes(cacheOf(NIB_FORMAT_INT4, 32, NIB_WEIGHTS_ASYMMETRIC)) == 5 * (96 + 12 + 8));
  }
  if (has(NIB_FORMAT_FP8)) CHECK(cacheBytes(cacheOf(NIB_FORMAT_FP8, 16)) == 5 * (192 + 24));
  if (has(NIB_FORMAT_Q8_0)) CHECK(cacheBytes(cacheOf(NIB_FORMAT_Q8_0, 0)) == 5 * (192 + 12));
  if (has(NIB_FORMAT_Q4_0)) CHECK(cacheBytes(cacheOf(NIB_FORMAT_Q4_0, 32)) == 5 * (96 + 12));
}

void checkRefusals() {
  std::vector<Wrong<Desc>> list = {
      {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
      {"tokens", kInvalid, [](Desc& d) { d.tokens = 0; }},
      {"cache_rows", kInvalid, [](Desc& d) { d.cache_rows = 0; }},
      {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
      {"tokens * cols", kInvalid, [](Desc& d) { d.tokens = 0x10000000u; }},
      {"cache_rows * cols", kInvalid, [](Desc& d) { d.cache_rows = 0x10000000u; }},
      {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
      {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
      {"cache_stride", kInvalid, [](Desc& d) { d.cache_stride = 62; }},
      {"cache_stride", kInvalid, [](Desc& d) { d.cache_stride = 65, d.cache.scale_type = NIB_TYPE_BF16; }},
      {"cache.scale_type", kInvalid, [](Desc& d) { d.cache.scale_type = NIB_TYPE_E8M0; }},
      {"cache.granularity", kInvalid, [](Desc& d) { d.cache.granularity = NIB_GRANULARITY_GROUP; }},
      {"group_size", kInvalid, [](Desc& d) { d.cache.group_size = 32; }},
      {"flags", kInvalid, [](Desc& d) { d.cache.flags = NIB_WEIGHTS_ALIGNED; }},
      {"reserved", kInvalid, [](Desc& d) { d.cache.reserved[1] = 1; }},
      {"cache.format", kUnsupported, [](Desc& d) { d.cache.format = 0x7ffffffeu; }},
  };
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const uint32_t format = nibFormatAt(i)->format;
    // Those that a cache may have need more fields than a dense one.
    constexpr uint32_t kTaken[] = {NIB_FORMAT_INT8, NIB_FORMAT_INT4, NIB_FORMAT_FP8, NIB_FORMAT_Q8_0, NIB_FORMAT_Q4_0};
    if (std::find(std::begin(kTaken), std::end(kTaken), format) != std::end(kTaken)) {
      list.push_back({"cache.granularity", kInvalid, [format](Desc& d) { d.cache.format = format; }});
      continue;
    }
    list.push_back({"cache.format", kUnsupported, [format](Desc& d) { d.cache.format = format; }});
  }
  expectEachRefused(appendDesc(4, 64, 9), "append", list);
  if (nibFormatById(NIB_FORMAT_INT8) == nullptr) return;
  Desc coded = appendDesc(4, 64, 9);
  coded.cache = cacheOf(NIB_FORMAT_INT8, 32);
  expectEachRefused(
      coded, "append",
      {{"cache.format", kUnsupported, [](Desc& d) { d.cache.format = NIB_FORMAT_UINT8; }},
       {"cache.granularity", kInvalid, [](Desc& d) { d.cache.granularity = NIB_GRANULARITY_ROW; }},
       {"cache.scale_type", kInvalid, [](Desc& d) { d.cache.scale_type = NIB_TYPE_F32; }},
       {"cache.flags", kInvalid, [](Desc& d) { d.cache.flags = NIB_WEIGHTS_ALIGNED; }},
       {"cache.flags", kInvalid, [](Desc& d) { d.cache.flags = NIB_WEIGHTS_FOUR_BITS; }},
       {"cache.flags", kInvalid, [](Desc& d) { d.cache.flags = NIB_WEIGHTS_NARROW | NIB_WEIGHTS_ASYMMETRIC; }},
       {"cache.reserved", kInvalid, [](Desc& d) { d.cache.reserved[0] = 1; }},
       {"cache.group_size", kInvalid, [](Desc& d) { d.cache.group_size = 0; }},
       {"cache.group_size", kInvalid, [](Desc& d) { d.cache.group_size = 24; }},
       {"cols", kInvalid, [](Desc& d) { d.cache.group_size = UINT32_MAX; }},
       {"cols", kInvalid, [](Desc& d) { d.cache.group_size = 128; }},
       {"cols", kInvalid, [](Desc& d) { d.cols = 72; }},
       {"cache_stride", kInvalid, [](Desc& d) { d.cache_stride = 64; }},
       {"cache_rows", kInvalid, [](Desc& d) { d.cache_rows = 0x10000000u; }}});
  if (nibFormatById(NIB_FORMAT_FP8) == nullptr || nibFormatById(NIB_FORMAT_Q4_0) == nullptr) return;
  coded.cache = cacheOf(NIB_FORMAT_FP8, 32);
  expectEachRefused(coded, "append",
                    {{"cache.flags", kUnsupported, [](Desc& d) { d.cache.flags = NIB_WEIGHTS_ASYMMETRIC; }}});
  coded.cache = cacheOf(NIB_FORMAT_Q4_0, 32);
  expectEachRefused(coded, "append",
                    {{"cache.group_size", kInvalid, [](Desc& d) { d.cache.group_size = 16; }},
                     {"cols", kInvalid, [](Desc& d) { d.cols = 80; }}});
}

}  // namespace

NIB_DEFINE_OP_TEST(append, checkMemory, checkRefusals)

TEST_SUITE_BEGIN("append");

TEST_CASE("append gives the model's bytes for every case of the shared list") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_APPEND, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 100);
  for (const selftest::Case& c : list) {
    INFO(c.name());
    Ranges ranges(c.desc());
    REQUIRE(ranges.valid());
    prepare(c, ranges);
    const model::Bytes input = ranges.copy(NIB_ROLE_INPUT);
    model::Bytes cache = ranges.copy(NIB_ROLE_OUTPUT);
    const uint8_t* indices = input.data() + ranges.memory.part[NIB_PART_INDICES].offset_bytes;
    appendModel(c.as<Desc>(), input.data(), indices, c.n, cache);
    REQUIRE(ranges.run(c.n) == NIB_SUCCESS);
    CHECK(firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), cache.data(), cache.size()) == "");
    CHECK(ranges.guardsHold());
    CHECK(ranges.copy(NIB_ROLE_INPUT) == input);
  }
}

TEST_CASE("tokens go to the rows they name, one that names none is left out, and other rows stay") {
  const Desc d = appendDesc(3, 3, 4, NIB_TYPE_F32, NIB_TYPE_F16);
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  const float source[] = {1, 2, 65520, -0.5f, 0x1p-24f, -0.0f, 7, 8, 9};
  const uint32_t rows[] = {2, 0, 4};
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_SOURCE), source, sizeof source);
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_INDICES), rows, sizeof rows);
  REQUIRE(ranges.run(3) == NIB_SUCCESS);
  const uint16_t old = 0xa5a5;
  // Rows of three halves take four.
  CHECK(ranges.read<uint16_t>(NIB_ROLE_OUTPUT, 0, 15) ==
        Halves{0xb800, 0x0001, 0x8000, 0, old, old, old, old, 0x3c00, 0x4000, 0x7c00, 0, old, old, old});
}

// The codes, then the halves of the scales, then zero points. Written out from the header's description.
TEST_CASE("rows of a quantized cache by hand") {
  const auto has = [](uint32_t format) { return nibFormatById(format) != nullptr; };
  // Two groups of sixteen: 0..15 with a step of 1, and one element among zeros.
  std::vector<float> token(32, 0);
  for (uint32_t i = 0; i < 16; ++i) token[i] = float(i);
  token[20] = -4;
  const auto row = [&](const NibWeights& cache, uint32_t index) {
    Desc d = appendDesc(1, 32, 2);
    d.cache = cache;
    Ranges ranges(asOp(d));
    REQUIRE(ranges.valid());
    std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_SOURCE), token.data(), token.size() * 4);
    std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_INDICES), &index, 4);
    REQUIRE(ranges.run(1) == NIB_SUCCESS);
    const size_t size = size_t(ranges.memory.range[NIB_ROLE_OUTPUT].size_bytes / 2);
    const Bytes all = ranges.copy(NIB_ROLE_OUTPUT);
    const auto begin = all.begin() + std::ptrdiff_t(index * size);
    return Bytes(begin, begin + std::ptrdiff_t(size));
  };
  if (has(NIB_FORMAT_INT4)) {
    // The range 0..15 has the scale 1 and the zero point 0; -4..0 the scale 4/15 (half 0x3444) and the zero point 15.
    CHECK(row(cacheOf(NIB_FORMAT_INT4, 16, NIB_WEIGHTS_ASYMMETRIC), 1) ==
          Bytes{0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, 0xff, 0xff, 0xf0, 0xff,
                0xff, 0xff, 0xff, 0xff, 0x00, 0x3c, 0x44, 0x34, 0x00, 0x0f, 0x00, 0x00});
    // 15/7.5 = 2 and 4/7.5 (half 0x3844): codes of x/2, ties to even, and -8 for -4.
    CHECK(row(cacheOf(NIB_FORMAT_INT4, 16), 0) == Bytes{0x88, 0xa9, 0xaa, 0xcb, 0xcc, 0xed, 0xee, 0xff, 0x88, 0x88,
                                                        0x80, 0x88, 0x88, 0x88, 0x88, 0x88, 0x00, 0x40, 0x44, 0x38});
  }
  if (has(NIB_FORMAT_Q4_0)) {
    // One block: the farthest element, 15, gets -8, with the scale -15/8 (half 0xbf80). Codes: trunc(8.5 - 8 i / 15).
    Bytes expected;
    for (uint32_t i = 0; i < 32; i += 2) {
      const auto code = [&](uint32_t at) { return uint32_t(8.5 - double(token[at]) * 8 / 15); };
      expected.push_back(uint8_t(code(i) | code(i + 1) << 4));
    }
    expected.insert(expected.end(), {0x80, 0xbf, 0, 0});
    CHECK(row(cacheOf(NIB_FORMAT_Q4_0, 0), 1) == expected);
  }
  if (has(NIB_FORMAT_Q8_0)) {
    // One block: 15/127 as a half is 0x2f8f; codes are made before it is rounded.
    Bytes expected;
    for (const float x : token) expected.push_back(uint8_t(int8_t(std::lround(double(x) * 127 / 15))));
    expected.insert(expected.end(), {0x8f, 0x2f, 0, 0});
    CHECK(row(cacheOf(NIB_FORMAT_Q8_0, 32), 0) == expected);
  }
  if (has(NIB_FORMAT_FP8)) {
    // A scale of 448 / 448 = 1: codes are those of the numbers themselves.
    token.assign(32, 1.0f);
    token[1] = 448;
    token[31] = -0.5f;
    Bytes expected(32, 0x38);
    expected[1] = 0x7e;
    expected[31] = 0xb0;
    expected.insert(expected.end(), {0x00, 0x3c, 0, 0});
    CHECK(row(cacheOf(NIB_FORMAT_FP8, 32), 1) == expected);
  }
  if (has(NIB_FORMAT_INT8)) {
    // 127.5 has the scale 1. A group that is not finite is 0 altogether.
    token.assign(32, 1.0f);
    token[2] = -127.5f;
    token[3] = 127.5f;
    token[20] = HUGE_VALF;
    Bytes expected(32, 1);
    expected[2] = 0x80;
    expected[3] = 127;
    for (size_t i = 16; i < 32; ++i) expected[i] = 0;
    expected.insert(expected.end(), {0x00, 0x3c, 0, 0});
    CHECK(row(cacheOf(NIB_FORMAT_INT8, 16), 0) == expected);
  }
}

TEST_CASE("a first row is refused: rows are data") {
  const Desc d = appendDesc(3, 4, 9);
  Ranges ranges(asOp(d));
  LogLines lines;
  const NibLog log = lines.log();
  const NibRun run{sizeof(NibRun), 1, 1, 0, UINT32_MAX, {}};
  CHECK(nibCpuRun(asOp(d), &ranges.binding, &run, nullptr, &log) == NIB_ERROR_INVALID_ARGUMENT);
  REQUIRE(lines.lines.size() == 1);
  CHECK(lines.lines[0].find("first_row") != std::string::npos);
}

TEST_SUITE_END();
