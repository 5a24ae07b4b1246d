// Runs of a factorization: the block in double, the rows above it by a library's products.
#include "simd/fast_kernels.h"
#include "simd/kernels.h"
#include "simd/run.h"

#include <algorithm>
#include <atomic>
#include <cmath>

namespace nib::simd {
namespace {

constexpr uint32_t kMostBlock = 64;
constexpr uint32_t kPanelRows = 64;    // rows of a task, at most kMostBlock
constexpr uint32_t kPanelCols = 1024;  // columns of an update at a time
constexpr uint32_t kFewRows = 128;     // fewer above the block are not worth it

using Block = float[kMostBlock * kMostBlock];  // rows of kMostBlock

bool isPositive(float x) { return x >= 0x1p-126f && x <= 0x1.fffffep127f; }

struct Factor {
  const NibFactorDesc& d;
  float* result;
  NibFactorInfo* info;
  float* panel;  // [cols, size]
  uint32_t first, size;
  Block inverse{};  // of M, upper triangular

  float& at(uint64_t row, uint64_t col) const { return result[row * d.cols + col]; }
  float* above(uint32_t row) const { return result + uint64_t(row) * d.cols + first; }
  float* panelRow(uint32_t row) const { return panel + uint64_t(row) * size; }

  void factorBlock() {
    double m[kMostBlock][kMostBlock];
    for (uint32_t i = 0; i < size; ++i) {
      for (uint32_t j = i; j < size; ++j) m[i][j] = double(at(first + i, first + j));
    }
    for (uint32_t k = size; k-- > 0;) {
      const bool positive = isPositive(float(m[k][k]));
      if (!positive && info->failed == 0) info->failed = first + k + 1;
      m[k][k] = positive ? std::sqrt(m[k][k]) : 1;
      for (uint32_t i = 0; i < k; ++i) m[i][k] /= m[k][k];
      for (uint32_t i = 0; i < k; ++i) {
        for (uint32_t j = i; j < k; ++j) m[i][j] -= m[i][k] * m[j][k];
      }
    }
    for (uint32_t i = 0; i < size; ++i) {
      for (uint32_t j = i; j < size; ++j) at(first + i, first + j) = float(m[i][j]);
    }
  }

  void invertBlock() {
    double v[kMostBlock][kMostBlock];
    std::fill(std::begin(inverse), std::end(inverse), 0.0f);
    for (uint32_t j = 0; j < size; ++j) {
      for (uint32_t i = j + 1; i-- > 0;) {
        double sum = i == j ? 1 : 0;
        for (uint32_t k = i + 1; k <= j; ++k) sum -= double(at(first + i, first + k)) * v[k][j];
        v[i][j] = sum / double(at(first + i, first + i));
        inverse[i * kMostBlock + j] = float(v[i][j]);
      }
    }
  }

  // Rows of M above the block, which the panel has too.
  void solve(uint32_t row, uint32_t rows) const {
    kernels().multiply({above(row), d.cols}, {inverse, kMostBlock, true}, panelRow(row), size, rows, size, size, false);
    for (uint32_t r = row; r < row + rows; ++r) std::copy_n(panelRow(r), size, above(r));
  }

  // Subtracts the panel's contribution from rows above and on the diagonal. False if memory is lacking.
  bool update(uint32_t row, uint32_t rows) const {
    const std::unique_ptr<float[]> sums = allocate<float>(size_t(kPanelRows) * kPanelCols);
    if (!sums) return false;
    for (uint32_t col = row; col < first; col += kPanelCols) {
      const uint32_t cols = std::min(first - col, kPanelCols);
      kernels().multiply({panelRow(row), size}, {panelRow(col), size, true}, sums.get(), kPanelCols, rows, cols, size,
                         false);
      for (uint32_t r = 0; r < rows; ++r) {
        float* to = &at(row + r, col);
        const float* from = sums.get() + uint64_t(r) * kPanelCols;
        for (uint32_t c = row + r > col ? row + r - col : 0; c < cols; ++c) to[c] -= from[c];
      }
    }
    return true;
  }

  void multiply(uint32_t row, uint32_t rows) const {
    kernels().multiply({above(row), d.cols}, {inverse, kMostBlock}, panelRow(row), size, rows, size, size, false);
  }

  // Rows of the inverse above the block. Elements below the diagonal may be anything and count as zero.
  void invert(uint32_t row, uint32_t rows) const {
    Block triangle{}, sums;
    for (uint32_t r = 0; r < rows; ++r) {
      for (uint32_t c = r; c < rows; ++c) triangle[r * kMostBlock + c] = at(row + r, row + c);
    }
    kernels().multiply({triangle, kMostBlock}, {panelRow(row), size}, sums, kMostBlock, rows, size, rows, false);
    const uint32_t next = row + rows;
    if (next < first) {
      kernels().multiply({&at(row, next), d.cols}, {panelRow(next), size}, sums, kMostBlock, rows, size, first - next,
                         true);
    }
    for (uint32_t r = 0; r < rows; ++r) {
      for (uint32_t c = 0; c < size; ++c) above(row + r)[c] = -sums[r * kMostBlock + c];
    }
  }
};

Outcome runFactor(const NibFactorDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                  const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  const uint32_t block = desc.block != 0 ? desc.block : kMostBlock;
  NibMemory memory{sizeof(NibMemory)};
  if (desc.stage == NIB_FACTOR_PREPARE || run.n <= kFewRows || nibGetMemory(op, nullptr, &memory) != NIB_SUCCESS ||
      !isValid(op, binding, run, desc.cols)) {
    return Outcome::kUnsupported;
  }
  const uint32_t first = (run.n - 1) / block * block;
  Factor factor{desc,
                partOf<float>(memory, binding, run, NIB_PART_RESULT),
                partOf<NibFactorInfo>(memory, binding, run, NIB_PART_FACTOR_INFO),
                partOf<float>(memory, binding, run, NIB_PART_SCRATCH),
                first,
                run.n - first,
                {}};
  const uint32_t panels = (first + kPanelRows - 1) / kPanelRows;
  const auto forPanels = [&](auto&& function) {
    forEach(parallel, panels, [&](uint32_t i) {
      const uint32_t row = i * kPanelRows;
      function(row, std::min(first - row, kPanelRows));
    });
  };
  const bool factored = desc.stage == NIB_FACTOR_CHOLESKY;
  if (factored) factor.factorBlock();
  factor.invertBlock();
  if (factored) {
    forPanels([&](uint32_t row, uint32_t rows) { factor.solve(row, rows); });
    std::atomic<bool> failed{false};
    forPanels([&](uint32_t row, uint32_t rows) {
      if (!factor.update(row, rows)) failed = true;
    });
    return failed ? Outcome::kNoMemory : Outcome::kDone;
  }
  forPanels([&](uint32_t row, uint32_t rows) { factor.multiply(row, rows); });
  forPanels([&](uint32_t row, uint32_t rows) { factor.invert(row, rows); });
  for (uint32_t i = 0; i < factor.size; ++i) {
    for (uint32_t j = i; j < factor.size; ++j) factor.at(first + i, first + j) = factor.inverse[i * kMostBlock + j];
  }
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(factor, NIB_OP_FACTOR, NibFactorDesc, runFactor)

}  // namespace nib::simd
