// The names of GGUF models: families and tensors, and those that they have in the Hugging Face layout.
#ifndef NIB_MODEL_ARCHIVE_GGUF_NAMES_H
#define NIB_MODEL_ARCHIVE_GGUF_NAMES_H

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace nib::model {

// Modules and the names that GGUF gives them. A '*' stands for the number of an expert, whose matrix is a part of the
// tensor.
using GgufModuleNames = std::span<const std::pair<std::string_view, std::string_view>>;

// A family of models that nibble writes and reads as GGUF.
struct GgufFamily {
  const char* model_type;    // of config.json
  const char* architecture;  // of GGUF; the first family with it is the one that is read
  GgufModuleNames block;     // the modules of a block
  // The rotary embedding takes neighbouring rows of queries and keys, and not rows of both halves of a head. The rows
  // of q_proj and k_proj are then stored in another order.
  bool pairs_rows = false;
  bool has_experts = false;
  float norm_offset = 0;  // is added to the weights of norms, which multiply by 1 more than they say
};
std::span<const GgufFamily> ggufFamilies();
// "llama, mistral, ..."
std::string ggufFamilyNames();

// A tensor of GGUF, or the matrix of one expert in it.
struct GgufPlace {
  std::string name;
  std::optional<uint32_t> expert = {};
};
// "blk.0.attn_q.weight" of "model.layers.0.self_attn.q_proj.weight", and the inverse. None if there is no such tensor.
std::optional<GgufPlace> ggufPlace(const GgufFamily& family, std::string_view name);
std::optional<std::string> nameOfGguf(const GgufFamily& family, const GgufPlace& place);
// Whether a tensor of GGUF holds the matrices of all experts.
bool isExpertStack(std::string_view gguf_name);

// Which heads the rows of a tensor belong to, by its Hugging Face name.
enum class HeadRows { kNone, kQuery, kKey };
HeadRows headRowsOf(std::string_view name);
inline bool isNormWeight(std::string_view name) { return name.ends_with("norm.weight"); }

}  // namespace nib::model
#endif
