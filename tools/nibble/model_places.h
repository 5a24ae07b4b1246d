// Files that verbs read of a model, for Places.
#ifndef NIB_TOOLS_MODEL_PLACES_H
#define NIB_TOOLS_MODEL_PLACES_H

#include "places.h"
#include "weight_options.h"

namespace nib::tool {

// A model's folder or file.
void readsModel(Places& places, const std::string& option, const std::string& path);
// Recorded activations: a file, or a folder of them.
void readsRecordings(Places& places, const std::string& option, const std::string& path);
// The files of --calib.
void readsWeightOptions(Places& places, const WeightArguments& arguments);

}  // namespace nib::tool
#endif
