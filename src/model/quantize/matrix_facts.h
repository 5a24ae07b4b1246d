// Facts of matrices that take the whole checkpoint to tell: the family by config.json, and the rest by names and
// shapes.
#ifndef NIB_MODEL_QUANTIZE_MATRIX_FACTS_H
#define NIB_MODEL_QUANTIZE_MATRIX_FACTS_H

#include "model/archive/checkpoint.h"
#include "model/archive/container.h"
#include "model/archive/loader_names.h"
#include "model/quantize/families.h"
#include "model/quantize/module_kinds.h"
#include "model/quantize/slice.h"

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// One matrix of a tensor that holds several, under the name that loaders give it.
struct StackedMatrix {
  std::string module;  // "model.layers.0.mlp.experts.7.gate_proj"
  uint32_t rows = 0;
  uint32_t cols = 0;
  Slice slice;
};

class MatrixFacts {
 public:
  // Nothing is known: names decide.
  MatrixFacts() = default;
  // tensors: all of the model. Throws Error if config_json is not JSON.
  MatrixFacts(std::span<const TensorInfo> tensors, const std::optional<std::string>& config_json);

  const MatrixFamily* family() const { return family_; }  // NULL = unknown
  ModuleKind kind(std::string_view module) const;
  // Whether the weight is quantized by default.
  bool isSelected(std::string_view name) const;
  // Whether the weight of a linear layer is stored as [in, out], as by GPT-2's Conv1D.
  bool isTransposed(const TensorInfo& tensor) const;
  // Whether loaders build a linear layer (and not an embedding) for this tensor.
  bool isLinear(const TensorInfo& tensor) const;
  // Whether the tensor holds one matrix for each expert.
  static bool isStack(const TensorInfo& tensor);
  // Its matrices, with rows as outputs. Empty, and the reason in `why`, if nibble cannot tell what they are.
  std::vector<StackedMatrix> matricesOf(const TensorInfo& tensor, std::string* why) const;
  // Whether the container's loaders need this module dense.
  bool isKept(std::string_view module, const Container& container) const;

  // Output layers that loaders build for this model, although the file may not have them.
  std::vector<std::string> heads() const;
  bool tied() const { return tied_; }      // config.json says that the head is the embedding
  bool untied() const { return untied_; }  // config.json says that it is not
  // The tensor of the input embedding, if there is one that a head may be tied to.
  const std::optional<std::string>& embedding() const { return embedding_; }
  const LoaderNames& names() const { return names_; }

 private:
  void readConfig(const std::string& text);

  const MatrixFamily* family_ = nullptr;
  std::string type_;
  uint64_t hidden_ = 0;
  bool has_config_ = false, nested_ = false, tied_ = false, untied_ = false;
  bool towers_are_model_ = false, has_language_ = false;
  bool has_conv1d_ = false;
  std::set<std::string, std::less<>> biased_;  // modules with a bias
  std::set<std::string, std::less<>> transposed_;
  std::vector<std::pair<std::string, std::vector<uint64_t>>> stacks_;
  std::optional<std::string> embedding_;
  LoaderNames names_;
};

}  // namespace nib::model
#endif
