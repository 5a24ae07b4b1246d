// --outputs KIND=FILE.npy of nibble eval: what an encoder makes of each text.
#ifndef NIB_TOOLS_ENCODER_OUTPUTS_H
#define NIB_TOOLS_ENCODER_OUTPUTS_H

#include "data_windows.h"
#include "options.h"
#include "path_check.h"

#include "model/run/loaded_model.h"
#include "model/run/runner.h"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace nib::tool {

struct OutputsArguments {
  std::vector<std::string> texts;  // "pooled=OUT.npy"
};

void addOutputsOption(CLI::App& app, OutputsArguments& arguments);
// Throws UsageError for one that is none.
void writesOutputs(PathCheck& paths, const OutputsArguments& arguments);

// Runs the model on the texts of the data, writes the files and returns the exit code. options: of the runner, besides
// sizes. Throws.
int evalOutputs(const Output& output, const kit::Device& device, const OutputsArguments& arguments,
                const DataArguments& data, model::LoadedModel& loaded, model::RunnerOptions options);

}  // namespace nib::tool
#endif
