#include "numerics/hadamard.h"

#include "shaders/numerics/williamson.h"

namespace nib::hadamard {
namespace {

bool isPrime(uint32_t n) {
  for (uint32_t d = 2; d * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return n > 1;
}

Matrix ofOrder(uint32_t order) {
  if (isPrime(order - 1) && (order - 1) % 4 == 3) return {order, kPaley1, order - 1};
  const uint32_t q = order / 2 - 1;
  if (isPrime(q) && q % 4 == 1) return {order, kPaley2, q};
  if (order == 4 * NIB_WILLIAMSON_PRIME) return {order, kWilliamson, NIB_WILLIAMSON_PRIME};
  return {};
}

}  // namespace

Matrix findMatrix(uint32_t size) {
  if (size == 0 || size % 2 != 0) return {};
  uint32_t odd = size;
  while (odd % 2 == 0) odd /= 2;
  if (odd == 1) return {1, kSylvester, 0};
  for (uint64_t order = uint64_t(odd) * 4; order <= kMostOrder && size % order == 0; order *= 2) {
    const Matrix found = ofOrder(uint32_t(order));
    if (found.order != 0) return found;
  }
  return {};
}

Entries::Entries(const Matrix& matrix) : m_(matrix), table_{} {
  const uint32_t q = m_.prime;
  if (m_.kind == kPaley1 || m_.kind == kPaley2) {
    for (uint32_t i = 1; i < q; ++i) table_[i] = -1;
    for (uint32_t i = 1; i < q; ++i) table_[i * i % q] = 1;
  }
  if (m_.kind == kWilliamson) {
    constexpr uint32_t kMasks[4] = {NIB_WILLIAMSON_MASKS};
    for (uint32_t block = 0; block < 4; ++block) {
      table_[block * q] = 1;
      for (uint32_t t = 0, at = 1; t + 1 < q; ++t, at = at * NIB_WILLIAMSON_ROOT % q) {
        table_[block * q + at] = kMasks[block] >> t % NIB_WILLIAMSON_COSETS & 1u ? 1 : -1;
      }
    }
  }
}

int Entries::at(uint32_t row, uint32_t col) const {
  switch (m_.kind) {
    case kPaley1:
      if (row == 0) return 1;
      if (col == 0) return -1;
      return row == col ? 1 : character(row - 1, col - 1);
    case kPaley2: {
      const uint32_t a = row / 2, b = col / 2;
      const bool both_odd = row % 2 != 0 && col % 2 != 0;
      if (a == b) return row % 2 == 0 && col % 2 == 0 ? 1 : -1;
      const int c = a == 0 || b == 0 ? 1 : character(a - 1, b - 1);
      return both_odd ? -c : c;
    }
    case kWilliamson: {
      const uint32_t r = row / m_.prime, s = col / m_.prime, i = row % m_.prime, j = col % m_.prime;
      const int entry = table_[(r ^ s) * m_.prime + (i >= j ? i - j : i + m_.prime - j)];
      return NIB_WILLIAMSON_SIGNS >> (4 * r + s) & 1u ? -entry : entry;
    }
    default: return 1;
  }
}

}  // namespace nib::hadamard
