// Decides which tensors of a model are quantized, and how.
#ifndef NIB_MODEL_QUANTIZE_SELECTION_H
#define NIB_MODEL_QUANTIZE_SELECTION_H

#include "model/archive/checkpoint.h"
#include "model/archive/container.h"
#include "model/quantize/name_pattern.h"
#include "model/quantize/weight_type.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nib::model {

enum class Granularity { kTensor, kChannel, kGroup };

struct Rule {
  NamePattern pattern;
  WeightType type;
  std::optional<int64_t> group_size;
};

// Parses "RE=TYPE[:G]". Throws.
Rule parseRule(const std::string& text);

// The user's choices.
struct SelectionOptions {
  WeightType type;
  std::optional<Granularity> granularity;  // none = the default of the type
  int64_t group_size = 0;                  // 0 = the default of the type; -1 = one group per row
  bool asymmetric = false;
  bool narrow = false;
  bool double_quant = true;
  bool search_scales = false;  // those of the least squared error
  Activations activations = Activations::kNone;
  // Calibrated inputs for static activations, keyed by module: "model.layers.0.mlp.up_proj".
  std::map<std::string, StaticInput> inputs = {};
  std::vector<NamePattern> include;
  std::vector<NamePattern> exclude;
  std::vector<Rule> rules;  // the last matching rule applies
};

struct Decision {
  enum Kind { kKeep, kCast, kQuantize } kind = kKeep;
  WeightSpec weight;          // kQuantize only
  Dtype dtype = Dtype::kF32;  // kCast only
  bool wide_scales = false;   // fp32 scales, because fp16 could not hold them
  bool beyond_type = false;   // stays dense, because the type cannot hold its values or scales
  std::string note;           // explanation for the report: "K 704 is not a multiple of 128: group 64"
};

// Whether the name is an attention or MLP projection inside a block. Only these are quantized by default.
bool isBlockLinear(std::string_view name);
// Whether a tensor looks like the weight of a linear layer: two dimensions, neither embedding nor norm.
bool isLinear(const TensorInfo& tensor);

// Throws if a tensor that the user selected explicitly (--rule, --include) cannot be quantized, or if the container
// does not support the result.
Decision decide(const TensorInfo& tensor, const SelectionOptions& options, const Container& container);

}  // namespace nib::model
#endif
