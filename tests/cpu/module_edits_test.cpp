// Changes to modules when they are loaded.
#include <doctest/doctest.h>
#include <nibble/nibble.h>

#include <cstring>
#include <vector>

#include "plan/pipeline_store.h"

using namespace nib;

namespace {

struct Counts {
  uint32_t signed_dots = 0, mixed_dots = 0, capabilities = 0, modes = 0, words = 0;
};

Counts countsOf(const std::vector<uint32_t>& module) {
  Counts counts;
  for (size_t at = 5; at < module.size();) {
    const uint32_t op = module[at] & 0xffffu, length = module[at] >> 16;
    REQUIRE(length != 0);
    REQUIRE(at + length <= module.size());
    if (op == 4450) ++counts.signed_dots;
    if (op == 4452) ++counts.mixed_dots;
    if (op == 17 && (module[at + 1] == 4464 || module[at + 1] == 4467)) ++counts.capabilities;
    if (op == 16 && (module[at + 2] == 4459 || module[at + 2] == 4462)) ++counts.modes;
    at += length;
  }
  counts.words = uint32_t(module.size());
  return counts;
}

// A signed product of two constants in a function, as much of a module as the edits look at.
std::vector<uint32_t> dotModule() {
  return {0x07230203,
          0x00010300,
          0,
          9,
          0,  // header; ids are below 9
          2u << 16 | 17,
          1,  // OpCapability Shader
          3u << 16 | 14,
          0,
          1,  // OpMemoryModel
          5u << 16 | 15,
          5,
          4,
          0x6e69616d,
          0,  // OpEntryPoint GLCompute %4 "main"
          4u << 16 | 21,
          1,
          32,
          1,  // %1 = OpTypeInt 32 1
          4u << 16 | 43,
          1,
          2,
          0x01ff7f80,
          4u << 16 | 43,
          1,
          3,
          0x80ff0102,
          5u << 16 | 54,
          5,
          4,
          0,
          6,  // OpFunction
          2u << 16 | 248,
          7,  // OpLabel
          6u << 16 | 4450,
          1,
          8,
          2,
          3,
          0,  // %8 = OpSDot %1 %2 %3 PackedVectorFormat4x8Bit
          1u << 16 | 253,
          1u << 16 | 56};
}

}  // namespace

TEST_CASE("modules declare the float modes that a context has, and only those") {
  const std::vector<uint32_t> module = dotModule();
  for (uint32_t i = 1; i < 8; ++i) {
    const FloatModes modes{(i & 1) != 0, (i & 2) != 0, (i & 4) != 0};
    std::vector<uint32_t> edited(module.size() + kFloatModeWords);
    edited.resize(declareFloatModes(module.data(), uint32_t(module.size()), modes, edited.data()));
    REQUIRE(!edited.empty());
    const Counts counts = countsOf(edited);
    CHECK(counts.capabilities == uint32_t(modes.round_even) + uint32_t(modes.keep_halves || modes.keep_floats));
    CHECK(counts.modes == uint32_t(modes.round_even) + uint32_t(modes.keep_halves) + uint32_t(modes.keep_floats));
  }
}

TEST_CASE("signed dot products become two mixed ones, in the space that was asked for") {
  const std::vector<uint32_t> module = dotModule();
  const uint32_t space = mixedDotWords(module.data(), uint32_t(module.size()));
  std::vector<uint32_t> edited(module.size() + space);
  CHECK(useMixedDots(module.data(), uint32_t(module.size()), edited.data()) == edited.size());
  const Counts counts = countsOf(edited);
  CHECK(counts.signed_dots == 0);
  CHECK(counts.mixed_dots == 2);
  CHECK(edited[3] == module[3] + 3 + 4);  // constants and intermediate results have ids
  std::vector<uint32_t> cut(module.begin(), module.end() - 4);
  CHECK(useMixedDots(cut.data(), uint32_t(cut.size()), edited.data()) == 0);
}
