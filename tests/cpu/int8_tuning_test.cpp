// How int8 products are cut, for devices of every kind: whatever the sides, within the guaranteed minimum.
#include <doctest/doctest.h>

#include <initializer_list>

#include "ops/int8_tuning.h"

using namespace nib;

namespace {

constexpr uint32_t kDiscrete = 2, kCpu = 4;  // VkPhysicalDeviceType
constexpr uint32_t kSides[] = {1, 2, 3, 4, 5, 8, 9, 16, 17, 40, 64, 65, 1000, 4096};

}  // namespace

TEST_CASE("every tiling keeps within 128 invocations and 16 KiB, and has a tile for everything") {
  for (const uint32_t type : {kDiscrete, kCpu}) {
    for (const uint32_t tokens : kSides) {
      for (const uint32_t piece : {16u, 32u, 48u, 64u, 128u, 4096u}) {
        CAPTURE(tokens);
        CAPTURE(piece);
        const Int8Tiling t = chooseInt8Tiling(type, 128, {4096, tokens, 4096, piece});
        CHECK(t.workgroup <= 128);
        CHECK(t.shared_bytes <= 16384);
        CHECK(t.tokens >= 1);
        CHECK(t.tokens <= 8);
        CHECK(t.tile_rows % 4 == 0);  // results of a byte share words
        if (t.kernel == Int8Kernel::kRegisters) {
          CHECK(t.workgroup / t.lanes * 4 == t.tile_rows);
          CHECK((t.lanes == 1 || t.lanes >= t.tokens));  // a lane finishes a token
          CHECK(t.tile_tokens == t.tokens);
        } else {
          CHECK(t.workgroup == 128);
          CHECK(t.workgroup * 4 * t.tokens == t.tile_rows * t.tile_tokens);
          CHECK((piece == 4096 || piece % (t.depth * 16) == 0));  // a step ends where a piece does
        }
      }
    }
  }
}

TEST_CASE("a device that is a CPU shares nothing, a GPU shares what tokens have in common") {
  for (const uint32_t tokens : kSides) {
    const Int8Tiling cpu = chooseInt8Tiling(kCpu, 1024, {4096, tokens, 4096, 4096});
    CHECK(cpu.kernel == Int8Kernel::kRegisters);
    CHECK(cpu.lanes == 1);
    const Int8Tiling gpu = chooseInt8Tiling(kDiscrete, 128, {4096, tokens, 4096, 4096});
    CHECK((gpu.kernel == Int8Kernel::kTiles) == (tokens > 8));
    CHECK((gpu.lanes > 1) == (tokens <= 8));
  }
}

TEST_CASE("tiles are no larger than the tokens there are, rounded up to a power of two") {
  CHECK(chooseInt8Tiling(kDiscrete, 128, {64, 9, 64, 64}).tile_tokens == 16);
  CHECK(chooseInt8Tiling(kDiscrete, 128, {64, 17, 64, 64}).tile_tokens == 32);
  CHECK(chooseInt8Tiling(kDiscrete, 128, {64, 33, 64, 64}).tile_tokens == 64);
  CHECK(chooseInt8Tiling(kDiscrete, 128, {64, 500, 64, 64}).tile_tokens == 64);
  CHECK(chooseInt8Tiling(kCpu, 128, {64, 3, 64, 64}).tile_tokens == 4);
}

TEST_CASE("matrices are for many tokens and one scale per row, and fill a tile") {
  Int8MatrixTiling t;
  for (const Int8Matrix shape : {Int8Matrix{8, 8, 8}, {16, 16, 16}, {16, 16, 32}, {8, 8, 32}, {8, 16, 32}, {32, 32, 64}}) {
    for (const uint32_t tokens : kSides) {
      REQUIRE(chooseInt8Matrices(32, shape, {4096, tokens, 4096, 4096}, &t) == (tokens > 8));
      if (tokens <= 8) continue;
      CHECK(t.tiling.workgroup == 128);
      CHECK(t.tiling.shared_bytes <= 32768);
      CHECK((shape.m > 16 || t.tiling.shared_bytes <= 16384));
      CHECK(t.tiling.tile_rows == 64);
      CHECK(t.tiling.tile_tokens == 2 * t.span_m * shape.m);
      CHECK(t.depth * shape.k == 64);
    }
    CHECK(!chooseInt8Matrices(32, shape, {4096, 64, 4096, 128}, &t));
  }
  for (const Int8Matrix odd : {Int8Matrix{0, 0, 0}, {12, 16, 16}, {16, 2, 16}, {16, 16, 128}}) {
    CHECK(!chooseInt8Matrices(32, odd, {4096, 64, 4096, 4096}, &t));
  }
}

TEST_CASE("measured choices of int8 products fit the guaranteed minimum, or change nothing") {
  const uint32_t values[] = {0, 1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 1u << 31};
  uint32_t taken = 0;
  for (const uint32_t type : {kDiscrete, kCpu}) {
    for (const uint32_t piece : {32u, 48u, 4096u}) {
      const Int8Sides sides{4096, 5, 4096, piece};
      const Int8Tiling usual = chooseInt8Tiling(type, 128, sides);
      for (const uint32_t kernel : {0u, 1u, 2u}) {
        for (const uint32_t tokens : values) {
          for (const uint32_t lanes : values) {
            const uint32_t value[4] = {kernel, tokens, lanes, 0};
            Int8Tiling t = usual;
            if (!tuneInt8(value, 128, sides, &t)) {
              CHECK((t.kernel == usual.kernel && t.tokens == usual.tokens && t.lanes == usual.lanes));
              continue;
            }
            ++taken;
            CHECK(t.workgroup <= 128);
            CHECK(t.shared_bytes <= 16384);
            CHECK((t.tokens == 1 || t.tokens == 2 || t.tokens == 4 || t.tokens == 8));
            if (t.kernel == Int8Kernel::kRegisters) {
              CHECK(t.workgroup / t.lanes * 4 == t.tile_rows);
              CHECK((t.lanes == 1 || t.lanes >= t.tokens));
              CHECK(t.tile_tokens == t.tokens);
            } else {
              CHECK(t.workgroup * 4 * t.tokens == t.tile_rows * t.tile_tokens);
              CHECK((piece == 4096 || piece % (t.depth * 16) == 0));
            }
          }
        }
      }
    }
  }
  CHECK(taken > 50);
}

TEST_CASE("a workgroup makes codes of tokens itself where they are all its own and few beside its weights") {
  const Int8Tiling registers = int8Registers(32, 2, 1);  // 128 rows of two tokens
  CHECK(prefersStaged(kDiscrete, registers, 2, 1000, 32000));
  CHECK_FALSE(prefersStaged(kDiscrete, registers, 2, 1000, 32001));
  CHECK(prefersStaged(kDiscrete, registers, 1, 1000, 64000));
  CHECK_FALSE(prefersStaged(kDiscrete, registers, 3, 1000, 4));  // the third is another workgroup's
  CHECK_FALSE(prefersStaged(kCpu, registers, 1, 1000, 4));
  CHECK_FALSE(prefersStaged(kDiscrete, int8Tiles(1, {64, 8, 64, 64}), 1, 1000, 4));
}

TEST_CASE("room for tokens that a workgroup makes codes of: 16 bytes a run, a scale and a zero point each") {
  // Beside the tiling's own 16 bytes, and three words of every invocation for the extremes.
  CHECK(stagedShared(int8Registers(32, 2, 1), 5) == 16 + 2 * (5 * 16 + 8) + 32 * 12);
  CHECK(stagedShared(int8Registers(128, 1, 32), 1u << 28) == 128 * 16 + (uint64_t(1) << 32) + 8 + 128 * 12);
}
