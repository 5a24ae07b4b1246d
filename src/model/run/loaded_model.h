// A model's folder, opened to be run: checkpoint, network, and the tokenizer if it has one.
#ifndef NIB_MODEL_RUN_LOADED_MODEL_H
#define NIB_MODEL_RUN_LOADED_MODEL_H

#include "model/arch/config.h"
#include "model/archive/checkpoint.h"
#include "model/decode.h"
#include "model/tokenizer/tokenizer.h"

#include <filesystem>
#include <optional>

namespace nib::model {

class LoadedModel {
 public:
  // Throws; also for a network that nibble cannot run.
  explicit LoadedModel(const std::filesystem::path& folder);
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  const ModelView& view() const { return view_; }
  const ModelConfig& config() const { return config_; }
  // Loads it at the first call. Throws if there is none, or it has more tokens than the network.
  const Tokenizer& tokenizer();

 private:
  std::filesystem::path folder_;
  Checkpoint checkpoint_;
  ModelConfig config_;
  std::optional<Checkpoint> turned_;  // networkCheckpoint()
  ModelView view_;
  std::optional<Tokenizer> tokenizer_;
};

}  // namespace nib::model
#endif
