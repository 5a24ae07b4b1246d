// The families of models that nibble runs: one line each.
#include "model/arch/config.h"

namespace nib::model {

void readLlama(const Json& json, ModelConfig& config);    // llama.cpp
void readMistral(const Json& json, ModelConfig& config);  // mistral.cpp
void readQwen2(const Json& json, ModelConfig& config);    // qwen2.cpp
void readQwen3(const Json& json, ModelConfig& config);    // qwen3.cpp

std::span<const Family> families() {
  static constexpr Family kFamilies[] = {
      {"llama", &readLlama}, {"mistral", &readMistral}, {"qwen2", &readQwen2}, {"qwen3", &readQwen3}};
  return kFamilies;
}

}  // namespace nib::model
