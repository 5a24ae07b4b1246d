// Layers of networks as nodes.
#include <nibble/formats.h>
#include <nibble/graph.h>

namespace nib::graph {
namespace {

uint32_t flagIf(bool wanted, uint32_t flag) { return wanted ? flag : 0; }

template <class Desc>
NibMemory memoryOf(const std::string& name, const Desc& desc) {
  NibMemory memory{sizeof(NibMemory)};
  std::string text;
  const NibLog log{[](void* user, NibSeverity, const char* line) { *static_cast<std::string*>(user) = line; }, &text};
  const NibResult result = nibGetMemory(reinterpret_cast<const NibOpDesc*>(&desc), &log, &memory);
  if (result != NIB_SUCCESS) throw kit::Error("graph: node " + name + ": " + text, result);
  return memory;
}

// The memory value of that name: weights may serve several nodes.
ValueId weightsValue(Graph& graph, const std::string& name, uint64_t size_bytes) {
  const ValueId found = graph.find(name);
  return found != kNoValue ? found : graph.memory(name, size_bytes);
}

}  // namespace

namespace {

// The value that a linear layer writes.
struct Target {
  Shape shape;
  ValueId value;
};

Target targetOf(Graph& graph, const Shape& from, const std::string& name, const Linear& layer) {
  if (layer.add_to != kNoValue) {
    return {graph.value(layer.add_to).shape, graph.inPlace(name + ".sum", layer.add_to, true)};
  }
  const Shape to = dense(layer.result_type, layer.rows, from.rows_per_token);
  return {to, graph.arena(name + ".output", to)};
}

template <class Desc>
void describeProduct(const Linear& layer, const Shape& from, const Shape& to, uint32_t tokens, Desc& desc) {
  desc.flags = flagIf(layer.bias, NIB_PRODUCT_BIAS) | flagIf(layer.add_to != kNoValue, uint32_t(NIB_PRODUCT_RESIDUAL)) |
               NIB_PRODUCT_ONE_KERNEL;
  desc.rows = layer.rows;
  desc.cols = from.cols;
  desc.tokens = tokens;
  desc.activation = layer.activation;
  desc.weights = layer.weights;
  desc.result_type = to.type;
  desc.result_stride = to.stride;
}

// Adds the product; `operands` are those of its input.
template <class Desc>
ValueId addProduct(Graph& graph, const Linear& layer, std::string name, const Desc& desc, uint32_t rows_per_token,
                   const Target& to, std::vector<Operand> operands) {
  const uint64_t bytes = memoryOf(name, desc).range[NIB_ROLE_WEIGHTS].size_bytes;
  operands.push_back(
      {NIB_ROLE_WEIGHTS, NIB_PART_COUNT, weightsValue(graph, layer.memory.empty() ? name : layer.memory, bytes)});
  operands.push_back({NIB_ROLE_OUTPUT, NIB_PART_COUNT, to.value, true});
  graph.addNode(std::move(name), reinterpret_cast<const NibOpDesc*>(&desc), sizeof desc, rows_per_token, operands);
  return to.value;
}

// Codes of the input, and where their scales and zero points lie.
struct Codes {
  ValueId codes, scales, zeros;
};

Codes quantizeInput(Graph& graph, ValueId input, const std::string& name, const NibWeights& codes) {
  const Shape from = graph.value(input).shape;
  const bool given = codes.granularity == NIB_GRANULARITY_TENSOR;
  NibQuantizeDesc desc{NIB_OP_QUANTIZE, sizeof(NibQuantizeDesc)};
  desc.flags = flagIf(given, NIB_QUANTIZE_GIVEN_SCALES);
  desc.rows = graph.maxTokens() * from.rows_per_token;
  desc.cols = from.cols;
  desc.source_type = from.type;
  desc.source_stride = from.stride;
  desc.weights = codes;
  const uint32_t words = (from.cols + 3) / 4;
  Codes result{graph.arena(name + ".codes", {kIds, words, from.rows_per_token, words}), kNoValue, kNoValue};
  if (given) {
    result.scales = graph.state(name + ".input_scale", dense(NIB_TYPE_F32, 1));
    if (codes.flags & NIB_WEIGHTS_ASYMMETRIC) result.zeros = graph.state(name + ".input_zero", ids());
  } else {
    result.scales = graph.arena(name + ".input_scale", dense(NIB_TYPE_F32, 1, from.rows_per_token));
    if (codes.flags & NIB_WEIGHTS_ASYMMETRIC)
      result.zeros = graph.arena(name + ".input_zero", ids(from.rows_per_token));
  }
  std::vector<Operand> operands{{NIB_ROLE_INPUT, NIB_PART_COUNT, input},
                                {NIB_ROLE_WEIGHTS, NIB_PART_CODES, result.codes, true},
                                {NIB_ROLE_WEIGHTS, NIB_PART_SCALES, result.scales, !given}};
  if (result.zeros != kNoValue) operands.push_back({NIB_ROLE_WEIGHTS, NIB_PART_ZEROS, result.zeros, !given});
  graph.addNode(name + ".quantize", reinterpret_cast<const NibOpDesc*>(&desc), sizeof desc, from.rows_per_token,
                operands);
  return result;
}

std::vector<Operand> operandsOf(const Codes& codes) {
  std::vector<Operand> operands{{NIB_ROLE_INPUT, NIB_PART_INPUT_CODES, codes.codes},
                                {NIB_ROLE_INPUT, NIB_PART_INPUT_SCALES, codes.scales}};
  if (codes.zeros != kNoValue) operands.push_back({NIB_ROLE_INPUT, NIB_PART_INPUT_ZEROS, codes.zeros});
  return operands;
}

}  // namespace

ValueId linear(Graph& graph, ValueId input, std::string name, const Linear& layer) {
  const Shape from = graph.value(input).shape;
  const uint32_t tokens = graph.maxTokens() * from.rows_per_token, per_token = from.rows_per_token;
  const bool integers = layer.input.format == NIB_FORMAT_INT8 || layer.input.format == NIB_FORMAT_UINT8;
  if (integers && layer.input.granularity == NIB_GRANULARITY_ROW) {
    NibDynamicGemmDesc desc{NIB_OP_DYNAMIC_GEMM, sizeof(NibDynamicGemmDesc)};
    const Target to = targetOf(graph, from, name, layer);
    describeProduct(layer, from, to.shape, tokens, desc);
    desc.source_type = from.type;
    desc.source_stride = from.stride;
    desc.input_flags = layer.input.flags;
    desc.outlier_threshold = layer.outlier_threshold;
    return addProduct(graph, layer, std::move(name), desc, per_token, to, {{NIB_ROLE_INPUT, NIB_PART_COUNT, input}});
  }
  if (integers) {
    NibInt8GemmDesc desc{NIB_OP_INT8_GEMM, sizeof(NibInt8GemmDesc)};
    const Codes codes = quantizeInput(graph, input, name, layer.input);
    const Target to = targetOf(graph, from, name, layer);
    describeProduct(layer, from, to.shape, tokens, desc);
    desc.input = layer.input;
    return addProduct(graph, layer, std::move(name), desc, per_token, to, operandsOf(codes));
  }
  NibMatmulDesc desc{NIB_OP_MATMUL, sizeof(NibMatmulDesc)};
  std::vector<Operand> operands{{NIB_ROLE_INPUT, NIB_PART_COUNT, input}};
  desc.input_type = from.type;
  desc.input_stride = from.stride;
  if (layer.input.format != NIB_FORMAT_DENSE) {
    operands = operandsOf(quantizeInput(graph, input, name, layer.input));
    desc.input = layer.input;
    desc.input_stride = 0;
  }
  const Target to = targetOf(graph, from, name, layer);
  describeProduct(layer, from, to.shape, tokens, desc);
  return addProduct(graph, layer, std::move(name), desc, per_token, to, std::move(operands));
}

namespace {

// The values that the codes of an input stand for.
ValueId rounded(Graph& graph, ValueId input, const std::string& name, const NibWeights& weights) {
  const Shape from = graph.value(input).shape;
  const Codes codes = quantizeInput(graph, input, name, weights);
  const Shape to = dense(NIB_TYPE_F32, from.cols, from.rows_per_token);
  NibDequantizeDesc desc{NIB_OP_DEQUANTIZE, sizeof(NibDequantizeDesc)};
  desc.rows = graph.maxTokens() * from.rows_per_token;
  desc.cols = from.cols;
  desc.result_type = to.type;
  desc.result_stride = to.stride;
  desc.weights = weights;
  const ValueId output = graph.arena(name + ".rounded", to);
  std::vector<Operand> operands{{NIB_ROLE_WEIGHTS, NIB_PART_CODES, codes.codes},
                                {NIB_ROLE_WEIGHTS, NIB_PART_SCALES, codes.scales},
                                {NIB_ROLE_OUTPUT, NIB_PART_COUNT, output, true}};
  if (codes.zeros != kNoValue) operands.push_back({NIB_ROLE_WEIGHTS, NIB_PART_ZEROS, codes.zeros});
  graph.addNode(name + ".dequantize", reinterpret_cast<const NibOpDesc*>(&desc), sizeof desc, from.rows_per_token,
                operands);
  return output;
}

}  // namespace

ValueId experts(Graph& graph, ValueId input, ValueId chosen, std::string name, const Experts& layer) {
  if (layer.input.format != NIB_FORMAT_DENSE) input = rounded(graph, input, name, layer.input);
  const Shape from = graph.value(input).shape;
  const uint32_t count = graph.value(chosen).shape.cols;
  NibMatmulDesc desc{NIB_OP_MATMUL, sizeof(NibMatmulDesc)};
  desc.flags = flagIf(from.rows_per_token == count && count > 1, NIB_PRODUCT_EACH_INPUT) | NIB_PRODUCT_ONE_KERNEL;
  desc.rows = layer.rows;
  desc.cols = from.cols;
  desc.tokens = graph.maxTokens();
  desc.batch = layer.experts;
  desc.choices = count;
  desc.input_type = from.type;
  desc.input_stride = from.stride;
  desc.activation = layer.activation;
  desc.weights = layer.weights;
  const Shape to = dense(NIB_TYPE_F32, layer.rows, count);
  desc.result_stride = to.stride;
  const ValueId weights = weightsValue(graph, name, memoryOf(name, desc).range[NIB_ROLE_WEIGHTS].size_bytes);
  const ValueId output = graph.arena(name + ".output", to);
  graph.add(std::move(name), desc, 1,
            {{NIB_ROLE_WEIGHTS, NIB_PART_COUNT, weights},
             {NIB_ROLE_INPUT, NIB_PART_SOURCE, input},
             {NIB_ROLE_INPUT, NIB_PART_INDICES, chosen},
             {NIB_ROLE_OUTPUT, NIB_PART_COUNT, output, true}});
  return output;
}

ValueId mix(Graph& graph, ValueId input, ValueId logits, ValueId log_sum, std::string name, NibMixWeighting weighting,
            ValueId add_to) {
  const Shape from = graph.value(input).shape;
  NibMixDesc desc{NIB_OP_MIX, sizeof(NibMixDesc)};
  desc.flags = flagIf(add_to != kNoValue, NIB_MIX_RESIDUAL);
  desc.rows = graph.maxTokens();
  desc.cols = from.cols;
  desc.count = graph.value(logits).shape.cols;
  desc.weighting = weighting;
  desc.source_stride = from.stride;
  const Shape to = add_to != kNoValue ? graph.value(add_to).shape : dense(NIB_TYPE_F32, from.cols);
  desc.result_stride = to.stride;
  const ValueId output =
      add_to != kNoValue ? graph.inPlace(name + ".sum", add_to, true) : graph.arena(name + ".output", to);
  std::vector<Operand> operands{{NIB_ROLE_INPUT, NIB_PART_SOURCE, input}, {NIB_ROLE_INPUT, NIB_PART_SECOND, logits}};
  if (weighting == NIB_MIX_SOFTMAX_ALL) operands.push_back({NIB_ROLE_INPUT, NIB_PART_LOG_SUM, log_sum});
  operands.push_back({NIB_ROLE_OUTPUT, NIB_PART_RESULT, output, true});
  graph.addNode(std::move(name), reinterpret_cast<const NibOpDesc*>(&desc), sizeof desc, 1, operands);
  return output;
}

ValueId norm(Graph& graph, ValueId input, std::string name, const Norm& layer) {
  const Shape from = graph.value(input).shape;
  NibNormDesc desc{NIB_OP_NORM, sizeof(NibNormDesc)};
  desc.flags = NIB_NORM_GAIN | flagIf(layer.mean, NIB_NORM_MEAN) | flagIf(layer.bias, NIB_NORM_BIAS);
  desc.rows = graph.maxTokens() * from.rows_per_token;
  desc.cols = from.cols;
  desc.source_type = from.type;
  desc.source_stride = from.stride;
  const Shape to = dense(layer.result_type, from.cols, from.rows_per_token);
  desc.result_type = to.type;
  desc.result_stride = to.stride;
  desc.epsilon = layer.epsilon;
  const NibMemory memory = memoryOf(name, desc);
  const ValueId weights = weightsValue(graph, name, memory.range[NIB_ROLE_WEIGHTS].size_bytes);
  const ValueId output = graph.arena(name + ".output", to);
  const std::vector<Operand> operands{{NIB_ROLE_WEIGHTS, NIB_PART_COUNT, weights},
                                      {NIB_ROLE_INPUT, NIB_PART_COUNT, input},
                                      {NIB_ROLE_OUTPUT, NIB_PART_COUNT, output, true}};
  graph.addNode(std::move(name), reinterpret_cast<const NibOpDesc*>(&desc), sizeof desc, from.rows_per_token, operands);
  return output;
}

namespace {

NibElementwiseDesc elementwiseDesc(const Graph& graph, const Shape& from, NibElementwiseKind kind) {
  NibElementwiseDesc desc{NIB_OP_ELEMENTWISE, sizeof(NibElementwiseDesc)};
  desc.kind = kind;
  desc.rows = graph.maxTokens() * from.rows_per_token;
  desc.cols = from.cols;
  desc.source_type = desc.result_type = from.type;
  desc.source_stride = desc.result_stride = from.stride;
  return desc;
}

// A node of one value, into `output`.
ValueId addElementwise(Graph& graph, ValueId input, ValueId output, std::string name, const NibElementwiseDesc& desc) {
  graph.add(std::move(name), desc, graph.value(input).shape.rows_per_token,
            {{NIB_ROLE_INPUT, NIB_PART_SOURCE, input}, {NIB_ROLE_OUTPUT, NIB_PART_RESULT, output, true}});
  return output;
}

// A node of two values that overwrites the first.
ValueId addPair(Graph& graph, ValueId a, ValueId b, std::string name, NibElementwiseKind kind, uint32_t activation) {
  const Shape from = graph.value(a).shape, second = graph.value(b).shape;
  NibElementwiseDesc desc = elementwiseDesc(graph, from, kind);
  desc.activation = activation;
  desc.second_type = second.type;
  desc.second_stride = second.stride;
  const ValueId output = graph.inPlace(name + ".output", a);
  graph.add(std::move(name), desc, from.rows_per_token,
            {{NIB_ROLE_INPUT, NIB_PART_SOURCE, a},
             {NIB_ROLE_INPUT, NIB_PART_SECOND, b},
             {NIB_ROLE_OUTPUT, NIB_PART_RESULT, output, true}});
  return output;
}

}  // namespace

ValueId gated(Graph& graph, ValueId gate, ValueId other, std::string name, uint32_t activation) {
  return addPair(graph, gate, other, std::move(name), NIB_ELEMENTWISE_GATED, activation);
}

ValueId add(Graph& graph, ValueId a, ValueId b, std::string name) {
  return addPair(graph, a, b, std::move(name), NIB_ELEMENTWISE_ADD, NIB_ACTIVATION_NONE);
}

ValueId gatedHalves(Graph& graph, ValueId halves, std::string name, uint32_t activation) {
  const Shape from = graph.value(halves).shape;
  const Shape to = dense(from.type, from.cols / 2, from.rows_per_token);
  NibElementwiseDesc desc = elementwiseDesc(graph, from, NIB_ELEMENTWISE_GATED);
  desc.flags = NIB_ELEMENTWISE_HALVES;
  desc.activation = activation;
  desc.cols = to.cols;
  desc.result_stride = to.stride;
  const ValueId output = graph.arena(name + ".output", to);
  return addElementwise(graph, halves, output, std::move(name), desc);
}

ValueId scale(Graph& graph, ValueId input, std::string name, float factor) {
  NibElementwiseDesc desc = elementwiseDesc(graph, graph.value(input).shape, NIB_ELEMENTWISE_SCALE);
  desc.factor = factor;
  const ValueId output = graph.inPlace(name + ".output", input);
  return addElementwise(graph, input, output, std::move(name), desc);
}

ValueId cap(Graph& graph, ValueId input, std::string name, float limit) {
  NibElementwiseDesc desc = elementwiseDesc(graph, graph.value(input).shape, NIB_ELEMENTWISE_CAP);
  desc.factor = limit;
  const ValueId output = graph.inPlace(name + ".output", input);
  return addElementwise(graph, input, output, std::move(name), desc);
}

ValueId copy(Graph& graph, ValueId part, std::string name) {
  const Shape from = graph.value(part).shape;
  const Shape to = dense(from.type, from.cols, from.rows_per_token);
  NibElementwiseDesc desc = elementwiseDesc(graph, from, NIB_ELEMENTWISE_SCALE);
  desc.factor = 1;
  desc.result_stride = to.stride;
  const ValueId output = graph.arena(name + ".output", to);
  return addElementwise(graph, part, output, std::move(name), desc);
}

ValueId hadamard(Graph& graph, ValueId input, std::string name, const Hadamard& layer) {
  const Shape from = graph.value(input).shape;
  NibHadamardDesc desc{NIB_OP_HADAMARD, sizeof(NibHadamardDesc)};
  desc.flags = flagIf(!layer.signs.empty(), NIB_HADAMARD_SIGNS);
  desc.rows = graph.maxTokens() * from.rows_per_token;
  desc.cols = from.cols;
  desc.size = layer.size;
  desc.source_type = desc.result_type = from.type;
  desc.source_stride = desc.result_stride = from.stride;
  std::vector<Operand> operands{{NIB_ROLE_INPUT, NIB_PART_SOURCE, input}};
  if (!layer.signs.empty()) {
    const ValueId signs = weightsValue(graph, layer.signs, memoryOf(name, desc).range[NIB_ROLE_WEIGHTS].size_bytes);
    operands.push_back({NIB_ROLE_WEIGHTS, NIB_PART_COUNT, signs});
  }
  const ValueId output = graph.inPlace(name + ".output", input);
  operands.push_back({NIB_ROLE_OUTPUT, NIB_PART_RESULT, output, true});
  graph.addNode(std::move(name), reinterpret_cast<const NibOpDesc*>(&desc), sizeof desc, from.rows_per_token, operands);
  return output;
}

ValueId rope(Graph& graph, ValueId input, ValueId positions, std::string name, const Rope& layer) {
  const Shape from = graph.value(input).shape;
  NibRopeDesc desc{NIB_OP_ROPE, sizeof(NibRopeDesc)};
  desc.flags = flagIf(layer.interleaved, NIB_ROPE_INTERLEAVED);
  desc.tokens = graph.maxTokens();
  desc.heads = layer.heads;
  desc.head_size = layer.head_size;
  desc.rotary_size = layer.rotary_size;
  desc.positions = layer.positions;
  desc.source_type = desc.result_type = from.type;
  desc.source_stride = from.stride;
  const NibMemory memory = memoryOf(name, desc);
  const ValueId table = weightsValue(graph, layer.table, memory.range[NIB_ROLE_WEIGHTS].size_bytes);
  const bool is_part = from.stride != from.cols;
  const ValueId output = is_part ? graph.arena(name + ".output", dense(from.type, from.cols, from.rows_per_token))
                                 : graph.inPlace(name + ".output", input);
  graph.add(std::move(name), desc, 1,
            {{NIB_ROLE_WEIGHTS, NIB_PART_COUNT, table},
             {NIB_ROLE_INPUT, NIB_PART_SOURCE, input},
             {NIB_ROLE_INPUT, NIB_PART_INDICES, positions},
             {NIB_ROLE_OUTPUT, NIB_PART_RESULT, output, true}});
  return output;
}

ValueId attention(Graph& graph, const AttentionInputs& inputs, std::string name, const Attention& layer) {
  const Shape from = graph.value(inputs.queries).shape;
  NibAttentionDesc desc{NIB_OP_ATTENTION, sizeof(NibAttentionDesc)};
  desc.tokens = graph.maxTokens();
  desc.heads = layer.heads;
  desc.key_heads = layer.key_heads;
  desc.head_size = layer.head_size;
  desc.cache_rows = layer.cache_rows;
  desc.source_type = desc.result_type = from.type;
  desc.source_stride = from.stride;
  if (layer.cache.format == NIB_FORMAT_DENSE) {
    desc.cache_type = layer.cache.scale_type;
  } else {
    desc.cache = layer.cache;
  }
  desc.scale = layer.scale;
  desc.cap = layer.cap;
  const NibMemory memory = memoryOf(name, desc);
  const ValueId cache = weightsValue(graph, name + ".cache", memory.range[NIB_ROLE_WEIGHTS].size_bytes);
  const std::pair<ValueId, NibPart> appended[] = {{inputs.keys, NIB_PART_KEYS}, {inputs.values, NIB_PART_VALUES}};
  for (const auto& [value, part] : appended) {
    NibAppendDesc append{NIB_OP_APPEND, sizeof(NibAppendDesc)};
    append.tokens = graph.maxTokens();
    append.cols = layer.key_heads * layer.head_size;
    append.cache_rows = layer.cache_rows;
    append.source_type = graph.value(value).shape.type;
    append.source_stride = graph.value(value).shape.stride;
    append.cache = layer.cache;
    graph.add(name + (part == NIB_PART_KEYS ? ".keys" : ".values"), append, 1,
              {{NIB_ROLE_INPUT, NIB_PART_SOURCE, value},
               {NIB_ROLE_INPUT, NIB_PART_INDICES, inputs.cache_rows},
               {NIB_ROLE_OUTPUT, NIB_PART_COUNT, cache, true, memory.part[part].offset_bytes}});
  }
  const ValueId output = graph.arena(name + ".output", dense(from.type, from.cols, from.rows_per_token));
  graph.add(std::move(name), desc, 1,
            {{NIB_ROLE_WEIGHTS, NIB_PART_COUNT, cache},
             {NIB_ROLE_INPUT, NIB_PART_SOURCE, inputs.queries},
             {NIB_ROLE_INPUT, NIB_PART_INDICES, inputs.visible},
             {NIB_ROLE_OUTPUT, NIB_PART_COUNT, output, true}});
  return output;
}

ValueId embed(Graph& graph, ValueId numbers, std::string name, const Embedding& layer) {
  NibGatherDesc desc{NIB_OP_GATHER, sizeof(NibGatherDesc)};
  desc.rows = layer.rows;
  desc.cols = layer.cols;
  desc.count = graph.maxTokens();
  desc.result_type = layer.result_type;
  desc.weights = layer.weights;
  const NibMemory memory = memoryOf(name, desc);
  const ValueId weights = weightsValue(graph, name, memory.range[NIB_ROLE_WEIGHTS].size_bytes);
  const ValueId output = graph.arena(name + ".output", dense(layer.result_type, layer.cols));
  graph.add(std::move(name), desc, 1,
            {{NIB_ROLE_WEIGHTS, NIB_PART_COUNT, weights},
             {NIB_ROLE_INPUT, NIB_PART_COUNT, numbers},
             {NIB_ROLE_OUTPUT, NIB_PART_COUNT, output, true}});
  return output;
}

ValueId loss(Graph& graph, ValueId logits, ValueId targets, std::string name, ValueId reference) {
  const Shape from = graph.value(logits).shape;
  NibLossDesc desc{NIB_OP_LOSS, sizeof(NibLossDesc)};
  desc.rows = graph.maxTokens();
  desc.cols = from.cols;
  desc.candidate_type = from.type;
  desc.candidate_stride = from.stride;
  std::vector<Operand> operands{{NIB_ROLE_INPUT, NIB_PART_CANDIDATE, logits},
                                {NIB_ROLE_INPUT, NIB_PART_INDICES, targets}};
  if (reference != kNoValue) {
    desc.flags = NIB_LOSS_REFERENCE;
    desc.reference_type = graph.value(reference).shape.type;
    desc.reference_stride = graph.value(reference).shape.stride;
    operands.push_back({NIB_ROLE_INPUT, NIB_PART_REFERENCE, reference});
  }
  const ValueId output = graph.arena(name + ".output", dense(NIB_TYPE_F32, 4));
  operands.push_back({NIB_ROLE_OUTPUT, NIB_PART_COUNT, output, true});
  graph.addNode(std::move(name), reinterpret_cast<const NibOpDesc*>(&desc), sizeof desc, 1, operands);
  return output;
}

Selected select(Graph& graph, ValueId logits, std::string name, uint32_t count, ValueId to) {
  const Shape from = graph.value(logits).shape;
  NibSelectDesc desc{NIB_OP_SELECT, sizeof(NibSelectDesc)};
  desc.rows = graph.maxTokens();
  desc.cols = from.cols;
  desc.source_type = from.type;
  desc.source_stride = from.stride;
  desc.count = count;
  const Selected selected{
      graph.arena(name + ".logits", dense(NIB_TYPE_F32, count)),
      to != kNoValue ? graph.inPlace(name + ".ids", to, true) : graph.arena(name + ".ids", ids(count)),
      graph.arena(name + ".log_sum", dense(NIB_TYPE_F32, 1))};
  graph.add(std::move(name), desc, 1,
            {{NIB_ROLE_INPUT, NIB_PART_COUNT, logits},
             {NIB_ROLE_OUTPUT, NIB_PART_RESULT, selected.logits, true},
             {NIB_ROLE_OUTPUT, NIB_PART_RESULT_INDICES, selected.ids, true},
             {NIB_ROLE_OUTPUT, NIB_PART_LOG_SUM, selected.log_sum, true}});
  return selected;
}

}  // namespace nib::graph
