// The tokens of a model: texts and their ids.
#ifndef NIB_MODEL_TOKENIZER_VOCABULARY_H
#define NIB_MODEL_TOKENIZER_VOCABULARY_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nib::model {

// Larger ids are refused: the memory for a table by id would be unreasonable.
inline constexpr uint32_t kMaxTokens = 1u << 24;

class Vocabulary {
 public:
  void reserve(size_t count) {
    ids_.reserve(count);
    tokens_.reserve(count);
  }

  // id: below kMaxTokens. Returns false, and changes nothing, if the text or the id has been used.
  bool add(std::string_view text, uint32_t id) {
    if (id < tokens_.size() && tokens_[id]) return false;
    if (!ids_.emplace(text, id).second) return false;
    if (id >= tokens_.size()) tokens_.resize(size_t(id) + 1);
    tokens_[id] = text;
    return true;
  }

  std::optional<uint32_t> find(std::string_view text) const {
    const auto found = ids_.find(text);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }
  // NULL = there is no such token.
  const std::string* text(uint32_t id) const { return id < tokens_.size() && tokens_[id] ? &*tokens_[id] : nullptr; }

  uint32_t count() const { return uint32_t(ids_.size()); }
  // 1 + the largest id.
  uint32_t size() const { return uint32_t(tokens_.size()); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> ids_;
  std::vector<std::optional<std::string>> tokens_;
};

}  // namespace nib::model
#endif
