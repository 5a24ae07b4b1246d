#include "model/run/loaded_model.h"

#include "model/archive/error.h"
#include "model/run/network_view.h"

namespace nib::model {
namespace {

ModelConfig configOf(const Checkpoint& checkpoint, const std::filesystem::path& folder) {
  if (!checkpoint.configJson()) {
    throw Error(folder.string() +
                (checkpoint.notes().empty()
                     ? ": to run a model takes its folder with config.json, not a file of tensors alone"
                     : ": cannot be run: " + checkpoint.notes().front()));
  }
  return networkConfig(checkpoint);
}

// Whether the files are made from other ones.
bool hasTexts(const std::vector<SideFile>& files) { return !files.empty() && files.front().text.has_value(); }

}  // namespace

LoadedModel::LoadedModel(const std::filesystem::path& folder)
    : folder_(folder),
      checkpoint_(folder),
      config_(configOf(checkpoint_, folder)),
      turned_(networkCheckpoint(checkpoint_, config_)),
      view_(turned_ ? *turned_ : checkpoint_) {}

const Tokenizer& LoadedModel::tokenizer() {
  if (!tokenizer_) {
    Tokenizer tokenizer = hasTexts(checkpoint_.sideFiles())
                              ? loadTokenizer(checkpoint_.sideFiles(), checkpoint_.configJson(), folder_)
                              : loadTokenizer(folder_);
    if (tokenizer.size() > config_.vocabulary) {
      throw Error(folder_.string() + ": the tokenizer has " + std::to_string(tokenizer.size()) +
                  " tokens, the network only " + std::to_string(config_.vocabulary));
    }
    tokenizer_ = std::move(tokenizer);
  }
  return *tokenizer_;
}

}  // namespace nib::model
