// The matrices of NIB_OP_HADAMARD: orders other than powers of two, by the constructions that nibble/ops/hadamard.h
// names. shaders/ops/hadamard.comp is the GPU counterpart.
#ifndef NIB_NUMERICS_HADAMARD_H
#define NIB_NUMERICS_HADAMARD_H

#include <cstdint>

namespace nib::hadamard {

inline constexpr uint32_t kMostOrder = 1024;

enum Kind : uint32_t { kSylvester = 0, kPaley1 = 1, kPaley2 = 2, kWilliamson = 3 };

// A size is `order` times a power of two.
struct Matrix {
  uint32_t order = 0;  // 0 = none is known
  Kind kind = kSylvester;
  uint32_t prime = 0;  // the characters' modulus, or the order of a circulant block
};

Matrix findMatrix(uint32_t size);

// Numbers of a table of characters, from which entries follow.
constexpr uint32_t tableSize(const Matrix& m) {
  return m.kind == kSylvester ? 0 : m.kind == kWilliamson ? m.prime * 4 : m.prime;
}

// The entries of a matrix, 1 and -1.
class Entries {
 public:
  explicit Entries(const Matrix& matrix);
  int at(uint32_t row, uint32_t col) const;

 private:
  int character(uint32_t a, uint32_t b) const { return table_[a >= b ? a - b : a + m_.prime - b]; }
  Matrix m_;
  int8_t table_[kMostOrder];
};

}  // namespace nib::hadamard
#endif
