// The names under which loaders build the modules of a checkpoint. They differ from the file's where a model wraps
// another: "language_model.model.layers.0" of a vision-language file is "model.language_model.layers.0" in
// transformers, and a file without the prefix "bert." is loaded into a model with it.
#ifndef NIB_MODEL_ARCHIVE_LOADER_NAMES_H
#define NIB_MODEL_ARCHIVE_LOADER_NAMES_H

#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

class LoaderNames {
 public:
  // Loaders use the file's names.
  LoaderNames() = default;
  // wraps: whether the model holds a language model among others. bases: prefixes that a loader may add or take off,
  // separated by spaces. renames: parts of names that newer loaders replace, in order: "output.dense>mlp.fc2 ...".
  LoaderNames(bool wraps, std::string_view bases, std::string_view renames);

  // Whether a module may have another name than in the file.
  bool differ() const { return differ_; }
  // The module without the names of the models around it: "layers.0.mlp.gate".
  std::string_view core(std::string_view module) const;
  // The names that known loaders use; the file's own comes first.
  std::vector<std::string> spellings(std::string_view module) const;
  // A regular expression of the core, under every name that loaders give it.
  std::string corePattern(std::string_view module) const;
  // A regular expression of all prefixes that wrappers may give a core.
  std::string wrappers() const;

 private:
  bool isWrapper(std::string_view segment) const;
  std::string renamed(std::string_view core) const;

  bool differ_ = false, wraps_ = false;
  std::string bases_, renames_;
};

}  // namespace nib::model
#endif
