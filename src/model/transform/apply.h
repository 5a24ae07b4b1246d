// A model with transforms, one after the other.
#ifndef NIB_MODEL_TRANSFORM_APPLY_H
#define NIB_MODEL_TRANSFORM_APPLY_H

#include "model/archive/checkpoint.h"
#include "model/transform/transform.h"

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

struct TransformRun {
  std::span<const TransformChoice> choices;
  std::span<const std::vector<uint32_t>> sequences;  // TransformInput
  // How the modules of a model are quantized.
  std::function<std::map<std::string, WeightSpec>(const ModelView& view)> weights;
  Activations activations = Activations::kNone;
  bool awq_modules = false;  // TransformInput
  uint64_t seed = 0;
  uint64_t memory_bytes = 0;
  std::filesystem::path folder;  // for activations; is made and removed if memory does not suffice
  std::function<void(uint64_t done, uint64_t all)> progress;
};

class TransformedModel {
 public:
  // base: must outlive the model. Throws.
  TransformedModel(const TimedDevice& device, const Checkpoint& base, const TransformRun& run);
  // The base itself without a choice.
  const Checkpoint& checkpoint() const { return stages_.empty() ? base_ : stages_.back(); }
  const std::vector<TransformReport>& reports() const { return reports_; }

 private:
  const Checkpoint& base_;
  std::deque<Checkpoint> stages_;
  std::vector<TransformReport> reports_;
};

}  // namespace nib::model
#endif
