#include "model/archive/foreign_tensors.h"

#include <algorithm>
#include <iterator>

namespace nib::model {
namespace {

enum class Of { kAny, kInteger };

// A weight of the method is a tensor whose name has this ending; `beside` is the ending of another tensor of the same
// module, "" = none is needed. More specific rows come first.
struct Sign {
  const char* method;
  const char* ending;
  Of type;
  const char* beside;
};
constexpr Sign kSigns[] = {
    {"FP-Quant", ".qweight", Of::kAny, ".forward_hadamard_matrix"},
    {"SqueezeLLM", ".qweight", Of::kAny, ".lookup_table"},
    {"Marlin", ".B", Of::kInteger, ".s"},
    {"EXL2", ".q_weight", Of::kInteger, ".q_scale"},
    {"EXL3 or QTIP", ".trellis", Of::kAny, ""},
    {"QuIP#", ".Qidxs", Of::kInteger, ""},
    {"AQLM", ".codes", Of::kInteger, ".codebooks"},
    {"VPTQ", ".centroids.weight", Of::kAny, ""},
    {"SpQR", ".dense_weights", Of::kInteger, ""},
    {"HIGGS", ".tables2", Of::kAny, ""},
    {"HQQ", ".W_q", Of::kAny, ""},
    {"quanto", ".weight._data", Of::kAny, ""},
    {"quanto", ".weight._data._data", Of::kAny, ""},
    {"torchao", "weight_qdata", Of::kAny, ""},
    {"torchao", "weight:qdata", Of::kAny, ""},
    {"torchao", "weight.qdata", Of::kAny, ""},
    {"EETQ", ".weight", Of::kInteger, ".weight_scales"},
    {"NVFP4 (ModelOpt)", ".weight_scale_2", Of::kAny, ""},
    {"NVFP4 (compressed-tensors)", ".weight_global_scale", Of::kAny, ""},
    {"ModelOpt with scaled inputs", ".pre_quant_scale", Of::kAny, ""},
    {"sparse compressed-tensors", ".compressed", Of::kAny, ".bitmask"},
    {"Marlin (compressed-tensors)", ".scale_packed", Of::kAny, ""},
    {"compressed-tensors with reordered columns", ".weight_g_idx", Of::kInteger, ""},
    {"ModelSlim", ".deq_scale", Of::kAny, ""},
    {"ModelSlim", ".weight_offset", Of::kAny, ""},
    {"MLX", ".weight", Of::kInteger, ".biases"},
};

bool matches(const Checkpoint& checkpoint, const TensorInfo& tensor, const Sign& sign) {
  const std::string_view ending = sign.ending;
  if (!tensor.name.ends_with(ending)) return false;
  if (sign.type == Of::kInteger && !isInteger(tensor.dtype)) return false;
  if (*sign.beside == '\0') return true;
  const std::string module(tensor.name.substr(0, tensor.name.size() - ending.size()));
  return checkpoint.find(module + sign.beside).has_value();
}

// torchao describes its tensors in the file's metadata.
bool saysTorchao(const Checkpoint& checkpoint) {
  for (uint32_t file = 0; file < checkpoint.files().size(); ++file) {
    for (const auto& [key, value] : checkpoint.metadata(file)) {
      if (value.find("\"_type\"") != std::string::npos && value.find("Tensor\"") != std::string::npos) return true;
    }
  }
  return false;
}

}  // namespace

std::optional<ForeignTensors> findForeignTensors(const Checkpoint& checkpoint) {
  size_t best = std::size(kSigns);
  ForeignTensors found;
  for (size_t i = 0; i < checkpoint.size(); ++i) {
    const TensorInfo tensor = checkpoint.info(i);
    for (size_t s = 0; s <= std::min(best, std::size(kSigns) - 1); ++s) {
      if (!matches(checkpoint, tensor, kSigns[s])) continue;
      if (s < best) {
        best = s;
        found = {kSigns[s].method, std::string(tensor.name), 0};
      }
      ++found.count;
      break;
    }
  }
  if (best == std::size(kSigns)) {
    if (!saysTorchao(checkpoint)) return std::nullopt;
    return ForeignTensors{"torchao", checkpoint.size() != 0 ? std::string(checkpoint.info(0).name) : "", 0};
  }
  return found;
}

}  // namespace nib::model
