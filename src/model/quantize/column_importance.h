// The importance of the columns of a model's weights, from the file of --imatrix.
#ifndef NIB_MODEL_QUANTIZE_COLUMN_IMPORTANCE_H
#define NIB_MODEL_QUANTIZE_COLUMN_IMPORTANCE_H

#include "model/archive/container.h"
#include "model/archive/gguf/importance.h"
#include "model/archive/gguf/network.h"

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace nib::model {

struct ImportanceFile {
  std::filesystem::path path;
  Importance importance;
};

// Whether the search of the weight's format can take it into account.
bool takesImportance(const WeightSpec& weight);

class ColumnImportance {
 public:
  // Throws if the model is none that GGUF has.
  ColumnImportance(const ImportanceFile& file, const std::string& config_json);

  // Gives the weight its importance, if its format takes it and the file has it. Throws if the file's numbers are not
  // as many as the weight's columns.
  void give(WeightSpec& weight);
  // Throws if no weight of the model has got any, and says of how many the file has none.
  void check(std::vector<std::string>& notes) const;

 private:
  const ImportanceFile& file_;
  GgufNetwork network_;
  std::set<std::string> missing_, skipped_;  // weights: not in the file, and of formats that do not take it
  size_t given_ = 0;
};

}  // namespace nib::model
#endif
