#include "model/archive/quantized_input.h"

#include "model/archive/checkpoint.h"
#include "model/archive/foreign_tensors.h"
#include "model/archive/quantization_config.h"
#include "model/archive/scale_names.h"

#include <nibble/formats.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace nib::model {
namespace {

using Statements = std::vector<QuantizationStatement>;

constexpr std::string_view kWeight = ".weight";
constexpr const char* kMend = "quantize the model that is not quantized yet";

UnreadQuantization unread(const Checkpoint& checkpoint, const std::string& what) {
  return UnreadQuantization(shown(checkpoint.path()) + ": " + what);
}

UnreadQuantization notQuantized(const Checkpoint& checkpoint, const QuantizationStatement& statement) {
  return unread(checkpoint, statement.where + " says that the weights are quantized (" + statement.name +
                                "), but no tensor is: take that out of the file if it does not hold");
}

// Whether a tensor of codes that no container has claimed must be part of a weight, and not a table of indices or a
// mask.
bool namesWeight(std::string_view name) {
  const auto holds = [&](auto... texts) { return ((name.find(texts) != std::string_view::npos) || ...); };
  if (holds("position", "index", "mask", "_ids", "tid2eid") || name.ends_with("bias")) return false;
  return holds("weight", "proj", "expert", "mlp", "attn", "attention", "linear", "block", "layers.", "embed", "lm_head",
               ".absmax", ".quant_map");
}

std::string moduleOf(std::string_view weight) {
  return std::string(weight.ends_with(kWeight) ? weight.substr(0, weight.size() - kWeight.size()) : weight);
}

bool isFloat(Dtype dtype) { return dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBF16; }

// Whether the tensors of this weight are those of the method.
bool isOfMethod(const FoundWeight& weight, ReadMethod method) {
  const bool fp8 = weight.container == &storedFp8() || weight.spec.weights.format == NIB_FORMAT_FP8;
  switch (method) {
    case ReadMethod::kCompressedTensors: return weight.container == &compressedTensors() || weight.grid;
    case ReadMethod::kGptq: return weight.container == &gptq() || weight.container == &gptqV2();
    case ReadMethod::kAwq: return weight.container == &awq();
    case ReadMethod::kBitsandbytes: return weight.container == &bitsandbytes();
    case ReadMethod::kFp8: return fp8;
    case ReadMethod::kMxfp4: return weight.container == &mxfp4Experts();
    default: return false;
  }
}

bool isCodes(Dtype dtype) { return isSmallFloat(dtype) || (isInteger(dtype) && dtypeBits(dtype) <= 32); }

// Whether some tensor may hold quantized weights.
bool holdsCodes(const Checkpoint& checkpoint) {
  for (size_t i = 0; i < checkpoint.size(); ++i) {
    const TensorInfo info = checkpoint.info(i);
    if (isCodes(info.dtype) && info.shape.size() >= 2) return true;
  }
  return false;
}

// Throws if a configuration file names a method that nibble does not read, or a tensor belongs to one.
void refuseUnread(const Checkpoint& checkpoint, const Statements& statements) {
  const std::optional<ForeignTensors> foreign = findForeignTensors(checkpoint);
  const std::string tensors = foreign ? "tensors such as " + quoteText(foreign->example) : "";
  for (const QuantizationStatement& statement : statements) {
    if (statement.method != ReadMethod::kNone) continue;
    if (!foreign && !holdsCodes(checkpoint)) throw notQuantized(checkpoint, statement);
    throw unread(checkpoint, "is quantized with " + statement.name + " already (" + statement.where +
                                 (foreign ? "; " + tensors : "") + "), which nibble does not read: " + kMend);
  }
  if (!foreign) return;
  const auto names = [&](const QuantizationStatement& s) {
    return foreign->method.find(s.name.substr(0, s.name.find(' '))) != std::string::npos;
  };
  if (!statements.empty() && std::none_of(statements.begin(), statements.end(), names)) {
    throw unread(checkpoint, statements[0].where + " says " + statements[0].name + ", but " + tensors +
                                 " are those of " + foreign->method + ": the files contradict each other; " + kMend);
  }
  throw unread(checkpoint, "is quantized with " + foreign->method + " already (" + tensors +
                               "), which nibble does not read: " + kMend);
}

// Throws if what the configuration files say does not hold for the weights that were found.
void checkStatements(const Checkpoint& checkpoint, const Statements& statements,
                     const std::vector<FoundWeight>& weights) {
  if (statements.empty()) return;
  const QuantizationStatement& first = statements[0];
  if (weights.empty()) throw notQuantized(checkpoint, first);
  for (const FoundWeight& weight : weights) {
    const auto holds = [&](const QuantizationStatement& s) { return isOfMethod(weight, s.method); };
    if (std::any_of(statements.begin(), statements.end(), holds)) continue;
    throw unread(checkpoint, first.where + " says " + first.name + ", but " + quoteText(weight.spec.name) + " is " +
                                 nibFormatById(weight.spec.weights.format)->name + " of another form: " + kMend);
  }
}

// Codes without a scale are values only if nothing says that there are scales.
void checkBareFp8(const Checkpoint& checkpoint, const Statements& statements, const std::vector<FoundWeight>& weights) {
  const auto isBare = [](const FoundWeight& w) { return isBareFp8(&w); };
  const auto bare = std::find_if(weights.begin(), weights.end(), isBare);
  if (bare == weights.end()) return;
  const auto scaled = std::find_if_not(weights.begin(), weights.end(), isBare);
  if (statements.empty() && scaled == weights.end()) return;
  throw unread(checkpoint, quoteText(bare->spec.name) + " has no scale beside its FP8 codes, but " +
                               (statements.empty() ? quoteText(scaled->spec.name) + " has"
                                                   : statements[0].where + " says " + statements[0].name) +
                               ": its values are unknown; " + kMend);
}

// The zero points of weights that config.json calls asymmetric must be there.
void checkZeroPoints(const Checkpoint& checkpoint, const Statements& statements,
                     const std::vector<FoundWeight>& weights) {
  for (const QuantizationStatement& statement : statements) {
    if (statement.method != ReadMethod::kCompressedTensors) continue;
    const nlohmann::ordered_json groups = statement.config["config_groups"];
    const bool asymmetric = std::all_of(groups.begin(), groups.end(), [](const nlohmann::ordered_json& group) {
      return group.is_object() && group.contains("weights") && group["weights"].is_object() &&
             group["weights"].contains("symmetric") && group["weights"]["symmetric"] == false;
    });
    if (!asymmetric) continue;
    for (const FoundWeight& weight : weights) {
      const NibFormatInfo& info = *nibFormatById(weight.spec.weights.format);
      if (weight.container != &compressedTensors() || !(info.weights_flags & NIB_WEIGHTS_ASYMMETRIC)) continue;
      if (weight.spec.weights.flags & NIB_WEIGHTS_ASYMMETRIC) continue;
      throw unread(checkpoint, quoteText(weight.spec.name) + " has no zero points, but " + statement.where +
                                   " says that its codes are not symmetric: " + kMend);
    }
  }
}

// ComfyUI describes a weight in a tensor of JSON text beside it.
bool isFp8Mark(const Checkpoint& checkpoint, size_t index) {
  const TensorInfo info = checkpoint.info(index);
  if (!info.name.ends_with(".comfy_quant") || info.dtype != Dtype::kU8 || info.bytes > 4096) return false;
  std::string text(size_t(info.bytes), ' ');
  checkpoint.read(index, 0, std::as_writable_bytes(std::span(text.data(), text.size())));
  return text.find("float8_") != std::string::npos && text.find("mxfp8") == std::string::npos;
}

class Leftovers {
 public:
  Leftovers(const Checkpoint& checkpoint, const Statements& statements, const std::vector<FoundWeight>& weights)
      : checkpoint_(checkpoint),
        quantized_(!statements.empty() || !weights.empty()),
        claimed_(checkpoint.size(), false) {
    for (const FoundWeight& weight : weights) {
      for (const size_t part : weight.tensors) claimed_[part] = true;
    }
    for (size_t i = 0; i < checkpoint.size(); ++i) names_.emplace_back(checkpoint.info(i).name, i);
    std::sort(names_.begin(), names_.end());
  }

  // Tensors of no weight. Throws if one of them must belong to a weight.
  std::vector<size_t> check() const {
    std::vector<size_t> dropped;
    for (size_t i = 0; i < checkpoint_.size(); ++i) {
      if (claimed_[i]) continue;
      if (isDropped(i)) {
        dropped.push_back(i);
      } else {
        checkOther(checkpoint_.info(i));
      }
    }
    return dropped;
  }

  // Throws if beside the parts of the weight there is one that nibble does not know.
  void checkBeside(const FoundWeight& weight) const {
    const std::string module = moduleOf(weight.spec.name) + (weight.spec.name.ends_with(kWeight) ? "." : "_");
    for (auto at = std::lower_bound(names_.begin(), names_.end(), std::pair(std::string_view(module), size_t(0)));
         at != names_.end() && at->first.starts_with(module); ++at) {
      const std::string_view rest = at->first.substr(module.size());
      const bool of_other = rest.find('.') != std::string_view::npos && !rest.starts_with("weight.");
      if (of_other || rest.ends_with("bias") || claimed_[at->second]) continue;
      if (isDropped(at->second) || at->first == weight.spec.name) continue;
      // Names of experts in a stack may continue.
      if (module.ends_with('_') && rest.find("scale") == std::string_view::npos) continue;
      throw unread(checkpoint_, quoteText(at->first) + " is beside the quantized weight " +
                                    quoteText(weight.spec.name) + ", and nibble does not know what it does: " + kMend);
    }
  }

 private:
  bool isDropped(size_t i) const {
    if (!quantized_) return false;
    const TensorInfo info = checkpoint_.info(i);
    if (isActivationScale(info.name)) return true;
    const bool mark = info.name == "scaled_fp8" || info.name.ends_with(".scaled_fp8");
    return (mark && info.shape.size() == 1 && isSmallFloat(info.dtype)) || isFp8Mark(checkpoint_, i);
  }

  void checkOther(const TensorInfo& info) const {
    if (info.bytes == 0) return;
    const bool codes = isCodes(info.dtype);
    const bool matrix = info.shape.size() >= 2;
    if (codes && namesWeight(info.name) && (matrix || quantized_)) {
      throw unread(checkpoint_, quoteText(info.name) + " holds codes of type " + std::string(dtypeName(info.dtype)) +
                                    " without a scale that nibble knows, so their values are unknown: " + kMend);
    }
    if (codes && isSmallFloat(info.dtype) && matrix && quantized_) {
      throw unread(checkpoint_, quoteText(info.name) + " is of type " + std::string(dtypeName(info.dtype)) +
                                    " in a quantized model, and has no scale that nibble knows: " + kMend);
    }
    if (!isWeightScale(info.name)) return;
    const std::string weight = std::string(info.name.substr(0, info.name.rfind('.'))) + std::string(kWeight);
    const std::optional<size_t> dense = checkpoint_.find(weight);
    if (!dense) {
      throw unread(checkpoint_, quoteText(info.name) + " is the scale of " + quoteText(weight) +
                                    ", which is not there: get the missing files, or remove the scale");
    }
    if (isFloat(checkpoint_.info(*dense).dtype)) {
      throw unread(checkpoint_, quoteText(info.name) + " is beside dense values of " + quoteText(weight) +
                                    ", so nibble does not know whether it multiplies them: remove it if it does not");
    }
  }

  const Checkpoint& checkpoint_;
  bool quantized_;
  std::vector<bool> claimed_;
  std::vector<std::pair<std::string_view, size_t>> names_;
};

}  // namespace

QuantizedInput readQuantized(const Checkpoint& checkpoint) {
  const Statements statements = statedQuantization(checkpoint);
  refuseUnread(checkpoint, statements);
  QuantizedInput input;
  input.weights = findWeights(checkpoint);
  const Leftovers leftovers(checkpoint, statements, input.weights);
  input.dropped = leftovers.check();
  for (const FoundWeight& weight : input.weights) leftovers.checkBeside(weight);
  checkBareFp8(checkpoint, statements, input.weights);
  checkStatements(checkpoint, statements, input.weights);
  checkZeroPoints(checkpoint, statements, input.weights);
  return input;
}

std::string statedName(const Checkpoint& checkpoint) {
  const Statements statements = statedQuantization(checkpoint);
  return statements.empty() ? "" : statements[0].name;
}

}  // namespace nib::model
