// Rotary embedding against its definition in double precision (float_model.h), against rotations by exact angles, and
// numbers worked out by hand; tables of it.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "float_model.h"
#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"

using namespace nib;
using namespace nib::tests;

namespace {

using Desc = NibRopeDesc;
using Floats = std::vector<float>;

Desc ropeDesc(uint32_t tokens, uint32_t heads, uint32_t head_size, uint32_t rotary_size, uint32_t positions,
              uint32_t flags = 0) {
  Desc d = selftest::describe<Desc>(NIB_OP_ROPE);
  d.flags = flags;
  d.tokens = tokens;
  d.heads = heads;
  d.head_size = head_size;
  d.rotary_size = rotary_size;
  d.positions = positions;
  return d;
}

uint32_t rotarySize(const Desc& d) { return d.rotary_size != 0 ? d.rotary_size : d.head_size; }

struct Inputs {
  const uint8_t *table, *source, *indices;
};

// Element e of a head that begins at element `from`, rotated as its token's position says.
double rotated(const Desc& d, const Inputs& in, uint64_t token, uint64_t from, uint32_t e) {
  const auto load = [&](uint32_t at) { return model::load(in.source, d.source_type, from + at); };
  const uint32_t rotary = rotarySize(d), half = rotary / 2;
  if (e >= rotary) return load(e);
  const bool interleaved = (d.flags & NIB_ROPE_INTERLEAVED) != 0;
  const uint32_t pair = interleaved ? e / 2 : e % half;
  const bool first = interleaved ? e % 2 == 0 : e < half;
  const uint32_t other = interleaved ? e ^ 1u : first ? e + half : e - half;
  const uint64_t position = std::min(model::loadBits(in.indices + token * 4, 4), d.positions - 1);
  const double cosine = model::load(in.table, NIB_TYPE_F32, position * rotary + pair * 2);
  const double sine = model::load(in.table, NIB_TYPE_F32, position * rotary + pair * 2 + 1);
  const double straight = model::productOf(load(e), cosine), crossed = model::productOf(load(other), sine);
  return model::sumOf(straight, first ? -crossed : crossed);
}

void ropeModel(const Desc& d, const Inputs& in, uint32_t n, model::Bytes& result) {
  const uint64_t cols = uint64_t(d.heads) * d.head_size;
  const uint64_t source_stride = d.source_stride != 0 ? d.source_stride : cols;
  const uint64_t stride = d.result_stride != 0 ? d.result_stride : cols;
  const uint32_t size = model::sizeOf(d.result_type);
  for (uint64_t token = 0; token < n; ++token) {
    for (uint64_t col = 0; col < cols; ++col) {
      const uint64_t begin = token * source_stride + col / d.head_size * d.head_size;
      double y = model::roundTo(d.result_type, rotated(d, in, token, begin, uint32_t(col % d.head_size)));
      // A NaN that is not rotated keeps its sign.
      if (std::isnan(y)) y = col % d.head_size < rotarySize(d) ? NAN : std::copysign(NAN, y);
      model::storeBits(&result[size_t((token * stride + col) * size)], size, model::bitsOf(d.result_type, y));
    }
  }
}

void checkMemory() {
  uint32_t turn = 0;
  for (const Extents& shape : kExtents) {
    for (const uint32_t head_size : {4u, 64u, 96u, 128u}) {
      for (const uint32_t positions : {1u, 77u, 131072u}) {
        const uint64_t heads = shape.cols / head_size, cols = heads * head_size;
        if (heads == 0 || (cols + 1) * shape.rows > kMostElements) continue;
        ++turn;
        INFO(shape.rows, " tokens, ", heads, " heads of ", head_size);
        Desc d = ropeDesc(shape.rows, uint32_t(heads), head_size, turn % 2 != 0 ? head_size / 2 / 4 * 4 : 0, positions);
        d.source_type = turn % 3;
        d.result_type = turn / 3 % 3;
        const uint64_t rotary = d.rotary_size != 0 ? d.rotary_size : head_size;
        const NibMemory memory = memoryOf(d);
        uint64_t end = checkNext(memory, NIB_PART_TABLE, 0, positions * rotary * 4);
        CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == end);
        end = checkNext(memory, NIB_PART_SOURCE, 0, denseBytes(shape.rows, cols, cols, d.source_type));
        end = checkNext(memory, NIB_PART_INDICES, end, uint64_t(shape.rows) * 4);
        CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
        end = checkNext(memory, NIB_PART_RESULT, 0, denseBytes(shape.rows, cols, cols, d.result_type));
        CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == end);
        CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
        CHECK(memory.part[NIB_PART_TABLE].role == uint32_t(NIB_ROLE_WEIGHTS));
        CHECK(memory.part[NIB_PART_INDICES].role == uint32_t(NIB_ROLE_INPUT));
        CHECK(memory.part[NIB_PART_RESULT].role == uint32_t(NIB_ROLE_OUTPUT));
      }
    }
  }
  CHECK(turn > 50);
}

void checkRefusals() {
  const std::vector<Wrong<Desc>> list = {
      {"flags", kInvalid, [](Desc& d) { d.flags |= 2; }},
      {"tokens", kInvalid, [](Desc& d) { d.tokens = 0; }},
      {"heads", kInvalid, [](Desc& d) { d.heads = 0; }},
      {"heads", kInvalid, [](Desc& d) { d.heads = 0x80000000u; }},
      {"head_size", kInvalid, [](Desc& d) { d.head_size = 0; }},
      {"head_size", kInvalid, [](Desc& d) { d.head_size = 65; }},
      {"rotary_size", kInvalid, [](Desc& d) { d.rotary_size = 68; }},
      {"rotary_size", kInvalid, [](Desc& d) { d.rotary_size = 31; }},
      {"positions", kInvalid, [](Desc& d) { d.positions = 0; }},
      {"positions", kInvalid, [](Desc& d) { d.positions = 0x10000000u; }},
      {"tokens * heads * head_size", kInvalid, [](Desc& d) { d.tokens = 0x10000000u; }},
      {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
      {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 255; }},
      {"result_type", kInvalid, [](Desc& d) { d.result_type = 3; }},
      {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 254; }},
      {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 257, d.result_type = NIB_TYPE_F16; }},
  };
  expectEachRefused(ropeDesc(9, 4, 64, 32, 100), "rope", list);
  expectEachRefused(ropeDesc(9, 4, 64, 32, 100, NIB_ROPE_INTERLEAVED), "rope", list);
  // Two pairs of halves share a word, so that only whole ones can be written.
  expectEachRefused<Desc>(ropeDesc(9, 4, 64, 32, 100), "rope",
                          {{"rotary_size", kInvalid, [](Desc& d) { d.rotary_size = 30; }},
                           {"rotary_size", kInvalid, [](Desc& d) { d.rotary_size = 0, d.head_size = 66; }}});
}

// One token at position 1, with a table of two positions; the first turns by nothing.
Floats run(const Desc& d, const Floats& source, const Floats& row, uint32_t position = 1) {
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  const uint32_t rotary = rotarySize(d);
  float* table = reinterpret_cast<float*>(ranges.part(NIB_ROLE_WEIGHTS, NIB_PART_TABLE));
  for (uint32_t i = 0; i < rotary; ++i) table[i] = i % 2 == 0 ? 1.0f : 0.0f;
  std::memcpy(table + rotary, row.data(), row.size() * sizeof(float));
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_SOURCE), source.data(), source.size() * sizeof(float));
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_INDICES), &position, sizeof position);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  return ranges.read<float>(NIB_ROLE_OUTPUT, 0, source.size());
}

std::vector<double> frequenciesOf(uint32_t rotary, double base) {
  std::vector<double> frequencies(rotary / 2);
  for (size_t i = 0; i < frequencies.size(); ++i) frequencies[i] = std::pow(base, -2.0 * double(i) / rotary);
  return frequencies;
}

}  // namespace

NIB_DEFINE_OP_TEST(rope, checkMemory, checkRefusals)

TEST_SUITE_BEGIN("rope");

TEST_CASE("rope gives the model's bytes for every case of the shared list") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_ROPE, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 200);
  for (const selftest::Case& c : list) {
    INFO(c.name());
    Ranges ranges(c.desc());
    REQUIRE(ranges.valid());
    prepare(c, ranges);
    const model::Bytes input = ranges.copy(NIB_ROLE_INPUT), table = ranges.copy(NIB_ROLE_WEIGHTS);
    model::Bytes result = ranges.copy(NIB_ROLE_OUTPUT);
    const Inputs inputs{table.data(), input.data(), input.data() + ranges.memory.part[NIB_PART_INDICES].offset_bytes};
    ropeModel(c.as<Desc>(), inputs, c.n, result);
    REQUIRE(ranges.run(c.n) == NIB_SUCCESS);
    CHECK(firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size()) == "");
    CHECK(ranges.guardsHold());
    CHECK(ranges.copy(NIB_ROLE_INPUT) == input);
    CHECK(ranges.copy(NIB_ROLE_WEIGHTS) == table);
  }
}

TEST_CASE("pairs are halves of the rotated part, or neighbours; the rest is copied; positions end with the table") {
  // A quarter turn of the first pair, and none of the second, which doubles.
  const Floats row{0, 1, 2, 0};
  CHECK(run(ropeDesc(1, 1, 6, 4, 2), {1, 2, 3, 4, 5, 6}, row) == Floats{-3, 4, 1, 8, 5, 6});
  const Desc pairs = ropeDesc(1, 1, 6, 4, 2, NIB_ROPE_INTERLEAVED);
  CHECK(run(pairs, {1, 2, 3, 4, 5, 6}, row) == Floats{-2, 1, 6, 8, 5, 6});
  CHECK(run(pairs, {1, 2, 3, 4, 5, 6}, row, 0) == Floats{1, 2, 3, 4, 5, 6});
  for (const uint32_t beyond : {2u, 0xffffffffu}) {
    CHECK(run(pairs, {1, 2, 3, 4, 5, 6}, row, beyond) == Floats{-2, 1, 6, 8, 5, 6});
  }
  // Two heads turn alike.
  CHECK(run(ropeDesc(1, 2, 4, 0, 2), {1, 2, 3, 4, 5, 6, 7, 8}, row) == Floats{-3, 4, 1, 8, -7, 12, 5, 16});
}

TEST_CASE("a row of the table turns pairs by position times frequency, and keeps their lengths") {
  constexpr uint32_t kRotary = 64;
  const std::vector<double> frequencies = frequenciesOf(kRotary, 5e5);
  const Desc d = ropeDesc(1, 1, kRotary, 0, 2);
  for (const uint32_t position : {0u, 1u, 4095u, 131071u}) {
    Floats row(kRotary), source(kRotary);
    REQUIRE(nibFillRopeTable(frequencies.data(), kRotary, 1, position, 1, row.data(), nullptr) == NIB_SUCCESS);
    for (uint32_t i = 0; i < kRotary; ++i) source[i] = float(i % 7) - 3;
    const Floats got = run(d, source, row);
    for (uint32_t i = 0; i < kRotary / 2; ++i) {
      const double x = double(source[i]), y = double(source[i + kRotary / 2]), angle = position * frequencies[i];
      CHECK(double(got[i]) == doctest::Approx(x * std::cos(angle) - y * std::sin(angle)).epsilon(1e-6));
      CHECK(std::hypot(double(got[i]), double(got[i + kRotary / 2])) ==
            doctest::Approx(std::hypot(x, y)).epsilon(1e-6));
    }
  }
}

TEST_CASE("tables hold cosines and sines of any stretch of positions, times a factor") {
  constexpr uint32_t kRotary = 6;
  const std::vector<double> frequencies = frequenciesOf(kRotary, 1e4);
  Floats whole(kRotary * 40), part(kRotary * 3), louder(kRotary * 40);
  REQUIRE(nibFillRopeTable(frequencies.data(), kRotary, 1, 0, 40, whole.data(), nullptr) == NIB_SUCCESS);
  REQUIRE(nibFillRopeTable(frequencies.data(), kRotary, 1, 37, 3, part.data(), nullptr) == NIB_SUCCESS);
  REQUIRE(nibFillRopeTable(frequencies.data(), kRotary, 1.25, 0, 40, louder.data(), nullptr) == NIB_SUCCESS);
  CHECK(Floats(whole.begin() + 37 * kRotary, whole.end()) == part);
  for (uint32_t position = 0; position < 40; ++position) {
    for (uint32_t i = 0; i < kRotary / 2; ++i) {
      const double angle = position * frequencies[i];
      const size_t at = position * kRotary + i * 2;
      CHECK(std::fabs(double(whole[at]) - std::cos(angle)) <= 0x1p-24);
      CHECK(std::fabs(double(whole[at + 1]) - std::sin(angle)) <= 0x1p-24);
      CHECK(std::fabs(double(louder[at]) - 1.25 * std::cos(angle)) <= 0x1p-23);
      CHECK(std::fabs(double(louder[at + 1]) - 1.25 * std::sin(angle)) <= 0x1p-23);
    }
  }
  LogLines lines;
  const NibLog log = lines.log();
  CHECK(nibFillRopeTable(nullptr, kRotary, 1, 0, 1, part.data(), &log) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibFillRopeTable(frequencies.data(), kRotary, 1, 0, 1, nullptr, &log) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibFillRopeTable(frequencies.data(), 0, 1, 0, 1, part.data(), &log) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibFillRopeTable(frequencies.data(), 5, 1, 0, 1, part.data(), &log) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibFillRopeTable(frequencies.data(), kRotary, 1, 0xffffffffu, 2, part.data(), &log) ==
        NIB_ERROR_INVALID_ARGUMENT);
  CHECK(lines.lines.size() == 5);
  CHECK(nibFillRopeTable(frequencies.data(), kRotary, 1, 0xffffffffu, 1, part.data(), &log) == NIB_SUCCESS);
}

TEST_CASE("queries are rotated in place within a row of queries, keys and values") {
  // Rows of 12 elements; two heads of four are the queries.
  Desc d = ropeDesc(2, 2, 4, 0, 2);
  d.source_stride = d.result_stride = 12;
  Floats rows(24);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = float(i);
  Floats table{1, 0, 1, 0, 0, 1, 0, 1};
  const uint32_t positions[] = {0, 1};
  const NibMemory memory = memoryOf(d);
  Floats input(size_t(memory.range[NIB_ROLE_INPUT].size_bytes / 4), 0);
  std::copy(rows.begin(), rows.begin() + 20, input.begin());
  std::memcpy(input.data() + memory.part[NIB_PART_INDICES].offset_bytes / 4, positions, sizeof positions);
  NibCpuBinding binding{sizeof(NibCpuBinding)};
  binding.range[NIB_ROLE_WEIGHTS] = {table.data(), table.size() * 4};
  binding.range[NIB_ROLE_INPUT] = {input.data(), input.size() * 4};
  binding.range[NIB_ROLE_OUTPUT] = {input.data(), size_t(memory.range[NIB_ROLE_OUTPUT].size_bytes)};
  REQUIRE(cpuRun(asOp(d), &binding, 2, nullptr, nullptr) == NIB_SUCCESS);
  CHECK(Floats(input.begin(), input.begin() + 20) ==
        Floats{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -14, -15, 12, 13, -18, -19, 16, 17});
}

TEST_SUITE_END();
