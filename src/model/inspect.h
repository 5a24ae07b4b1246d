// What a model's files hold: names, checks, and statistics of the dense tensors.
#ifndef NIB_MODEL_INSPECT_H
#define NIB_MODEL_INSPECT_H

#include "model/archive/checkpoint.h"

#include <nibble/kit.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nib::model {

struct TensorStatistics {
  float min = 0, max = 0, absmax = 0;  // of finite values
  uint64_t nonfinite_count = 0;
};

struct TensorFacts {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;
  uint64_t bytes = 0;
  std::string file;
  std::optional<TensorStatistics> statistics;  // of F32, F16 and BF16
};

struct ModelFacts {
  std::vector<TensorFacts> tensors;
  uint64_t bytes = 0;
  std::map<std::string, size_t> quantized;  // weights by type: {"int4", 42}
  std::string quantization;  // "compressed-tensors pack-quantized", "" = none that config.json tells of
  Metadata metadata;         // of the first file
};

// Reads and checks every header, and that the parts of quantized weights are there and agree; and with `statistics` all dense tensors. Throws.
ModelFacts inspectModel(const kit::Device& device, const std::filesystem::path& path, bool statistics);

}  // namespace nib::model
#endif
