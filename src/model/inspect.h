// Lists and checks the tensors of a model, with statistics of the dense ones.
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
  float min = 0, max = 0, absmax = 0;  // over finite values
  uint64_t nonfinite_count = 0;
};

struct TensorFacts {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;
  uint64_t bytes = 0;
  std::string file;
  std::optional<TensorStatistics> statistics;  // F32, F16 and BF16 only
};

struct ModelFacts {
  std::vector<TensorFacts> tensors;
  uint64_t bytes = 0;
  std::map<std::string, size_t> quantized;  // number of quantized weights by type: {"int4", 42}
  std::string quantization;  // from the configuration files: "compressed-tensors pack-quantized"; "" = they state none
  std::string unread;        // why nibble does not read the weights; "" if it does
  Metadata metadata;         // of the first file
  std::vector<std::string> notes;  // what a user should know, one line each
};

// Reads and checks every header, and checks that the parts of quantized weights are complete and consistent. With
// `statistics`, also reads all dense tensors. Throws.
ModelFacts inspectModel(const kit::Device& device, const std::filesystem::path& path, bool statistics);

}  // namespace nib::model
#endif
