// The options that say how weights are quantized.
#ifndef NIB_TOOLS_WEIGHT_OPTIONS_H
#define NIB_TOOLS_WEIGHT_OPTIONS_H

#include "model/quantize/selection.h"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace nib::tool {

struct WeightArguments {
  std::string type;
  uint32_t bits = 0;
  std::string granularity;
  int64_t group_size = 0;
  bool sym = false, asym = false;
  std::string scale = "full";
  std::string activations = "none";
  std::vector<std::string> calib;
  bool takes_data = false;    // --calib may name calibration data too
  bool types_chosen = false;  // by a budget, of which `type` is one
  bool no_double_quant = false;
  bool allow_unmatched = false;
  std::vector<std::string> include, exclude, rules;

  bool asked() const { return !type.empty() || bits != 0 || !rules.empty(); }
};

// The file of --calib with ranges, CALIB.json, and the one with calibration data; "" = none. Throw UsageError.
std::string rangesFile(const WeightArguments& arguments);
std::string dataFile(const WeightArguments& arguments);

void addWeightOptions(CLI::App& app, WeightArguments& arguments, const std::string& type_help);

// usual_type: if neither --type nor --bits is given. Throws UsageError; reads the file of --calib.
model::SelectionOptions selectionOf(const WeightArguments& arguments, const std::string& usual_type);

// The options that change the bytes of the result, " --type int4 --sym ...".
std::string commandOf(const WeightArguments& arguments, const model::SelectionOptions& selection);

}  // namespace nib::tool
#endif
