#include "model/quantize/module_kinds.h"

#include "model/archive/module_name.h"
#include "model/quantize/families.h"

#include <algorithm>

namespace nib::model {
namespace {

// Before a number, these begin the name of a block: "layers.0".
constexpr std::string_view kStacks =
    "layers layer h blocks block resblocks transformer_blocks decoder_layers encoder_layers albert_layers "
    "hidden_layers";
// Parts of the first segments of towers and projectors, in any spelling: vision_tower, image_encoder, mm_projector.
constexpr std::string_view kTowerParts[] = {"vision",     "visual",    "audio",   "speech",    "image",
                                            "video",      "projector", "qformer", "resampler", "perceiver",
                                            "abstractor", "vqmodel",   "vqgan",   "img_"};
constexpr std::string_view kTowers =
    "vit vpm apm tts aligner connector merger mlp1 sam sam_model img_processor img_projection talker token2wav "
    "code2wav modality_projection patch_embed patch_merger language_projection";
constexpr std::string_view kRouters = "gate router shared_expert_gate wg gate_network routers indexer";
constexpr std::string_view kHeads =
    "lm_head embed_out proj_out output_projection output_layer output score classifier qa_outputs predictions "
    "generator_lm_head vocab_projector vocab_transform pooler pre_classifier lm_predictions cls decoder "
    "classification_head out_lin_head shared_head v_head reward_head summary logits_proj";
constexpr std::string_view kEmbeddings =
    "wte wpe wtte shared tok_embeddings word_embeddings embeddings embedding embed_in relative_attention_bias "
    "rel_embeddings tokens_embed langs emb embed query_embed codebook";

bool isTowerSegment(std::string_view segment) {
  return hasWord(kTowers, segment) ||
         std::any_of(std::begin(kTowerParts), std::end(kTowerParts),
                     [&](std::string_view part) { return segment.find(part) != segment.npos; });
}

// Linear layers that turn patches into vectors have such names, too.
bool isEmbeddingName(std::string_view segment) {
  if (segment.starts_with("patch")) return false;
  const auto has = [&](auto... parts) { return ((segment.find(parts) != segment.npos) || ...); };
  return hasWord(kEmbeddings, segment) || segment.ends_with("_embedding") || segment.ends_with("_embeddings") ||
         segment.ends_with("_emb") || has("pos_emb", "position", "embed_pos", "token_type", "embed_tokens");
}

// Length of the name up to the first numbered block's stack; npos = there is no block.
size_t blockAt(std::string_view module) {
  std::string_view rest = module, previous;
  while (!rest.empty()) {
    const std::string_view segment = takeSegment(rest);
    // The last segment is the name of a layer, so a block's number comes before it.
    if (!rest.empty() && isNumber(segment) && hasWord(kStacks, previous))
      return size_t(previous.data() - module.data());
    previous = segment;
  }
  return module.npos;
}

}  // namespace

std::string_view towerOf(std::string_view module) {
  std::string_view rest = module;
  while (!rest.empty()) {
    const std::string_view segment = takeSegment(rest);
    if (isTowerSegment(segment)) return module.substr(0, size_t(segment.data() - module.data()) + segment.size());
  }
  return {};
}

bool isEmbedding(std::string_view module) { return isEmbeddingName(lastSegment(module)); }

bool isInBlock(std::string_view module) {
  const size_t at = blockAt(module);
  // A layer with adapters beside it, in a model that has them built in.
  constexpr std::string_view kAdapted = ".base_layer";
  const std::string_view layer =
      module.ends_with(kAdapted) ? module.substr(0, module.size() - kAdapted.size()) : module;
  if (at == module.npos || !isLinearOfAnyFamily(lastSegment(layer))) return false;
  for (std::string_view rest = module.substr(at); !rest.empty();) {
    if (hasWord(kRouters, takeSegment(rest))) return false;
  }
  return true;
}

ModuleKind moduleKind(std::string_view module) {
  if (!towerOf(module).empty()) return ModuleKind::kTower;
  if (isInBlock(module)) return ModuleKind::kBlockLinear;
  if (isEmbedding(module)) return ModuleKind::kEmbedding;
  const bool block = blockAt(module) != module.npos;
  for (std::string_view rest = module; !rest.empty();) {
    const std::string_view segment = takeSegment(rest);
    if (block && hasWord(kRouters, segment)) return ModuleKind::kRouter;
    if (!block && hasWord(kHeads, segment) && (segment != "decoder" || rest.empty())) return ModuleKind::kHead;
  }
  return ModuleKind::kOther;
}

std::string_view kindText(ModuleKind kind) {
  switch (kind) {
    case ModuleKind::kBlockLinear: return "a linear layer";
    case ModuleKind::kTower: return "a vision or audio part";
    case ModuleKind::kRouter: return "a router";
    case ModuleKind::kHead: return "an output layer";
    case ModuleKind::kEmbedding: return "an embedding";
    default: return "another layer";
  }
}

bool isBlockLinear(std::string_view name) {
  return name.ends_with(kWeightEnd) && moduleKind(moduleOf(name)) == ModuleKind::kBlockLinear;
}

}  // namespace nib::model
