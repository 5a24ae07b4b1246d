// GGUF, the files of llama.cpp: one file with the tensors, the network and the tokenizer.
#include "model/archive/container.h"

#include <nibble/formats.h>

#include "model/archive/checkpoint.h"
#include "model/archive/error.h"
#include "model/archive/gguf/metadata.h"
#include "model/archive/gguf/mx_blocks.h"
#include "model/archive/gguf/vocabulary.h"
#include "model/archive/quantized_input.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace nib::model {
namespace {

constexpr std::pair<uint32_t, uint32_t> kBlockTypes[] = {{NIB_FORMAT_Q4_0, 2}, {NIB_FORMAT_Q4_1, 3},
                                                         {NIB_FORMAT_Q5_0, 6}, {NIB_FORMAT_Q5_1, 7},
                                                         {NIB_FORMAT_Q8_0, 8}, {NIB_FORMAT_MXFP4, kGgmlMxfp4}};

// 0 = ggml has no such type.
uint32_t ggmlIdOf(uint32_t format) {
  for (const auto& [known, id] : kBlockTypes) {
    if (known == format) return id;
  }
  return 0;
}

// 0 = nibble does not read the type.
uint32_t formatOf(uint32_t ggml_id) {
  for (const auto& [format, known] : kBlockTypes) {
    if (known == ggml_id) return format;
  }
  return 0;
}

// Plans the file of one model.
class Planner {
 public:
  Planner(const WriterOptions& options, const Surroundings& model) : options_(options), model_(model) {
    if (!model.config_json) {
      throw Error("--format gguf needs the model's folder with config.json, which describes the network");
    }
    family_ = &ggufFamilyOf(*model.config_json);
    config_ = readConfig(*model.config_json);
  }

  OutputPlan plan(std::span<const OutputTensor> tensors) {
    for (const OutputTensor& tensor : tensors) add(tensor);
    addDivisors();
    const GgufMetadata metadata = describe();
    const std::string where = shown(options_.out);
    GgufLayout layout = layOutGguf(metadata, tensors_, where);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      plan_.items.push_back({tensors_[i].name, 0, layout.offset[i], tensors_[i].bytes});
      plan_.total_bytes += tensors_[i].bytes;
    }
    plan_.kind = OutputKind::kFile;
    plan_.files.push_back({"model.gguf", layout.file_bytes, std::move(layout.head)});
    return std::move(plan_);
  }

 private:
  void add(const OutputTensor& tensor) {
    const std::optional<std::string> name = ggufName(tensor.name);
    if (!name) {
      throw Error("tensor " + quoteText(tensor.name) + ": llama.cpp's network " + family_->architecture +
                  " has no such tensor; choose another --format");
    }
    GgufTensor entry;
    entry.name = *name;
    entry.type = tensor.blocks != 0 ? findGgmlType(tensor.blocks) : findGgmlType(tensor.dtype);
    if (entry.type == nullptr || (tensor.blocks == 0 && !isFloat(tensor.dtype))) {
      throw Error("tensor " + quoteText(tensor.name) + ": has the type " + std::string(dtypeName(tensor.dtype)) +
                  ", weights of a GGUF model are F32, F16 or BF16; choose another --format");
    }
    entry.dims.assign(tensor.shape.rbegin(), tensor.shape.rend());
    if (entry.dims.empty()) entry.dims = {1};
    if (tensor.blocks != 0) entry.dims[0] = entry.dims[0] / entry.type->bytes * entry.type->block;
    entry.bytes = *tensorBytes(tensor.dtype, tensor.shape);
    checkShape(tensor.name, entry);
    plan_.rows.push_back(orderOf(tensor.name, entry));
    elements_[entry.type] += tensor.shape.size() >= 2 ? entry.bytes / entry.type->bytes * entry.type->block : 0;
    tensors_.push_back(std::move(entry));
  }

  static bool isFloat(Dtype dtype) { return dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBF16; }

  void checkShape(const std::string& name, const GgufTensor& tensor) const {
    const uint64_t rows = tensor.dims.back();
    const bool of_tokens = tensor.name == "token_embd.weight" || tensor.name == "output.weight";
    const HeadRows heads = headRowsOf(name);
    const uint64_t wanted = of_tokens                   ? config_.vocabulary
                            : heads == HeadRows::kQuery ? uint64_t(config_.heads) * config_.head_size
                            : heads == HeadRows::kKey   ? uint64_t(config_.key_heads) * config_.head_size
                                                        : rows;
    if (tensor.dims.size() <= 2 && rows == wanted) return;
    throw Error("tensor " + quoteText(name) + ": has " + std::to_string(rows) + " rows, and config.json says " +
                std::to_string(wanted));
  }

  RowOrder orderOf(const std::string& name, const GgufTensor& tensor) const {
    if (!family_->pairs_rows || headRowsOf(name) == HeadRows::kNone || tensor.bytes == 0) return {};
    return {tensor.bytes / tensor.dims.back(), config_.head_size};
  }

  void addDivisors() {
    const std::vector<float> divisors = ropeDivisors(config_);
    if (divisors.empty()) return;
    std::vector<std::byte> bytes(divisors.size() * sizeof(float));
    std::memcpy(bytes.data(), divisors.data(), bytes.size());
    tensors_.push_back({"rope_freqs.weight", findGgmlType(Dtype::kF32), {divisors.size()}, bytes.size()});
    plan_.added.push_back(std::move(bytes));
    plan_.rows.emplace_back();
  }

  GgufMetadata describe() {
    // The type of most matrices.
    const auto most = std::max_element(elements_.begin(), elements_.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    GgufMetadata metadata;
    metadata.add("general.architecture", family_->architecture);
    metadata.add("general.type", "model");
    metadata.add("general.file_type", most != elements_.end() ? most->first->file_type : 0);
    metadata.add("general.quantization_version", uint32_t{2});
    for (const auto& [key, value] : options_.metadata) {
      if (key.starts_with("nibble_")) metadata.add("nibble." + key.substr(7), value);
    }
    addNetwork(config_, *family_, metadata, plan_.notes);
    addVocabulary(model_, config_.vocabulary, metadata, plan_.notes);
    return metadata;
  }

  const WriterOptions& options_;
  const Surroundings& model_;
  const GgufFamily* family_ = nullptr;
  ModelConfig config_;
  OutputPlan plan_;
  std::vector<GgufTensor> tensors_;
  std::map<const GgmlType*, uint64_t> elements_;
};

class Gguf : public Container {
 public:
  const char* name() const override { return "gguf"; }
  Loaders loaders() const override { return Loaders::kMany; }
  bool holdsEmbeddings() const override { return true; }

  // ggml rounds the scales of MX down.
  void normalize(WeightSpec& w) const override {
    if (w.weights.format == NIB_FORMAT_MXFP4) w.weights.flags &= ~uint32_t(NIB_WEIGHTS_SCALE_RULE);
  }

  std::string refuses(const WeightSpec& w, Activations activations) const override {
    if (ggmlIdOf(w.weights.format) == 0) return "gguf holds q4_0, q4_1, q5_0, q5_1, q8_0, mxfp4, F16, BF16 and F32";
    if (activations != Activations::kNone) return "gguf has no setting for activations: its loaders decide";
    return "";
  }

  NibLayout layout(const WeightSpec& w, Activations) const override {
    return w.weights.format == NIB_FORMAT_MXFP4 ? NIB_LAYOUT_ROWS : NIB_LAYOUT_GGUF;
  }

  std::vector<WeightPart> parts(const WeightSpec& w, Activations) const override {
    const GgmlType& type = *findGgmlType(ggmlIdOf(w.weights.format));
    WeightPart part{{w.name, Dtype::kU8, {w.rows, uint64_t(w.cols) / type.block * type.bytes}, type.id},
                    type.id == kGgmlMxfp4 ? PartFrom::kMxBlocks : PartFrom::kCodes};
    return {part};
  }

  // llama.cpp has vectors and norms in F32 only.
  Dtype denseType(const TensorInfo& tensor, Dtype wanted) const override {
    return tensor.shape.size() < 2 || tensor.name.ends_with("norm.weight") ? Dtype::kF32 : wanted;
  }
  std::optional<Dtype> misfitType() const override { return Dtype::kF16; }
  bool leavesOut(std::string_view name, bool tied) const override {
    return name.ends_with(".rotary_emb.inv_freq") || (tied && name == "lm_head.weight");
  }

  std::vector<FoundWeight> find(const Checkpoint& checkpoint) const override {
    std::vector<FoundWeight> found;
    for (size_t i = 0; i < checkpoint.size(); ++i) {
      const TensorInfo info = checkpoint.info(i);
      if (info.blocks == 0) continue;
      const GgmlType& type = *findGgmlType(info.blocks);
      const uint32_t format = formatOf(type.id);
      if (format == 0) {
        throw UnreadQuantization(shown(checkpoint.path()) + ": " + quoteText(info.name) + " is of ggml's type " +
                                 type.name + ", which nibble does not read: take a model in Q8_0, F16 or BF16");
      }
      const uint64_t cols = info.shape.back() / type.bytes * type.block, rows = info.bytes / info.shape.back();
      if (rows > UINT32_MAX || cols > UINT32_MAX) throw Error(quoteText(info.name) + ": is too large");
      FoundWeight weight;
      weight.spec.name = info.name;
      weight.spec.rows = uint32_t(rows);
      weight.spec.cols = uint32_t(cols);
      weight.spec.source = Dtype::kF16;
      weight.spec.weights.format = format;
      weight.spec.weights.granularity = NIB_GRANULARITY_GROUP;
      weight.spec.weights.group_size = type.block;
      weight.spec.weights.scale_type = type.id == kGgmlMxfp4 ? NIB_TYPE_E8M0 : NIB_TYPE_F16;
      weight.tensors = {i};
      if (info.shape.size() != 2) {
        weight.shape = info.shape;
        weight.shape.back() = cols;
      }
      found.push_back(std::move(weight));
    }
    return found;
  }

  std::string quantizationConfig(const ConfigFacts&) const override { return ""; }
  OutputPlan plan(const WriterOptions& options, std::span<const OutputTensor> tensors,
                  const Surroundings& model) const override {
    return Planner(options, model).plan(tensors);
  }
};

}  // namespace

const Container& gguf() {
  static const Gguf kContainer;
  return kContainer;
}

}  // namespace nib::model
