#include "model/archive/scale_names.h"

#include "model/archive/error.h"

#include <algorithm>
#include <iterator>

namespace nib::model {
namespace {

constexpr std::string_view kWeight = ".weight";

// Beside "P.weight" as "P.NAME": of compressed-tensors, ModelOpt and FBGEMM; DeepSeek and Qwen; DeepSeek's own code;
// ComfyUI; Mistral's own code.
constexpr const char* kBesideWeight[] = {"weight_scale", "weight_scale_inv", "scale", "scale_weight", "qscale_weight"};
// After the name of any other weight: experts in a stack.
constexpr const char* kAfterName[] = {"_scale", "_scale_inv", "_weight_scale", ".scale"};
constexpr std::string_view kActivations[] = {
    "input_scale", "input_scale_inv",  "input_scales",        "input_zero_point",  "input_global_scale",
    "input_amax",  "output_scale",     "output_amax",         "k_scale",           "v_scale",
    "q_scale",     "activation_scale", "act_scale",           "prob_output_scale", "scale_input",
    "qscale_act",  "input_scale_ub",   "activation_scale_inv"};

std::string_view lastPart(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

}  // namespace

std::optional<size_t> findWeightScale(const Checkpoint& checkpoint, std::string_view weight) {
  std::optional<size_t> found;
  const auto look = [&](const std::string& name) {
    const std::optional<size_t> at = checkpoint.find(name);
    if (!at) return;
    if (found) {
      throw Error(quoteText(weight) + ": has two scales, " + quoteText(checkpoint.info(*found).name) + " and " +
                  quoteText(name) + ": nibble does not know which one holds");
    }
    found = at;
  };
  const bool layer = weight == "weight" || weight.ends_with(kWeight);
  const std::string module(weight.substr(0, layer ? weight.size() - std::string_view("weight").size() : 0));
  if (layer) {
    for (const char* name : kBesideWeight) look(module + name);
  } else {
    for (const char* name : kAfterName) look(std::string(weight) + name);
  }
  return found;
}

bool isWeightScale(std::string_view name) {
  const std::string_view last = lastPart(name);
  return last != "scale" &&
         std::find(std::begin(kBesideWeight), std::end(kBesideWeight), last) != std::end(kBesideWeight);
}

bool isActivationScale(std::string_view name) {
  const std::string_view last = lastPart(name);
  return std::any_of(std::begin(kActivations), std::end(kActivations), [&](std::string_view known) {
    // In a stack of experts: "experts.gate_up_proj_input_scale".
    return last == known || (last.ends_with(known) && last[last.size() - known.size() - 1] == '_');
  });
}

bool isOfCompressedTensors(const TensorInfo& codes, const TensorInfo& scale) {
  if (codes.dtype != Dtype::kF8E4M3 || codes.shape.size() != 2 || !codes.name.ends_with(kWeight)) return false;
  if (!scale.name.ends_with(".weight_scale")) return false;
  if (scale.dtype != Dtype::kF32 && scale.dtype != Dtype::kF16 && scale.dtype != Dtype::kBF16) return false;
  return scale.shape == std::vector<uint64_t>{1} || scale.shape == std::vector<uint64_t>{codes.shape[0], 1};
}

}  // namespace nib::model
