#include "model/archive/checkpoint.h"

#include <algorithm>

namespace nib::model {

bool isSideFile(std::string_view name) {
  const auto is = [&](auto... names) { return ((name == names) || ...); };
  const auto begins = [&](auto... starts) { return (name.starts_with(starts) || ...); };
  const auto ends = [&](auto... endings) { return (name.ends_with(endings) || ...); };

  if (name.empty() || name[0] == '.') return false;
  if (ends(".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".onnx", ".npz", ".index.json",
           ".partial")) {
    return false;
  }
  return is("special_tokens_map.json", "added_tokens.json", "merges.txt", "generation_config.json",
            "chat_template.json", "preprocessor_config.json", "processor_config.json",
            "video_preprocessor_config.json") ||
         begins("tokenizer", "vocab.", "LICENSE", "LICENCE", "NOTICE", "USE_POLICY") ||
         ends(".model", ".tiktoken", ".jinja", ".py");
}

}  // namespace nib::model
