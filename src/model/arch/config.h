// The network of a checkpoint, as its config.json says: sizes, norms, rotary embedding, windows of attention.
#ifndef NIB_MODEL_ARCH_CONFIG_H
#define NIB_MODEL_ARCH_CONFIG_H

#include <nibble/nibble.h>

#include <nlohmann/json.hpp>

#include <cstdint>
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
  bool head_norms = false;      // queries and keys are normed, head by head, before they are rotated
  uint32_t inner_hadamard = 0;  // blocks of this size of down's inputs are rotated while the network runs; 0 = none
  RopeConfig rope;
  std::vector<uint32_t> window;  // by layer: keys that a token sees, itself included; 0 = all before it
};

using Json = nlohmann::ordered_json;

// A family of models: one file of this folder, and a line in families.cpp.
struct Family {
  std::string_view model_type;
  // Reads the family's own keys, after readShared has read the shared ones. Throws.
  void (*read)(const Json& json, ModelConfig& config);
};
std::span<const Family> families();

// A network that only nibble runs has a model_type that begins with this, so that others refuse it.
inline constexpr std::string_view kOwnNetwork = "nibble-";
inline constexpr const char* kInnerHadamard = "nibble_inner_hadamard";  // key of ModelConfig::inner_hadamard

// Throws; names the key that is missing, of the wrong type or not supported, and the families that are known.
ModelConfig readConfig(const std::string& config_json);

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
// For families whose class in transformers has no partial_rotary_factor: it ignores the key or fails. Throws.
void checkWholeHeads(const ModelConfig& config);

}  // namespace nib::model
#endif
