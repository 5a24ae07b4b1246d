// The names of GGUF models: families and tensors, and those that they have in the Hugging Face layout.
#ifndef NIB_MODEL_ARCHIVE_GGUF_NAMES_H
#define NIB_MODEL_ARCHIVE_GGUF_NAMES_H

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nib::model {

// A family of models that nibble writes and reads as GGUF.
struct GgufFamily {
  const char* model_type;    // of config.json
  const char* architecture;  // of GGUF; the first family with it is the one that is read
  // The rotary embedding takes neighbouring rows of queries and keys, and not rows of both halves of a head. The rows
  // of q_proj and k_proj are then stored in another order.
  bool pairs_rows;
};
std::span<const GgufFamily> ggufFamilies();
// "llama, mistral, ..."
std::string ggufFamilyNames();

// "blk.0.attn_q.weight" of "model.layers.0.self_attn.q_proj.weight", and the inverse. None if there is no such tensor.
std::optional<std::string> ggufName(std::string_view name);
std::optional<std::string> nameOfGguf(std::string_view name);

// Which heads the rows of a tensor belong to, by its Hugging Face name.
enum class HeadRows { kNone, kQuery, kKey };
HeadRows headRowsOf(std::string_view name);

}  // namespace nib::model
#endif
