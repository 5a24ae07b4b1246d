// The families of models that nibble knows: which matrices of a block are quantized, and how loaders name the rest.
// A family is one row of the table in families.cpp.
#ifndef NIB_MODEL_QUANTIZE_FAMILIES_H
#define NIB_MODEL_QUANTIZE_FAMILIES_H

#include <string_view>

namespace nib::model {

// Lists are words separated by spaces.
struct MatrixFamily {
  std::string_view name;
  std::string_view types;    // values of model_type in config.json
  std::string_view linears;  // last names of the matrices inside blocks that are quantized
  std::string_view heads;    // output layers, which loaders build even where a tie leaves the file without a tensor
  std::string_view base;     // the prefix of all but the head in models with a head; "" = none
  bool encoder = false;      // is loaded with and without the prefix
  // Last names that transformers does not read quantized.
  std::string_view kept = {};
  bool only_transformers = false;  // no other loader runs this family
  // Parts of names that transformers 5 replaces when it reads a file: "output.dense>mlp.fc2".
  std::string_view renames = {};
  bool scaled_tie = false;  // a tied head is multiplied by a factor, an untied one is not
};

// NULL = unknown.
const MatrixFamily* findMatrixFamily(std::string_view model_type);
// Whether a matrix of this last name is one that some family quantizes inside its blocks.
bool isLinearOfAnyFamily(std::string_view last_name);

}  // namespace nib::model
#endif
