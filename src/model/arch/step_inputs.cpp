#include "model/arch/step_inputs.h"

#include "model/arch/decoder.h"
#include "model/archive/error.h"

namespace nib::model {

StepInputs::StepInputs(const ModelConfig& config)
    : config_(&config), windows_(windowsOf(config)), visible_(windows_.size()) {}

void StepInputs::add(uint32_t first_row, uint32_t position, std::span<const uint32_t> ids) {
  if (config_->image) throw Error(config_->family + " models read images, no tokens");
  if (config_->encoder && position != 0) throw Error("an encoder reads a sequence in one step");
  const uint32_t length = position + uint32_t(ids.size());
  for (uint32_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= config_->vocabulary) {
      throw Error("token " + std::to_string(ids[i]) + " is not in the model's vocabulary of " +
                  std::to_string(config_->vocabulary));
    }
    ids_.push_back(ids[i]);
    addVisible(first_row, length, position + i);
  }
  addPositions(position, ids);
}

void StepInputs::addImage(uint32_t first_row, std::span<const float> patches) {
  if (!config_->image) throw Error(config_->family + " models read tokens, no images");
  const uint32_t length = config_->image->patches() + 1, elements = config_->image->patchElements();
  if (patches.size() != size_t(length - 1) * elements) throw Error("an image has not the size that the model reads");
  for (uint32_t i = 0; i < length; ++i) {
    positions_.push_back(i);
    addVisible(first_row, length, i);
  }
  // The token for the whole has no patch.
  patches_.resize(patches_.size() + elements, 0);
  patches_.insert(patches_.end(), patches.begin(), patches.end());
}

void StepInputs::addVisible(uint32_t first_row, uint32_t length, uint32_t at) {
  cache_rows_.push_back(first_row + at);
  // The last key that the token sees: its own, or that of the sequence's end.
  const uint32_t last = config_->encoder ? length - 1 : at;
  for (size_t w = 0; w < windows_.size(); ++w) {
    const uint32_t first = windows_[w] != 0 && at + 1 > windows_[w] ? at + 1 - windows_[w] : 0;
    visible_[w].insert(visible_[w].end(), {first_row, length, last, first});
  }
}

void StepInputs::addPositions(uint32_t position, std::span<const uint32_t> ids) {
  uint32_t next = position + config_->position_offset;
  for (const uint32_t id : ids) {
    // RoBERTa: a padding token has the position before the first, and counts for none.
    const bool padding = config_->position_offset != 0 && id + 1 == config_->position_offset;
    positions_.push_back(padding ? id : next++);
  }
}

void StepInputs::setBlock(const graph::Program& program) const {
  program.setInput("positions", positions_);
  program.setInput("cache_rows", cache_rows_);
  for (size_t w = 0; w < windows_.size(); ++w) program.setInput(visibleName(windows_[w]), visible_[w]);
}

void StepInputs::setEmbedding(const graph::Program& program) const {
  if (config_->image) {
    program.setInput("patches", patches_);
    program.setInput("positions", positions_);
    return;
  }
  program.setInput("ids", ids_);
  if (config_->learned_positions != 0) program.setInput("positions", positions_);
  if (config_->token_types != 0) program.setInput("token_types", std::vector<uint32_t>(ids_.size(), 0));
}

}  // namespace nib::model
