// Counting operations of a module written by hand.
#include <doctest/doctest.h>

#include "bench/spirv_count.h"

#include <initializer_list>
#include <vector>

using namespace nib::bench;

namespace {

std::vector<uint32_t> begin() { return {0x07230203u, 0x00010300u, 0, 100, 0}; }

void put(std::vector<uint32_t>& words, uint32_t op, std::initializer_list<uint32_t> operands) {
  words.push_back(uint32_t(operands.size() + 1) << 16 | op);
  words.insert(words.end(), operands);
}

// Ids of the module below.
enum : uint32_t {
  kVoid = 1,
  kUint,
  kUint4,
  kBool,
  kPointer,
  kSwitch,
  kLimit,
  kTwo,
  kMain,
  kCallee,
  kBuffer,
  kBufferPointer,
  kParameter
};

// main: if (kSwitch) { a vec4 and a scalar addition } else { callee(kTwo), callee(kLimit) }
// callee(uint n): a multiplication; if (n == 2) two more; a store to a buffer.
std::vector<uint32_t> module() {
  std::vector<uint32_t> words = begin();
  put(words, 15, {5, kMain, 0});    // entry point
  put(words, 71, {kSwitch, 1, 0});  // specialization constant 0
  put(words, 71, {kLimit, 1, 1});   // and 1
  put(words, 20, {kBool});
  put(words, 21, {kUint, 32, 0});
  put(words, 23, {kUint4, kUint, 4});
  put(words, 32, {kPointer, 7, kUint});
  put(words, 32, {kBufferPointer, 12, kUint});
  put(words, 59, {kBufferPointer, kBuffer, 12});
  put(words, 48, {kBool, kSwitch});
  put(words, 50, {kUint, kLimit, 3});
  put(words, 43, {kUint, kTwo, 2});

  put(words, 54, {kUint, kCallee, 0, 0});
  put(words, 55, {kPointer, kParameter});
  put(words, 248, {20});
  put(words, 61, {kUint, 21, kParameter});
  put(words, 132, {kUint, 22, 60, 61});    // the operands are not constants
  put(words, 170, {kBool, 23, 21, kTwo});  // n == 2
  put(words, 247, {25, 0});
  put(words, 250, {23, 24, 25});
  put(words, 248, {24});
  put(words, 132, {kUint, 26, 22, 22});
  put(words, 132, {kUint, 27, 26, 22});
  put(words, 249, {25});
  put(words, 248, {25});
  put(words, 62, {kBuffer, 22});
  put(words, 253, {});
  put(words, 56, {});

  put(words, 54, {kVoid, kMain, 0, 0});
  put(words, 248, {30});
  put(words, 59, {kPointer, 31, 7});
  put(words, 59, {kPointer, 32, 7});
  put(words, 247, {35, 0});
  put(words, 250, {kSwitch, 33, 34});
  put(words, 248, {33});
  put(words, 128, {kUint4, 36, 62, 62});
  put(words, 128, {kUint, 37, 60, 60});
  put(words, 249, {35});
  put(words, 248, {34});
  put(words, 62, {31, kTwo});
  put(words, 57, {kVoid, 38, kCallee, 31});
  put(words, 62, {32, kLimit});
  put(words, 57, {kVoid, 39, kCallee, 32});
  put(words, 249, {35});
  put(words, 248, {35});
  put(words, 253, {});
  put(words, 56, {});
  return words;
}

uint64_t operations(const std::vector<uint32_t>& words, std::vector<uint32_t> spec) {
  const std::optional<SpirvCount> count = countSpirv(words, spec);
  REQUIRE(count);
  return count->operations;
}

}  // namespace

TEST_CASE("operations are counted per component, on the branch that a constant selects") {
  CHECK(operations(module(), {1, 3}) == 5);
  CHECK(operations(module(), {}) == 5);  // the constants' default values
}

TEST_CASE("each call counts, with its constant arguments") {
  CHECK(operations(module(), {0, 3}) == 4 + 2);
  CHECK(operations(module(), {0, 2}) == 4 + 4);
}

TEST_CASE("a branch on data counts, and both of its sides") {
  std::vector<uint32_t> words = module();
  // Two stores to the first call's variable: its value is not a known constant any more.
  for (size_t i = 5; i < words.size(); i += words[i] >> 16) {
    if ((words[i] & 0xffff) != 62 || words[i + 1] != 32) continue;
    words[i + 1] = 31;
  }
  // 1 + comparison + branch + 2 + store, and for the second variable, never written, the same.
  CHECK(operations(words, {0, 3}) == 6 + 6);
}

TEST_CASE("operations of innermost loops that access memory are counted separately") {
  std::vector<uint32_t> words = begin();
  put(words, 15, {5, kMain, 0});
  put(words, 20, {kBool});
  put(words, 21, {kUint, 32, 0});
  put(words, 32, {kBufferPointer, 12, kUint});
  put(words, 59, {kBufferPointer, kBuffer, 12});
  put(words, 54, {kVoid, kMain, 0, 0});
  put(words, 248, {30});
  put(words, 128, {kUint, 50, 60, 60});
  put(words, 249, {31});
  for (const uint32_t first : {31u, 41u}) {
    const bool memory = first == 31;
    put(words, 248, {first});
    put(words, 246, {first + 3, first + 2, 0});  // loop merge
    put(words, 250, {70, first + 1, first + 3});
    put(words, 248, {first + 1});
    put(words, 128, {kUint, first + 4, 60, 60});
    if (memory) put(words, 61, {kUint, first + 5, kBuffer});
    put(words, 249, {first + 2});
    put(words, 248, {first + 2});
    put(words, 249, {first});
    put(words, 248, {first + 3});
    if (memory) put(words, 249, {41});
  }
  put(words, 253, {});
  put(words, 56, {});
  const std::optional<SpirvCount> count = countSpirv(words, {});
  REQUIRE(count);
  CHECK(count->loops == 2);
  CHECK(count->operations == 1 + 3 + 2);
  CHECK(count->looped == 3);  // branch, addition, load
}

TEST_CASE("a malformed module has no count") {
  CHECK(!countSpirv({}, {}));
  std::vector<uint32_t> cut = module();
  cut.resize(cut.size() - 1);
  CHECK(!countSpirv(cut, {}));
  std::vector<uint32_t> other = module();
  other[0] = 1;
  CHECK(!countSpirv(other, {}));
}
