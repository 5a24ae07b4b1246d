#include "data_windows.h"

#include "options.h"

#include <algorithm>

namespace nib::tool {

void addWindowOptions(CLI::App& app, DataArguments& arguments) {
  app.add_option("--window", arguments.window, "Tokens of a window (default: 2048, or the model's positions if fewer)")
      ->check(CLI::Range(uint64_t(1), uint64_t(UINT32_MAX)));
  app.add_option("--windows", arguments.windows, "Only the first N windows (default: all)")
      ->check(CLI::Range(uint64_t(1), uint64_t(UINT32_MAX)));
}

model::EvalOptions windowOptions(const DataArguments& arguments, const model::ModelConfig& config, uint32_t usual) {
  refuseImages(config);
  model::EvalOptions options;
  options.window = arguments.window != 0 ? arguments.window : std::min(usual, config.max_positions);
  options.windows = arguments.windows;
  if (options.window < 2) throw UsageError("--window must be 2 or more");
  if (options.window > config.max_positions) {
    throw UsageError("--window " + std::to_string(options.window) + " exceeds the model's " +
                     std::to_string(config.max_positions) + " positions (max_position_embeddings)");
  }
  return options;
}

void refuseImages(const model::ModelConfig& config) {
  if (!config.image) return;
  throw model::Error(config.family + " models read images, which `nibble eval --outputs` alone gives them");
}

void checkPositions(const char* which, const model::ModelConfig& config, uint32_t window) {
  if (window <= config.max_positions) return;
  throw UsageError("a window of " + std::to_string(window) + " tokens exceeds the " +
                   std::to_string(config.max_positions) + " positions of " + which + "; give a smaller --window");
}

bool isText(const DataArguments& arguments) { return !arguments.data.ends_with(".npy"); }

std::vector<uint32_t> tokensOf(const DataArguments& arguments, model::LoadedModel& loaded, uint32_t window) {
  return loadData(arguments.data, loaded, window).ids;
}

model::TokenInput loadData(const std::string& data, model::LoadedModel& loaded, uint64_t window) {
  refuseImages(loaded.config());
  const model::Tokenizer* const tokenizer = data.ends_with(".npy") ? nullptr : &loaded.tokenizer();
  return loaded.config().encoder ? model::loadPieces(data, tokenizer, window) : model::loadTokens(data, tokenizer);
}

}  // namespace nib::tool
