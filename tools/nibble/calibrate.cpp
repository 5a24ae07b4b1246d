// nibble calibrate: collects histograms of recorded activations and chooses ranges.
#include "calibration_text.h"
#include "model_text.h"
#include "options.h"
#include "verb.h"

#include "kit/file.h"
#include "model/archive/error.h"
#include "model/calibrate/collect.h"
#include "model/calibrate/trial.h"

#include <cstdio>
#include <filesystem>

namespace nib::tool {
namespace {

struct Arguments {
  DeviceArguments device;
  JsonArguments json;  // --force replaces OUT too
  std::string data, out;
  std::string range = "minmax";
  bool sym = false, asym = false;
  std::string granularity = "tensor";
  uint64_t samples = 0, sequence_length = 512, seed = 0;
  std::vector<std::string> merge;
  bool compare = false;
};

model::RangeChoice choiceOf(const Arguments& a) {
  auto choice = model::findRangeChoice(a.range);
  if (!choice) {
    throw UsageError("--range " + a.range +
                     ": expected minmax, ema, percentile:P (above 50, at most 100), mse, entropy-ort or entropy-trt");
  }
  if (a.sym && a.asym) throw UsageError("--sym and --asym exclude each other");
  choice->symmetric = !a.asym;
  return *choice;
}

void check(const Arguments& a) {
  if (a.data.empty() && a.merge.empty()) {
    throw UsageError("--data D (recorded activations) or --merge CALIB.json... is required");
  }
  if (a.out.empty() && !a.compare) {
    throw UsageError("-o CALIB.json is required, or --compare to print the error of each range");
  }
  if (a.compare && (a.data.empty() || a.granularity != "tensor")) {
    throw UsageError("--compare needs --data, and --granularity tensor");
  }
  if (a.granularity != "tensor" && a.granularity != "channel") {
    throw UsageError("--granularity " + a.granularity + ": expected tensor or channel");
  }
  if (a.sequence_length == 0) throw UsageError("--seq-len must be 1 or more");
  std::error_code error;
  if (!a.out.empty() && !a.json.force && std::filesystem::exists(a.out, error))
    throw UsageError(a.out + " exists; --force replaces it");
}

// Merges the statistics of the --merge files and those of the recordings.
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
  model::CollectOptions options;
  options.by_channel = a.granularity == "channel";
  options.samples = a.samples;
  options.sequence_length = a.sequence_length;
  options.seed = a.seed;
  for (const model::Recording& recording : recordings) add(recording.name, model::collect(device, recording, options));
  return calibration;
}

// Warns about non-finite values and empty ranges, one line each.
void warn(const model::Calibration& calibration) {
  for (const auto& [name, t] : calibration) {
    uint64_t nonfinite = 0, empty = 0;
    for (size_t i = 0; i < t.ranges.size(); ++i) {
      nonfinite += t.collected.histograms[i].head.nonfinite_count;
      empty += t.ranges[i].scale == 0 ? 1 : 0;
    }
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
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  Table table({"tensor", "range", "min", "max", "clipped", "MSE", "SQNR dB"},
              {false, false, true, true, true, true, true});
  for (const model::Recording& recording : recordings) {
    model::CalibratedTensor t = calibration.at(recording.name);
    for (const char* method : {"minmax", "ema", "percentile:99.9", "percentile:99.99", "percentile:99.999", "mse",
                               "entropy-ort", "entropy-trt"}) {
      model::RangeChoice choice = *model::findRangeChoice(method);
      choice.symmetric = !a.asym;
      if (choice.ema && t.collected.ema.empty()) continue;
      model::chooseRanges(t, choice, recording.name);
      const model::ChosenRange& range = t.ranges[0];
      const double clipped = model::clippedShare(t.collected.histograms[0], t.collected.bins, range);
      const NibErrors errors = model::tryRange(device, recording, range, choice.symmetric);
      table.add({plainName(recording.name), method, numberText("%.4f", range.min), numberText("%.4f", range.max),
                 numberText("%.4f %%", 100 * clipped), numberText("%.3e", errors.mse),
                 numberText("%.2f", errors.sqnr_db)});
      nlohmann::ordered_json row = {{"range", method}, {"min", range.min}, {"max", range.max}, {"clipped", clipped}};
      addErrors(row, true, errors);
      json[recording.name].push_back(std::move(row));
    }
  }
  table.print(file);
  return json;
}

int runCalibrate(const Arguments& a) {
  check(a);
  const model::RangeChoice choice = choiceOf(a);
  const Output output(a.json);
  const std::vector<model::Recording> recordings =
      a.data.empty() ? std::vector<model::Recording>() : model::openRecordings(a.data);
  // Merging needs no device.
  const kit::Device device = recordings.empty() ? kit::Device::cpu() : openDevice(a.device);
  model::Calibration calibration = collectAll(a, device, recordings);
  for (auto& [name, tensor] : calibration) model::chooseRanges(tensor, choice, name);
  if (!a.out.empty()) {
    const std::string text = model::calibrationText(calibration);
    kit::detail::writeFile(a.out, std::as_bytes(std::span(text)));
  }
  nlohmann::ordered_json json = {{"device", device.info().name}, {"tensors", nlohmann::ordered_json::object()}};
  if (a.compare) {
    json["tensors"] = compareMethods(a, device, recordings, calibration, output.text());
  } else {
    printCalibration(output.text(), calibration);
    for (const auto& [name, t] : calibration) {
      json["tensors"][name] = {
          {"range", t.choice.name()}, {"min", t.ranges[0].min}, {"max", t.ranges[0].max}, {"ranges", t.ranges.size()}};
    }
  }
  warn(calibration);
  if (output.wantsJson()) output.json(json);
  return kExitDone;
}

}  // namespace

Verb makeCalibrateVerb(CLI::App& parent) {
  auto a = std::make_shared<Arguments>();
  CLI::App* app = parent.add_subcommand("calibrate", "Ranges for static quantization from recorded activations.");
  app->footer("Example: nibble calibrate --data activations/ -o calib.json --range percentile:99.99");
  app->add_option("--data", a->data,
                  "Recorded activations [tokens, channels]: an .npy or .safetensors file, or a folder of them");
  app->add_option("-o,--output", a->out, "CALIB.json to write: ranges, histograms and where they come from");
  app->add_option("--range", a->range, "minmax (default), ema, percentile:P, mse, entropy-ort, entropy-trt");
  app->add_flag("--sym", a->sym, "The same range on both sides of zero (default)");
  app->add_flag("--asym", a->asym, "Ranges with zero points");
  app->add_option("--granularity", a->granularity, "tensor (default) or channel: one range per tensor or per channel");
  app->add_option("--samples", a->samples, "This many sequences of each recording, drawn by --seed; 0 = all (default)");
  app->add_option("--seq-len", a->sequence_length,
                  "Tokens per sequence (default 512), the unit that --samples draws and ema averages over");
  app->add_option("--seed", a->seed, "Seed of --samples, 0 (default)");
  app->add_option("--merge", a->merge,
                  "CALIB.json files to merge with the statistics of --data; without --data, to recompute their ranges");
  app->add_flag("--compare", a->compare, "Try every method on the data: print clipping and error of int8 codes");
  addDeviceOptions(*app, a->device);
  addJsonOptions(*app, a->json);
  return {app, [a] { return runCalibrate(*a); }};
}

}  // namespace nib::tool
