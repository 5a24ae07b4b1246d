#include "model/quantize/mix.h"

#include "model/archive/error.h"
#include "model/archive/gguf/formats.h"
#include "model/archive/gguf/network.h"

#include <vector>

namespace nib::model {

ChosenTypes chooseMix(const GgufMix& mix, const ModelView& view, bool importance) {
  const std::optional<std::string>& config = view.checkpoint().configJson();
  if (!config) throw Error(std::string("--type ") + mix.name + " needs the model's folder with config.json");
  constexpr uint32_t kQ2KS = 21;
  if (mix.file_type == kQ2KS && !importance) {
    throw Error("--type Q2_K_S needs --imatrix FILE, as in llama-quantize: without it the model is unusable");
  }
  const GgufNetwork network = readGgufNetwork(*config);
  const MixModel model{network.family->architecture, network.config.layers, network.config.heads,
                       network.config.key_heads,     network.experts,       importance};
  std::vector<MixTensor> tensors;
  std::map<std::string, std::vector<std::string_view>> sources;  // of each tensor in GGUF: experts are one there
  for (const ModelView::Tensor& tensor : view.tensors()) {
    const std::optional<GgufPlace> place = ggufPlace(*network.family, tensor.name);
    if (!place || tensor.shape.size() != 2 || (network.config.tied && place->name == "output.weight")) continue;
    if (sources[place->name].empty()) tensors.push_back({place->name, tensor.shape[1]});
    sources[place->name].push_back(tensor.name);
  }
  ChosenTypes chosen;
  for (const auto& [name, type] : chooseGgufTypes(mix, model, tensors)) {
    const uint32_t format = formatOfGgml(type);
    if (format == 0) {
      throw Error(std::string("--type ") + mix.name + ": tensor " + quoteText(name) + " is to have the type " +
                  findGgmlType(type)->name + ", which this build of nibble does not have");
    }
    for (const std::string_view source : sources[name]) {
      chosen.emplace(source, SizedType{{format, Dtype::kF32}, {}});
    }
  }
  return chosen;
}

}  // namespace nib::model
