// --choices: multiple-choice questions, of one model (nibble eval) or of two (nibble compare --ab).
#ifndef NIB_TOOLS_MULTIPLE_CHOICE_H
#define NIB_TOOLS_MULTIPLE_CHOICE_H

#include "cache_option.h"
#include "options.h"
#include "weight_options.h"

#include <string>

namespace nib::tool {

struct QuestionArguments {
  std::string file;  // "" = not asked for
  bool adds_bos = false;
};

void addQuestionOptions(CLI::App& app, QuestionArguments& arguments);

// Return the exit code. Throw.
int evalChoices(const Output& output, const DeviceArguments& device, const QuestionArguments& choices,
                const std::string& model, const WeightArguments& weights, const CacheArguments& cache);
int compareChoices(const Output& output, const DeviceArguments& device, const QuestionArguments& choices,
                   const std::string& a, const std::string& b);

}  // namespace nib::tool
#endif
