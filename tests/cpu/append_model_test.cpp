// Cache rows against their definition: elements as their values say (model.h), at the rows that tokens name, and no
// other byte.
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

// The bytes that a run must leave in the cache, which held `cache` before.
void appendModel(const Desc& d, const uint8_t* source, const uint8_t* indices, uint32_t n, model::Bytes& cache) {
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
    list.push_back({"cache.format", kUnsupported, [format](Desc& d) { d.cache.format = format; }});
  }
  expectEachRefused(appendDesc(4, 64, 9), "append", list);
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
