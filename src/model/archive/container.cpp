#include "model/archive/container.h"

#include "model/archive/checkpoint.h"
#include "model/archive/error.h"
#include "model/archive/json_document.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace nib::model {

std::string WeightSpec::module() const {
  constexpr std::string_view kEnd = ".weight";
  return name.ends_with(kEnd) ? name.substr(0, name.size() - kEnd.size()) : name;
}

uint32_t WeightSpec::bits() const { return nibFormatById(weights.format)->bits; }

uint64_t WeightSpec::groupsPerRow() const {
  if (weights.granularity != NIB_GRANULARITY_GROUP || weights.group_size == UINT32_MAX) return 1;
  return (uint64_t(cols) + weights.group_size - 1) / weights.group_size;
}

Dtype WeightSpec::scaleDtype() const {
  switch (weights.scale_type) {
    case NIB_TYPE_F16: return Dtype::kF16;
    case NIB_TYPE_BF16: return Dtype::kBF16;
    case NIB_TYPE_E8M0: return Dtype::kU8;
    default: return Dtype::kF32;
  }
}

void Container::normalize(WeightSpec&) const {}

std::vector<std::byte> Container::lateBytes(const WeightSpec&, float) const { return {}; }

std::vector<FoundWeight> Container::find(const Checkpoint&) const { return {}; }

OutputPlan Container::plan(const WriterOptions& options, std::span<const OutputTensor> tensors,
                           const Surroundings&) const {
  return planSafetensors(options, tensors);
}

bool findParts(const Container& container, const Checkpoint& checkpoint, FoundWeight& weight, std::string* why) {
  weight.tensors.clear();
  for (const WeightPart& part : container.parts(weight.spec, weight.activations)) {
    const std::optional<size_t> index = checkpoint.find(part.tensor.name);
    if (!index) {
      *why = "there is no " + quoteText(part.tensor.name);
      return false;
    }
    const TensorInfo info = checkpoint.info(*index);
    // The JSON text that another program wrote may have another length.
    if (info.dtype != part.tensor.dtype || info.blocks != part.tensor.blocks ||
        (part.from != PartFrom::kLate && info.shape != part.tensor.shape)) {
      *why = quoteText(part.tensor.name) + " has another type or shape than its weight requires";
      return false;
    }
    weight.tensors.push_back(*index);
  }
  return true;
}

namespace {
const Container* const* containers(size_t* count) {
  static const Container* const kList[] = {&compressedTensors(), &gptq(), &gptqV2(),           &awq(),
                                           &bitsandbytes(),      &gguf(), &plainSafetensors(), &denseValues()};
  *count = sizeof kList / sizeof kList[0];
  return kList;
}
}  // namespace

const Container* findContainer(std::string_view name) {
  size_t count = 0;
  const Container* const* list = containers(&count);
  for (size_t i = 0; i < count; ++i) {
    if (name == list[i]->name()) return list[i];
  }
  return nullptr;
}

std::vector<std::string> containerNames() {
  size_t count = 0;
  const Container* const* list = containers(&count);
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) names.emplace_back(list[i]->name());
  return names;
}

const char* torchName(Dtype dtype) {
  return dtype == Dtype::kF16 ? "float16" : dtype == Dtype::kBF16 ? "bfloat16" : "float32";
}

std::vector<FoundWeight> findWeights(const Checkpoint& checkpoint) {
  std::vector<FoundWeight> all;
  const auto add = [&](const Container& container) {
    for (FoundWeight& weight : container.find(checkpoint)) {
      weight.container = &container;
      all.push_back(std::move(weight));
    }
  };
  size_t count = 0;
  const Container* const* list = containers(&count);
  for (size_t i = 0; i < count; ++i) add(*list[i]);
  add(storedFp8());
  add(mxfp4Experts());
  return all;
}

namespace {

using Json = nlohmann::ordered_json;

// The types of models inside the model, text_config's for example, are those of its weights too. A null of theirs is
// the outer type.
void setDtype(Json& config, const std::string& torch_dtype, bool is_outer) {
  // Two spellings of one key. Loaders take the type from here, and an outdated one would make them round the weights.
  for (const char* key : {"torch_dtype", "dtype"}) {
    if (config.contains(key) && (is_outer || config[key].is_string())) config[key] = torch_dtype;
  }
  for (auto& [key, value] : config.items()) {
    if (value.is_object()) setDtype(value, torch_dtype, false);
  }
}

// Loaders look here or in the language model's part, depending on their version.
void untie(Json& config, bool is_outer) {
  constexpr const char* kTie = "tie_word_embeddings";
  if (is_outer || config.contains(kTie)) config[kTie] = false;
  for (const char* key : {"thinker_config", "text_config", "llm_config", "language_config", "decoder"}) {
    if (!config.contains(key) || !config[key].is_object()) continue;
    config[key][kTie] = false;
    untie(config[key], false);
  }
}

}  // namespace

std::string configWith(const std::string& config_json, const std::string& quantization_config,
                       const std::string& torch_dtype, bool untied) {
  Json config = readJsonText(config_json, "config.json", "the text", JsonNumbers::kText);
  if (!config.is_object()) throw Error("config.json: is not an object");
  if (quantization_config.empty()) {
    config.erase("quantization_config");
  } else {
    config["quantization_config"] = nullptr;  // keeps its place
  }
  if (!torch_dtype.empty()) setDtype(config, torch_dtype, true);
  if (untied) untie(config, true);
  if (!quantization_config.empty()) config["quantization_config"] = Json::parse(quantization_config);
  return writeJson(config) + "\n";
}

std::string configWithNumbers(const std::string& config_json, const std::map<std::string, uint64_t>& numbers,
                              std::string_view type_prefix) {
  Json config = readJsonText(config_json, "config.json", "the text", JsonNumbers::kText);
  if (!config.is_object()) throw Error("config.json: is not an object");
  for (const auto& [key, number] : numbers) config[key] = number;
  const std::string type = config.contains("model_type") && config["model_type"].is_string()
                               ? config["model_type"].get<std::string>()
                               : std::string();
  if (!type.starts_with(type_prefix)) config["model_type"] = std::string(type_prefix) + type;
  return writeJson(config) + "\n";
}

void addConfigFile(const Surroundings& model, const char* name, OutputPlan& plan) {
  if (!model.config_json) return;
  const Json config = readJsonText(*model.config_json, "config.json", "the text", JsonNumbers::kText);
  if (!config.contains("quantization_config")) return;
  plan.texts.push_back({name, writeJson(config["quantization_config"]) + "\n"});
}

}  // namespace nib::model
