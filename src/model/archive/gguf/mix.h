// The mixes of llama-quantize: one name for the types of all tensors of a GGUF model.
#ifndef NIB_MODEL_ARCHIVE_GGUF_MIX_H
#define NIB_MODEL_ARCHIVE_GGUF_MIX_H

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace nib::model {

struct GgufMix {
  const char* name;
  uint32_t base;       // the id of ggml's type of most tensors
  uint32_t file_type;  // general.file_type
};
// Finds a mix by its name, ignoring case; Q3_K, Q4_K and Q5_K are their M mixes. NULL if there is none.
const GgufMix* findGgufMix(std::string_view name);
// "Q4_0, Q4_1, ..."
std::string ggufMixNames();

// The facts on which the choice depends, besides the tensors.
struct MixModel {
  std::string architecture;
  uint32_t layers = 0, heads = 0, key_heads = 0;
  uint32_t experts = 0;
  bool importance = false;  // there is an importance matrix
};

struct MixTensor {
  std::string name;  // in GGUF
  uint64_t cols = 0;
};

// The ids of ggml's types that llama-quantize 0.7 chooses for the matrices that it quantizes: weights of linear layers,
// the embedding and the head. Rows that do not fit a type are the matter of ggufFallback.
std::map<std::string, uint32_t> chooseGgufTypes(const GgufMix& mix, const MixModel& model,
                                                std::span<const MixTensor> tensors);

// The type that takes the place of one whose blocks do not divide the rows: F16 if nothing else does. The type itself
// if they do.
uint32_t ggufFallback(uint32_t type, uint64_t cols);

}  // namespace nib::model
#endif
