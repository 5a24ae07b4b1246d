// --data, --window and --windows: the tokens that models are run on.
#ifndef NIB_TOOLS_DATA_WINDOWS_H
#define NIB_TOOLS_DATA_WINDOWS_H

#include "model/eval/evaluate.h"
#include "model/run/loaded_model.h"
#include "model/tokenizer/inputs.h"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace nib::tool {

struct DataArguments {
  std::string data;
  uint32_t window = 0, windows = 0;
};

void addWindowOptions(CLI::App& app, DataArguments& arguments);
// usual: the window if none is given, cut to the model's positions. Throws UsageError.
model::EvalOptions windowOptions(const DataArguments& arguments, const model::ModelConfig& config, uint32_t usual);
// Throws for models that read images instead of tokens.
void refuseImages(const model::ModelConfig& config);
// Throws UsageError if the window exceeds the positions of a further model. which: as messages name it, "--against".
void checkPositions(const char* which, const model::ModelConfig& config, uint32_t window);
// Whether the data must be encoded by a tokenizer.
bool isText(const DataArguments& arguments);
// window: of an encoder, whose special tokens are in each. Throws.
std::vector<uint32_t> tokensOf(const DataArguments& arguments, model::LoadedModel& loaded, uint32_t window);
// The same of another option's data, which may be rows.
model::TokenInput loadData(const std::string& data, model::LoadedModel& loaded, uint64_t window);

}  // namespace nib::tool
#endif
