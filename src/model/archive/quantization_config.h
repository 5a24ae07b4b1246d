// How a model's configuration files say that its weights are quantized: "quantization_config" in config.json, at any
// depth, and files beside it (isQuantizationFile).
#ifndef NIB_MODEL_ARCHIVE_QUANTIZATION_CONFIG_H
#define NIB_MODEL_ARCHIVE_QUANTIZATION_CONFIG_H

#include "model/archive/checkpoint.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nib::model {

// The methods whose tensors nibble reads.
enum class ReadMethod { kNone, kCompressedTensors, kGptq, kAwq, kBitsandbytes, kFp8, kMxfp4 };

struct QuantizationStatement {
  std::string where;                      // "config.json", "text_config of config.json", "hf_quant_config.json"
  std::string name;                       // for messages: "GPTQ", "ModelOpt NVFP4", "compressed-tensors pack-quantized"
  ReadMethod method = ReadMethod::kNone;  // kNone: nibble does not read it
  nlohmann::ordered_json config;
};

// Whether a configuration of GPTQ says that zero points are stored as they are, and not less 1.
bool isGptqV2(const nlohmann::ordered_json& config);

// Empty if no file says that weights are quantized. A file that is not JSON says nothing.
std::vector<QuantizationStatement> statedQuantization(const Checkpoint& checkpoint);

// Rows and columns of the blocks that share a scale, if a statement has them.
std::optional<std::pair<uint64_t, uint64_t>> statedBlock(const std::vector<QuantizationStatement>& statements);
// The type of the model's dense weights in config.json ("torch_dtype" or "dtype", at any depth). None if it is not one
// of F32, F16 and BF16.
std::optional<Dtype> statedDtype(const Checkpoint& checkpoint);

}  // namespace nib::model
#endif
