// nibble inspect: lists and checks the tensors of a model, or a calibration.
#include "calibration_text.h"
#include "model_paths.h"
#include "model_text.h"
#include "options.h"
#include "verb.h"

#include "kit/file.h"
#include "model/archive/error.h"
#include "model/calibrate/chart.h"
#include "model/inspect.h"

#include <cstdio>
#include <filesystem>

namespace nib::tool {
namespace {

struct Arguments {
  DeviceArguments device;
  JsonArguments json;
  std::string path;
  bool names_only = false;
  std::string html;
};

// Prints the table of a CALIB.json and writes the HTML page of --html.
int inspectCalibration(const Arguments& arguments, const Output& output) {
  const model::Calibration calibration = model::readCalibration(arguments.path);
  printCalibration(output.text(), calibration);
  if (!arguments.html.empty()) {
    const std::string page =
        model::calibrationPage(calibration, model::shown(std::filesystem::path(arguments.path).filename()));
    kit::detail::writeFile(arguments.html, std::as_bytes(std::span(page)));
  }
  if (output.wantsJson()) output.json({{"path", arguments.path}, {"tensors", rangesJson(calibration)}});
  return kExitDone;
}

nlohmann::ordered_json toJson(const std::string& path, const model::ModelFacts& facts) {
  nlohmann::ordered_json json = {
      {"path", path}, {"quantization", facts.quantization}, {"quantized", facts.quantized}, {"bytes", facts.bytes}};
  if (!facts.unread.empty()) json["unread"] = facts.unread;
  if (!facts.notes.empty()) json["notes"] = facts.notes;
  nlohmann::ordered_json::object_t metadata;
  for (const auto& [key, value] : facts.metadata) metadata.emplace_back(key, value);  // the reader refuses duplicates
  json["metadata"] = std::move(metadata);
  json["tensors"] = nlohmann::ordered_json::array();
  for (const model::TensorFacts& t : facts.tensors) {
    nlohmann::ordered_json tensor = {
        {"name", t.name}, {"dtype", t.dtype}, {"shape", t.shape}, {"bytes", t.bytes}, {"file", t.file}};
    if (t.statistics) {
      tensor["min"] = t.statistics->min;
      tensor["max"] = t.statistics->max;
      tensor["absmax"] = t.statistics->absmax;
      tensor["nonfinite"] = t.statistics->nonfinite_count;
    }
    json["tensors"].push_back(std::move(tensor));
  }
  return json;
}

int runInspect(const Arguments& arguments) {
  PathCheck paths(arguments.json.force);
  readsModel(paths, "PATH", arguments.path);
  readsDevice(paths, arguments.device);
  paths.writes("--html=", arguments.html);
  const Output output(arguments.json, paths);
  if (model::looksLikeCalibration(arguments.path)) return inspectCalibration(arguments, output);
  if (!arguments.html.empty()) throw UsageError("--html draws a CALIB.json; " + arguments.path + " is not one");
  const kit::Device device = arguments.names_only ? kit::Device::cpu() : openDevice(arguments.device);
  const model::ModelFacts facts = model::inspectModel(device, arguments.path, !arguments.names_only);

  Table table({"tensor", "type", "shape", "bytes", "min", "max", "NaN/Inf"},
              {false, false, true, true, true, true, true});
  uint64_t nonfinite = 0;
  for (const model::TensorFacts& t : facts.tensors) {
    if (t.statistics) nonfinite += t.statistics->nonfinite_count;
    table.add({plainName(t.name), t.dtype, shapeText(t.shape), std::to_string(t.bytes),
               t.statistics ? numberText("%.4g", t.statistics->min) : "-",
               t.statistics ? numberText("%.4g", t.statistics->max) : "-",
               t.statistics ? std::to_string(t.statistics->nonfinite_count) : "-"});
  }
  table.print(output.text());
  std::string quantized;
  for (const auto& [type, count] : facts.quantized) quantized += ", " + std::to_string(count) + " weights in " + type;
  std::fprintf(output.text(), "%zu tensors, %.1f MB%s%s%s%s\n", facts.tensors.size(), double(facts.bytes) / 1e6,
               quantized.c_str(), facts.quantization.empty() ? "" : ", quantized: ", facts.quantization.c_str(),
               nonfinite != 0 ? "; some values are NaN or infinite" : "");
  for (const std::string& note : facts.notes) std::fprintf(output.text(), "note: %s\n", note.c_str());
  if (!facts.unread.empty()) std::fprintf(output.text(), "not read: %s\n", facts.unread.c_str());
  if (output.wantsJson()) output.json(toJson(arguments.path, facts));
  return kExitDone;
}

}  // namespace

Verb makeInspectVerb(CLI::App& parent) {
  auto a = std::make_shared<Arguments>();
  CLI::App* app =
      parent.add_subcommand("inspect", "Check the files of a model or of a calibration, and print what they hold.");
  app->footer("Example: nibble inspect model-int4/");
  app->add_option("PATH", a->path, "Folder of a model, a .safetensors or .gguf file, or a CALIB.json")->required();
  app->add_option("--html", a->html,
                  "For a CALIB.json: write a page with each histogram and the ranges of every method")
      ->type_name("F");
  app->add_flag("--names", a->names_only, "Names, types and shapes only: reads no tensor");
  addDeviceOptions(*app, a->device);
  addJsonOptions(*app, a->json);
  return {app, [a] { return runInspect(*a); }};
}

}  // namespace nib::tool
