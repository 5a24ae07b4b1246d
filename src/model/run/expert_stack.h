// The blob of all matrices of a mixture of experts, one behind the other, from the blobs of each.
#ifndef NIB_MODEL_RUN_EXPERT_STACK_H
#define NIB_MODEL_RUN_EXPERT_STACK_H

#include <nibble/nibble.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// Whether a module's name has "*" for the number of an expert, and the name with a number.
bool isOfExperts(std::string_view module);
std::string expertName(std::string_view module, uint32_t expert);

// How matrices are stored that lie one behind the other: a matrix with one scale gets one for each row. Throws if rows
// do not have scales of their own. name: for messages.
NibWeights stackedWeights(const NibWeights& weights, const std::string& name);

class ExpertStack {
 public:
  // desc: the product, with choices.
  explicit ExpertStack(const NibMatmulDesc& desc);
  // The size of the blob of one matrix.
  uint64_t bytesOfOne(const NibWeights& weights) const;
  // Throws if the rows of a matrix do not end on a word. name: for messages.
  void put(uint32_t expert, const NibWeights& weights, std::span<const std::byte> blob, const std::string& name);
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  NibMemory memoryOfOne(const NibWeights& weights) const;
  NibMatmulDesc desc_;
  NibMemory memory_{sizeof(NibMemory)};
  std::vector<std::byte> bytes_;
};

}  // namespace nib::model
#endif
