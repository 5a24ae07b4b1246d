// The compressed-tensors container, which vLLM and transformers load: pack-quantized (int2, int4, int8 with float
// activations; vLLM has no kernels for 2 bits), int-quantized (W8A8), float-quantized (FP8), mxfp4-pack-quantized.
// Tensor names, shapes and config follow the project's 2026 sources.
#include "model/archive/checkpoint.h"

#include <nibble/formats.h>

#include "model/archive/container.h"
#include "model/archive/error.h"
#include "model/archive/ignore_list.h"
#include "model/archive/json_document.h"
#include "model/archive/scale_names.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <map>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

enum class Kind { kPack, kInt, kFloat, kMxfp4, kNone };

bool is(const WeightSpec& w, uint32_t format) { return w.weights.format == format; }

bool isInt8(Activations a) { return a == Activations::kInt8Token || a == Activations::kInt8Static; }
bool isFp8(Activations a) { return a == Activations::kFp8Token || a == Activations::kFp8Static; }

Kind kindOf(const WeightSpec& w, Activations activations) {
  if (is(w, NIB_FORMAT_INT2) || is(w, NIB_FORMAT_INT4) || is(w, NIB_FORMAT_UINT4)) return Kind::kPack;
  if (is(w, NIB_FORMAT_INT8) && isInt8(activations)) return Kind::kInt;
  if (is(w, NIB_FORMAT_INT8) || is(w, NIB_FORMAT_UINT8)) return Kind::kPack;
  if (is(w, NIB_FORMAT_FP8)) return Kind::kFloat;
  return is(w, NIB_FORMAT_MXFP4) ? Kind::kMxfp4 : Kind::kNone;
}

const char* formatName(Kind kind) {
  switch (kind) {
    case Kind::kInt: return "int-quantized";
    case Kind::kFloat: return "float-quantized";
    case Kind::kMxfp4: return "mxfp4-pack-quantized";
    default: return "pack-quantized";
  }
}

bool perTensor(const WeightSpec& w) { return w.weights.granularity == NIB_GRANULARITY_TENSOR; }
bool grouped(const WeightSpec& w) {
  return w.weights.granularity == NIB_GRANULARITY_GROUP && w.weights.group_size != UINT32_MAX;
}

Json weightArguments(const WeightSpec& w, Kind kind) {
  Json json;
  json["num_bits"] = w.bits();
  json["type"] = kind == Kind::kFloat || kind == Kind::kMxfp4 ? "float" : "int";
  json["symmetric"] = !w.asymmetric();
  json["strategy"] = perTensor(w) ? "tensor" : grouped(w) ? "group" : "channel";
  json["group_size"] = grouped(w) ? Json(w.weights.group_size) : Json(nullptr);
  json["dynamic"] = false;
  json["actorder"] = nullptr;
  json["block_structure"] = nullptr;
  json["observer"] = "minmax";
  json["observer_kwargs"] = Json::object();
  const bool wide = w.weights.scale_type == NIB_TYPE_F32 && w.source != Dtype::kF32;
  if (wide) json["scale_dtype"] = "torch.float32";                // not the type of the model, which cannot hold them
  if (kind == Kind::kMxfp4) json["scale_dtype"] = "torch.uint8";  // some loaders recognize MX scales by this key
  return json;
}

Json activationArguments(const WeightSpec& w, Activations activations) {
  if (activations == Activations::kNone) return nullptr;
  Json json;
  json["num_bits"] = 8;
  json["type"] = isInt8(activations) ? "int" : "float";
  json["symmetric"] = !(w.input && w.input->asymmetric);
  json["strategy"] = isStatic(activations) ? "tensor" : "token";
  json["group_size"] = nullptr;
  json["dynamic"] = !isStatic(activations);
  return json;
}

// The static input scale of a module and its zero point. None if the tensors are missing or have an unexpected form.
std::optional<StaticInput> findStaticInput(const Checkpoint& checkpoint, const std::string& module) {
  const std::optional<size_t> at = checkpoint.find(module + ".input_scale");
  if (!at) return std::nullopt;
  const TensorInfo scale = checkpoint.info(*at);
  const auto isOne = [](const TensorInfo& info) {
    return info.shape.empty() || info.shape == std::vector<uint64_t>{1};
  };
  const bool is_float = scale.dtype == Dtype::kF32 || scale.dtype == Dtype::kF16 || scale.dtype == Dtype::kBF16;
  if (!is_float || !isOne(scale)) return std::nullopt;
  std::byte bytes[4] = {};
  checkpoint.read(*at, 0, std::span(bytes).first(dtypeBits(scale.dtype) / 8));
  StaticInput input;
  input.scale = floatValue(scale.dtype, bytes);
  input.scale_dtype = scale.dtype;
  input.shape = scale.shape;
  const std::optional<size_t> zero_at = checkpoint.find(module + ".input_zero_point");
  if (!zero_at) return input;
  const TensorInfo zero = checkpoint.info(*zero_at);
  if ((zero.dtype != Dtype::kI8 && zero.dtype != Dtype::kI32) || zero.shape != scale.shape) return std::nullopt;
  // Its lowest byte: zero points are those of int8 codes.
  checkpoint.read(*zero_at, 0, std::span(bytes).first(dtypeBits(zero.dtype) / 8));
  input.zero_point = int8_t(bytes[0]);
  input.asymmetric = true;
  input.zero_dtype = zero.dtype;
  return input;
}

Json member(const Json& json, const char* key) { return json.is_object() && json.contains(key) ? json[key] : Json(); }

// The numbers of bits that config groups of config.json give weights: bit n is set for n bits.
uint32_t configBits(const Checkpoint& checkpoint) {
  if (!checkpoint.configJson()) return 0;
  const Json config = readJsonText(*checkpoint.configJson(), "config.json", "the text", JsonNumbers::kPython);
  uint32_t all = 0;
  for (const Json& group : member(member(config, "quantization_config"), "config_groups")) {
    const Json bits = member(member(group, "weights"), "num_bits");
    if (bits.is_number_unsigned() && bits <= 8) all |= 1u << bits.get<uint32_t>();
  }
  return all;
}

// The format whose codes fill rows of this many words; 0 = none. Where several widths fit, those that config.json has
// come first. 2 bits are only believed if it has them: twice as many columns of 2 bits fill as many words as those of
// 4. config_bits caches configBits, because config.json may be large.
uint32_t packedFormat(const Checkpoint& checkpoint, uint64_t cols, uint64_t words,
                      std::optional<uint32_t>& config_bits) {
  constexpr std::pair<uint32_t, uint32_t> kWidths[] = {
      {4, NIB_FORMAT_INT4}, {8, NIB_FORMAT_INT8}, {2, NIB_FORMAT_INT2}};
  const auto fits = [&](uint32_t bits) { return (cols * bits + 31) / 32 == words; };
  if (fits(4) + fits(8) + fits(2) > 0 && !config_bits) config_bits = configBits(checkpoint);
  for (const auto& [bits, format] : kWidths) {
    if (fits(bits) && (*config_bits >> bits & 1u) != 0) return format;
  }
  if (config_bits.value_or(0) != 0) return 0;
  return fits(4) ? NIB_FORMAT_INT4 : fits(8) ? NIB_FORMAT_INT8 : 0;
}

// Whether config.json quantizes the inputs of FP8 layers per token: every group with float weights has dynamic float
// inputs.
bool configSaysFp8Tokens(const Checkpoint& checkpoint) {
  if (!checkpoint.configJson()) return false;
  const Json config = readJsonText(*checkpoint.configJson(), "config.json", "the text", JsonNumbers::kPython);
  bool tokens = false;
  for (const Json& group : member(member(config, "quantization_config"), "config_groups")) {
    if (member(member(group, "weights"), "type") != "float") continue;
    const Json inputs = member(group, "input_activations");
    if (member(inputs, "type") != "float" || member(inputs, "dynamic") != true) return false;
    tokens = true;
  }
  return tokens;
}

// Describes a weight from the types and shapes of its tensors. config_bits: cache of configBits.
FoundWeight describe(const Checkpoint& checkpoint, const std::string& module, const TensorInfo& codes,
                     const TensorInfo& scale, std::optional<uint32_t>& config_bits) {
  const auto refuse = [&](const std::string& what) -> Error { return Error(quoteText(module) + ": " + what); };
  FoundWeight found;
  WeightSpec& w = found.spec;
  w.name = module + ".weight";
  if (codes.shape.size() != 2) throw refuse("codes are not a matrix");
  uint64_t rows = codes.shape[0], cols = codes.shape[1];
  w.source = scale.dtype == Dtype::kF16 || scale.dtype == Dtype::kBF16 || scale.dtype == Dtype::kF32 ? scale.dtype
                                                                                                     : Dtype::kF32;
  const bool zeros = checkpoint.find(module + ".weight_zero_point").has_value();
  if (checkpoint.find(module + ".weight_g_idx")) {
    throw refuse("has its columns in another order (weight_g_idx), which nibble does not read");
  }
  if (codes.dtype == Dtype::kI32) {
    const std::optional<size_t> shape_at = checkpoint.find(module + ".weight_shape");
    if (!shape_at) throw refuse("there is no weight_shape");
    const TensorInfo shape_info = checkpoint.info(*shape_at);
    uint64_t shape[2] = {0, 0};
    if (shape_info.dtype != Dtype::kI64 || shape_info.bytes != sizeof shape)
      throw refuse("weight_shape is not I64 [2]");
    checkpoint.read(*shape_at, 0, std::as_writable_bytes(std::span(shape)));
    if (shape[0] != rows || shape[1] == 0 || shape[1] > UINT32_MAX) {
      throw refuse("weight_shape does not match the codes");
    }
    cols = shape[1];
    w.weights.format = packedFormat(checkpoint, cols, codes.shape[1], config_bits);
    if (w.weights.format == 0) {
      throw refuse(config_bits.value_or(0) != 0 ? "codes have another number of bits than num_bits of config.json"
                                                : "codes have neither 2 nor 4 nor 8 bits");
    }
  } else if (codes.dtype == Dtype::kU8) {
    cols *= 2;
    w.weights.format = NIB_FORMAT_MXFP4;
  } else if (codes.dtype == Dtype::kI8) {
    w.weights.format = NIB_FORMAT_INT8;
    found.activations = Activations::kInt8Token;
  } else if (codes.dtype == Dtype::kF8E4M3) {
    w.weights.format = NIB_FORMAT_FP8;
  } else {
    throw refuse("codes have the type " + std::string(dtypeName(codes.dtype)) + ", which nibble does not support");
  }
  if (rows == 0 || cols == 0 || rows > UINT32_MAX || cols > UINT32_MAX) throw refuse("is too large");
  w.rows = uint32_t(rows);
  w.cols = uint32_t(cols);
  if (zeros) w.weights.flags |= NIB_WEIGHTS_ASYMMETRIC;
  w.weights.scale_type = scale.dtype == Dtype::kF16    ? NIB_TYPE_F16
                         : scale.dtype == Dtype::kBF16 ? NIB_TYPE_BF16
                         : scale.dtype == Dtype::kU8   ? NIB_TYPE_E8M0
                                                       : NIB_TYPE_F32;
  if (scale.shape == std::vector<uint64_t>{1}) {
    w.weights.granularity = NIB_GRANULARITY_TENSOR;
  } else if (scale.shape == std::vector<uint64_t>{rows, 1} && w.weights.format != NIB_FORMAT_MXFP4) {
    w.weights.granularity = NIB_GRANULARITY_ROW;
  } else if (scale.shape.size() == 2 && scale.shape[0] == rows && scale.shape[1] != 0 && cols % scale.shape[1] == 0) {
    w.weights.granularity = NIB_GRANULARITY_GROUP;
    w.weights.group_size = uint32_t(cols / scale.shape[1]);
  } else {
    throw refuse("weight_scale has a shape that matches no granularity");
  }
  NibMemory memory{sizeof(NibMemory)};
  NibDequantizeDesc desc{};
  desc.op = NIB_OP_DEQUANTIZE;
  desc.desc_bytes = sizeof desc;
  desc.rows = w.rows;
  desc.cols = w.cols;
  desc.weights = w.weights;
  if (nibGetMemory(reinterpret_cast<const NibOpDesc*>(&desc), nullptr, &memory) != NIB_SUCCESS) {
    throw refuse("has a group size or a type of scales that nibble does not support for this format");
  }
  return found;
}

void addStaticInput(const StaticInput& input, const std::string& module, std::vector<WeightPart>& parts) {
  WeightPart scale{{module + ".input_scale", input.scale_dtype, input.shape}, PartFrom::kBytes};
  scale.bytes.resize(sizeof input.scale);
  std::memcpy(scale.bytes.data(), &input.scale, sizeof input.scale);
  parts.push_back(scale);
  if (!input.asymmetric) return;
  WeightPart zero{{module + ".input_zero_point", input.zero_dtype, input.shape}, PartFrom::kBytes};
  zero.bytes = {std::byte(input.zero_point)};
  parts.push_back(zero);
}

class CompressedTensors : public Container {
 public:
  const char* name() const override { return "compressed-tensors"; }
  Loaders loaders() const override { return Loaders::kMany; }

  std::string refuses(const WeightSpec& w, Activations activations) const override {
    const Kind kind = kindOf(w, activations);
    if (kind == Kind::kNone) {
      return "compressed-tensors holds int2, int4, int8, fp8 and mxfp4 (loaders read no other); "
             "nf4 and fp4 go with --format bnb, any type with --format dense";
    }
    if (activations == Activations::kInt4Token)
      return "its loaders have no activations of 4 bits: only nibble eval has";
    if (isInt8(activations) && kind != Kind::kInt) return "int8 activations go with int8 weights";
    if (isFp8(activations) && kind != Kind::kFloat) return "fp8 activations go with fp8 weights";
    if (w.asymmetric() && perTensor(w)) return "zero points go with scales per channel or group";
    if (kind == Kind::kInt && grouped(w)) return "int8 weights with int8 activations have scales per channel or tensor";
    if (kind == Kind::kFloat && grouped(w)) return "fp8 weights have scales per channel or tensor";
    return "";
  }

  NibLayout layout(const WeightSpec& w, Activations activations) const override {
    return kindOf(w, activations) == Kind::kPack ? NIB_LAYOUT_PACKED_ROWS : NIB_LAYOUT_ROWS;
  }

  std::vector<WeightPart> parts(const WeightSpec& w, Activations activations) const override {
    const Kind kind = kindOf(w, activations);
    const std::string module = w.module();
    const uint64_t rows = w.rows, cols = w.cols, groups = w.groupsPerRow(), bits = w.bits();
    std::vector<WeightPart> parts;
    switch (kind) {
      case Kind::kInt: parts.push_back({{module + ".weight", Dtype::kI8, {rows, cols}}, PartFrom::kCodes}); break;
      case Kind::kFloat: parts.push_back({{module + ".weight", Dtype::kF8E4M3, {rows, cols}}, PartFrom::kCodes}); break;
      case Kind::kMxfp4:
        parts.push_back({{module + ".weight_packed", Dtype::kU8, {rows, cols / 2}}, PartFrom::kCodes});
        break;
      default:
        parts.push_back({{module + ".weight_packed", Dtype::kI32, {rows, (cols * bits + 31) / 32}}, PartFrom::kCodes});
    }
    const Dtype scale = w.scaleDtype();
    const std::vector<uint64_t> scale_shape =
        perTensor(w) ? std::vector<uint64_t>{1} : std::vector<uint64_t>{rows, groups};
    parts.push_back({{module + ".weight_scale", scale, scale_shape}, PartFrom::kScales});
    if (w.asymmetric() && kind == Kind::kPack) {
      parts.push_back(
          {{module + ".weight_zero_point", Dtype::kI32, {(rows * bits + 31) / 32, groups}}, PartFrom::kZeros});
    } else if (w.asymmetric()) {
      parts.push_back({{module + ".weight_zero_point", Dtype::kI8, {rows, groups}}, PartFrom::kZeros});
    }
    if (kind == Kind::kPack) {
      const uint64_t shape[2] = {rows, cols};
      WeightPart part{{module + ".weight_shape", Dtype::kI64, {2}}, PartFrom::kBytes};
      part.bytes.resize(sizeof shape);
      std::memcpy(part.bytes.data(), shape, sizeof shape);
      parts.push_back(part);
    }
    if (w.input && isStatic(activations)) addStaticInput(*w.input, module, parts);
    return parts;
  }

  // Identifies weights by names, dtypes and shapes, and consults config.json only where those are ambiguous.
  std::vector<FoundWeight> find(const Checkpoint& checkpoint) const override {
    std::vector<FoundWeight> found;
    std::optional<uint32_t> config_bits;
    std::optional<bool> config_says_tokens;
    for (size_t i = 0; i < checkpoint.size(); ++i) {
      const TensorInfo info = checkpoint.info(i);
      const bool packed = info.name.ends_with(".weight_packed");
      if (!packed && !(info.name.ends_with(".weight") && (info.dtype == Dtype::kI8 || info.dtype == Dtype::kF8E4M3)))
        continue;
      const std::string module(info.name.substr(0, info.name.rfind('.')));
      const std::optional<size_t> scale = checkpoint.find(module + ".weight_scale");
      if (!scale) {
        if (packed) throw Error(quoteText(info.name) + ": there is no weight_scale beside it");
        continue;  // an LLM.int8 weight, or not a quantized weight
      }
      // Other forms of FP8 are those of storedFp8().
      if (info.dtype == Dtype::kF8E4M3 && !packed && !isOfCompressedTensors(info, checkpoint.info(*scale))) continue;
      FoundWeight weight = describe(checkpoint, module, info, checkpoint.info(*scale), config_bits);
      weight.spec.input = packed ? std::nullopt : findStaticInput(checkpoint, module);
      if (weight.spec.input)
        weight.activations = is(weight.spec, NIB_FORMAT_FP8) ? Activations::kFp8Static : Activations::kInt8Static;
      if (!weight.spec.input && is(weight.spec, NIB_FORMAT_FP8)) {
        if (!config_says_tokens) config_says_tokens = configSaysFp8Tokens(checkpoint);
        if (*config_says_tokens) weight.activations = Activations::kFp8Token;
      }
      std::string why;
      if (!findParts(*this, checkpoint, weight, &why)) throw Error(quoteText(module) + ": " + why);
      found.push_back(std::move(weight));
    }
    return found;
  }

  // One config group per quantization scheme. The most frequent one targets all linear layers; the others list their
  // modules.
  std::string quantizationConfig(const ConfigFacts& facts) const override {
    std::map<std::string, std::vector<const WeightSpec*>> schemes;
    Kind kind = Kind::kPack;
    bool mixed = false;
    for (size_t i = 0; i < facts.weights.size(); ++i) {
      const WeightSpec& w = facts.weights[i];
      const Kind weight_kind = kindOf(w, facts.activations);
      mixed = mixed || (i > 0 && weight_kind != kind);
      kind = weight_kind;
      const std::string key = weightArguments(w, kind).dump() + activationArguments(w, facts.activations).dump();
      schemes[key].push_back(&w);
    }
    std::vector<const std::vector<const WeightSpec*>*> groups;
    for (const auto& [key, list] : schemes) groups.push_back(&list);
    // The most frequent scheme comes last: loaders warn about each listed module that an earlier class already matches.
    std::sort(groups.begin(), groups.end(), [](const auto* a, const auto* b) {
      return a->size() != b->size() ? a->size() < b->size() : a->front()->name > b->front()->name;
    });
    Json config;
    config["quant_method"] = "compressed-tensors";
    config["format"] = mixed ? "mixed-precision" : formatName(kind);
    config["quantization_status"] = "compressed";
    config["global_compression_ratio"] = nullptr;
    config["kv_cache_scheme"] = nullptr;
    config["ignore"] = ignoreList(facts);
    Json& json = config["config_groups"] = Json::object();
    for (size_t g = 0; g < groups.size(); ++g) {
      const WeightSpec& first = *groups[g]->front();
      Json& group = json["group_" + std::to_string(g)];
      group["targets"] = Json::array();
      const bool last = g + 1 == groups.size();
      if (last) group["targets"].push_back("Linear");
      for (size_t i = 0; !last && i < groups[g]->size(); ++i)
        group["targets"].push_back(targetOf(facts, (*groups[g])[i]->module()));
      const Kind group_kind = kindOf(first, facts.activations);
      group["weights"] = weightArguments(first, group_kind);
      group["input_activations"] = activationArguments(first, facts.activations);
      group["output_activations"] = nullptr;
      if (mixed) group["format"] = formatName(group_kind);
    }
    return config.dump();
  }
};

}  // namespace

const Container& compressedTensors() {
  static const CompressedTensors kContainer;
  return kContainer;
}

}  // namespace nib::model
