// How many weights of a model stay dense, and the largest of them.
#ifndef NIB_MODEL_QUANTIZE_DENSE_SHARE_H
#define NIB_MODEL_QUANTIZE_DENSE_SHARE_H

#include "model/quantize/matrix_facts.h"
#include "model/quantize/selection.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace nib::model {

// Tensors of equal names but for numbers, or all of a tower.
struct DenseGroup {
  std::string name;  // "model.layers.N.mlp.gate"
  uint64_t weights = 0;
  std::string pattern;  // of --include, "^model\\.layers\\.[0-9]+\\.mlp\\.gate$"; "" = they cannot be quantized
  std::string why;      // "a router"
};

struct DenseShare {
  uint64_t dense = 0, all = 0;  // floating-point weights, vectors included
  std::vector<DenseGroup> largest;
};

class DenseCount {
 public:
  DenseCount(const MatrixFacts& facts, const Container& container) : facts_(facts), container_(container) {}
  // A tensor of the dense model, and what becomes of it.
  void add(const TensorInfo& tensor, const Decision& decision);
  // The `count` largest groups.
  DenseShare share(size_t count) const;

 private:
  const MatrixFacts& facts_;
  const Container& container_;
  DenseShare share_;
  std::map<std::string, DenseGroup> groups_;
};

}  // namespace nib::model
#endif
