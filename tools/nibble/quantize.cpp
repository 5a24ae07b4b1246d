// nibble quantize: reads a model and writes a quantized one.
#include "model_paths.h"
#include "progress_line.h"
#include "quantize_options.h"
#include "quantize_report.h"
#include "verb.h"

namespace nib::tool {
namespace {

int runQuantize(const QuantizeArguments& arguments) {
  PathCheck paths(arguments.json.force);
  readsModel(paths, "IN", arguments.in);
  copiesFiles(paths, "IN", arguments.in);
  readsWeightOptions(paths, arguments.weights);
  if (!arguments.imatrix.empty()) paths.reads("--imatrix", arguments.imatrix);
  readsDevice(paths, arguments.device);
  paths.writesFolder("-o", arguments.out);
  const Output output(arguments.json, paths);
  model::QuantizeOptions options = optionsOf(arguments);
  const kit::Device device = openDevice(arguments.device);
  ProgressLine line("quantize", "MB", 1e6);
  options.progress = [&line](const model::Progress& p) { line.show(p.done_bytes, p.total_bytes); };
  ProgressLine calibration("quantize", "tokens", 1);
  if (!options.calibration.sequences.empty()) {
    options.calibration.progress = [&calibration](uint64_t done, uint64_t all) {
      calibration.show(done, all);
      if (done == all) calibration.clear();
    };
  }
  ProgressLine measurement("quantize", "tokens", 1);
  if (options.mixed) {
    options.mixed->progress = [&measurement](uint64_t done, uint64_t all) {
      measurement.show(done, all);
      if (done == all) measurement.clear();
    };
  }
  const model::QuantizeReport report = model::quantizeModel(device, options);
  line.clear();
  printReport(output.text(), report, arguments.scale_search);
  if (arguments.verbose) printStages(report);
  if (arguments.verbose && options.gptq) printBlockTimes(report.gptq_times);
  if (output.wantsJson()) output.json(toJson(report, arguments.scale_search));
  return kExitDone;
}

}  // namespace

Verb makeQuantizeVerb(CLI::App& parent) {
  auto a = std::make_shared<QuantizeArguments>();
  CLI::App* app = parent.add_subcommand(
      "quantize",
      "Quantize or cast a model (Hugging Face folder, .safetensors or .gguf file), dense or quantized already.");
  app->footer("Example: nibble quantize model/ -o model-int4/ --type int4 --group-size 64");
  addQuantizeOptions(*app, *a);
  return {app, [a] { return runQuantize(*a); }};
}

}  // namespace nib::tool
