// The metadata of a GGUF model: its network, as config.json says.
#ifndef NIB_MODEL_ARCHIVE_GGUF_METADATA_H
#define NIB_MODEL_ARCHIVE_GGUF_METADATA_H

#include "model/archive/gguf/layout.h"
#include "model/archive/gguf/network.h"

#include <string>
#include <vector>

namespace nib::model {

// Adds what describes the network. Throws if llama.cpp's network of the family cannot compute it. notes: what differs.
void addNetwork(const GgufNetwork& network, GgufMetadata& metadata, std::vector<std::string>& notes);

// The tensors in which GGUF stores the rotary embedding: rope_freqs.weight has the divisors of the frequencies of
// Llama 3, rope_factors_short.weight and rope_factors_long.weight those of LongRoPE.
struct RopeTensor {
  std::string name;
  std::vector<float> divisors;
};
std::vector<RopeTensor> ropeTensors(const ModelConfig& config);

}  // namespace nib::model
#endif
