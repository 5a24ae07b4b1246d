// What becomes of each tensor of a model: which are quantized, how, and which stay.
#ifndef NIB_MODEL_QUANTIZE_SELECTION_H
#define NIB_MODEL_QUANTIZE_SELECTION_H

#include "model/archive/checkpoint.h"
#include "model/archive/container.h"
#include "model/quantize/weight_type.h"

#include <map>
#include <optional>
#include <regex>
#include <string>
#include <vector>

namespace nib::model {

enum class Granularity { kTensor, kChannel, kGroup };

struct Rule {
  std::string pattern;
  std::regex regex;
  WeightType type;
  std::optional<int64_t> group_size;
};

// "RE=TYPE[:G]". Throws.
Rule parseRule(const std::string& text);
std::regex parsePattern(const std::string& option, const std::string& pattern);

// How the user wants weights to be kept.
struct SelectionOptions {
  WeightType type;
  std::optional<Granularity> granularity;  // none = the type's usual one
  int64_t group_size = 0;                  // 0 = the type's usual one; -1 = one per row
  bool asymmetric = false;
  bool narrow = false;
  bool double_quant = true;
  Activations activations = Activations::kNone;
  // Static activations, by module: "model.layers.0.mlp.up_proj".
  std::map<std::string, StaticInput> inputs = {};
  std::vector<std::regex> include;
  std::vector<std::regex> exclude;
  std::vector<Rule> rules;  // the last that matches counts
};

struct Decision {
  enum Kind { kKeep, kCast, kQuantize } kind = kKeep;
  WeightSpec weight;           // kQuantize
  Dtype dtype = Dtype::kF32;   // kCast
  std::string note;            // what a reader of the table should know: "K is no multiple of 128: group 64"
};

// The projections of attention and of the MLP inside blocks: what is quantized unless options say otherwise.
bool isBlockLinear(std::string_view name);
// Whether a tensor is the weight of some linear layer, quantized or not: 2-D, and no embedding or norm.
bool isLinear(const TensorInfo& tensor);

// Throws where an explicit wish (a rule, --include) cannot be met.
Decision decide(const TensorInfo& tensor, const SelectionOptions& options, const Container& container);

}  // namespace nib::model
#endif
