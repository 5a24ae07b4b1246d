// The network of a checkpoint, as its config.json says: sizes, norms, rotary embedding, windows of attention.
#ifndef NIB_MODEL_ARCH_CONFIG_H
#define NIB_MODEL_ARCH_CONFIG_H

#include <nibble/nibble.h>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// How the frequencies of the rotary embedding are scaled: rope_scaling or rope_parameters of config.json.
struct RopeConfig {
  enum class Scaling { kNone, kLinear, kDynamic, kYarn, kLlama3, kLongrope };
  Scaling scaling = Scaling::kNone;
  double theta = 10000;
  double factor = 1;
  uint32_t rotary_size = 0;  // elements of a head that rotate
  double original_positions = 0;
  double max_positions = 0;
  // Llama 3
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  // YaRN (arXiv 2309.00071)
  double beta_fast = 32;
  double beta_slow = 1;
  double mscale = 0;
  double mscale_all_dim = 0;
  double attention_factor = 0;  // 0 = by the rule
  bool truncate = true;
  // LongRoPE (arXiv 2402.13753)
  std::vector<double> short_factor;
  std::vector<double> long_factor;
};

// The frequencies of a head's pairs, rotary_size / 2 of them, for a text of `positions` tokens, and the factor of
// cosine and sine. The angle of pair i at position p is p * frequency[i].
struct RopeFrequencies {
  std::vector<double> frequency;
  double factor = 1;
};
RopeFrequencies ropeFrequencies(const RopeConfig& rope, uint32_t positions);

// The builder of a block.
enum class BlockKind {
  kGated,  // gated_block.cpp: RMS norms, rotary embedding, gated layers
  kGpt2,   // gpt_block.cpp: layer norms, learned positions, layers stored as [in, out]
  kNeox,   // gpt_block.cpp: layer norms, rotary embedding, queries, keys and values by turns
  kBert,   // encoder_block.cpp: layer norms behind the sums of residuals
  kVit,    // encoder_block.cpp: layer norms in front of layers
  kClip    // the same with other names
};

// The norms of queries and keys, before they are rotated.
enum class QueryNorms { kNone, kHeads, kRows };

// A mixture of experts instead of the gated layers.
struct ExpertsConfig {
  uint32_t count = 0;         // 0 = the model has none
  uint32_t chosen = 0;        // for each token
  uint32_t inner = 0;         // of an expert
  uint32_t shared_inner = 0;  // of the expert that all tokens pass; 0 = none
  bool normalized = false;    // the weights of the chosen ones add up to 1
  bool mixtral_names = false;
  std::vector<bool> layers;  // which layers have them
};

constexpr bool isEncoderBlock(BlockKind block) {
  return block == BlockKind::kBert || block == BlockKind::kVit || block == BlockKind::kClip;
}

// The input of a network of images: patches of equal size, each a token, behind a token for the whole.
struct ImageConfig {
  uint32_t channels = 0, height = 0, width = 0, patch_height = 0, patch_width = 0;
  uint32_t patches() const { return height / patch_height * (width / patch_width); }
  uint32_t patchElements() const { return channels * patch_height * patch_width; }
};

struct ModelConfig {
  std::string family;  // model_type
  uint32_t vocabulary = 0;
  uint32_t hidden = 0;
  uint32_t inner = 0;
  uint32_t layers = 0;
  uint32_t heads = 0;
  uint32_t key_heads = 0;
  uint32_t head_size = 0;
  uint32_t max_positions = 0;
  float epsilon = 1e-6f;
  uint32_t activation = NIB_ACTIVATION_SILU;
  bool tied = false;        // the head multiplies by the embedding
  bool query_bias = false;  // of q, k and v
  bool output_bias = false;
  bool inner_bias = false;
  QueryNorms query_norms = QueryNorms::kNone;
  bool fused = false;         // q, k and v are the rows of one layer, qkv_proj; gate and up those of gate_up_proj
  bool norms_before = true;   // of attention and of the gated layers
  bool norms_after = false;   // of what they add to the hidden states
  float norm_offset = 0;      // is added to the weights of norms
  float embedding_scale = 1;  // of the embedding, not of a head that is tied to it
  float attention_scale = 0;  // of scores; 0 = 1 / sqrt(head_size)
  float attention_cap = 0;    // soft caps of scores and of logits; 0 = none
  float logit_cap = 0;
  bool parallel = false;               // attention and the layers behind it read the same hidden states
  uint32_t learned_positions = 0;      // rows of the table that is added to the embedding
  uint32_t position_offset = 0;        // row of a sequence's first token in it
  bool layer_attention_scale = false;  // scores of layer i are divided by i + 1, too
  ExpertsConfig experts;
  BlockKind block = BlockKind::kGated;
  bool encoder = false;      // tokens see the whole sequence, and the head predicts those that a mask covers
  uint32_t token_types = 0;  // rows of the table of token types, whose first is added to the embedding; 0 = none
  std::optional<ImageConfig> image;  // of networks that read images instead of tokens; `vocabulary` = the head's rows
  bool quick_gelu = false;           // x * sigmoid(1.702 x) instead of `activation`
  // An encoder's files need not have a head or a pooler. Without the list of tensors, a head is assumed.
  bool has_head = true, has_pooler = false;
  bool head_bias = false;  // a dense layer and a norm, too, lie in front of such a head
  uint32_t head_activation = NIB_ACTIVATION_NONE;
  std::string prefix = "model";               // of the names of all modules but the head; may be empty
  std::vector<std::string> other_parts = {};  // prefixes of tensors that are no part of the network
  uint32_t inner_hadamard = 0;  // blocks of this size of down's inputs are rotated while the network runs; 0 = none
  RopeConfig rope;
  std::optional<RopeConfig> window_rope;  // of layers with a window; none = rope
  std::vector<uint32_t> window;           // by layer: keys that a token sees, itself included; 0 = all before it

  bool hasExperts(uint32_t layer) const { return layer < experts.layers.size() && experts.layers[layer]; }
};

using Json = nlohmann::ordered_json;

// A family of models: one file of this folder, and a line in families.cpp.
struct Family {
  std::string_view model_type;
  // Throws.
  void (*read)(const Json& json, ModelConfig& config);
  // Prefixes of names in files: the usual one, and another one that some files have.
  std::string_view prefix = "model", other_prefix = prefix;
};
std::span<const Family> families();

// A network that only nibble runs has a model_type that begins with this, so that others refuse it.
inline constexpr std::string_view kOwnNetwork = "nibble-";
inline constexpr const char* kInnerHadamard = "nibble_inner_hadamard";  // key of ModelConfig::inner_hadamard

// Throws; names the key that is missing, of the wrong type or not supported, and the families that are known.
// has: whether the checkpoint has a tensor; decides between prefixes of names. Empty = the family's usual one.
using HasTensor = std::function<bool(const std::string& name)>;
ModelConfig readConfig(const std::string& config_json, const HasTensor& has = {});

// Throws if the model is an encoder: 'WHAT: bert models are encoders, WHY'.
void refuseEncoder(const ModelConfig& config, const std::string& what, const std::string& why);
// Throws: 'config.json: "KEY" TEXT'.
[[noreturn]] void refuseKey(const std::string& key, const std::string& text);
// Values of config.json. null counts as missing. Throw if the type is wrong, or no default is given and the key is
// missing.
uint32_t readCount(const Json& json, const char* key, const uint32_t* fallback = nullptr);
double readNumber(const Json& json, const char* key, double fallback);
bool readFlag(const Json& json, const char* key, bool fallback);
std::string readText(const Json& json, const char* key, const std::string& fallback);

// The class defaults of the family, for keys that config.json lacks.
struct Defaults {
  uint32_t vocabulary, hidden, inner, layers, heads;
  uint32_t key_heads;  // 0 = as many as heads
  uint32_t head_size;  // 0 = hidden / heads
  uint32_t max_positions;
  double epsilon;
  double theta;
  bool tied;
};
// Reads the keys that all families have. Throws.
void readShared(const Json& json, const Defaults& defaults, ModelConfig& config);
// Reads a part of what readShared does: the rotary embedding of heads of head_size.
void readRope(const Json& json, double theta, double share, RopeConfig& rope, uint32_t head_size);
uint32_t readActivation(const Json& json, const char* key, const char* fallback);
// sliding_window: a key with the value null means no window, 0; `usual` holds only where the key is missing.
uint32_t readWindow(const Json& json, uint32_t usual);
// Windows of layers by layer_types; without the list, layer i has one if `windowed` says so.
void readLayerTypes(const Json& json, uint32_t window, const std::function<bool(uint32_t layer)>& windowed,
                    ModelConfig& config);
// For families whose class in transformers has no partial_rotary_factor: it ignores the key or fails. Throws.
void checkWholeHeads(const ModelConfig& config);
// Throws if the numbers of a mixture of experts do not fit each other, or nibble's limits.
void checkExperts(const ModelConfig& config);

}  // namespace nib::model
#endif
