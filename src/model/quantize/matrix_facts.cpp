#include "model/quantize/matrix_facts.h"

#include "model/arch/config.h"
#include "model/archive/error.h"
#include "model/archive/json_document.h"
#include "model/archive/module_name.h"

#include <algorithm>
#include <array>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

// GPT-2's Conv1D layers.
constexpr std::string_view kConv1d = "c_attn q_attn c_proj c_fc";
constexpr std::string_view kInputEmbeddings = "embed_tokens wte word_embeddings embed_in tok_embeddings shared";
// Output layers of models whose type is unknown.
constexpr std::string_view kAnyHeads = "lm_head embed_out proj_out output_projection score classifier";
// transformers 5 has one module less around a tower.
constexpr std::string_view kTowerRenames = "vision_tower.vision_model>vision_tower";
constexpr const char* kLanguageConfigs[] = {"thinker_config", "text_config", "llm_config", "language_config"};
// Parts of names under which a model of several parts has its language model.
constexpr std::string_view kLanguageParts = "language_model llm language";
constexpr const char* kOtherConfigs[] = {"vision_config", "audio_config", "speech_config", "image_config"};

bool holdsObject(const Json& json, const char* key) { return json.contains(key) && json[key].is_object(); }

// The part of config.json that describes the language model.
const Json& languageConfig(const Json& config) {
  for (const char* key : kLanguageConfigs) {
    if (holdsObject(config, key)) return languageConfig(config[key]);
  }
  return config;
}

std::string textOf(const Json& config, const char* key) {
  return config.contains(key) && config[key].is_string() ? config[key].get<std::string>() : std::string();
}

uint64_t hiddenOf(const Json& config) {
  for (const char* key : {"hidden_size", "n_embd", "d_model", "dim"}) {
    if (config.contains(key) && config[key].is_number_unsigned()) return config[key].get<uint64_t>();
  }
  return 0;
}

std::vector<std::string_view> wordsOf(std::string_view list) {
  std::vector<std::string_view> words;
  while (!list.empty()) {
    words.push_back(list.substr(0, list.find(' ')));
    list.remove_prefix(std::min(list.size(), words.back().size() + 1));
  }
  return words;
}

bool isFloat(Dtype dtype) { return dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBF16; }

// The matrices of one expert in a stack of this name, in the order of their rows.
std::vector<std::string_view> partsOf(std::string_view last) {
  if (last == "gate_up_proj") return {"gate_proj", "up_proj"};
  if (hasWord("gate_proj up_proj down_proj w1 w2 w3", last)) return {last};
  return {};
}

bool isOfLanguage(std::string_view module) {
  while (!module.empty()) {
    if (hasWord(kLanguageParts, takeSegment(module))) return true;
  }
  return false;
}

bool isDown(std::string_view last) { return last == "down_proj" || last == "w2"; }

}  // namespace

MatrixFacts::MatrixFacts(std::span<const TensorInfo> tensors, const std::optional<std::string>& config_json) {
  if (config_json) readConfig(*config_json);
  std::set<std::string_view> first_segments;
  std::vector<std::pair<std::string_view, uint64_t>> biases;
  bool has_block = false, has_tower_block = false;
  for (const TensorInfo& tensor : tensors) {
    const std::string_view module = moduleOf(tensor.name);
    first_segments.insert(firstSegment(tensor.name));
    if (tensor.name.ends_with(".bias") && tensor.shape.size() == 1) {
      biases.emplace_back(tensor.name.substr(0, tensor.name.rfind('.')), tensor.shape[0]);
      biased_.emplace(biases.back().first);
    }
    if (isStack(tensor)) {
      stacks_.emplace_back(tensor.name, tensor.shape);
      has_block = has_block || towerOf(module).empty();
    }
    if (tensor.shape.size() != 2 || !tensor.name.ends_with(kWeightEnd)) continue;
    const ModuleKind kind = moduleKind(module);
    has_block = has_block || kind == ModuleKind::kBlockLinear;
    has_language_ = has_language_ || (nested_ && kind == ModuleKind::kBlockLinear && isOfLanguage(module));
    has_tower_block = has_tower_block || (kind == ModuleKind::kTower && isInBlock(module));
    const bool is_input = kind == ModuleKind::kEmbedding && hasWord(kInputEmbeddings, lastSegment(module));
    if (is_input && (!embedding_ || tensor.name.size() < embedding_->size())) embedding_ = tensor.name;
  }
  towers_are_model_ = has_tower_block && !has_block;

  // A bias has as many elements as the layer has outputs.
  std::sort(biases.begin(), biases.end());
  for (const TensorInfo& tensor : tensors) {
    if (tensor.shape.size() != 2 || !tensor.name.ends_with(kWeightEnd)) continue;
    const std::string_view module = moduleOf(tensor.name);
    const auto bias = std::lower_bound(biases.begin(), biases.end(), std::pair(module, uint64_t{0}));
    if (bias == biases.end() || bias->first != module) continue;
    if (bias->second != tensor.shape[1] || bias->second == tensor.shape[0]) continue;
    transposed_.emplace(module);
    has_conv1d_ = has_conv1d_ || hasWord(kConv1d, lastSegment(module));
  }

  // Families whose code has nothing but Conv1D.
  has_conv1d_ = has_conv1d_ || hasWord("gpt2 openai-gpt imagegpt decision_transformer", type_);
  if (!has_config_) return;
  std::string bases;
  bool has_base = family_ == nullptr || family_->base.empty();
  for (const bool by_type : {false, true}) {
    for (const std::string_view base :
         family_ != nullptr && bases.empty() ? wordsOf(family_->base) : std::vector<std::string_view>()) {
      if (by_type ? type_.find(base) == type_.npos : first_segments.count(base) == 0) continue;
      bases = base;
      has_base = has_base || !by_type;
    }
  }
  if (bases.empty() && family_ != nullptr) bases = family_->base;
  if (nested_ || family_ == nullptr || family_->encoder || !has_base) {
    std::string renames(family_ != nullptr ? family_->renames : std::string_view());
    if (nested_) renames += (renames.empty() ? "" : " ") + std::string(kTowerRenames);
    names_ = LoaderNames(nested_, bases, renames);
  }
}

void MatrixFacts::readConfig(const std::string& text) {
  const Json config = readJsonText(text, "config.json", "the text", JsonNumbers::kPython);
  if (!config.is_object()) throw Error("config.json: is not an object");
  has_config_ = true;
  const Json& language = languageConfig(config);
  const auto isNested = [&](const char* key) { return holdsObject(config, key); };
  nested_ = std::any_of(std::begin(kLanguageConfigs), std::end(kLanguageConfigs), isNested) ||
            std::any_of(std::begin(kOtherConfigs), std::end(kOtherConfigs), isNested);
  type_ = textOf(language, "model_type");
  if (type_.starts_with(kOwnNetwork)) type_.erase(0, kOwnNetwork.size());
  family_ = findMatrixFamily(type_);
  if (family_ == nullptr && (family_ = findMatrixFamily(textOf(config, "model_type"))) != nullptr) {
    type_ = textOf(config, "model_type");
  }
  hidden_ = hiddenOf(language);
  for (const Json* const part : {&config, &language}) {
    if (!part->contains("tie_word_embeddings")) continue;
    tied_ = tied_ || (*part)["tie_word_embeddings"] == true;
    untied_ = untied_ || (*part)["tie_word_embeddings"] == false;
  }
}

ModuleKind MatrixFacts::kind(std::string_view module) const {
  const ModuleKind kind = moduleKind(module);
  if (kind == ModuleKind::kBlockLinear && has_language_ && !isOfLanguage(module)) return ModuleKind::kTower;
  if (kind != ModuleKind::kTower || !towers_are_model_) return kind;
  return isInBlock(module) ? ModuleKind::kBlockLinear : ModuleKind::kOther;
}

bool MatrixFacts::isSelected(std::string_view name) const {
  return name.ends_with(kWeightEnd) && kind(moduleOf(name)) == ModuleKind::kBlockLinear;
}

bool MatrixFacts::isTransposed(const TensorInfo& tensor) const {
  if (tensor.shape.size() != 2) return false;
  const std::string_view module = moduleOf(tensor.name);
  if (transposed_.count(module) != 0) return true;
  // A square matrix, or one without a bias, has no shape that tells.
  const bool unsure = tensor.shape[0] == tensor.shape[1] || biased_.count(module) == 0;
  return has_conv1d_ && unsure && hasWord(kConv1d, lastSegment(module));
}

bool MatrixFacts::isLinear(const TensorInfo& tensor) const {
  if (tensor.shape.size() != 2 || !tensor.name.ends_with(kWeightEnd)) return false;
  const std::string_view module = moduleOf(tensor.name);
  return !isEmbedding(module) || biased_.count(module) != 0;
}

bool MatrixFacts::isStack(const TensorInfo& tensor) {
  if (tensor.shape.size() != 3) return false;
  const std::string_view module = moduleOf(tensor.name);
  const std::string_view last = lastSegment(module);
  return !partsOf(last).empty() && module.size() > last.size() &&
         lastSegment(module.substr(0, module.size() - last.size() - 1)) == "experts";
}

std::vector<StackedMatrix> MatrixFacts::matricesOf(const TensorInfo& tensor, std::string* why) const {
  const std::string_view module = moduleOf(tensor.name);
  const std::string_view last = lastSegment(module);
  const std::string parent(module.substr(0, module.size() - last.size() - 1));
  const auto fail = [&](const char* text) {
    *why = text;
    return std::vector<StackedMatrix>();
  };
  if (type_ == "gpt_oss") return fail("holds gate and up columns by turns, which nibble does not separate");
  if (!isFloat(tensor.dtype)) return fail("is not F32, F16 or BF16");
  const uint64_t experts = tensor.shape[0], a = tensor.shape[1], b = tensor.shape[2];
  if (experts == 0 || a == 0 || b == 0 || experts > UINT32_MAX || a > UINT32_MAX || b > UINT32_MAX) {
    return fail("has an impossible shape");
  }
  // [in, out] or [out, in]? The hidden size tells; if it is both, the other stack of the layer does.
  const bool down = isDown(last);
  const auto is_in_first = [&]() -> std::optional<bool> {
    const bool first = a == hidden_, second = b == hidden_;
    if (hidden_ != 0 && first != second) return first != down;
    for (const auto& [name, shape] : stacks_) {
      const std::string_view other = lastSegment(moduleOf(name));
      if (isDown(other) == down || !name.starts_with(parent + ".")) continue;
      const uint64_t factor = last == "gate_up_proj" || other == "gate_up_proj" ? 2 : 1;
      const uint64_t up_a = down ? shape[1] : a, up_b = down ? shape[2] : b;
      const uint64_t down_a = down ? a : shape[1], down_b = down ? b : shape[2];
      const bool in_first = up_a == down_b && up_b == factor * down_a;
      const bool out_first = up_b == down_a && up_a == factor * down_b;
      if (in_first != out_first) return in_first;
    }
    return std::nullopt;
  }();
  if (!is_in_first) return fail("has a shape that does not tell inputs from outputs");
  const uint64_t in = *is_in_first ? a : b, out = *is_in_first ? b : a;
  const std::vector<std::string_view> parts = partsOf(last);
  if (out % parts.size() != 0) return fail("has an odd number of rows for gate and up");
  const uint64_t rows = out / parts.size();
  std::vector<StackedMatrix> matrices;
  for (uint64_t e = 0; e < experts; ++e) {
    for (size_t p = 0; p < parts.size(); ++p) {
      StackedMatrix matrix;
      matrix.module = parent + "." + std::to_string(e) + "." + std::string(parts[p]);
      matrix.rows = uint32_t(rows);
      matrix.cols = uint32_t(in);
      matrix.slice = *is_in_first ? Slice{e * a * b + p * rows, 1, b} : Slice{e * a * b + p * rows * in, in, 1};
      matrices.push_back(std::move(matrix));
    }
  }
  return matrices;
}

bool MatrixFacts::isKept(std::string_view module, const Container& container) const {
  if (family_ == nullptr || !hasWord(family_->kept, lastSegment(module))) return false;
  switch (container.loaders()) {
    case Container::Loaders::kTransformers: return true;
    case Container::Loaders::kMany: return family_->only_transformers;
    default: return false;
  }
}

std::vector<std::string> MatrixFacts::heads() const {
  std::vector<std::string> heads;
  if (family_ == nullptr && !has_config_) return {"lm_head"};
  for (const std::string_view head : wordsOf(family_ != nullptr ? family_->heads : kAnyHeads)) heads.emplace_back(head);
  return heads;
}

}  // namespace nib::model
