// The metadata of a GGUF model: its network, as config.json says.
#ifndef NIB_MODEL_ARCHIVE_GGUF_METADATA_H
#define NIB_MODEL_ARCHIVE_GGUF_METADATA_H

#include "model/arch/config.h"
#include "model/archive/gguf/layout.h"
#include "model/archive/gguf/names.h"

#include <string>
#include <vector>

namespace nib::model {

// The family of config.json. Throws if nibble does not write it as GGUF.
const GgufFamily& ggufFamilyOf(const std::string& config_json);

// Adds what describes the network. Throws if llama.cpp's network of the family cannot compute it. notes: what differs.
void addNetwork(const ModelConfig& config, const GgufFamily& family, GgufMetadata& metadata,
                std::vector<std::string>& notes);

// The divisors of the rotary frequencies of Llama 3, which GGUF stores as the tensor rope_freqs.weight. Empty for other
// models.
std::vector<float> ropeDivisors(const ModelConfig& config);

}  // namespace nib::model
#endif
