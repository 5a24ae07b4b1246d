// nibble calibrate: collects histograms of activations, recorded ones or those of a running model, and chooses ranges.
#include "calibration_text.h"
#include "data_windows.h"
#include "model_paths.h"
#include "model_text.h"
#include "options.h"
#include "progress_line.h"
#include "verb.h"

#include "kit/file.h"
#include "model/archive/error.h"
#include "model/archive/gguf/importance.h"
#include "model/archive/gguf/network.h"
#include "model/archive/json_document.h"
#include "model/calibrate/collect.h"
#include "model/calibrate/squares.h"
#include "model/calibrate/stream.h"
#include "model/calibrate/trial.h"
#include "model/run/loaded_model.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>

namespace nib::tool {
namespace {

struct Arguments {
  DeviceArguments device;
  JsonArguments json;  // --force replaces OUT too
  std::string model, data, out;
  std::vector<std::string> ranges = {"minmax"};
  bool sym = false, asym = false;
  std::string granularity = "tensor";
  uint64_t samples = 0, sequence_length = 512, seed = 0;
  std::vector<std::string> merge;
  bool compare = false;
  bool importance = false;
};

std::vector<model::RangeChoice> choicesOf(const Arguments& a) {
  if (a.sym && a.asym) throw UsageError("--sym and --asym exclude each other");
  std::vector<model::RangeChoice> choices;
  for (const std::string& range : a.ranges) {
    auto choice = model::findRangeChoice(range);
    if (!choice) {
      throw UsageError("--range " + range +
                       ": expected minmax, ema, percentile:P (above 50, at most 100), mse, entropy-ort or entropy-trt");
    }
    choice->symmetric = !a.asym;
    choices.push_back(*choice);
  }
  return choices;
}

// The output file of a method: OUT, or with several methods OUT with the method's name before its extension.
std::string outputOf(const Arguments& a, const std::string& range) {
  if (a.out.empty() || a.ranges.size() == 1) return a.out;
  const std::filesystem::path path(a.out);
  std::string method = range;
  std::replace(method.begin(), method.end(), ':', '-');
  return (path.parent_path() / (path.stem().string() + "." + method + path.extension().string())).string();
}

void checkImportance(const Arguments& a) {
  if (a.model.empty() || a.data.empty()) throw UsageError("--importance needs MODEL, and --data with a text");
  if (a.out.empty()) throw UsageError("-o OUT.gguf is required");
  if (!a.merge.empty() || a.compare || a.granularity != "tensor" || a.ranges != std::vector<std::string>{"minmax"} ||
      a.sym || a.asym) {
    throw UsageError(
        "--importance collects no ranges: leave out --range, --sym, --asym, --granularity, --merge and "
        "--compare");
  }
  if (a.sequence_length == 0) throw UsageError("--seq-len must be 1 or more");
}

void check(const Arguments& a) {
  if (a.importance) return checkImportance(a);
  if (a.data.empty() && a.merge.empty()) {
    throw UsageError("--data D (recorded activations, or with MODEL a text) or --merge CALIB.json... is required");
  }
  if (a.out.empty() && !a.compare) {
    throw UsageError("-o CALIB.json is required, or --compare to print the error of each range");
  }
  if (a.compare && (a.data.empty() || a.granularity != "tensor" || !a.model.empty())) {
    throw UsageError("--compare needs --data of recorded activations, and --granularity tensor");
  }
  if (!a.model.empty() && a.data.empty()) throw UsageError("MODEL needs --data, a text");
  if (a.granularity != "tensor" && a.granularity != "channel") {
    throw UsageError("--granularity " + a.granularity + ": expected tensor or channel");
  }
  if (a.sequence_length == 0) throw UsageError("--seq-len must be 1 or more");
}

PathCheck pathsOf(const Arguments& a) {
  PathCheck paths(a.json.force);
  readsModel(paths, "MODEL", a.model);
  if (a.model.empty()) {
    readsRecordings(paths, "--data", a.data);
  } else {
    paths.reads("--data", a.data);
  }
  for (const std::string& path : a.merge) paths.reads("--merge", path);
  readsDevice(paths, a.device);
  for (const std::string& range : a.ranges) paths.writes("-o", outputOf(a, range));
  return paths;
}

model::CollectOptions collectOptionsOf(const Arguments& a) {
  model::CollectOptions options;
  options.by_channel = a.granularity == "channel";
  options.samples = a.samples;
  options.sequence_length = a.sequence_length;
  options.seed = a.seed;
  return options;
}

// MODEL, ready to read --data.
struct RunningModel {
  explicit RunningModel(const Arguments& a, const kit::Device& device) : loaded(a.model) {
    const uint64_t longest = loaded.config().max_positions;
    if (a.sequence_length > longest) {
      throw UsageError("--seq-len " + std::to_string(a.sequence_length) + " exceeds the model's " +
                       std::to_string(longest) + " positions (max_position_embeddings)");
    }
    ids = loadData(a.data, loaded, a.sequence_length).ids;
    model::RunnerOptions options;
    options.max_tokens = options.positions = uint32_t(a.sequence_length);
    runner.emplace(model::TimedDevice(device), loaded.view(), loaded.config(), options);
  }

  model::LoadedModel loaded;
  std::vector<uint32_t> ids;
  std::optional<model::Runner> runner;
};

// The inputs of MODEL's linear layers while it reads --data.
std::map<std::string, model::Collected> runModel(const Arguments& a, const kit::Device& device,
                                                 const model::CollectOptions& options) {
  RunningModel running(a, device);
  ProgressLine line("calibrate", "tokens", 1);
  return model::collectInputs(*running.runner, running.ids, options,
                              [&line](uint64_t done, uint64_t all) { line.show(done, all); });
}

// Writes how much each column of MODEL's weights matters while it reads --data.
int runImportance(const Arguments& a) {
  const Output output(a.json, pathsOf(a));
  const kit::Device device = openDevice(a.device);
  RunningModel running(a, device);
  const model::GgufNetwork network = model::readGgufNetwork(*running.loaded.view().checkpoint().configJson());
  ProgressLine line("calibrate", "tokens", 1);
  const model::CollectedSquares squares =
      model::collectSquares(*running.runner, running.ids, collectOptionsOf(a),
                            [&line](uint64_t done, uint64_t all) { line.show(done, all); });
  line.clear();
  model::Importance importance;
  importance.datasets = {std::filesystem::path(a.data).filename().string()};
  importance.chunks = uint32_t(squares.sequences);
  importance.chunk_size = uint32_t(a.sequence_length);
  uint64_t tokens = 0;
  for (const auto& [module, input] : squares.inputs) {
    const std::optional<model::GgufPlace> place = model::ggufPlace(*network.family, module + ".weight");
    if (!place) continue;
    importance.entries[place->name] = {{input.sums.begin(), input.sums.end()}, {float(input.tokens)}};
    tokens = input.tokens;
  }
  kit::detail::writeFile(a.out, model::importanceBytes(importance, a.out));
  std::fprintf(output.text(), "importance of %zu weights from %llu tokens in %s\n", importance.entries.size(),
               (unsigned long long)tokens, plainName(a.out).c_str());
  if (output.wantsJson()) {
    output.json({{"device", device.info().name},
                 {"entries", importance.entries.size()},
                 {"tokens", tokens},
                 {"chunks", importance.chunks},
                 {"chunk_size", importance.chunk_size}});
  }
  return kExitDone;
}

// Merges the statistics of the --merge files and those of the recordings or the model.
model::Calibration collectAll(const Arguments& a, const kit::Device& device,
                              const std::vector<model::Recording>& recordings) {
  model::Calibration calibration;
  const auto add = [&](const std::string& name, const model::Collected& collected) {
    const auto [at, first] = calibration.try_emplace(name);
    if (first)
      at->second.collected = collected;
    else
      model::mergeCollected(at->second.collected, collected, name);
  };
  for (const std::string& path : a.merge) {
    for (const auto& [name, tensor] : model::readCalibration(path)) add(name, tensor.collected);
  }
  const model::CollectOptions options = collectOptionsOf(a);
  if (!a.model.empty()) {
    for (const auto& [name, collected] : runModel(a, device, options)) add(name, collected);
  }
  for (const model::Recording& recording : recordings) add(recording.name, model::collect(device, recording, options));
  return calibration;
}

// Says that the histogram's bins are too wide for these methods.
void warnCoarse(const std::string& name, const model::Collected& collected, const std::string& methods) {
  std::fprintf(stderr,
               "nibble calibrate: %s: the histogram is too coarse for %s, because a few values are far larger "
               "than the others: %s\n",
               plainName(name).c_str(), methods.c_str(),
               collected.log_bits ? "these ranges come from log-spaced counts"
                                  : "these ranges are wrong; a CALIB.json of schema 1 has no log-spaced counts, so "
                                    "calibrate the data again");
}

// Warns about non-finite values, empty ranges and ranges from bins that are too wide, one line each.
void warn(const model::Calibration& calibration) {
  for (const auto& [name, t] : calibration) {
    uint64_t nonfinite = 0, empty = 0;
    bool coarse = false;
    for (size_t i = 0; i < t.ranges.size(); ++i) {
      nonfinite += t.collected.histograms[i].head.nonfinite_count;
      empty += t.ranges[i].scale == 0 ? 1 : 0;
      coarse = coarse || t.ranges[i].coarse;
    }
    if (coarse && !t.collected.log_bits) warnCoarse(name, t.collected, t.choice.name());
    if (nonfinite != 0) {
      std::fprintf(stderr, "nibble calibrate: %s: %llu values are NaN or infinite and were left out\n",
                   plainName(name).c_str(), (unsigned long long)nonfinite);
    }
    if (empty != 0) {
      std::fprintf(stderr, "nibble calibrate: %s: %llu of %zu ranges are empty: no values, or only zeros\n",
                   plainName(name).c_str(), (unsigned long long)empty, t.ranges.size());
    }
  }
}

// Prints clipping and int8 error of every method on the same data.
nlohmann::ordered_json compareMethods(const Arguments& a, const kit::Device& device,
                                      const std::vector<model::Recording>& recordings,
                                      const model::Calibration& calibration, std::FILE* file) {
  std::vector<std::pair<std::string, nlohmann::ordered_json>> json;
  Table table({"tensor", "range", "min", "max", "clipped", "MSE", "SQNR dB"},
              {false, false, true, true, true, true, true});
  for (const model::Recording& recording : recordings) {
    model::CalibratedTensor t = calibration.at(recording.name);
    nlohmann::ordered_json& rows = json.emplace_back(recording.name, nlohmann::ordered_json::array()).second;
    std::string coarse;
    for (const char* method : {"minmax", "ema", "percentile:99.9", "percentile:99.99", "percentile:99.999", "mse",
                               "entropy-ort", "entropy-trt"}) {
      model::RangeChoice choice = *model::findRangeChoice(method);
      choice.symmetric = !a.asym;
      if (choice.ema && t.collected.ema.empty()) continue;
      model::chooseRanges(t, choice, recording.name);
      const model::ChosenRange& range = t.ranges[0];
      if (range.coarse) coarse += (coarse.empty() ? "" : ", ") + std::string(method);
      const double clipped = model::clippedShare(t.collected, 0, range);
      const NibErrors errors = model::tryRange(device, recording, range, choice.symmetric);
      table.add({plainName(recording.name), method, numberText("%.4f", range.min), numberText("%.4f", range.max),
                 numberText("%.4f %%", 100 * clipped), numberText("%.3e", errors.mse),
                 numberText("%.2f", errors.sqnr_db)});
      nlohmann::ordered_json row = {
          {"range", method}, {"min", range.min}, {"max", range.max}, {"clipped", clipped}, {"coarse", range.coarse}};
      addErrors(row, true, errors);
      rows.push_back(std::move(row));
    }
    if (!coarse.empty()) warnCoarse(recording.name, t.collected, coarse);
  }
  table.print(file);
  return model::jsonObject(std::move(json));
}

int runCalibrate(const Arguments& a) {
  check(a);
  if (a.importance) return runImportance(a);
  const std::vector<model::RangeChoice> choices = choicesOf(a);
  const Output output(a.json, pathsOf(a));
  const std::vector<model::Recording> recordings =
      a.data.empty() || !a.model.empty() ? std::vector<model::Recording>() : model::openRecordings(a.data);
  // Merging needs no device.
  const kit::Device device = a.data.empty() ? kit::Device::cpu() : openDevice(a.device);
  model::Calibration calibration = collectAll(a, device, recordings);
  // The last method's ranges are printed.
  for (size_t i = 0; i < choices.size(); ++i) {
    for (auto& [name, tensor] : calibration) model::chooseRanges(tensor, choices[i], name);
    if (a.out.empty()) continue;
    const std::string text = model::calibrationText(calibration);
    kit::detail::writeFile(outputOf(a, a.ranges[i]), std::as_bytes(std::span(text)));
  }
  nlohmann::ordered_json json = {{"device", device.info().name}, {"tensors", nlohmann::ordered_json::object()}};
  if (a.compare) {
    json["tensors"] = compareMethods(a, device, recordings, calibration, output.text());
  } else {
    printCalibration(output.text(), calibration);
    json["tensors"] = rangesJson(calibration);
  }
  warn(calibration);
  if (output.wantsJson()) output.json(json);
  return kExitDone;
}

}  // namespace

Verb makeCalibrateVerb(CLI::App& parent) {
  auto a = std::make_shared<Arguments>();
  CLI::App* app = parent.add_subcommand(
      "calibrate", "Ranges for static quantization from recorded activations, or from a model that reads a text.");
  app->footer("Example: nibble calibrate model/ --data text.txt -o calib.json --range percentile:99.99");
  app->add_option("MODEL", a->model,
                  "Folder of a model: it runs on --data, and the inputs of its linear layers are recorded");
  app->add_option(
      "--data", a->data,
      "With MODEL: text, .jsonl or .npy of token ids. Else recorded activations [tokens, channels]: an .npy "
      "or .safetensors file, or a folder of them");
  app->add_option("-o,--output", a->out, "CALIB.json to write: ranges, histograms and where they come from");
  app->add_option("--range", a->ranges,
                  "minmax (default), ema, percentile:P, mse, entropy-ort, entropy-trt; with a comma list, each "
                  "goes to a file of its own, CALIB.METHOD.json")
      ->delimiter(',');
  app->add_flag("--sym", a->sym, "The same range on both sides of zero (default)");
  app->add_flag("--asym", a->asym, "Ranges with zero points");
  app->add_option("--granularity", a->granularity, "tensor (default) or channel: one range per tensor or per channel");
  app->add_option("--samples", a->samples, "This many sequences of each recording, drawn by --seed; 0 = all (default)");
  app->add_option("--seq-len", a->sequence_length,
                  "Tokens per sequence (default 512), the unit that --samples draws and ema averages over");
  app->add_option("--seed", a->seed, "Seed of --samples, 0 (default)");
  app->add_option("--merge", a->merge,
                  "CALIB.json files to merge with the statistics of --data; without --data, to recompute their ranges");
  app->add_flag("--importance", a->importance,
                "Write how much each input column of MODEL's weights matters to OUT.gguf, an imatrix for quantize\n"
                "--imatrix and for llama-quantize, and no ranges");
  app->add_flag("--compare", a->compare, "Try every method on the data: print clipping and error of int8 codes");
  addDeviceOptions(*app, a->device);
  addJsonOptions(*app, a->json);
  return {app, [a] { return runCalibrate(*a); }};
}

}  // namespace nib::tool
