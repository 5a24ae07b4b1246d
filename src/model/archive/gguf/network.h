// The network of config.json as llama.cpp computes it.
#ifndef NIB_MODEL_ARCHIVE_GGUF_NETWORK_H
#define NIB_MODEL_ARCHIVE_GGUF_NETWORK_H

#include "model/arch/config.h"
#include "model/archive/gguf/names.h"

#include <cstdint>
#include <optional>
#include <string>

namespace nib::model {

struct GgufNetwork {
  const GgufFamily* family = nullptr;
  ModelConfig config;
  uint32_t activation = NIB_ACTIVATION_SILU;  // the one that llama.cpp's network has
  uint32_t experts = 0;                       // of each layer; 0 = layers are dense
  uint32_t experts_per_token = 0;
  std::optional<uint32_t> window = {};  // what the file says of the window of attention
  bool applies_window = false;          // llama.cpp does
};

// Throws if nibble does not write the family as GGUF, or llama.cpp's network of it differs.
GgufNetwork readGgufNetwork(const std::string& config_json);

// Throws: "config.json: WHAT, which GGUF files of llama.cpp cannot say; choose another --format".
[[noreturn]] void refuseForGguf(const std::string& what);

}  // namespace nib::model
#endif
