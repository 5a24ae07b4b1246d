// The normalizers of tokenizer.json: functions from text to text, before it is divided into words.
#ifndef NIB_MODEL_TOKENIZER_NORMALIZER_H
#define NIB_MODEL_TOKENIZER_NORMALIZER_H

#include "model/tokenizer/json_tree.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

class Normalizer {
 public:
  Normalizer() = default;  // changes nothing
  // Throws; also for a type that is not implemented, by its name.
  explicit Normalizer(const JsonNode& node) { add(node); }

  // text: valid UTF-8.
  std::string apply(std::string_view text) const;
  bool isEmpty() const { return steps_.empty(); }

 private:
  void add(const JsonNode& node);

  std::vector<std::function<std::string(std::string)>> steps_;
};

}  // namespace nib::model
#endif
