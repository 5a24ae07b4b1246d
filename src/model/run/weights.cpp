#include "model/run/weights.h"

#include <nibble/formats.h>

#include "model/archive/error.h"
#include "model/run/expert_stack.h"

#include <algorithm>
#include <cstring>

namespace nib::model {
namespace {

template <class Desc>
const Desc& descOf(const graph::Node& node) {
  return *reinterpret_cast<const Desc*>(node.description());
}

NibMemory memoryOf(const graph::Node& node) {
  NibMemory memory{sizeof(NibMemory)};
  if (nibGetMemory(node.description(), nullptr, &memory) != NIB_SUCCESS) {
    throw Error("node " + node.name + " has no valid description");
  }
  return memory;
}

Storage storageOf(const FoundWeight& found) {
  Storage stored;
  stored.weights = found.spec.weights;
  NibWeights& input = stored.input;
  switch (found.activations) {
    case Activations::kNone:
      // LLM.int8 (arXiv 2208.07339): tokens are quantized, but for elements of at least 6.
      if (found.container == &bitsandbytes() && found.spec.weights.format == NIB_FORMAT_INT8) {
        input = {NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, NIB_WEIGHTS_NARROW};
        stored.outlier_threshold = 6;
      }
      break;
    case Activations::kInt8Token: input = {NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, 0}; break;
    case Activations::kInt4Token:
      input = {NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, NIB_WEIGHTS_FOUR_BITS | NIB_WEIGHTS_NARROW};
      break;
    case Activations::kFp8Token: input = {NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, 0}; break;
    case Activations::kFp8Static: input = {NIB_FORMAT_FP8, NIB_GRANULARITY_TENSOR, 0, NIB_TYPE_F32, 0}; break;
    case Activations::kInt8Static:
      input = {NIB_FORMAT_INT8, NIB_GRANULARITY_TENSOR, 0, NIB_TYPE_F32, 0};
      if (found.spec.input && found.spec.input->asymmetric) input.flags = NIB_WEIGHTS_ASYMMETRIC;
      break;
  }
  return stored;
}

bool isBuffer(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".masked_bias") || name.ends_with(".attn.bias") ||
         name.ends_with(".attention.bias") || name.ends_with("embeddings.position_ids");
}

}  // namespace

ModelWeights::ModelWeights(const TimedDevice& device, const ModelView& view, const ModelConfig& config, Options options)
    : device_(device),
      allocate_(std::move(options.allocate)),
      in_memory_(options.in_memory),
      widen_(std::move(options.widen)),
      view_(view),
      config_(config),
      decoder_(device, view) {
  if (!allocate_) allocate_ = [this](uint64_t size_bytes) { return kit::Buffer(device_.untimed(), size_bytes); };
}

std::string_view ModelWeights::keep(const std::string& name) { return names_.emplace_back(name); }

bool ModelWeights::has(const std::string& name) const {
  return std::any_of(memory_.begin(), memory_.end(), [&](const graph::Memory& m) { return m.name == name; });
}

kit::Range ModelWeights::range(std::string_view name) const {
  for (const graph::Memory& memory : memory_) {
    if (memory.name == name) return memory.range;
  }
  throw Error("there are no weights named " + quoteText(name));
}

const kit::Buffer& ModelWeights::add(const std::string& name, uint64_t size_bytes) {
  const kit::Buffer& buffer = buffers_.emplace_back(allocate_(size_bytes));
  device_.fill(buffer, 0, 0, size_bytes);
  give(name, buffer);
  return buffer;
}

std::optional<FoundWeight> ModelWeights::foundOf(const ModelView::Tensor& tensor) const {
  if (tensor.weight != nullptr) return *tensor.weight;
  return in_memory_ != nullptr ? in_memory_->find(view_, tensor) : std::nullopt;
}

Storage ModelWeights::storage(const std::string& module) const {
  if (isOfExperts(module)) return expertStorage(module);
  const std::string name = matrixModule(config_, module) + ".weight";
  const ModelView::Tensor* tensor = view_.find(name);
  if (tensor == nullptr) throw Error("the model has no tensor " + quoteText(name));
  const bool widened = widen_ && widen_(module);
  if (const std::optional<FoundWeight> found = foundOf(*tensor); found && !widened && decodesToBlob(*found))
    return storageOf(*found);
  const std::optional<NibType> type = decoder_.typeOf(*tensor);
  if (!type)
    throw Error(quoteText(tensor->name) + ": nibble cannot multiply by elements of type " + std::string(tensor->type));
  Storage stored;
  stored.weights.scale_type = widened ? NIB_TYPE_F32 : *type;
  return stored;
}

void ModelWeights::setInputScales(const graph::Graph& graph, const graph::Program& program) const {
  for (const graph::Value& value : graph.values()) {
    if (!value.state) continue;
    const size_t dot = value.name.rfind('.');
    const ModelView::Tensor* tensor = view_.find(value.name.substr(0, dot) + ".weight");
    const std::optional<FoundWeight> found = tensor != nullptr ? foundOf(*tensor) : std::nullopt;
    if (!found || !found->spec.input) continue;
    const StaticInput& input = *found->spec.input;
    const kit::Range range = program.range(value.name);
    if (value.name.ends_with(".input_scale")) {
      device_.upload(*range.buffer, range.offset_bytes, &input.scale, sizeof input.scale);
    } else {
      const uint32_t zero = uint8_t(input.zero_point);
      device_.upload(*range.buffer, range.offset_bytes, &zero, sizeof zero);
    }
  }
}

const ModelView::Tensor& ModelWeights::find(const std::string& name, uint64_t rows, uint64_t cols) const {
  const ModelView::Tensor* tensor = view_.find(name);
  if (tensor == nullptr) throw Error("the model has no tensor " + quoteText(name));
  const std::vector<uint64_t> shape = cols == 0 ? std::vector<uint64_t>{rows} : std::vector<uint64_t>{rows, cols};
  // A convolution over patches is one matrix: [out, channels, height, width].
  const bool patches = config_.image && name == hiddenStates(config_).embedding + ".weight" &&
                       tensor->shape == std::vector<uint64_t>{rows, config_.image->channels,
                                                              config_.image->patch_height, config_.image->patch_width};
  if (tensor->shape != shape && !patches) {
    std::string is, wanted;
    for (const uint64_t side : tensor->shape) is += (is.empty() ? "" : " x ") + std::to_string(side);
    for (const uint64_t side : shape) wanted += (wanted.empty() ? "" : " x ") + std::to_string(side);
    throw Error(quoteText(name) + " is " + is + ", but config.json makes it " + wanted);
  }
  used_.insert(name);
  return *tensor;
}

void ModelWeights::loadMatrix(const std::string& module, uint32_t rows, uint32_t cols, const kit::Buffer& to) {
  const ModelView::Tensor& tensor = find(matrixModule(config_, module) + ".weight", rows, cols);
  if (widen_ && widen_(module)) return loadWidened(tensor, to);
  if (const std::optional<FoundWeight> found = foundOf(tensor)) {
    const double elements = double(rows) * cols;
    quantized_elements_ += elements;
    quantized_bits_ += elements * bitsPerWeight(found->spec);
    if (tensor.weight == nullptr) return in_memory_->load(device_, decoder_, tensor, found->spec, to);
  }
  if (tensor.weight == nullptr && decoder_.typeOf(tensor) != NIB_TYPE_F32 && cols % 2 != 0) {
    throw Error(quoteText(tensor.name) + ": rows of an odd number of 16-bit elements cannot be loaded yet");
  }
  decoder_.load(tensor, to);
}

Storage ModelWeights::expertStorage(const std::string& module) const {
  std::optional<Storage> shared;
  for (uint32_t i = 0; i < config_.experts.count; ++i) {
    const std::string name = expertName(module, i);
    Storage stored = storage(name);
    const bool is_static =
        stored.input.format != NIB_FORMAT_DENSE && stored.input.granularity == NIB_GRANULARITY_TENSOR;
    if (is_static || stored.outlier_threshold != 0) {
      throw Error(quoteText(name) + ": nibble runs experts whose inputs are dense or quantized by token, not with " +
                  (stored.outlier_threshold != 0 ? "columns of outliers" : "one scale for all tokens"));
    }
    stored.weights = stackedWeights(stored.weights, name);
    if (!shared) shared = stored;
    if (std::memcmp(&stored.weights, &shared->weights, sizeof(NibWeights)) != 0 ||
        std::memcmp(&stored.input, &shared->input, sizeof(NibWeights)) != 0) {
      throw Error(quoteText(name) + ": is stored in another way than expert 0 of its layer, and nibble runs experts " +
                  "of one type together");
    }
  }
  return *shared;
}

void ModelWeights::loadExperts(const NibMatmulDesc& desc, const std::string& module, const kit::Buffer& to) {
  ExpertStack stack(desc);
  for (uint32_t i = 0; i < desc.batch; ++i) {
    const std::string name = expertName(module, i);
    const NibWeights weights = storage(name).weights;
    const kit::Buffer one(device_.untimed(), stack.bytesOfOne(weights));
    loadMatrix(name, desc.rows, desc.cols, one);
    std::vector<std::byte> bytes(one.sizeBytes());
    device_.download(one, 0, bytes.data(), bytes.size());
    stack.put(i, weights, bytes, name);
  }
  device_.upload(to, 0, stack.bytes().data(), stack.bytes().size());
}

void ModelWeights::loadWidened(const ModelView::Tensor& tensor, const kit::Range& to) {
  const NibType type = *decoder_.typeOf(tensor);
  if (type == NIB_TYPE_F32) return decoder_.decode(tensor, 0, tensor.elements(), to);
  NibConvertDesc desc{NIB_OP_CONVERT, sizeof(NibConvertDesc)};
  desc.rows = uint32_t(tensor.shape[0]);
  desc.cols = uint32_t(tensor.shape[1]);
  desc.source_type = type;
  desc.result_type = NIB_TYPE_F32;
  const kit::Plan plan(device_.untimed(), desc);
  const kit::Buffer source(device_.untimed(), plan.sizeBytes(NIB_ROLE_INPUT));
  decoder_.decode(tensor, 0, tensor.elements(), source);
  device_.run(kit::Binding(plan, kit::Ranges{.weights = {}, .input = source, .output = to, .aux = {}}), desc.rows);
}

std::vector<float> ModelWeights::valuesOf(const std::string& name, uint64_t count) {
  const ModelView::Tensor* tensor = view_.find(name);
  if (tensor == nullptr) throw Error("the model has no tensor " + quoteText(name));
  const std::optional<NibType> type = decoder_.typeOf(*tensor);
  if (!type || tensor->weight != nullptr) throw Error(quoteText(name) + " must be of a floating-point type");
  if (tensor->elements() != count) {
    throw Error(quoteText(name) + " has " + std::to_string(tensor->elements()) +
                " elements, but config.json makes it " + std::to_string(count));
  }
  used_.insert(name);
  NibConvertDesc desc{NIB_OP_CONVERT, sizeof(NibConvertDesc)};
  desc.rows = 1;
  desc.cols = uint32_t(count);
  desc.source_type = *type;
  desc.result_type = NIB_TYPE_F32;
  const kit::Plan plan(device_.untimed(), desc);
  const kit::Buffer source(device_.untimed(), plan.sizeBytes(NIB_ROLE_INPUT)), result(device_.untimed(), count * 4);
  decoder_.decode(*tensor, 0, count, source);
  device_.run(kit::Binding(plan, kit::Ranges{.weights = {}, .input = source, .output = result, .aux = {}}), 1);
  std::vector<float> values(count);
  device_.download(result, 0, values.data(), count * sizeof(float));
  return values;
}

void ModelWeights::loadPatchTable(uint32_t rows, uint32_t cols, const kit::Buffer& to) {
  const HiddenStates states = hiddenStates(config_);
  std::vector<float> table = valuesOf(states.positions, uint64_t(rows) * cols);
  const std::vector<float> whole = valuesOf(states.class_token, cols);
  std::vector<float> bias(cols);
  if (config_.block == BlockKind::kVit) bias = valuesOf(states.embedding + ".bias", cols);
  for (size_t i = 0; i < table.size(); ++i) table[i] += i < cols ? whole[i] : bias[i % cols];
  device_.upload(to, 0, table.data(), table.size() * sizeof(float));
}

void ModelWeights::loadVector(const std::string& name, uint32_t count, const NibMemoryPart& part, const kit::Buffer& to,
                              float addend) {
  const ModelView::Tensor& tensor = find(name, count, 0);
  const std::optional<NibType> type = decoder_.typeOf(tensor);
  if (!type || tensor.weight != nullptr) throw Error(quoteText(name) + " must be of a floating-point type");
  NibConvertDesc desc{NIB_OP_CONVERT, sizeof(NibConvertDesc)};
  desc.rows = 1;
  desc.cols = count;
  desc.source_type = *type;
  desc.result_type = NIB_TYPE_F32;
  const kit::Plan plan(device_.untimed(), desc);
  const kit::Buffer source(device_.untimed(), plan.sizeBytes(NIB_ROLE_INPUT));
  decoder_.decode(tensor, 0, count, source);
  const kit::Binding binding(
      plan, kit::Ranges{.weights = {}, .input = source, .output = {to, part.offset_bytes, part.size_bytes}, .aux = {}});
  device_.run(binding, 1);
  if (addend == 0) return;
  std::vector<float> values(count);
  device_.download(to, part.offset_bytes, values.data(), values.size() * sizeof(float));
  for (float& value : values) value += addend;
  device_.upload(to, part.offset_bytes, values.data(), values.size() * sizeof(float));
}

void ModelWeights::loadNode(const graph::Node& node, const std::string& name, const kit::Buffer& to) {
  const NibMemory memory = memoryOf(node);
  switch (node.description()->op) {
    case NIB_OP_MATMUL: {
      const auto& desc = descOf<NibMatmulDesc>(node);
      if (desc.choices != 0) return loadExperts(desc, name, to);
      loadMatrix(name, desc.rows, desc.cols, to);
      if (desc.flags & NIB_PRODUCT_BIAS)
        loadVector(biasTensor(config_, name), desc.rows, memory.part[NIB_PART_BIAS], to);
      return;
    }
    case NIB_OP_DYNAMIC_GEMM: {
      const auto& desc = descOf<NibDynamicGemmDesc>(node);
      loadMatrix(name, desc.rows, desc.cols, to);
      if (desc.flags & NIB_PRODUCT_BIAS)
        loadVector(biasTensor(config_, name), desc.rows, memory.part[NIB_PART_BIAS], to);
      return;
    }
    case NIB_OP_INT8_GEMM: {
      const auto& desc = descOf<NibInt8GemmDesc>(node);
      loadMatrix(name, desc.rows, desc.cols, to);
      if (desc.flags & NIB_PRODUCT_BIAS)
        loadVector(biasTensor(config_, name), desc.rows, memory.part[NIB_PART_BIAS], to);
      return;
    }
    case NIB_OP_GATHER: {
      const auto& desc = descOf<NibGatherDesc>(node);
      if (config_.image) return loadPatchTable(desc.rows, desc.cols, to);
      return loadMatrix(name, desc.rows, desc.cols, to);
    }
    case NIB_OP_NORM: {
      const auto& desc = descOf<NibNormDesc>(node);
      // Files from before PyTorch, as that of bert-base-uncased, have other names.
      const bool old = view_.find(name + ".weight") == nullptr && view_.find(name + ".gamma") != nullptr;
      loadVector(name + (old ? ".gamma" : ".weight"), desc.cols, memory.part[NIB_PART_GAIN], to, config_.norm_offset);
      if (desc.flags & NIB_NORM_BIAS) {
        loadVector(name + (old ? ".beta" : ".bias"), desc.cols, memory.part[NIB_PART_BIAS], to);
      }
      return;
    }
    default: throw Error("node " + node.name + " has weights that the model does not hold");
  }
}

void ModelWeights::load(const graph::Graph& graph, std::string_view except) {
  for (const graph::Node& node : graph.nodes()) {
    for (const graph::Operand& operand : node.operands) {
      if (operand.role != NIB_ROLE_WEIGHTS) continue;
      const graph::Value& value = graph.value(operand.value);
      if (value.storage != graph::Storage::kMemory) continue;
      if (has(value.name) || value.name == except) continue;
      const kit::Buffer& buffer = buffers_.emplace_back(allocate_(value.size_bytes));
      loadNode(node, value.name, buffer);
      give(value.name, buffer);
    }
  }
}

void ModelWeights::checkAllUsed() const {
  for (const ModelView::Tensor& tensor : view_.tensors()) {
    if (used_.contains(tensor.name) || isBuffer(tensor.name)) continue;
    // Some files store the embedding twice.
    if (config_.tied && tensor.name == hiddenStates(config_).head + ".weight") continue;
    const auto begins = [&](const std::string& prefix) { return tensor.name.starts_with(prefix); };
    if (std::any_of(config_.other_parts.begin(), config_.other_parts.end(), begins)) continue;
    throw Error("the network of config.json does not use tensor " + quoteText(tensor.name) +
                "; the model is not what its model_type says");
  }
}

}  // namespace nib::model
