#include "bench_model.h"

#include "model_paths.h"
#include "verb.h"

#include "kit/file.h"
#include "model/eval/speed.h"

#include <filesystem>

namespace nib::tool {
namespace {

model::ModelConfig readShape(const std::string& model) {
  std::filesystem::path path(model);
  if (std::filesystem::is_directory(path)) path /= "config.json";
  const kit::Bytes bytes = kit::detail::readFile(path.string());
  if (bytes.empty()) throw UsageError("--model " + model + ": there is no config.json");
  return model::readConfig(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void addRow(Table& table, const char* name, uint32_t tokens, const model::StepSpeed& s) {
  char cell[5][32];
  std::snprintf(cell[0], sizeof cell[0], "%.1f", s.tokens_per_second);
  std::snprintf(cell[1], sizeof cell[1], "%.1f", 1000 * tokens / s.tokens_per_second);
  std::snprintf(cell[2], sizeof cell[2], "%.1f", 100 * s.product_share);
  std::snprintf(cell[3], sizeof cell[3], "%.0f", 1e6 * s.record_seconds);
  std::snprintf(cell[4], sizeof cell[4], "%.0f", 1e6 * s.submit_seconds);
  table.add({name, std::to_string(tokens), cell[0], cell[1], cell[2], std::to_string(s.nodes),
             std::to_string(s.barriers), std::to_string(s.submissions), cell[3], cell[4]});
}

void printShares(std::FILE* file, const char* name, const model::StepSpeed& s) {
  std::fprintf(file, "%s: time by op:", name);
  for (const auto& [op, share] : s.shares) std::fprintf(file, " %s %.1f %%", op.c_str(), 100 * share);
  std::fprintf(file, "\n");
}

nlohmann::ordered_json toJson(uint32_t tokens, const model::StepSpeed& s) {
  nlohmann::ordered_json shares;
  for (const auto& [op, share] : s.shares) shares[op] = share;
  return {{"tokens", tokens},
          {"tokens_per_s", s.tokens_per_second},
          {"product_share", s.product_share},
          {"shares", shares},
          {"nodes", s.nodes},
          {"barriers", s.barriers},
          {"submissions", s.submissions},
          {"record_us", 1e6 * s.record_seconds},
          {"submit_us", 1e6 * s.submit_seconds}};
}

}  // namespace

int benchModel(const DeviceArguments& device_arguments, const JsonArguments& json,
               const BenchModelArguments& arguments) {
  PathCheck paths(json.force);
  readsModel(paths, "--model", arguments.model);
  readsDevice(paths, device_arguments);
  const Output output(json, paths);
  const model::ModelConfig config = readShape(arguments.model);
  model::refuseEncoder(config, "--model", "and an encoder does not generate, which this measures");
  model::SpeedOptions options;
  options.prompt = std::min(arguments.tokens, config.max_positions - 1);
  if (!arguments.type.empty()) {
    const std::optional<model::WeightType> type = model::findWeightType(arguments.type);
    if (!type) throw UsageError("--type " + arguments.type + ": expected one of " + model::weightTypeNames());
    options.type = *type;
  }
  const kit::Device device = openDevice(device_arguments);
  const model::Speed speed = model::measureSpeed(device, config, options);
  std::FILE* const file = output.text();
  std::fprintf(file, "%s on %s: %s, made-up weights of %.1f MB, cache of %.1f MB\n", config.family.c_str(),
               device.info().name.c_str(), options.type.name().c_str(), 1e-6 * double(speed.weight_bytes),
               1e-6 * double(speed.cache_bytes));
  Table table(
      {"step", "tokens", "tokens/s", "ms", "products %", "ops", "barriers", "submissions", "record us", "submit us"},
      {false, true, true, true, true, true, true, true, true, true});
  addRow(table, "prefill", options.prompt, speed.prefill);
  addRow(table, "decode", 1, speed.decode);
  table.print(file);
  printShares(file, "prefill", speed.prefill);
  printShares(file, "decode", speed.decode);
  output.json({{"device", device.info().name},
               {"family", config.family},
               {"type", options.type.name()},
               {"weight_bytes", speed.weight_bytes},
               {"cache_bytes", speed.cache_bytes},
               {"prefill", toJson(options.prompt, speed.prefill)},
               {"decode", toJson(1, speed.decode)}});
  return kExitDone;
}

}  // namespace nib::tool
