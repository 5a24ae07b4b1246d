// The options of `nibble quantize`.
#ifndef NIB_TOOLS_QUANTIZE_OPTIONS_H
#define NIB_TOOLS_QUANTIZE_OPTIONS_H

#include "mixed_options.h"
#include "options.h"
#include "weight_options.h"

#include "model/quantize/pipeline.h"

#include <string>
#include <vector>

namespace nib::tool {

struct QuantizeArguments {
  DeviceArguments device;
  JsonArguments json;  // --force replaces OUT too
  std::string in, out;
  std::string method = "rtn";
  std::string scale_search = "absmax";
  std::string format;   // "" = by the name of OUT
  std::string imatrix;  // "" = none
  std::vector<std::string> transforms;
  std::string range;  // "" = minmax
  std::string awq_objective = "layer";
  WeightArguments weights;
  std::string max_shard_size;  // "" = 5G
  std::string split_max_size;  // "" = one file
  std::string memory = "640M";
  bool resume = false;
  bool verbose = false;
  bool no_errors = false;
  // --method gptq
  std::string act_order = "static";
  double damp = 0.01;
  uint32_t block_size = 0;
  bool parity = false, no_sequential = false;
  uint64_t samples = 128, sequence_length = 512, seed = 0;
  MixedArguments mixed;
};

// Reads the files of options. Throws UsageError or model::Error.
model::QuantizeOptions optionsOf(const QuantizeArguments& a);

void addQuantizeOptions(CLI::App& app, QuantizeArguments& a);

}  // namespace nib::tool
#endif
