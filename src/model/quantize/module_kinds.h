// The kind of a matrix, by its name: a linear layer of a block, a head, a part of a vision tower.
#ifndef NIB_MODEL_QUANTIZE_MODULE_KINDS_H
#define NIB_MODEL_QUANTIZE_MODULE_KINDS_H

#include <string_view>

namespace nib::model {

enum class ModuleKind {
  kBlockLinear,  // attention, MLP and experts inside a numbered block
  kTower,        // vision, audio, and what connects them to the language model
  kRouter,       // chooses experts
  kHead,         // output layers of any kind
  kEmbedding,
  kOther
};

// module: without ".weight". Looks at names alone: a model without any other block is a tower by its names.
ModuleKind moduleKind(std::string_view module);
// "a router", for reports.
std::string_view kindText(ModuleKind kind);

// The part of the name up to the tower: "model.vision_tower" of "model.vision_tower.encoder.layers.0.fc1". "" = none.
std::string_view towerOf(std::string_view module);

// Whether the last name is one of an embedding: of tokens, positions, token types.
bool isEmbedding(std::string_view module);

// Whether the name is an attention or MLP projection inside a block, in or out of a tower.
bool isInBlock(std::string_view module);

// Whether the name is a weight that is quantized by default: kBlockLinear with ".weight".
bool isBlockLinear(std::string_view name);

}  // namespace nib::model
#endif
