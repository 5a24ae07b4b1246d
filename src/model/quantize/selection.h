// Decides which tensors of a model are quantized, and how.
#ifndef NIB_MODEL_QUANTIZE_SELECTION_H
#define NIB_MODEL_QUANTIZE_SELECTION_H

#include "model/archive/checkpoint.h"
#include "model/archive/container.h"
#include "model/quantize/matrix_facts.h"
#include "model/quantize/name_pattern.h"
#include "model/quantize/slice.h"
#include "model/quantize/weight_type.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

enum class Granularity { kTensor, kChannel, kGroup };

struct Rule {
  NamePattern pattern;
  SizedType type;
};

// Parses "RE=TYPE[:G]". Throws.
Rule parseRule(const std::string& text);

// Types by the names of tensors.
using ChosenTypes = std::map<std::string, SizedType, std::less<>>;

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
  // Types by tensor, which a mix or a budget has chosen: these are quantized, unless a rule or pattern says something
  // else.
  ChosenTypes chosen = {};
  bool allow_unmatched = false;  // patterns that match nothing are no error
};

// The rule that applies to a tensor; NULL = none.
const Rule* ruleFor(const std::string& name, const SelectionOptions& options);

struct Decision {
  enum Kind { kKeep, kCast, kQuantize } kind = kKeep;
  WeightSpec weight;           // kQuantize only
  Dtype dtype = Dtype::kF32;   // kCast only
  std::optional<Slice> slice;  // kQuantize only: the weight is not the whole tensor in its order
  bool wide_scales = false;    // fp32 scales, because fp16 could not hold them
  bool beyond_type = false;    // stays dense, because the type cannot hold its values or scales
  std::string note;            // explanation for the report: "K 704 is not a multiple of 128: group 64"
  bool keeps_codes = false;    // kQuantize only: the codes and scales of the input are taken as they are
  bool passed_over = false;    // --include or --rule names it, and it is nothing that is quantized
};

// Throws if a matrix that the user selected explicitly (--rule, --include) cannot be quantized, or if the container
// does not support the result.
Decision decide(const TensorInfo& tensor, const SelectionOptions& options, const Container& container,
                const MatrixFacts& facts = {});
// The same for a tensor of any kind: one decision for each matrix of a stack of experts, all of them kQuantize; else
// one decision for the tensor.
std::vector<Decision> decideAll(const TensorInfo& tensor, const SelectionOptions& options, const Container& container,
                                const MatrixFacts& facts);

// Throws, with the nearest names, if a pattern matches no tensor.
void checkMatches(const SelectionOptions& options, const std::vector<std::string_view>& tensors);
// Throws if a pattern of --include or --rule matches nothing that can be quantized. tensors and decisions belong
// together.
void checkUses(const SelectionOptions& options, const std::vector<std::string_view>& tensors,
               const std::vector<Decision>& decisions);

}  // namespace nib::model
#endif
