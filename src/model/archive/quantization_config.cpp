#include "model/archive/quantization_config.h"

#include "model/archive/error.h"
#include "model/archive/json_document.h"

#include <algorithm>
#include <iterator>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint32_t kMaxDepth = 6;  // of "quantization_config" within config.json

Json member(const Json& json, const char* key) { return json.is_object() && json.contains(key) ? json[key] : Json(); }

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return text;
}

std::string textOf(const Json& json, const char* key) {
  const Json value = member(json, key);
  return value.is_string() ? value.get<std::string>() : "";
}

// Printable, and without the quotes.
std::string plain(const std::string& text) {
  const std::string quoted = quoteText(text, 60);
  return quoted.substr(1, quoted.size() - 2);
}

struct Name {
  const char* method;
  const char* shown;
};
// Spellings of quant_method. Others are shown as they are.
constexpr Name kNames[] = {{"gptq", "GPTQ"},
                           {"gptq_marlin", "GPTQ"},
                           {"marlin", "GPTQ (Marlin)"},
                           {"awq", "AWQ"},
                           {"awq_marlin", "AWQ"},
                           {"auto-round", "AutoRound"},
                           {"intel/auto-round", "AutoRound"},
                           {"aqlm", "AQLM"},
                           {"hqq", "HQQ"},
                           {"quanto", "quanto"},
                           {"torchao", "torchao"},
                           {"eetq", "EETQ"},
                           {"vptq", "VPTQ"},
                           {"spqr", "SpQR"},
                           {"higgs", "HIGGS"},
                           {"bitnet", "BitNet"},
                           {"quark", "Quark"},
                           {"exl2", "EXL2"},
                           {"exl3", "EXL3"},
                           {"quip", "QuIP#"},
                           {"fp_quant", "FP-Quant"},
                           {"mlx", "MLX"},
                           {"modelslim", "ModelSlim"},
                           {"gguf", "GGUF"}};

// quant_method, or the method that the keys are of. "" = the object names none.
std::string methodOf(const Json& config, const std::string& file) {
  for (const char* key : {"quant_method", "method", "quantization_method", "quant_type"}) {
    const std::string method = lower(textOf(config, key));
    if (!method.empty()) return method;
  }
  const auto has = [&](auto... keys) { return (config.contains(keys) && ...); };
  if (has("quant_algo") || has("quantized_layers")) return "modelopt";
  if (has("w_bit") || has("q_group_size")) return "awq";
  if (has("load_in_4bit") || has("load_in_8bit")) return "bitsandbytes";
  if (has("config_groups")) return "compressed-tensors";
  if (has("weight_block_size")) return "fp8";
  if (file == "quant_config.json" && has("zero_point")) return "awq";
  if (has("bits", "group_size")) return has("desc_act") || file == "quantize_config.json" ? "gptq" : "mlx";
  if (file == "quantization_map.json" || file == "quanto_qmap.json") return "quanto";
  if (file.starts_with("quant_model_description")) return "modelslim";
  return "";
}

// ModelOpt's FP8, whose tensors are those of other FP8 models.
bool isModeloptFp8(const std::string& algorithm) {
  const std::string name = lower(algorithm);
  return name == "fp8" || name == "fp8_per_channel_per_token" || name == "fp8_pb_wo" || name == "fp8_block_scales";
}

// Sets name and method. Returns false if no weight is quantized.
bool readModelopt(const Json& config, QuantizationStatement& statement) {
  std::string algorithm = textOf(config, "quant_algo");
  const Json layers = member(config, "quantized_layers");
  if (layers.is_object() && !layers.empty()) {
    const auto other = std::find_if(layers.begin(), layers.end(),
                                    [](const Json& layer) { return !isModeloptFp8(textOf(layer, "quant_algo")); });
    algorithm = other == layers.end() ? "FP8" : textOf(*other, "quant_algo");
  } else if (algorithm.empty() && lower(textOf(config, "quant_method")).find("fp4") != std::string::npos) {
    algorithm = "NVFP4";
  }
  if (algorithm.empty() && !config.contains("config_groups")) return false;  // only the cache of keys and values
  statement.name = "ModelOpt " + (algorithm.empty() ? std::string("of no named algorithm") : plain(algorithm));
  statement.method = isModeloptFp8(algorithm) ? ReadMethod::kFp8 : ReadMethod::kNone;
  return true;
}

// Why nibble does not read weights of these arguments, "" if it does.
std::string unreadScheme(const Json& weights, const std::string& format) {
  constexpr const char* kRead[] = {"",
                                   "dense",
                                   "pack-quantized",
                                   "int-quantized",
                                   "float-quantized",
                                   "naive-quantized",
                                   "mxfp4-pack-quantized",
                                   "mixed-precision"};
  const Json bits = member(weights, "num_bits");
  const bool is_float = textOf(weights, "type") == "float";
  if (format.starts_with("nvfp4") || (is_float && bits == 4 && textOf(weights, "strategy") == "tensor_group")) {
    return "NVFP4 (compressed-tensors)";
  }
  if (std::find(std::begin(kRead), std::end(kRead), format) == std::end(kRead)) {
    return "compressed-tensors " + plain(format);
  }
  if (bits.is_number_unsigned() && bits != 2 && bits != 4 && bits != 8) {
    return "compressed-tensors with " + bits.dump() + " bits";
  }
  return "";
}

// Sets name and method. Returns false if no weight is quantized.
bool readCompressedTensors(const Json& config, QuantizationStatement& statement) {
  const std::string format = textOf(config, "format");
  statement.name = "compressed-tensors" + (format.empty() ? "" : " " + plain(format));
  statement.method = ReadMethod::kCompressedTensors;
  const std::string sparsity = textOf(member(config, "sparsity_config"), "format");
  if (!sparsity.empty() && sparsity != "dense") {
    statement.name = "compressed-tensors " + plain(sparsity);
    statement.method = ReadMethod::kNone;
    return true;
  }
  const Json groups = member(config, "config_groups");
  if (!groups.is_object() || groups.empty()) return false;
  for (const Json& group : groups) {
    const std::string own = textOf(group, "format");
    const std::string unread = unreadScheme(member(group, "weights"), own.empty() ? format : own);
    if (unread.empty()) continue;
    statement.name = unread;
    statement.method = ReadMethod::kNone;
  }
  const Json transforms = member(config, "transform_config");
  if (statement.method != ReadMethod::kNone && transforms.is_object() && !transforms.empty()) {
    statement.name = "compressed-tensors with rotations (transform_config)";
    statement.method = ReadMethod::kNone;
  }
  return true;
}

// The layout of GPTQ's tensors. AutoGPTQ and GPTQModel have different keys for it.
std::string gptqFormat(const Json& config) {
  const std::string format = lower(textOf(config, "checkpoint_format"));
  return format.empty() ? lower(textOf(config, "format")) : format;
}

// Sets name and method.
void readGptq(const Json& config, QuantizationStatement& statement) {
  const std::string format = gptqFormat(config);
  statement.method = format.empty() || format == "gptq" || format == "gptq_v2" ? ReadMethod::kGptq : ReadMethod::kNone;
  if (format == "gptq_v2") statement.name += " v2";
  if (statement.method == ReadMethod::kNone) statement.name += " " + plain(format);
}

void readAwq(const Json& config, QuantizationStatement& statement) {
  const std::string version = lower(textOf(config, "version"));
  const Json zero_point = member(config, "zero_point");
  statement.method =
      (version.empty() || version == "gemm") && zero_point != false ? ReadMethod::kAwq : ReadMethod::kNone;
  if (!version.empty() && version != "gemm") statement.name += " " + plain(version);
  if (zero_point == false) statement.name += " without zero points";
}

void addStatement(const Json& config, const std::string& where, const std::string& file,
                  std::vector<QuantizationStatement>& statements) {
  if (!config.is_object() || config.empty()) return;
  QuantizationStatement statement{where, "", ReadMethod::kNone, config};
  const std::string method = methodOf(config, file);
  if (method.empty() || method == "none") return;
  if (method.starts_with("modelopt") || method == "nvfp4") {
    if (!readModelopt(config, statement)) return;
  } else if (method == "compressed-tensors" || method == "compressed_tensors") {
    if (!readCompressedTensors(config, statement)) return;
  } else {
    const auto* name =
        std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& n) { return method == n.method; });
    statement.name = name != std::end(kNames) ? name->shown : plain(method);
    if (method.starts_with("bitsandbytes")) {
      const std::string type = textOf(config, "bnb_4bit_quant_type");
      if (!type.empty()) statement.name += " " + plain(type);
      statement.method = ReadMethod::kBitsandbytes;
    }
    if (method == "gptq" || method == "gptq_marlin") readGptq(config, statement);
    if (method == "awq" || method == "awq_marlin") readAwq(config, statement);
    if (method == "fp8" || method == "fbgemm_fp8" || method == "finegrained_fp8") statement.method = ReadMethod::kFp8;
    if (method == "mxfp4") statement.method = ReadMethod::kMxfp4;
  }
  statements.push_back(std::move(statement));
}

// "quantization_config" of this object and of the objects within it. where: "text_config of config.json".
void findStatements(const Json& json, const std::string& where, uint32_t depth,
                    std::vector<QuantizationStatement>& statements) {
  for (const char* key : {"quantization_config", "compression_config", "quantization"}) {
    addStatement(member(json, key), where, "config.json", statements);
  }
  if (depth == kMaxDepth) return;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_object() || key == "quantization_config" || key == "compression_config") continue;
    findStatements(value, plain(key) + " of " + where, depth + 1, statements);
  }
}

Json parsed(const std::string& text) {
  try {
    return readJsonText(text, "", "the text", JsonNumbers::kPython);
  } catch (const Error&) {  // quantize refuses a bad config.json itself; inspect and compare need none
    return {};
  }
}

std::optional<Dtype> dtypeWithin(const Json& json, uint32_t depth) {
  for (const char* key : {"torch_dtype", "dtype"}) {
    std::string name = textOf(json, key);
    if (name.starts_with("torch.")) name = name.substr(6);
    if (name == "float16" || name == "half") return Dtype::kF16;
    if (name == "bfloat16") return Dtype::kBF16;
    if (name == "float32" || name == "float") return Dtype::kF32;
  }
  if (depth == kMaxDepth || !json.is_object()) return std::nullopt;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_object() || key == "quantization_config") continue;
    if (const std::optional<Dtype> found = dtypeWithin(value, depth + 1)) return found;
  }
  return std::nullopt;
}

std::optional<std::pair<uint64_t, uint64_t>> blockOf(const Json& sides) {
  if (!sides.is_array() || sides.size() != 2) return std::nullopt;
  for (const Json& side : sides) {
    if (!side.is_number_unsigned() || side == 0) return std::nullopt;
  }
  return std::pair(sides[0].get<uint64_t>(), sides[1].get<uint64_t>());
}

}  // namespace

bool isGptqV2(const Json& config) { return gptqFormat(config) == "gptq_v2"; }

std::vector<QuantizationStatement> statedQuantization(const Checkpoint& checkpoint) {
  std::vector<QuantizationStatement> statements;
  if (checkpoint.configJson()) {
    const Json config = parsed(*checkpoint.configJson());
    if (config.is_object()) findStatements(config, "config.json", 0, statements);
  }
  for (const TextFile& file : checkpoint.quantizationFiles()) {
    const Json json = parsed(file.text);
    const Json inner = member(json, "quantization");  // of ModelOpt
    addStatement(inner.is_object() ? inner : json, file.name, file.name, statements);
  }
  return statements;
}

std::optional<std::pair<uint64_t, uint64_t>> statedBlock(const std::vector<QuantizationStatement>& statements) {
  for (const QuantizationStatement& statement : statements) {
    if (const auto block = blockOf(member(statement.config, "weight_block_size"))) return block;
    for (const Json& group : member(statement.config, "config_groups")) {
      if (const auto block = blockOf(member(member(group, "weights"), "block_structure"))) return block;
    }
  }
  return std::nullopt;
}

std::optional<Dtype> statedDtype(const Checkpoint& checkpoint) {
  return checkpoint.configJson() ? dtypeWithin(parsed(*checkpoint.configJson()), 0) : std::nullopt;
}

}  // namespace nib::model
