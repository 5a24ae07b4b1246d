// The families of models that nibble runs: one line each.
#include "model/arch/config.h"

namespace nib::model {

void readBert(const Json& json, ModelConfig& config);        // bert.cpp
void readClip(const Json& json, ModelConfig& config);        // image_encoder.cpp
void readClipVision(const Json& json, ModelConfig& config);  // image_encoder.cpp
void readGemma2(const Json& json, ModelConfig& config);      // gemma2.cpp
void readGemma3(const Json& json, ModelConfig& config);      // gemma3.cpp
void readGemma3Text(const Json& json, ModelConfig& config);  // gemma3.cpp
void readGpt2(const Json& json, ModelConfig& config);        // gpt2.cpp
void readGptNeox(const Json& json, ModelConfig& config);     // gpt_neox.cpp
void readLlama(const Json& json, ModelConfig& config);       // llama.cpp
void readMistral(const Json& json, ModelConfig& config);     // mistral.cpp
void readMixtral(const Json& json, ModelConfig& config);     // mixtral.cpp
void readOlmo2(const Json& json, ModelConfig& config);       // olmo2.cpp
void readPhi3(const Json& json, ModelConfig& config);        // phi3.cpp
void readQwen2(const Json& json, ModelConfig& config);       // qwen2.cpp
void readQwen2Moe(const Json& json, ModelConfig& config);    // qwen_moe.cpp
void readQwen3(const Json& json, ModelConfig& config);       // qwen3.cpp
void readQwen3Moe(const Json& json, ModelConfig& config);    // qwen_moe.cpp
void readRoberta(const Json& json, ModelConfig& config);     // bert.cpp
void readVit(const Json& json, ModelConfig& config);         // image_encoder.cpp

std::span<const Family> families() {
  static constexpr Family kFamilies[] = {{"llama", &readLlama},
                                         {"mistral", &readMistral},
                                         {"qwen2", &readQwen2},
                                         {"qwen3", &readQwen3},
                                         {"mixtral", &readMixtral},
                                         {"qwen2_moe", &readQwen2Moe},
                                         {"qwen3_moe", &readQwen3Moe},
                                         {"phi3", &readPhi3},
                                         {"gemma2", &readGemma2},
                                         {"gemma3_text", &readGemma3Text},
                                         {"gemma3", &readGemma3, "language_model.model", "model.language_model"},
                                         {"olmo2", &readOlmo2},
                                         {"gpt2", &readGpt2, "transformer", ""},
                                         {"gpt_neox", &readGptNeox, "gpt_neox"},
                                         {"bert", &readBert, "bert", ""},
                                         {"roberta", &readRoberta, "roberta", ""},
                                         {"vit", &readVit, "vit", ""},
                                         {"clip", &readClip, "vision_model", ""},
                                         {"clip_vision_model", &readClipVision, "vision_model", ""}};
  return kFamilies;
}

}  // namespace nib::model
