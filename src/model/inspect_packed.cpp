#include "model/inspect_packed.h"

#include "model/archive/error.h"
#include "model/archive/quantization_config.h"

#include <algorithm>
#include <initializer_list>

namespace nib::model {
namespace {

constexpr uint64_t kChunkElements = 4u << 20;

bool isPacked(const FoundWeight& found) {
  return found.container == &gptq() || found.container == &gptqV2() || found.container == &awq();
}

}  // namespace

void checkPackedWeights(const kit::Device& device, const ModelView& view) {
  const TimedDevice timed(device, nullptr);
  Decoder decoder(timed, view);
  kit::Buffer values;
  for (const ModelView::Tensor& tensor : view.tensors()) {
    if (tensor.weight == nullptr || !isPacked(*tensor.weight)) continue;
    const uint64_t unit = decoder.unit(tensor), elements = tensor.elements();
    const uint64_t chunk = std::min(std::max<uint64_t>(kChunkElements / unit, 1) * unit, elements);
    if (values.sizeBytes() < chunk * sizeof(float)) values = kit::Buffer(device, chunk * sizeof(float));
    for (uint64_t at = 0; at < elements; at += chunk) {
      decoder.decode(tensor, at, std::min(chunk, elements - at), values);
    }
  }
}

std::vector<std::string> missingPackedKeys(const Checkpoint& checkpoint) {
  using Names = std::initializer_list<const char*>;
  std::vector<std::string> lines;
  for (const QuantizationStatement& statement : statedQuantization(checkpoint)) {
    const bool gptq = statement.method == ReadMethod::kGptq;
    if (!gptq && statement.method != ReadMethod::kAwq) continue;
    const auto need = [&](Names spellings) {
      if (std::any_of(spellings.begin(), spellings.end(),
                      [&](const char* n) { return statement.config.contains(n); })) {
        return;
      }
      lines.push_back(shown(checkpoint.path()) + ": " + statement.where + ": the quantization has no key " +
                      *spellings.begin() + ", which some loaders need");
    };
    if (gptq) {
      for (const char* key : {"bits", "group_size", "desc_act", "sym"}) need({key});
    } else {
      need({"bits", "w_bit"});
      need({"group_size", "q_group_size"});
      need({"zero_point"});
    }
  }
  return lines;
}

}  // namespace nib::model
