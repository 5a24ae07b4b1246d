// The sum of x x^T of the inputs of a linear layer, or of several with the same input.
#ifndef NIB_MODEL_BLOCKS_HESSIAN_SUM_H
#define NIB_MODEL_BLOCKS_HESSIAN_SUM_H

#include <nibble/kit.h>

#include <cstdint>
#include <memory>

namespace nib::model {

class HessianSum {
 public:
  // tokens: the most of a run. Throws.
  HessianSum(const kit::Device& device, uint32_t tokens, uint32_t cols, uint32_t type, uint32_t stride,
             const kit::Range& input);
  // The run that adds `n` rows of the input.
  const kit::Binding& binding() const { return *binding_; }
  void count(uint64_t tokens) { tokens_ += tokens; }
  uint64_t tokens() const { return tokens_; }
  uint32_t cols() const { return cols_; }
  // NIB_PART_RESULT of NIB_OP_HESSIAN at 0, zeros above the diagonal, and the diagonal after it.
  const kit::Buffer& buffer() const { return buffer_; }
  uint64_t diagonalOffset() const { return diagonal_offset_; }
  // Memory for an order of the columns.
  uint64_t orderOffset() const { return order_offset_; }

 private:
  uint32_t cols_;
  uint64_t tokens_ = 0, diagonal_offset_ = 0, order_offset_ = 0;
  kit::Buffer buffer_;
  std::unique_ptr<kit::Plan> plan_;
  std::unique_ptr<kit::Binding> binding_;
};

}  // namespace nib::model
#endif
