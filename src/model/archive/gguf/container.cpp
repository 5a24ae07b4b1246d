// GGUF, the files of llama.cpp: one file with the tensors, the network and the tokenizer.
#include "model/archive/container.h"

#include <nibble/formats.h>

#include "model/archive/checkpoint.h"
#include "model/archive/error.h"
#include "model/archive/gguf/formats.h"
#include "model/archive/gguf/metadata.h"
#include "model/archive/gguf/mix.h"
#include "model/archive/gguf/mx_blocks.h"
#include "model/archive/gguf/vocabulary.h"
#include "model/archive/quantized_input.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <map>

namespace nib::model {
namespace {

// "q4_0, q4_1, ..."
std::string formatNames() {
  std::string names;
  for (uint32_t id = 0; id < kGgmlTypes; ++id) {
    const uint32_t format = formatOfGgml(id);
    if (format != 0) names += nibFormatById(format)->name + std::string(", ");
  }
  return names;
}

// Plans the file of one model.
class Planner {
 public:
  Planner(const WriterOptions& options, const Surroundings& model) : options_(options), model_(model) {
    if (!model.config_json) {
      throw Error("--format gguf needs the model's folder with config.json, which describes the network");
    }
    network_ = readGgufNetwork(*model.config_json);
  }

  OutputPlan plan(std::span<const OutputTensor> tensors) {
    for (const OutputTensor& tensor : tensors) add(tensor);
    checkExperts();
    addDivisors();
    describe();
    options_.split_bytes ? planParts(*options_.split_bytes) : planFile();
    return std::move(plan_);
  }

 private:
  // A tensor of the model: one of the file, or the matrix of one expert in it.
  struct Item {
    std::string name;
    size_t tensor = 0;
    uint64_t inside = 0;
    uint64_t bytes = 0;
  };
  // The tensor of all experts, and which of them are there.
  struct Stack {
    size_t tensor = 0;
    std::string first;
    std::vector<bool> has;
  };

  void planFile() {
    GgufLayout layout = layOutGguf(metadata_, tensors_, shown(options_.out));
    addItems(0, tensors_.size(), 0, layout);
    plan_.kind = OutputKind::kFile;
    plan_.files.push_back({"model.gguf", layout.file_bytes, std::move(layout.head)});
  }

  // As llama.cpp names and fills the parts of a split: the first has the metadata.
  void planParts(uint64_t most) {
    std::vector<size_t> ends;
    uint64_t bytes = 0;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (bytes != 0 && tensors_[i].bytes > most - std::min(bytes, most)) {
        ends.push_back(i);
        bytes = 0;
      }
      bytes += tensors_[i].bytes;
    }
    ends.push_back(tensors_.size());
    constexpr size_t kMostParts = 1000;
    if (ends.size() > kMostParts) {
      throw Error("--split-max-size: makes " + std::to_string(ends.size()) +
                  " parts, more than 1000; choose a larger one");
    }
    plan_.kind = OutputKind::kFolder;
    plan_.takes_files = false;
    for (size_t p = 0, begin = 0; p < ends.size(); begin = ends[p++]) {
      GgufMetadata metadata = p == 0 ? metadata_ : GgufMetadata();
      metadata.add("split.no", uint16_t(p));
      metadata.add("split.count", uint16_t(ends.size()));
      metadata.add("split.tensors.count", int32_t(tensors_.size()));
      GgufLayout layout =
          layOutGguf(metadata, std::span(tensors_).subspan(begin, ends[p] - begin), shown(options_.out));
      addItems(begin, ends[p], uint32_t(p), layout);
      char name[64];
      std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.gguf", p + 1, ends.size());
      plan_.files.push_back({name, layout.file_bytes, std::move(layout.head)});
    }
  }

  // The items of tensors [begin, end), which are in one file.
  void addItems(size_t begin, size_t end, uint32_t file, const GgufLayout& layout) {
    plan_.items.resize(items_.size());
    for (size_t i = 0; i < items_.size(); ++i) {
      const Item& item = items_[i];
      if (item.tensor < begin || item.tensor >= end) continue;
      plan_.items[i] = {item.name, file, layout.offset[item.tensor - begin] + item.inside, item.bytes};
      plan_.total_bytes += item.bytes;
    }
  }

  void add(const OutputTensor& tensor) {
    const std::optional<GgufPlace> place = ggufPlace(*network_.family, tensor.name);
    if (!place) {
      throw Error("tensor " + quoteText(tensor.name) + ": llama.cpp's network " + network_.family->architecture +
                  " has no such tensor; choose another --format");
    }
    GgufTensor entry;
    entry.name = place->name;
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
    plan_.offsets.push_back(isNormWeight(tensor.name) ? network_.family->norm_offset : 0);
    elements_[entry.type] += tensor.shape.size() >= 2 ? entry.bytes / entry.type->bytes * entry.type->block : 0;
    if (place->expert) return addExpert(tensor.name, *place->expert, std::move(entry));
    items_.push_back({tensor.name, tensors_.size(), 0, entry.bytes});
    tensors_.push_back(std::move(entry));
  }

  // The matrices of all experts follow each other in one tensor.
  void addExpert(const std::string& name, uint32_t expert, GgufTensor entry) {
    const auto refuse = [&](const std::string& why) { throw Error("tensor " + quoteText(name) + ": " + why); };
    if (expert >= network_.experts) {
      refuse("config.json says that there are " + std::to_string(network_.experts) + " experts");
    }
    const auto [at, is_new] = stacks_.try_emplace(entry.name);
    Stack& stack = at->second;
    const uint64_t bytes = entry.bytes;
    if (is_new) {
      stack = {tensors_.size(), name, std::vector<bool>(network_.experts, false)};
      entry.dims.resize(2, 1);
      entry.dims.push_back(network_.experts);
      if (__builtin_mul_overflow(bytes, uint64_t{network_.experts}, &entry.bytes)) refuse("is too large");
      tensors_.push_back(std::move(entry));
    } else {
      const GgufTensor& whole = tensors_[stack.tensor];
      if (entry.type != whole.type || bytes * network_.experts != whole.bytes || entry.dims[0] != whole.dims[0]) {
        refuse(std::string("is ") + entry.type->name + " or of another shape than " + quoteText(stack.first) + " of " +
               whole.type->name + ", and llama.cpp has all experts in one tensor: give them one type (--rule)");
      }
      if (stack.has[expert]) refuse("occurs twice");
    }
    stack.has[expert] = true;
    items_.push_back({name, stack.tensor, bytes * expert, bytes});
  }

  void checkExperts() const {
    for (const auto& [name, stack] : stacks_) {
      const auto missing = std::find(stack.has.begin(), stack.has.end(), false);
      if (missing == stack.has.end()) continue;
      throw Error("tensor " + quoteText(stack.first) + ": expert " + std::to_string(missing - stack.has.begin()) +
                  " of its layer is missing, and config.json says that there are " + std::to_string(network_.experts));
    }
  }

  static bool isFloat(Dtype dtype) { return dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBF16; }

  void checkShape(const std::string& name, const GgufTensor& tensor) const {
    const uint64_t rows = tensor.dims.back();
    const bool of_tokens = tensor.name == "token_embd.weight" || tensor.name == "output.weight";
    const ModelConfig& config = network_.config;
    const HeadRows heads = headRowsOf(name);
    const uint64_t queries = uint64_t(config.heads) * config.head_size;
    const uint64_t keys = uint64_t(config.key_heads) * config.head_size;
    const uint64_t wanted = of_tokens                                    ? config.vocabulary
                            : heads == HeadRows::kQuery                  ? queries
                            : heads == HeadRows::kKey                    ? keys
                            : tensor.name.ends_with("attn_qkv.weight")   ? queries + 2 * keys
                            : name.ends_with(".mlp.gate_up_proj.weight") ? 2 * uint64_t{config.inner}
                                                                         : rows;
    if (tensor.dims.size() <= 2 && rows == wanted) return;
    throw Error("tensor " + quoteText(name) + ": has " + std::to_string(rows) + " rows, and config.json says " +
                std::to_string(wanted));
  }

  RowOrder orderOf(const std::string& name, const GgufTensor& tensor) const {
    if (!network_.family->pairs_rows || headRowsOf(name) == HeadRows::kNone || tensor.bytes == 0) return {};
    return {tensor.bytes / tensor.dims.back(), network_.config.head_size};
  }

  void addDivisors() {
    for (const RopeTensor& tensor : ropeTensors(network_.config)) {
      std::vector<std::byte> bytes(tensor.divisors.size() * sizeof(float));
      std::memcpy(bytes.data(), tensor.divisors.data(), bytes.size());
      items_.push_back({tensor.name, tensors_.size(), 0, bytes.size()});
      tensors_.push_back({tensor.name, findGgmlType(Dtype::kF32), {tensor.divisors.size()}, bytes.size()});
      plan_.added.push_back(std::move(bytes));
      plan_.rows.emplace_back();
      plan_.offsets.push_back(0);
    }
  }

  void describe() {
    // The type of most matrices.
    const auto most = std::max_element(elements_.begin(), elements_.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    GgufMetadata& metadata = metadata_;
    metadata.add("general.architecture", network_.family->architecture);
    metadata.add("general.type", "model");
    const uint32_t file_type = most != elements_.end() ? most->first->file_type : 0;
    metadata.add("general.file_type", options_.file_type.value_or(file_type));
    metadata.add("general.quantization_version", uint32_t{2});
    for (const auto& [key, value] : options_.metadata) {
      if (key.starts_with("nibble_")) metadata.add("nibble." + key.substr(7), value);
    }
    if (options_.importance) {
      metadata.add("quantize.imatrix.file", options_.importance->file);
      metadata.add("quantize.imatrix.dataset", options_.importance->dataset);
      metadata.add("quantize.imatrix.entries_count", options_.importance->entries);
      metadata.add("quantize.imatrix.chunks_count", options_.importance->chunks);
    }
    addNetwork(network_, metadata, plan_.notes);
    addVocabulary(model_, network_.config.vocabulary, metadata, plan_.notes);
  }

  const WriterOptions& options_;
  const Surroundings& model_;
  GgufNetwork network_;
  OutputPlan plan_;
  GgufMetadata metadata_;
  std::vector<GgufTensor> tensors_;
  std::vector<Item> items_;
  std::map<std::string, Stack> stacks_;
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
    if (ggmlTypeOf(w.weights.format) == nullptr) return "gguf holds " + formatNames() + "F16, BF16 and F32";
    if (activations != Activations::kNone) return "gguf has no setting for activations: its loaders decide";
    return "";
  }

  NibLayout layout(const WeightSpec& w, Activations) const override {
    return w.weights.format == NIB_FORMAT_MXFP4 ? NIB_LAYOUT_ROWS : NIB_LAYOUT_GGUF;
  }

  std::vector<WeightPart> parts(const WeightSpec& w, Activations) const override {
    const GgmlType& type = *ggmlTypeOf(w.weights.format);
    WeightPart part{{w.name, Dtype::kU8, {w.rows, uint64_t(w.cols) / type.block * type.bytes}, type.id},
                    type.id == kGgmlMxfp4 ? PartFrom::kMxBlocks : PartFrom::kCodes};
    return {part};
  }

  // llama.cpp has vectors, norms and routers in F32 only.
  Dtype denseType(const TensorInfo& tensor, Dtype wanted) const override {
    const bool is_router = tensor.name.ends_with("block_sparse_moe.gate.weight");
    return tensor.shape.size() < 2 || isNormWeight(tensor.name) || is_router ? Dtype::kF32 : wanted;
  }
  std::optional<Dtype> misfitType() const override { return Dtype::kF16; }
  Fit fit(uint32_t format, uint64_t cols) const override {
    const GgmlType* const type = ggmlTypeOf(format);
    if (type == nullptr) return {format, 1};
    return {formatOfGgml(ggufFallback(type->id, cols)), type->block};
  }
  bool leavesOut(std::string_view name, bool tied) const override {
    return name.ends_with(".rotary_emb.inv_freq") || (tied && name == "lm_head.weight");
  }

  std::vector<FoundWeight> find(const Checkpoint& checkpoint) const override {
    std::vector<FoundWeight> found;
    for (size_t i = 0; i < checkpoint.size(); ++i) {
      const TensorInfo info = checkpoint.info(i);
      if (info.blocks == 0) continue;
      const GgmlType& type = *findGgmlType(info.blocks);
      const uint32_t format = formatOfGgml(type.id);
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
      // There is one type of scales, and one size of groups.
      const NibFormatInfo& facts = *nibFormatById(format);
      weight.spec.weights.group_size = facts.group_max;
      weight.spec.weights.scale_type = uint32_t(std::countr_zero(facts.scale_types));
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
