// Tilings of int8 products for all kinds of devices: at any size they fit Vulkan's guaranteed minimum.
#include <doctest/doctest.h>

#include <initializer_list>

#include "ops/int8_tuning.h"

using namespace nib;

namespace {

constexpr Int8Device kDiscrete{2, 128, 32}, kCpu{4, 128, 8}, kScalarCpu{4, 128, 0};  // VkPhysicalDeviceType
constexpr uint32_t kDims[] = {1, 2, 3, 4, 5, 8, 9, 16, 17, 40, 64, 65, 1000, 4096};

}  // namespace

TEST_CASE("every tiling fits 128 invocations and 16 KiB, and its tile covers its rows and tokens") {
  for (const Int8Device& device : {kDiscrete, kCpu, kScalarCpu}) {
    for (const uint32_t tokens : kDims) {
      for (const uint32_t piece : {16u, 32u, 48u, 64u, 128u, 4096u}) {
        CAPTURE(tokens);
        CAPTURE(piece);
        const Int8Tiling t = chooseInt8Tiling(device, {4096, tokens, 4096, piece});
        CHECK(t.workgroup <= 128);
        CHECK(t.shared_bytes <= 16384);
        CHECK(t.tokens >= 1);
        CHECK(t.tokens <= 8);
        CHECK(t.tile_rows % 4 == 0);  // 8-bit results share words
        if (t.kernel != Int8Kernel::kTiles) {
          CHECK(t.workgroup / t.lanes * 4 == t.tile_rows);
          CHECK((t.lanes == 1 || t.lanes >= t.tokens));  // each token is completed by one lane
          CHECK(t.tile_tokens == t.tokens);
          CHECK((t.kernel == Int8Kernel::kRows) == (device.type == kCpu.type && device.subgroup_size != 0));
          CHECK((t.load_words == 8 ? piece % 32 == 0 : t.load_words == (t.kernel == Int8Kernel::kRows ? 4u : 0u)));
        } else {
          CHECK(t.workgroup == 128);
          CHECK(t.workgroup * 4 * t.tokens == t.tile_rows * t.tile_tokens);
          CHECK((piece == 4096 || piece % (t.depth * 16) == 0));  // steps divide a piece
        }
      }
    }
  }
}

TEST_CASE("a CPU device uses no shared memory, a GPU shares weights between many tokens") {
  for (const uint32_t tokens : kDims) {
    for (const Int8Device& device : {kCpu, kScalarCpu}) {
      const Int8Tiling cpu = chooseInt8Tiling({device.type, 1024, device.subgroup_size}, {4096, tokens, 4096, 4096});
      CHECK(cpu.kernel != Int8Kernel::kTiles);
      CHECK(cpu.lanes == 1);
      CHECK(cpu.workgroup == 32);
    }
    const Int8Tiling gpu = chooseInt8Tiling(kDiscrete, {4096, tokens, 4096, 4096});
    CHECK((gpu.kernel == Int8Kernel::kTiles) == (tokens > 8));
    CHECK((gpu.lanes > 1) == (tokens <= 8));
  }
}

TEST_CASE("the whole-row kernel needs many rows, and subgroups with a lane for every word of a load") {
  const auto kernelOf = [](uint32_t subgroup_size, uint32_t rows, uint32_t batch) {
    return chooseInt8Tiling({kCpu.type, 128, subgroup_size}, {rows, 8, 64, 64, batch}).kernel;
  };
  CHECK(kernelOf(4, 256, 1) == Int8Kernel::kRows);
  CHECK(kernelOf(2, 256, 1) == Int8Kernel::kRegisters);
  CHECK(kernelOf(8, 252, 1) == Int8Kernel::kRegisters);
  CHECK(kernelOf(8, 64, 4) == Int8Kernel::kRows);
  const auto loadWordsOf = [](uint32_t subgroup_size, uint32_t cols, uint32_t piece) {
    return chooseInt8Tiling({kCpu.type, 128, subgroup_size}, {256, 8, cols, piece}).load_words;
  };
  CHECK(loadWordsOf(8, 64, 64) == 8);
  CHECK(loadWordsOf(4, 64, 64) == 4);
  CHECK(loadWordsOf(16, 64, 32) == 8);
  CHECK(loadWordsOf(8, 64, 16) == 4);
  CHECK(loadWordsOf(8, 36, 36) == 4);
  CHECK(loadWordsOf(8, 48, 32) == 4);
}

TEST_CASE("tiles have at most the number of tokens, rounded up to a power of two") {
  CHECK(chooseInt8Tiling(kDiscrete, {64, 9, 64, 64}).tile_tokens == 16);
  CHECK(chooseInt8Tiling(kDiscrete, {64, 17, 64, 64}).tile_tokens == 32);
  CHECK(chooseInt8Tiling(kDiscrete, {64, 33, 64, 64}).tile_tokens == 64);
  CHECK(chooseInt8Tiling(kDiscrete, {64, 500, 64, 64}).tile_tokens == 64);
  CHECK(chooseInt8Tiling(kCpu, {64, 3, 64, 64}).tile_tokens == 4);
  CHECK(chooseInt8Tiling({2, 128, 16, true}, {64, 500, 64, 64}).tile_tokens == 32);
}

TEST_CASE("cooperative matrices are used for many tokens, and their tiles fit the device") {
  Int8MatrixTiling t;
  for (const MatrixShape shape :
       {MatrixShape{8, 8, 8}, {16, 16, 16}, {16, 16, 32}, {8, 8, 32}, {8, 16, 32}, {32, 32, 64}}) {
    for (const uint32_t subgroup : {8u, 16u, 32u, 64u}) {
      for (const uint32_t tokens : kDims) {
        for (const uint32_t segment : {32u, 128u, 4096u}) {
          const MatrixDevice device{subgroup, subgroup, 256, 32768};
          const bool fits = chooseInt8Matrices(device, shape, {4096, tokens, 4096, segment}, &t);
          if (tokens <= 8) CHECK(!fits);
          if (!fits) continue;
          CHECK(t.tiling.workgroup <= 256);
          CHECK(t.tiling.workgroup == t.division.subgroups_m * t.division.subgroups_n * subgroup);
          CHECK(t.tiling.shared_bytes <= 32768);
          CHECK(t.tiling.tile_tokens == t.division.subgroups_m * t.division.matrices_m * shape.m);
          CHECK(t.tiling.tile_rows == t.division.subgroups_n * t.division.matrices_n * shape.n);
          CHECK(segment % (t.depth * shape.k) == 0);
        }
      }
    }
  }
  REQUIRE(chooseInt8Matrices({64, 32, 1024, 65536}, {16, 16, 16}, {4096, 512, 4096, 4096}, &t));
  CHECK((t.tiling.tile_rows == 128 && t.tiling.tile_tokens == 128 && t.tiling.workgroup == 256 && t.depth == 4));
  for (const MatrixShape odd : {MatrixShape{0, 0, 0}, {12, 16, 16}, {16, 2, 16}, {16, 16, 128}}) {
    CHECK(!chooseInt8Matrices({32, 32, 256, 32768}, odd, {4096, 64, 4096, 4096}, &t));
  }
  // A group has fewer columns than a matrix.
  CHECK(!chooseInt8Matrices({32, 32, 256, 32768}, {16, 16, 32}, {4096, 64, 4096, 16}, &t));
}

TEST_CASE("tuned tilings of int8 products fit the guaranteed minimum, or are refused") {
  const uint32_t values[] = {0, 1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 1u << 31};
  uint32_t taken = 0;
  for (const Int8Device& device : {kDiscrete, kCpu}) {
    for (const uint32_t piece : {32u, 48u, 4096u}) {
      const Int8Dims dims{4096, 5, 4096, piece};
      const Int8Tiling usual = chooseInt8Tiling(device, dims);
      for (const uint32_t kernel : {0u, 1u, 2u, 3u}) {
        for (const uint32_t tokens : values) {
          for (const uint32_t lanes : values) {
            const uint32_t value[4] = {kernel, tokens, lanes, 0};
            Int8Tiling t = usual;
            if (!tuneInt8(value, device, dims, &t)) {
              CHECK((t.kernel == usual.kernel && t.tokens == usual.tokens && t.lanes == usual.lanes));
              continue;
            }
            ++taken;
            CHECK(t.workgroup <= 128);
            CHECK(t.shared_bytes <= 16384);
            CHECK((t.tokens == 1 || t.tokens == 2 || t.tokens == 4 || t.tokens == 8));
            CHECK((t.kernel != Int8Kernel::kRows || device.type == kCpu.type));
            CHECK(kernel < 3);
            if (t.kernel != Int8Kernel::kTiles) {
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

TEST_CASE("a workgroup quantizes tokens itself if no other workgroup needs them and they are few beside its weights") {
  const Int8Tiling registers = int8Registers(32, 2, 1);  // 128 rows of two tokens
  CHECK(prefersStaged(kDiscrete.type, registers, 2, 1000, 32000));
  CHECK_FALSE(prefersStaged(kDiscrete.type, registers, 2, 1000, 32001));
  CHECK(prefersStaged(kDiscrete.type, registers, 1, 1000, 64000));
  CHECK_FALSE(prefersStaged(kDiscrete.type, registers, 3, 1000, 4));  // the third token is another workgroup's
  CHECK_FALSE(prefersStaged(kCpu.type, registers, 1, 1000, 4));
  CHECK_FALSE(prefersStaged(kDiscrete.type, int8Tiles(1, {64, 8, 64, 64}), 1, 1000, 4));
}

TEST_CASE("shared memory for tokens that a workgroup quantizes: 16 bytes a run, a scale and a zero point each") {
  // Plus the tiling's own 16 bytes, and three words per invocation for the extremes.
  CHECK(stagedShared(int8Registers(32, 2, 1), 5) == 16 + 2 * (5 * 16 + 8) + 32 * 12);
  CHECK(stagedShared(int8Registers(128, 1, 32), 1u << 28) == 128 * 16 + (uint64_t(1) << 32) + 8 + 128 * 12);
}
