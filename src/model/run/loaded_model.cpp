#include "model/run/loaded_model.h"

#include "model/archive/error.h"

namespace nib::model {
namespace {

ModelConfig configOf(const Checkpoint& checkpoint, const std::filesystem::path& folder) {
  if (!checkpoint.configJson()) {
    throw Error(folder.string() + ": to run a model takes its folder with config.json, not a file of tensors alone");
  }
  return readConfig(*checkpoint.configJson());
}

}  // namespace

LoadedModel::LoadedModel(const std::filesystem::path& folder)
    : folder_(folder), checkpoint_(folder), view_(checkpoint_), config_(configOf(checkpoint_, folder)) {}

const Tokenizer& LoadedModel::tokenizer() {
  if (!tokenizer_) {
    Tokenizer tokenizer = loadTokenizer(folder_);
    if (tokenizer.size() > config_.vocabulary) {
      throw Error(folder_.string() + ": the tokenizer has " + std::to_string(tokenizer.size()) +
                  " tokens, the network only " + std::to_string(config_.vocabulary));
    }
    tokenizer_ = std::move(tokenizer);
  }
  return *tokenizer_;
}

}  // namespace nib::model
