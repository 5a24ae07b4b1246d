// Attention against its definition in double precision (selftest/cases/attention.cpp judges every case), numbers worked
// out by hand, indices of every kind, and work in place.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "case_bound.h"
#include "memory_checks.h"
#include "model_ops.h"
#include "ops/attention.h"
#include "prepare.h"
#include "refusals.h"
#include "selftest/caches.h"
#include "selftest/op_cases.h"

using namespace nib;
using namespace nib::tests;

namespace {

NibAttentionDesc attentionDesc(uint32_t tokens, uint32_t heads, uint32_t key_heads, uint32_t head_size,
                               uint32_t cache_rows, uint32_t type = NIB_TYPE_F32) {
  NibAttentionDesc d = selftest::describe<NibAttentionDesc>(NIB_OP_ATTENTION);
  d.tokens = tokens;
  d.heads = heads;
  d.key_heads = key_heads;
  d.head_size = head_size;
  d.cache_rows = cache_rows;
  d.source_type = d.cache_type = d.result_type = type;
  return d;
}

void checkMemory() {
  struct Sizes {
    uint32_t tokens, heads, key_heads, head_size, cache_rows;
  };
  constexpr Sizes kSizes[] = {{1, 1, 1, 8, 1},       {1, 32, 8, 128, 4096},  {1, 32, 8, 128, 1u << 20},
                              {7, 14, 2, 64, 300},   {512, 32, 8, 128, 512}, {4096, 71, 1, 64, 4096},
                              {33, 9, 3, 72, 70000}, {15, 6, 6, 256, 257},   {16, 8, 4, 256, 2}};
  for (const Sizes& s : kSizes) {
    for (uint32_t i = 0; i < 12; ++i) {
      const uint32_t type = i % 3;
      NibAttentionDesc d = attentionDesc(s.tokens, s.heads, s.key_heads, s.head_size, s.cache_rows, type);
      const uint64_t cols = uint64_t(s.heads) * s.head_size, key_cols = uint64_t(s.key_heads) * s.head_size;
      const uint64_t wider = i / 3 % 2 * 8;
      if (wider != 0) {
        d.source_stride = uint32_t(cols + wider);
        d.key_stride = uint32_t(key_cols + 2 * wider);
        d.value_stride = uint32_t(key_cols + 3 * wider);
        d.result_stride = uint32_t(cols + 4 * wider);
      }
      if (i >= 6) d.flags = NIB_ATTENTION_SINGLE;
      INFO(s.tokens, " tokens, ", s.heads, ":", s.key_heads, " heads of ", s.head_size, ", ", s.cache_rows, " rows, ",
           i);
      const NibMemory memory = memoryOf(d);
      uint64_t end =
          checkNext(memory, NIB_PART_KEYS, 0, tests::denseBytes(s.cache_rows, key_cols, key_cols + 2 * wider, type));
      end = checkNext(memory, NIB_PART_VALUES, end,
                      tests::denseBytes(s.cache_rows, key_cols, key_cols + 3 * wider, type));
      CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == end);
      end = checkNext(memory, NIB_PART_SOURCE, 0, tests::denseBytes(s.tokens, cols, cols + wider, type));
      end = checkNext(memory, NIB_PART_INDICES, end, uint64_t(s.tokens) * 16);
      CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
      CHECK(memory.part[NIB_PART_INDICES].role == NIB_ROLE_INPUT);
      end = checkNext(memory, NIB_PART_RESULT, 0, tests::denseBytes(s.tokens, cols, cols + 4 * wider, type));
      CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == end);
      // For each token its indices, and 4 + head_size words for each head and piece of the keys.
      const uint64_t piece = uint64_t(s.tokens) * s.heads * (4 + s.head_size) * 4, indices = uint64_t(s.tokens) * 16;
      const NibMemoryPart& scratch = memory.part[NIB_PART_SCRATCH];
      CHECK(scratch.role == NIB_ROLE_AUX);
      CHECK(memory.range[NIB_ROLE_AUX].size_bytes == scratch.size_bytes);
      CHECK((scratch.size_bytes - indices) % piece == 0);
      const uint64_t pieces = (scratch.size_bytes - indices) / piece;
      CHECK(pieces >= 1);
      CHECK(pieces <= 64);
      CHECK(pieces <= (uint64_t(s.cache_rows) + 255) / 256);
    }
  }
  // The keys of one token of a long sequence are split into pieces; those of a long prompt are not.
  const auto pieces = [](const NibAttentionDesc& d) { return attentionPieces(d); };
  CHECK(pieces(attentionDesc(1, 32, 8, 128, 4096)) == 16);
  CHECK(pieces(attentionDesc(1, 32, 8, 128, 1u << 20)) == 64);
  CHECK(pieces(attentionDesc(512, 32, 8, 128, 4096)) == 1);
}

NibWeights cacheOf(uint32_t format, uint32_t group, uint32_t flags = 0) {
  return {format, NIB_GRANULARITY_GROUP, group, NIB_TYPE_F16, flags, {0, 0}};
}

void checkCodedRefusals() {
  using D = NibAttentionDesc;
  if (nibFormatById(NIB_FORMAT_INT8) == nullptr) return;
  D coded = attentionDesc(4, 4, 2, 32, 100);
  coded.cache = cacheOf(NIB_FORMAT_INT8, 32);
  expectEachRefused(coded, "attention",
                    {{"cache_type", kInvalid, [](D& d) { d.cache_type = NIB_TYPE_F16; }},
                     {"key_stride", kInvalid, [](D& d) { d.key_stride = 64; }},
                     {"value_stride", kInvalid, [](D& d) { d.value_stride = 64; }},
                     {"head_size", kInvalid, [](D& d) { d.head_size = 16; }},
                     {"head_size", kInvalid, [](D& d) { d.head_size = 72; }},
                     {"head_size", kInvalid, [](D& d) { d.cache.group_size = 64; }},
                     {"cache.format", kUnsupported, [](D& d) { d.cache.format = NIB_FORMAT_UINT8; }},
                     {"cache.granularity", kInvalid, [](D& d) { d.cache.granularity = NIB_GRANULARITY_ROW; }},
                     {"cache.scale_type", kInvalid, [](D& d) { d.cache.scale_type = NIB_TYPE_BF16; }},
                     {"cache.flags", kInvalid, [](D& d) { d.cache.flags = NIB_WEIGHTS_ALIGNED; }},
                     {"cache.reserved", kInvalid, [](D& d) { d.cache.reserved[1] = 1; }},
                     {"cache", kInvalid, [](D& d) { d.cache.format = NIB_FORMAT_DENSE; }}});
}

void checkRefusals() {
  using D = NibAttentionDesc;
  const std::vector<Wrong<D>> list = {
      {"flags", kInvalid, [](D& d) { d.flags |= 1u << 1; }},
      {"tokens", kInvalid, [](D& d) { d.tokens = 0; }},
      {"heads", kInvalid, [](D& d) { d.heads = 0; }},
      {"heads", kInvalid, [](D& d) { d.heads = 5; }},
      {"heads", kInvalid, [](D& d) { d.heads = 0x80000000u; }},
      {"key_heads", kInvalid, [](D& d) { d.key_heads = 0; }},
      {"head_size", kInvalid, [](D& d) { d.head_size = 0; }},
      {"head_size", kInvalid, [](D& d) { d.head_size = 20; }},
      {"head_size", kInvalid, [](D& d) { d.head_size = 264; }},
      {"cache_rows", kInvalid, [](D& d) { d.cache_rows = 0; }},
      {"rows", kInvalid, [](D& d) { d.cache_rows = 1u << 26; }},
      {"tokens", kInvalid, [](D& d) { d.tokens = 30000000; }},
      {"source_type", kInvalid, [](D& d) { d.source_type = 3; }},
      {"source_stride", kInvalid, [](D& d) { d.source_stride = 120; }},
      {"source_stride", kInvalid, [](D& d) { d.source_stride = 132; }},
      {"cache_type", kInvalid, [](D& d) { d.cache_type = 3; }},
      {"key_stride", kInvalid, [](D& d) { d.key_stride = 56; }},
      {"key_stride", kInvalid, [](D& d) { d.key_stride = 66; }},
      {"value_stride", kInvalid, [](D& d) { d.value_stride = 56; }},
      {"value_stride", kInvalid, [](D& d) { d.value_stride = 66; }},
      {"result_type", kInvalid, [](D& d) { d.result_type = 3; }},
      {"result_stride", kInvalid, [](D& d) { d.result_stride = 120; }},
      {"result_stride", kInvalid, [](D& d) { d.result_stride = 129; }},
      {"scale", kInvalid, [](D& d) { d.scale = -1; }},
      {"scale", kInvalid, [](D& d) { d.scale = std::nanf(""); }},
      {"scale", kInvalid, [](D& d) { d.scale = 2e6f; }},
      {"cap", kInvalid, [](D& d) { d.cap = -50; }},
      {"cap", kInvalid, [](D& d) { d.cap = HUGE_VALF; }},
  };
  expectEachRefused(attentionDesc(4, 4, 2, 32, 100), "attention", list);
  checkCodedRefusals();
}

using Floats = std::vector<float>;
using Words = std::vector<uint32_t>;

struct Inputs {
  Floats queries, keys, values;
  Words indices;
};

void write(Ranges& ranges, const Inputs& inputs) {
  const auto copy = [&](NibRole role, NibPart part, const void* data, size_t bytes) {
    REQUIRE(ranges.memory.part[part].size_bytes >= bytes);
    std::memcpy(ranges.part(role, part), data, bytes);
  };
  copy(NIB_ROLE_INPUT, NIB_PART_SOURCE, inputs.queries.data(), inputs.queries.size() * 4);
  copy(NIB_ROLE_WEIGHTS, NIB_PART_KEYS, inputs.keys.data(), inputs.keys.size() * 4);
  copy(NIB_ROLE_WEIGHTS, NIB_PART_VALUES, inputs.values.data(), inputs.values.size() * 4);
  copy(NIB_ROLE_INPUT, NIB_PART_INDICES, inputs.indices.data(), inputs.indices.size() * 4);
}

Floats attend(const NibAttentionDesc& d, const Inputs& inputs) {
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  write(ranges, inputs);
  REQUIRE(ranges.run(d.tokens) == NIB_SUCCESS);
  return ranges.read<float>(NIB_ROLE_OUTPUT, 0, size_t(d.tokens) * d.heads * d.head_size);
}

// Four rows of a cache for one head of 8: keys along different axes, values 1, 2, 4 and 8 everywhere.
Inputs fourRows(uint32_t tokens, const Words& indices) {
  Inputs inputs;
  inputs.queries.assign(size_t(tokens) * 8, 0);
  for (uint32_t t = 0; t < tokens; ++t) inputs.queries[size_t(t) * 8] = 1;
  for (uint32_t row = 0; row < 4; ++row) {
    for (uint32_t i = 0; i < 8; ++i) {
      inputs.keys.push_back(i == row ? 1.0f : 0.0f);
      inputs.values.push_back(float(1u << row));
    }
  }
  inputs.indices = indices;
  return inputs;
}

}  // namespace

NIB_DEFINE_OP_TEST(attention, checkMemory, checkRefusals)

TEST_SUITE_BEGIN("attention");

TEST_CASE("every case of attention is within its bound of double precision") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_ATTENTION, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 150);
  for (const selftest::Case& c : list) expectWithinBound(c);
}

// The first key has score s, the others 0: weights e^s : 1 : 1 : 1.
TEST_CASE("attention by hand") {
  NibAttentionDesc d = attentionDesc(1, 1, 1, 8, 4);
  const auto mean = [](double weight) { return (weight * 1 + 2 + 4 + 8) / (weight + 3); };
  Floats out = attend(d, fourRows(1, {0, 4, 3, 0}));
  for (const float y : out) CHECK(double(y) == doctest::Approx(mean(std::exp(1 / std::sqrt(8.0)))).epsilon(1e-6));
  d.scale = 3;
  out = attend(d, fourRows(1, {0, 4, 3, 0}));
  for (const float y : out) CHECK(double(y) == doctest::Approx(mean(std::exp(3.0))).epsilon(1e-6));
  d.cap = 2;
  out = attend(d, fourRows(1, {0, 4, 3, 0}));
  for (const float y : out) CHECK(double(y) == doctest::Approx(mean(std::exp(2 * std::tanh(1.5)))).epsilon(1e-6));
}

// Zero queries give equal weights: the mean of the visible values.
TEST_CASE("what a token sees") {
  const NibAttentionDesc d = attentionDesc(1, 1, 1, 8, 4);
  const auto mean = [&](const Words& indices) {
    Inputs inputs = fourRows(1, indices);
    inputs.queries.assign(8, 0);
    return attend(d, inputs)[0];
  };
  CHECK(mean({0, 4, 0, 0}) == 1);  // causal: itself alone
  CHECK(mean({0, 4, 1, 0}) == 1.5f);
  CHECK(mean({0, 4, 3, 2}) == 6);  // a window of two
  CHECK(mean({0, 4, UINT32_MAX, 0}) == 3.75f);
  CHECK(mean({0, 2, UINT32_MAX, 0}) == 1.5f);  // the sequence's length
  CHECK(mean({2, 2, 1, 0}) == 6);              // another sequence
  CHECK(mean({2, 1, 7, 0}) == 4);
  // Nothing, and numbers beyond the cache.
  CHECK(mean({0, 0, 0, 0}) == 0);
  CHECK(mean({0, 4, 1, 2}) == 0);
  CHECK(mean({4, 1, 0, 0}) == 0);
  CHECK(mean({UINT32_MAX, UINT32_MAX, UINT32_MAX, 0}) == 0);
  CHECK(mean({UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}) == 0);
  CHECK(mean({0, UINT32_MAX, UINT32_MAX, UINT32_MAX}) == 0);
  CHECK(mean({3, UINT32_MAX, UINT32_MAX, 0}) == 8);
  CHECK(mean({3, UINT32_MAX, 0, 0}) == 8);
}

TEST_CASE("heads of a group read the same keys") {
  const NibAttentionDesc d = attentionDesc(1, 4, 2, 8, 1);
  Inputs inputs{Floats(32, 0.5f), Floats(16, 1), Floats(16, 1), {0, 1, 0, 0}};
  for (size_t i = 8; i < 16; ++i) inputs.values[i] = 2;
  const Floats out = attend(d, inputs);
  for (size_t i = 0; i < 32; ++i) CHECK(out[i] == (i < 16 ? 1.0f : 2.0f));
}

TEST_CASE("scores far apart neither overflow nor vanish together") {
  NibAttentionDesc d = attentionDesc(1, 1, 1, 8, 4);
  d.scale = 1 << 15;
  Inputs inputs = fourRows(1, {0, 4, 3, 0});
  CHECK(attend(d, inputs)[0] == 1);
  inputs.queries[0] = -1;
  CHECK(double(attend(d, inputs)[0]) == doctest::Approx(14.0 / 3).epsilon(1e-6));
}

// The same attention over rows that NIB_OP_APPEND quantized, and over what NIB_OP_DEQUANTIZE makes of them, in fp32.
TEST_CASE("attention over a quantized cache is attention over the decoded one") {
  constexpr uint32_t kTokens = 3, kHeads = 4, kKeyHeads = 2, kHeadSize = 192, kRows = 40, kCols = kKeyHeads * kHeadSize;
  NibAttentionDesc dense = attentionDesc(kTokens, kHeads, kKeyHeads, kHeadSize, kRows);
  Inputs inputs;
  for (uint32_t i = 0; i < kTokens * kHeads * kHeadSize; ++i) inputs.queries.push_back(std::sin(float(i) * 0.37f));
  for (uint32_t t = 0; t < kTokens; ++t) {
    for (const uint32_t x : {t == 2 ? 7u : 0u, kRows - 7, 20 + t, t}) inputs.indices.push_back(x);
  }
  const std::vector<NibWeights> ways = selftest::cacheWays();
  for (const NibWeights& cache : ways) {
    INFO(selftest::cacheName(cache));
    NibAttentionDesc coded = dense;
    coded.cache = cache;
    Ranges ranges(asOp(coded));
    REQUIRE(ranges.valid());
    const selftest::Words keys = selftest::codedCache(selftest::Recipe::kNormal, cache, kRows, kCols, 5);
    const selftest::Words values = selftest::codedCache(selftest::Recipe::kNormal, cache, kRows, kCols, 6);
    REQUIRE(ranges.memory.part[NIB_PART_KEYS].size_bytes == keys.size() * 4);
    REQUIRE(ranges.memory.part[NIB_PART_VALUES].size_bytes == values.size() * 4);
    std::memcpy(ranges.part(NIB_ROLE_WEIGHTS, NIB_PART_KEYS), keys.data(), keys.size() * 4);
    std::memcpy(ranges.part(NIB_ROLE_WEIGHTS, NIB_PART_VALUES), values.data(), values.size() * 4);
    std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_SOURCE), inputs.queries.data(), inputs.queries.size() * 4);
    std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_INDICES), inputs.indices.data(), inputs.indices.size() * 4);
    REQUIRE(ranges.run(kTokens) == NIB_SUCCESS);
    inputs.keys = selftest::decodedCache(cache, kRows, kCols, keys.data());
    inputs.values = selftest::decodedCache(cache, kRows, kCols, values.data());
    CHECK(ranges.read<float>(NIB_ROLE_OUTPUT, 0, size_t(kTokens) * kHeads * kHeadSize) == attend(dense, inputs));
  }
}

TEST_CASE("a result may take its query's place") {
  const NibAttentionDesc d = attentionDesc(2, 2, 1, 8, 4);
  Inputs inputs = fourRows(4, {0, 4, 1, 0, 0, 4, 3, 1});
  const Floats apart = attend(d, inputs);
  Ranges ranges(asOp(d));
  write(ranges, inputs);
  NibCpuBinding binding = ranges.binding;
  binding.range[NIB_ROLE_OUTPUT] = {ranges.part(NIB_ROLE_INPUT, NIB_PART_SOURCE), apart.size() * 4};
  NibRun run{sizeof(NibRun)};
  run.n = 2;
  run.slice_count = UINT32_MAX;
  REQUIRE(nibCpuRun(asOp(d), &binding, &run, nullptr, nullptr) == NIB_SUCCESS);
  CHECK(ranges.read<float>(NIB_ROLE_INPUT, 0, apart.size()) == apart);
}

TEST_SUITE_END();
