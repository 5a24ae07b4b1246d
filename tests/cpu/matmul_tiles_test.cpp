// Tile sizes respect the device's limits.
#include <doctest/doctest.h>

#include <initializer_list>

#include "ops/matmul_tiles.h"

using namespace nib;

namespace {

constexpr uint32_t kCpu = 4, kDiscrete = 2;

bool isPower(uint32_t n) { return n != 0 && (n & (n - 1)) == 0; }

}  // namespace

TEST_CASE("matvec's tiles cover every column and respect the kernel's limits") {
  for (const uint32_t type : {kCpu, kDiscrete}) {
    for (const uint32_t subgroup : {0u, 4u, 32u, 64u, 128u}) {
      for (const uint32_t workgroup : {32u, 64u, 128u}) {
        for (const uint32_t rows : {1u, 7u, 300u, 4096u, 28672u}) {
          for (const uint32_t cols : {1u, 15u, 33u, 4096u, 11008u, 65536u}) {
            for (const uint32_t tokens : {1u, 2u, 3u, 8u, 9u, 512u}) {
              for (const uint32_t run : {16u, 32u}) {
                for (const uint32_t group_runs : {1u, 3u, 8u, 4096u}) {
                  const ProductShape shape{rows, cols, tokens, 1, run, group_runs};
                  const MatvecTiles t = chooseMatvec(shape, {type, workgroup, subgroup, false});
                  const uint32_t runs = (cols + run - 1) / run;
                  INFO(rows << "x" << tokens << "x" << cols << ", runs of " << run << ", groups of " << group_runs);
                  const uint32_t units = (runs + t.unit - 1) / t.unit;
                  CHECK((isPower(t.lanes) && t.lanes <= workgroup));
                  CHECK((t.rows == 2 || t.rows == 4));
                  CHECK((isPower(t.tokens) && t.rows * t.tokens <= 16));
                  CHECK(t.unit >= 1);
                  CHECK((group_runs >= runs || group_runs % t.unit == 0));
                  CHECK(t.splits <= columnParts(shape));
                  CHECK(uint64_t(t.splits) * t.units_per_split >= units);
                  if (type == kCpu) CHECK(t.splits == 1);
                }
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("many rows have a subgroup each, however long they are; few long ones the whole workgroup") {
  CHECK(chooseMatvec({4096, 4096, 1, 1, 16, 8}, {kDiscrete, 128, 16, false}).lanes == 16);
  CHECK(chooseMatvec({4096, 65536, 1, 1, 16, 8}, {kDiscrete, 128, 32, false}).lanes == 32);
  CHECK(chooseMatvec({512, 65536, 1, 1, 16, 8}, {kDiscrete, 128, 32, false}).lanes == 128);
  CHECK(chooseMatvec({512, 1024, 1, 1, 16, 8}, {kDiscrete, 128, 32, false}).lanes == 32);
}

TEST_CASE("the group of a column is a shift, the upper half of a product, or a quotient") {
  for (const uint32_t group : {16u, 32u, 96u, 128u, 160u, 4096u, 5000u, 0x7fffff00u}) {
    for (const uint32_t cols : {1u, 31u, 4096u, 11008u, 65536u, 1u << 31, 0xfffffff0u}) {
      const uint32_t rule = groupRule(cols, group);
      CHECK(rule <= kGroupDivide);
      const uint32_t reciprocal = 0xffffffffu / group + 1;
      for (const uint32_t col : {0u, 15u, group - 1, group, 2 * group - 1, 3 * group, cols / 2, cols - 1}) {
        if (col >= cols) continue;
        INFO("column " << col << " of " << cols << ", groups of " << group);
        if (rule == kGroupRow) CHECK(col / group == 0);
        if (rule < kGroupRow) CHECK((col >> rule) == col / group);
        if (rule == kGroupMultiply) CHECK(uint32_t(uint64_t(col) * reciprocal >> 32) == col / group);
      }
    }
  }
  CHECK(groupRule(4096, 128) == 7);
  CHECK(groupRule(4096, 4096) == 31);
  CHECK(groupRule(11008, 96) == kGroupMultiply);
}

TEST_CASE("few rows are split along their columns to fill the device, many rows never") {
  CHECK(columnParts({6, 20000, 1, 1, 16, 8}) > 1);
  CHECK(columnParts({6, 20000, 9, 1, 16, 8}) == 1);
  CHECK(columnParts({4096, 4096, 1, 1, 16, 8}) == 1);
  CHECK(columnParts({1, 1u << 28, 1, 1, 16, 8}) == 16);
}

TEST_CASE(
    "matmul's tiles fit shared memory, the workgroup and the registers of an invocation; CPUs and few tokens have "
    "none") {
  CHECK(chooseMatmul({4096, 4096, 512, 1, 16, 8}, {kCpu, 128, 0, false}, 32768).rows == 0);
  CHECK(chooseMatmul({4096, 4096, 8, 1, 16, 8}, {kDiscrete, 128, 0, false}, 32768).rows == 0);
  for (const uint32_t shared : {16384u, 32768u}) {
    for (const uint32_t workgroup : {32u, 64u, 128u}) {
      for (const uint32_t tokens : {9u, 16u, 33u, 2048u}) {
        for (const uint32_t rows : {1u, 40u, 4096u}) {
          const MatmulTiles t = chooseMatmul({rows, 4096, tokens, 1, 16, 1}, {kDiscrete, workgroup, 32, false}, shared);
          REQUIRE(t.rows != 0);
          CHECK(t.shared_bytes <= shared);
          CHECK(t.shared_bytes == (t.rows + t.tokens) * (16 + 4) * 4 + 1024);
          CHECK(t.workgroup <= workgroup);
          CHECK(t.workgroup == t.rows / 4 * (t.tokens / t.invocation_tokens));
          CHECK(t.invocation_tokens <= 8);
        }
      }
    }
  }
  CHECK(chooseMatmul({4096, 4096, 512, 1, 16, 8}, {kDiscrete, 128, 32, false}, 16384).tokens == 64);
}

TEST_CASE("matmul_half's tiles are whole matrices and whole subgroups, and fit the device") {
  for (const MatrixShape& c :
       {MatrixShape{16, 16, 16}, {8, 8, 8}, {8, 16, 16}, {16, 8, 8}, {32, 8, 16}, {64, 32, 16}}) {
    for (const uint32_t subgroup : {8u, 16u, 32u, 64u}) {
      for (const uint32_t shared : {16384u, 32768u, 65536u}) {
        for (const uint32_t tokens : {9u, 33u, 64u, 65u, 2048u}) {
          const MatmulHalfTiles t =
              chooseMatmulHalf({4096, 4096, tokens, 1, 16, 8}, c, {subgroup, subgroup, 256, shared});
          INFO(c.m << "x" << c.n << "x" << c.k << ", subgroups of " << subgroup << ", " << shared << " bytes");
          if (t.workgroup == 0) continue;
          const MatrixDivision& p = t.division;
          CHECK(t.rows == p.subgroups_m * p.matrices_m * c.m);
          CHECK(t.tokens == p.subgroups_n * p.matrices_n * c.n);
          CHECK(t.workgroup == subgroup * p.subgroups_m * p.subgroups_n);
          CHECK(t.workgroup <= 256);
          CHECK(t.shared_bytes <= shared);
          CHECK(t.step % c.k == 0);
          // Sums of a lane, which are in registers.
          CHECK(p.matrices_m * p.matrices_n * c.m * c.n <= subgroup * (subgroup >= 32 ? 128 : 64));
        }
      }
    }
  }
  const ProductShape large{4096, 4096, 512, 1, 16, 8};
  CHECK(chooseMatmulHalf(large, {16, 16, 16}, {128, 128, 128, 16384}).workgroup == 0);  // four subgroups do not fit
  CHECK(chooseMatmulHalf(large, {16, 16, 64}, {32, 32, 1024, 32768}).workgroup == 0);   // more columns than a step
}

TEST_CASE("matmul_half has tiles of 128 x 128 where they fit, smaller ones for less") {
  const MatrixDevice wide{64, 32, 1024, 65536}, middle{32, 32, 1024, 49152}, narrow{16, 16, 1024, 65536};
  const MatrixShape square{16, 16, 16}, flat{8, 16, 16};
  const ProductShape large{4096, 4096, 512, 1, 16, 8};
  const MatmulHalfTiles a = chooseMatmulHalf(large, square, wide);
  CHECK((a.rows == 128 && a.tokens == 128 && a.workgroup == 256 && a.step == 32));
  CHECK((a.division.matrices_m == 4 && a.division.matrices_n == 4));
  const MatmulHalfTiles b = chooseMatmulHalf(large, square, middle);
  CHECK((b.rows == 128 && b.tokens == 128 && b.workgroup == 128 && b.step == 32));
  const MatmulHalfTiles c = chooseMatmulHalf(large, flat, narrow);
  CHECK((c.rows == 128 && c.tokens == 128 && c.workgroup == 256 && c.step == 16));
  CHECK((c.division.matrices_m == 4 && c.division.matrices_n == 2));
  CHECK(chooseMatmulHalf({4096, 4096, 64, 1, 16, 8}, square, wide).tokens == 64);
  CHECK(chooseMatmulHalf({4096, 4096, 32, 1, 16, 8}, square, wide).tokens == 32);
  CHECK(chooseMatmulHalf({64, 256, 512, 1, 16, 8}, square, wide).rows == 64);
  // Few large tiles would leave most cores idle.
  const MatmulHalfTiles few = chooseMatmulHalf({1024, 4096, 128, 1, 16, 8}, square, wide);
  CHECK((few.rows == 64 && few.tokens == 32));
  CHECK(chooseMatmulHalf({1024, 4096, 128, 8, 16, 8}, square, wide).rows == 128);
  CHECK(chooseMatmulHalf(large, square, {32, 32, 256, 16384}).rows == 64);  // the least shared memory
}

TEST_CASE("tuned tiles of matvec respect the kernel's limits, or are refused") {
  const uint32_t values[] = {0, 1, 2, 3, 4, 5, 8, 16, 17, 32, 64, 128, 256, 1u << 31};
  uint32_t taken = 0;
  for (const uint32_t subgroup : {0u, 8u, 32u}) {
    for (const uint32_t group_runs : {1u, 8u, 4096u}) {
      const ProductShape shape{300, 4000, 3, 1, 16, group_runs};
      const ProductDevice device{kDiscrete, 64, subgroup, false};
      const MatvecTiles usual = chooseMatvec(shape, device);
      for (const uint32_t lanes : values) {
        for (const uint32_t rows : values) {
          for (const uint32_t tokens : values) {
            for (const uint32_t unit : values) {
              const uint32_t value[4] = {lanes, rows, tokens, unit};
              MatvecTiles t = usual;
              if (!tuneMatvec(value, shape, device, &t)) {
                CHECK((t.lanes == usual.lanes && t.rows == usual.rows && t.tokens == usual.tokens &&
                       t.unit == usual.unit));
                continue;
              }
              ++taken;
              CHECK((isPower(t.lanes) && t.lanes <= 64));
              CHECK((subgroup == 0 || t.lanes == 1 || t.lanes == subgroup || t.lanes == 64));
              CHECK((t.rows == 2 || t.rows == 4));
              CHECK((isPower(t.tokens) && t.tokens <= 8 && t.rows * t.tokens <= 16));
              CHECK((group_runs >= 250 || group_runs % t.unit == 0));
              CHECK(uint64_t(t.splits) * t.units_per_split * t.unit * 16 >= 4000);
            }
          }
        }
      }
    }
  }
  CHECK(taken > 100);
}

TEST_CASE("tuned tiles of matmul fit the device, or are refused") {
  const ProductShape shape{4096, 4096, 512, 1, 16, 8};
  MatmulTiles t{};
  CHECK(tuneMatmul(1, shape, {kCpu, 128, 0, false}, 32768, &t));  // tuning may choose shared memory on a CPU
  CHECK(t.tokens == 64);
  CHECK(tuneMatmul(0, shape, {kDiscrete, 128, 32, false}, 32768, &t));
  CHECK(t.rows == 0);
  t.rows = 7;
  CHECK_FALSE(tuneMatmul(1, shape, {kDiscrete, 64, 32, false}, 32768, &t));  // the workgroup is too small
  CHECK_FALSE(tuneMatmul(1, shape, {kDiscrete, 128, 32, false}, 4096, &t));  // too little shared memory
  CHECK_FALSE(tuneMatmul(kMatmulTileCount + 1, shape, {kDiscrete, 128, 32, false}, 32768, &t));
  CHECK_FALSE(tuneMatmul(1, {4096, 4096, 8, 1, 16, 8}, {kDiscrete, 128, 32, false}, 32768, &t));
  CHECK(t.rows == 7);
}

TEST_CASE("a CPU device uses register tiles of eight results for few tokens, of four rows by four tokens for many") {
  const MatvecTiles few = chooseMatvec({4096, 4096, 8, 1, 16, 8}, {kCpu, 64, 8, false});
  CHECK(few.rows * few.tokens == 8);
  CHECK(few.lanes == 1);
  const MatvecTiles many = chooseMatvec({4096, 4096, 64, 1, 16, 8}, {kCpu, 64, 8, false});
  CHECK(many.rows == 4);
  CHECK(many.tokens == 4);
  CHECK(many.lanes == 1);
}

TEST_CASE("the whole-row kernel needs a CPU, many rows, and subgroups with a lane for every four columns of a load") {
  uint32_t whole = 0;
  for (const uint32_t type : {kCpu, kDiscrete}) {
    for (const uint32_t subgroup : {0u, 4u, 8u, 16u}) {
      for (const uint32_t rows : {1u, 200u, 256u, 4096u}) {
        for (const uint32_t cols : {1u, 33u, 96u, 4096u, 11008u}) {
          for (const uint32_t tokens : {1u, 2u, 3u, 8u, 512u}) {
            for (const uint32_t run : {16u, 32u}) {
              for (const uint32_t group_runs : {1u, 3u, 8u, 4096u}) {
                const ProductShape shape{rows, cols, tokens, 1, run, group_runs};
                const MatvecTiles t = chooseMatvec(shape, {type, 64, subgroup, true});
                INFO(rows << "x" << tokens << "x" << cols << ", runs of " << run << ", subgroups of " << subgroup);
                CHECK((t.lanes == 0) == (type == kCpu && rows >= 256 && 4 * subgroup >= run));
                if (t.lanes != 0) continue;
                ++whole;
                const uint32_t runs = (cols + run - 1) / run;
                CHECK(t.rows == 4);
                CHECK((isPower(t.tokens) && t.tokens < 2 * tokens && t.tokens <= 8));
                CHECK(runs % t.unit == 0);
                CHECK((group_runs >= runs || group_runs % t.unit == 0));
                CHECK(t.unit % t.load_runs == 0);
                CHECK(t.load_runs * run <= 4 * subgroup);
                CHECK((t.splits == 1 && t.units_per_split == runs / t.unit));
              }
            }
          }
        }
      }
    }
  }
  CHECK(whole > 100);
}

TEST_CASE("tuning may choose the whole-row kernel, on a device that has it") {
  const ProductShape shape{300, 4000, 40, 1, 16, 10};
  const ProductDevice has{kDiscrete, 64, 8, true}, has_not{kDiscrete, 64, 8, false}, narrow{kDiscrete, 64, 2, true};
  MatvecTiles t{};
  const uint32_t good[4] = {0, 4, 16, 4};
  CHECK(tuneMatvec(good, shape, has, &t));
  CHECK((t.lanes == 0 && t.tokens == 16 && t.unit == 2 && t.load_runs == 2));  // four runs would span two groups
  CHECK_FALSE(tuneMatvec(good, shape, has_not, &t));
  CHECK_FALSE(tuneMatvec(good, shape, narrow, &t));
  for (const auto& bad :
       {std::initializer_list<uint32_t>{0, 2, 8, 4}, {0, 4, 3, 4}, {0, 4, 32, 4}, {0, 4, 8, 0}, {0, 4, 8, 17}}) {
    CHECK_FALSE(tuneMatvec(bad.begin(), shape, has, &t));
  }
}
