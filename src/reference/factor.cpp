// Reference of NIB_OP_FACTOR: sums in double, in the order of the columns; stored results are rounded to fp32.
#include <cmath>
#include <cstring>

#include "reference/reference.h"
#include "reference/rounding.h"

namespace nib {
namespace {

constexpr uint32_t kMostBlock = 64;

double valueOf(uint32_t bits) { return double(exact::floatOf(exact::nibFlushBits(bits))); }

bool isDead(uint32_t bits) { return (bits & 0x7fffffffu) < 0x00800000u; }
bool isPositive(uint32_t bits) { return bits - 0x00800000u < 0x7f000000u; }  // a positive normal number

using Triangle = double[kMostBlock][kMostBlock];

struct Factor {
  const NibFactorDesc& desc;
  const HostRun& run;
  uint32_t block;
  uint32_t* result;
  NibFactorInfo* info;
  uint32_t first, size;  // the run's block

  uint32_t& at(uint32_t row, uint32_t col) const { return result[uint64_t(row) * desc.cols + col]; }
  double value(uint32_t row, uint32_t col) const { return valueOf(at(row, col)); }
  void store(uint32_t row, uint32_t col, double y) const { at(row, col) = reference::roundedBits(y); }

  void describe() const {
    const uint32_t* diagonal = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_DIAGONAL);
    std::memset(info, 0, sizeof *info);
    double sum = 0;
    for (uint32_t i = 0; i < desc.cols; ++i) {
      info->dead += isDead(diagonal[i]);
      if (!isDead(diagonal[i])) sum += valueOf(diagonal[i]);
    }
    const uint32_t live = desc.cols - info->dead;
    uint32_t mean = reference::roundedBits(sum / (live != 0 ? live : 1));
    if (!isPositive(mean)) mean = 0x3f800000u;
    uint32_t unit = mean & 0x7f800000u;
    if (unit > 253u << 23) unit = 253u << 23;
    const uint32_t damp = reference::roundedBits(double(desc.damp) * valueOf(mean) / valueOf(unit));
    std::memcpy(&info->mean, &mean, 4);
    std::memcpy(&info->unit, &unit, 4);
    std::memcpy(&info->damp, &damp, 4);
  }

  void prepareRow(uint32_t row) const {
    const uint32_t* source = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_SOURCE);
    const uint32_t* order = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_ORDER);
    const auto columnAt = [&](uint32_t position) {
      if (order == nullptr) return position;
      return order[position] < desc.cols ? order[position] : desc.cols - 1;
    };
    const double unit = double(info->unit);
    for (uint32_t col = 0; col < row; ++col) at(row, col) = 0;
    for (uint32_t col = row; col < desc.cols; ++col) {
      const uint32_t a = columnAt(row), b = columnAt(col);
      const uint32_t bits = source[uint64_t(a > b ? a : b) * desc.cols + (a < b ? a : b)];
      double y = valueOf(bits);
      if (col == row && isDead(bits)) y = double(info->mean);
      y /= unit;
      store(row, col, col == row ? y + double(info->damp) : y);
    }
  }

  void factorBlock() const {
    Triangle m;
    for (uint32_t i = 0; i < size; ++i) {
      for (uint32_t j = i; j < size; ++j) m[i][j] = value(first + i, first + j);
    }
    for (uint32_t k = size; k-- > 0;) {
      const bool positive = isPositive(reference::roundedBits(m[k][k]));
      if (!positive && info->failed == 0) info->failed = first + k + 1;
      m[k][k] = positive ? std::sqrt(m[k][k]) : 1;
      for (uint32_t i = 0; i < k; ++i) m[i][k] /= m[k][k];
      for (uint32_t i = 0; i < k; ++i) {
        for (uint32_t j = i; j < k; ++j) m[i][j] -= m[i][k] * m[j][k];
      }
    }
    for (uint32_t i = 0; i < size; ++i) {
      for (uint32_t j = i; j < size; ++j) store(first + i, first + j, m[i][j]);
    }
  }

  // Row of A becomes that of M, from M (block's M)^T = A.
  void solveRow(uint32_t row) const {
    double x[kMostBlock];
    for (uint32_t j = size; j-- > 0;) {
      double sum = value(row, first + j);
      for (uint32_t k = j + 1; k < size; ++k) sum -= x[k] * value(first + j, first + k);
      x[j] = sum / value(first + j, first + j);
    }
    for (uint32_t j = 0; j < size; ++j) store(row, first + j, x[j]);
  }

  void updateRow(uint32_t row) const {
    double x[kMostBlock];
    for (uint32_t k = 0; k < size; ++k) x[k] = value(row, first + k);
    for (uint32_t col = row; col < first; ++col) {
      double sum = value(row, col);
      for (uint32_t k = 0; k < size; ++k) sum -= x[k] * value(col, first + k);
      store(row, col, sum);
    }
  }

  void invertBlock(Triangle& inverse) const {
    for (uint32_t j = 0; j < size; ++j) {
      for (uint32_t i = j + 1; i-- > 0;) {
        double sum = i == j ? 1 : 0;
        for (uint32_t k = i + 1; k <= j; ++k) sum -= value(first + i, first + k) * inverse[k][j];
        inverse[i][j] = sum / value(first + i, first + i);
      }
    }
  }

  // Row of M times the block's inverse.
  void multiplyRow(uint32_t row, const Triangle& inverse) const {
    double m[kMostBlock];
    for (uint32_t k = 0; k < size; ++k) m[k] = value(row, first + k);
    for (uint32_t j = 0; j < size; ++j) {
      double sum = 0;
      for (uint32_t k = 0; k <= j; ++k) sum += m[k] * inverse[k][j];
      panel(row)[j] = float(sum);
    }
  }

  float* panel(uint32_t row) const {
    return partOf<float>(run.memory, run.binding, NIB_ROLE_AUX, NIB_PART_SCRATCH) + uint64_t(row) * block;
  }

  void invertRow(uint32_t row) const {
    double sum[kMostBlock] = {};
    for (uint32_t k = row; k < first; ++k) {
      const double u = value(row, k);
      for (uint32_t j = 0; j < size; ++j) sum[j] -= u * double(panel(k)[j]);
    }
    for (uint32_t j = 0; j < size; ++j) store(row, first + j, sum[j]);
  }
};

}  // namespace

void factorReference(const NibFactorDesc& desc, uint32_t block, const HostRun& run) {
  if (run.n == 0) return;
  const uint32_t first = (run.n - 1) / block * block;
  const Factor factor{desc,
                      run,
                      block,
                      partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT),
                      partOf<NibFactorInfo>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_FACTOR_INFO),
                      first,
                      run.n - first};
  const auto forRows = [&](uint32_t count, auto&& function) {
    auto body = [&](uint32_t row) { function(row); };
    reference::forEach(run.parallel, count, body);
  };
  if (desc.stage == NIB_FACTOR_PREPARE) {
    factor.describe();
    forRows(run.n, [&](uint32_t row) { factor.prepareRow(row); });
  } else if (desc.stage == NIB_FACTOR_CHOLESKY) {
    factor.factorBlock();
    forRows(first, [&](uint32_t row) { factor.solveRow(row); });
    forRows(first, [&](uint32_t row) { factor.updateRow(row); });
  } else {
    Triangle inverse;
    factor.invertBlock(inverse);
    forRows(first, [&](uint32_t row) { factor.multiplyRow(row, inverse); });
    forRows(first, [&](uint32_t row) { factor.invertRow(row); });
    for (uint32_t i = 0; i < factor.size; ++i) {
      for (uint32_t j = i; j < factor.size; ++j) factor.store(first + i, first + j, inverse[i][j]);
    }
  }
}

}  // namespace nib
