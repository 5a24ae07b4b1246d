// The whole factorization of a matrix, whoever runs its stages, and its residuals in double precision.
#ifndef NIB_TESTS_FACTOR_CHAIN_H
#define NIB_TESTS_FACTOR_CHAIN_H

#include <nibble/nibble.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

namespace nib::tests {

using Matrix = std::vector<float>;  // row by row

// A symmetric matrix of the given condition number: eigenvalues are 1 to 1 / condition in geometric steps, and
// eigenvectors those of a few Householder reflections (I - 2 v v^T).
inline Matrix conditioned(uint32_t cols, double condition, uint64_t seed) {
  const size_t n = cols;
  std::vector<double> h(n * n), v(n), w(n);
  uint64_t state = seed * 2 + 1;
  for (size_t i = 0; i < n; ++i) {
    h[i * n + i] = n > 1 ? std::pow(condition, -double(i * 7919u % n) / double(n - 1)) : 1;
  }
  for (int reflection = 0; reflection < 4; ++reflection) {
    double norm = 0, through = 0;
    for (double& x : v) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      x = double(state >> 33) * 0x1p-30 - 1;
      norm += x * x;
    }
    for (double& x : v) x /= std::sqrt(norm);
    for (size_t i = 0; i < n; ++i) {  // w = H v
      w[i] = 0;
      for (size_t j = 0; j < n; ++j) w[i] += h[i * n + j] * v[j];
      through += v[i] * w[i];
    }
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) h[i * n + j] += 4 * through * v[i] * v[j] - 2 * (v[i] * w[j] + w[i] * v[j]);
    }
  }
  return {h.begin(), h.end()};
}

inline Matrix diagonalOf(const Matrix& h, uint32_t cols) {
  Matrix diagonal(cols);
  for (uint32_t i = 0; i < cols; ++i) diagonal[i] = h[size_t(i) * cols + i];
  return diagonal;
}

inline NibFactorDesc factorDesc(uint32_t stage, uint32_t cols, uint32_t block = 0, uint32_t flags = 0, float damp = 0) {
  NibFactorDesc d{};
  d.op = NIB_OP_FACTOR;
  d.desc_bytes = sizeof d;
  d.stage = stage;
  d.cols = cols;
  d.block = block;
  d.flags = flags;
  d.damp = damp;
  return d;
}

// The values of NibRun.n of a stage's runs, in their order.
inline std::vector<uint32_t> factorRuns(const NibFactorDesc& d) {
  if (d.stage == NIB_FACTOR_PREPARE) return {d.cols};
  const uint32_t block = d.block != 0 ? d.block : 64;
  std::vector<uint32_t> runs;
  for (uint32_t n = block; n < d.cols; n += block) runs.push_back(n);
  runs.push_back(d.cols);
  if (d.stage == NIB_FACTOR_CHOLESKY) return {runs.rbegin(), runs.rend()};
  return runs;
}

// RESULT after each stage.
struct FactorResults {
  Matrix prepared, m, u;
  NibFactorInfo info{};
};

struct FactorResiduals {
  double factor, inverse;  // norm(M M^T - H') / norm(H'), norm(U^T U H' - I)
};

// Frobenius norms, in double precision.
inline FactorResiduals residualsOf(const FactorResults& results, uint32_t cols) {
  const size_t n = cols;
  std::vector<double> h(n * n), u(n * n), product(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i; j < n; ++j) {
      h[i * n + j] = h[j * n + i] = double(results.prepared[i * n + j]);
      u[i * n + j] = double(results.u[i * n + j]);
    }
  }
  double norm = 0, difference = 0, inverse = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i; j < n; ++j) {
      double sum = 0;
      for (size_t k = j; k < n; ++k) sum += double(results.m[i * n + k]) * double(results.m[j * n + k]);
      const double weight = i == j ? 1 : 2, x = h[i * n + j];
      norm += weight * x * x;
      difference += weight * (sum - x) * (sum - x);
    }
  }
  for (size_t i = 0; i < n; ++i) {  // U H'
    for (size_t k = i; k < n; ++k) {
      for (size_t j = 0; j < n; ++j) product[i * n + j] += u[i * n + k] * h[k * n + j];
    }
  }
  std::vector<double> row(n);
  for (size_t i = 0; i < n; ++i) {  // U^T (U H') - I
    row.assign(n, 0);
    row[i] = -1;
    for (size_t k = 0; k <= i; ++k) {
      for (size_t j = 0; j < n; ++j) row[j] += u[k * n + i] * product[k * n + j];
    }
    for (const double x : row) inverse += x * x;
  }
  return {std::sqrt(difference / norm), std::sqrt(inverse)};
}

}  // namespace nib::tests
#endif
