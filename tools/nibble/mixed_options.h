// The options that choose a type for each layer within a budget.
#ifndef NIB_TOOLS_MIXED_OPTIONS_H
#define NIB_TOOLS_MIXED_OPTIONS_H

#include "weight_options.h"

#include "model/mixed/mixed.h"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nib::tool {

struct MixedArguments {
  std::optional<double> budget;
  std::string size;   // "" = none
  std::string types;  // "" = those of the format
  std::string sensitivity = "one";
  bool separate = false;
  uint64_t kl_samples = 16;

  bool asked() const { return budget || !size.empty() || !types.empty(); }
  std::string option() const { return budget ? "--budget" : "--size"; }
};

void addMixedOptions(CLI::App& app, MixedArguments& arguments);

// The types to choose among, of which `weights` gets a quantized one. format: of the output. Throws UsageError, also if
// other options exclude a choice.
std::vector<model::SizedType> mixedTypes(const MixedArguments& arguments, WeightArguments& weights,
                                         const std::string& format);

// Throws UsageError.
model::MixedOptions mixedOptions(const MixedArguments& arguments, const std::string& format,
                                 std::vector<model::SizedType> types, std::vector<std::vector<uint32_t>> sequences);

// The options that change the bytes of the result.
std::string commandOf(const MixedArguments& arguments, const model::MixedOptions& options);

}  // namespace nib::tool
#endif
