// Errors of one model against another, tensor by tensor.
#ifndef NIB_MODEL_COMPARE_H
#define NIB_MODEL_COMPARE_H

#include <nibble/kit.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace nib::model {

struct TensorComparison {
  std::string name;
  std::vector<uint64_t> shape;
  std::string reference_type, candidate_type;
  uint64_t reference_bytes = 0, candidate_bytes = 0;
  NibErrors errors{sizeof(NibErrors)};
  std::string note;  // why the tensors were not compared; "" = they were, and `errors` is valid
};

struct ModelComparison {
  std::vector<TensorComparison> tensors;  // tensors that are in both models, sorted by name
  std::vector<std::string> only_in_reference;
  std::vector<std::string> only_in_candidate;
};

// Either model may be quantized in any container that nibble reads: its weights are compared as they decode. Throws.
ModelComparison compareModels(const kit::Device& device, const std::filesystem::path& reference,
                              const std::filesystem::path& candidate);

}  // namespace nib::model
#endif
