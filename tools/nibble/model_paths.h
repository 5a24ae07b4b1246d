// The files that verbs read from a model, for PathCheck.
#ifndef NIB_TOOLS_MODEL_PATHS_H
#define NIB_TOOLS_MODEL_PATHS_H

#include "path_check.h"
#include "weight_options.h"

namespace nib::tool {

// A model's folder or file.
void readsModel(PathCheck& paths, const std::string& option, const std::string& path);
// The files beside a model that OUT gets copies of.
void copiesFiles(PathCheck& paths, const std::string& option, const std::string& path);
// Recorded activations: a file, or a folder of them.
void readsRecordings(PathCheck& paths, const std::string& option, const std::string& path);
// The files of --calib.
void readsWeightOptions(PathCheck& paths, const WeightArguments& arguments);

}  // namespace nib::tool
#endif
