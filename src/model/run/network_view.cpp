#include "model/run/network_view.h"

#include "model/arch/decoder.h"
#include "model/archive/error.h"
#include "model/archive/transposed_source.h"

#include <set>

namespace nib::model {

ModelConfig networkConfig(const Checkpoint& checkpoint) {
  return readConfig(*checkpoint.configJson(),
                    [&](const std::string& name) { return checkpoint.find(name).has_value(); });
}

std::optional<Checkpoint> networkCheckpoint(const Checkpoint& checkpoint, const ModelConfig& config) {
  if (config.block != BlockKind::kGpt2) return std::nullopt;
  std::set<std::string, std::less<>> matrices;
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    for (const std::vector<std::string>& modules : linearLayers(config, layer)) {
      for (const std::string& module : modules) matrices.insert(module + ".weight");
    }
  }
  // A quantized matrix is not of floating-point elements, and is [out, in] already.
  const auto chosen = [&](const TensorInfo& tensor) {
    const bool dense = tensor.dtype == Dtype::kF32 || tensor.dtype == Dtype::kF16 || tensor.dtype == Dtype::kBF16;
    return dense && tensor.blocks == 0 && tensor.shape.size() == 2 && matrices.contains(tensor.name);
  };
  return Checkpoint(checkpoint.path(), transposedSource(checkpoint, chosen));
}

void refuseExperts(const ModelConfig& config, const std::string& what, const std::string& why) {
  if (config.experts.count == 0) return;
  throw Error(what + ": models of type " + config.family + " have experts, and " + why);
}

void refuseTransposed(const ModelConfig& config, const std::string& what) {
  if (config.block != BlockKind::kGpt2) return;
  throw Error(what + ": not for models of type " + config.family +
              ", whose files hold the matrices of layers as [in, out]");
}

NetworkView::NetworkView(const ModelView& view, const ModelConfig& config)
    : view_(view), turned_(networkCheckpoint(view.checkpoint(), config)) {
  if (turned_) turned_view_.emplace(*turned_);
}

}  // namespace nib::model
