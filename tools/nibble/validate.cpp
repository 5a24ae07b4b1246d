// nibble validate: a model against a reference, with limits.
#include "data_windows.h"
#include "model_paths.h"
#include "model_text.h"
#include "options.h"
#include "progress_line.h"
#include "validation_lines.h"
#include "verb.h"

#include "kit/file.h"
#include "model/archive/error.h"
#include "model/eval/validate.h"

#include <cmath>
#include <cstdio>
#include <optional>

namespace nib::tool {
namespace {

struct Arguments {
  DeviceArguments device;
  JsonArguments json;
  DataArguments data;
  std::string model, against, watch, html, max_memory;
  Limits limits;
};

Limits limitsOf(const Arguments& a) {
  Limits limits = a.limits;
  if (!a.max_memory.empty()) limits.max_memory = parseSize("--max-memory", a.max_memory);
  if (limits.max_kl && *limits.max_kl < 0) throw UsageError("--max-kl must be 0 or more");
  if (limits.min_top1 && (*limits.min_top1 < 0 || *limits.min_top1 > 100)) {
    throw UsageError("--min-top1 is a percentage from 0 to 100");
  }
  if (limits.min_tokens_per_s && *limits.min_tokens_per_s < 0) throw UsageError("--min-tokens-per-s must be 0 or more");
  return limits;
}

nlohmann::ordered_json toJson(const model::StepTimes& times) {
  return {{"tokens", times.tokens},
          {"steps", times.seconds.size()},
          {"p50_ms", 1e3 * times.percentile(50)},
          {"p95_ms", 1e3 * times.percentile(95)},
          {"p99_ms", 1e3 * times.percentile(99)},
          {"tokens_per_s", times.tokensPerSecond()}};
}

nlohmann::ordered_json toJson(const model::DriftReport& report) {
  nlohmann::ordered_json json = {
      {"windows", report.windows}, {"alarm", model::kDriftAlarm}, {"inputs", nlohmann::ordered_json::array()}};
  for (const model::InputDrift& input : report.inputs) {
    json["inputs"].push_back({{"modules", input.modules},
                              {"min", input.min},
                              {"max", input.max},
                              {"seen_min", input.seen_min},
                              {"seen_max", input.seen_max},
                              {"outside", input.outside},
                              {"distance", input.drift.distance},
                              {"p", input.drift.probability},
                              {"drifted", input.drifted()}});
  }
  return json;
}

nlohmann::ordered_json toJson(const std::string& device, const model::EvalOptions& options, const model::Validation& v,
                              const std::vector<ValidationLine>& lines) {
  nlohmann::ordered_json json = {{"device", device}, {"passed", failedLines(lines) == 0}};
  json["limits"] = nlohmann::ordered_json::array();
  for (const ValidationLine& line : lines) {
    if (!line.bound) continue;
    json["limits"].push_back(
        {{"name", line.key}, {"value", finiteNumber(line.measured)}, {"limit", *line.bound}, {"passed", *line.passed}});
  }
  const auto number = [&v](double value) { return v.result ? finiteNumber(value) : nlohmann::ordered_json(nullptr); };
  const model::EvalResult none, &r = v.result ? *v.result : none;
  json["perplexity"] = number(r.perplexity());
  json["reference_perplexity"] = number(std::exp(r.reference_nll.mean()));
  json["perplexity_rise_percent"] = number(v.perplexityRise());
  json["mean_kl"] = number(r.kl.mean());
  json["mean_kl_se"] = number(r.kl.error());
  json["top1_agreement"] = number(v.topOne() / 100);
  json["max_logit_difference"] = number(v.max_logit_difference);
  json["logit_tokens"] = v.logit_tokens;
  json["tokens"] = r.nll.count();
  json["windows"] = r.windows;
  json["window"] = options.window;
  json["nonfinite"] = nullptr;
  if (!v.edges.nonfinite.empty()) {
    json["nonfinite"] = {{"value", v.edges.nonfinite}, {"input", v.edges.nonfinite_input}};
  }
  json["edges"] = nlohmann::ordered_json::array();
  for (const model::EdgeInput& input : v.edges.inputs) {
    json["edges"].push_back({{"input", input.name}, {"result", input.result}, {"passed", input.passed}});
  }
  if (v.drift) json["watch"] = toJson(*v.drift);
  json["decode"] = toJson(v.decode);
  json["prefill"] = toJson(v.prefill);
  json["host_bytes"] = v.host_bytes ? nlohmann::ordered_json(*v.host_bytes) : nlohmann::ordered_json(nullptr);
  json["device_bytes"] = v.device_bytes.all();
  json["weight_bytes"] = v.device_bytes.weights;
  json["cache_bytes"] = v.device_bytes.cache;
  json["arena_bytes"] = v.device_bytes.arena;
  json["file_bytes"] = v.file_bytes;
  json["reference_file_bytes"] = v.reference_file_bytes;
  return json;
}

std::vector<std::string> aboutTexts(const Arguments& a, const std::string& device, const model::EvalOptions& options,
                                    const model::Validation& v) {
  std::vector<std::string> texts{model::shown(a.model) + " against " + model::shown(a.against), "device: " + device};
  if (v.result) {
    texts.push_back(std::to_string(v.result->nll.count()) + " tokens predicted, " + std::to_string(v.result->windows) +
                    " windows of " + std::to_string(options.window) + ", of " + model::shown(a.data.data));
  }
  return texts;
}

int runValidate(const Arguments& a) {
  const Limits limits = limitsOf(a);
  PathCheck paths(a.json.force);
  readsModel(paths, "MODEL", a.model);
  readsModel(paths, "--against", a.against);
  paths.reads("--data", a.data.data);
  if (!a.watch.empty()) paths.reads("--watch", a.watch);
  readsDevice(paths, a.device);
  if (!a.html.empty()) paths.writes("--html=", a.html);
  const Output output(a.json, paths);
  std::optional<model::Calibration> watched;
  if (!a.watch.empty()) watched = model::readCalibration(a.watch);
  model::LoadedModel loaded(a.model), reference(a.against);
  for (const model::LoadedModel* one : {&loaded, &reference}) {
    model::refuseEncoder(one->config(), one == &loaded ? "MODEL" : "--against",
                         "and validate runs steps of single tokens");
  }
  const model::EvalOptions options = windowOptions(a.data, loaded.config(), 2048);
  checkPositions("--against", reference.config(), options.window);
  const std::vector<uint32_t> ids = tokensOf(a.data, loaded, options.window);

  const kit::Device device = openDevice(a.device);
  const model::TimedDevice timed(device);
  std::optional<ProgressLine> line;  // begins when the text does
  const model::Validation v = model::validate(timed, loaded, reference, ids, options, watched ? &*watched : nullptr,
                                              [&line](uint64_t done, uint64_t all) {
                                                if (!line) line.emplace("validate", "tokens", 1);
                                                line->show(done, all);
                                              });
  line.reset();
  const std::vector<ValidationLine> lines = validationLines(v, limits);
  Table table({"what", "value", "limit", "verdict"});
  for (const ValidationLine& row : lines) table.add({row.what, row.value, row.limit, verdictText(row)});
  table.print(output.text());
  const size_t failed = failedLines(lines);
  for (const std::string& text : aboutTexts(a, device.info().name, options, v)) {
    std::fprintf(output.text(), "%s\n", text.c_str());
  }
  std::fprintf(output.text(), failed == 0 ? "passed\n" : "FAILED: %zu\n", failed);
  if (!a.html.empty()) {
    const std::string page = validationPage(lines, aboutTexts(a, device.info().name, options, v));
    kit::detail::writeFile(a.html, std::as_bytes(std::span(page)));
  }
  if (output.wantsJson()) output.json(toJson(device.info().name, options, v, lines));
  return failed == 0 ? kExitDone : kExitFailed;
}

}  // namespace

Verb makeValidateVerb(CLI::App& parent) {
  auto a = std::make_shared<Arguments>();
  CLI::App* app = parent.add_subcommand(
      "validate",
      "Check a model against a reference: predictions, edge inputs, latency, memory. Exits with 1 if a limit "
      "is not kept.");
  app->footer("Example: nibble validate model-int4/ --against model/ --data test.txt --max-kl 0.05 --min-top1 90");
  app->add_option("MODEL", a->model, "Folder of the model, or a .gguf file; dense or quantized")->required();
  app->add_option("--against", a->against, "The reference model")->required();
  app->add_option("--data", a->data.data, "UTF-8 text, .jsonl with a \"text\" per line, or .npy of token ids")
      ->required();
  addWindowOptions(*app, a->data);
  app->add_option("--max-kl", a->limits.max_kl, "Limit of mean KL(reference || MODEL), nats per predicted token");
  app->add_option("--max-ppl-rise", a->limits.max_ppl_rise, "Limit of the rise of perplexity in percent");
  app->add_option("--min-top1", a->limits.min_top1, "Limit of the agreement of the most likely tokens in percent");
  app->add_option("--min-tokens-per-s", a->limits.min_tokens_per_s, "Limit of the speed of steps of one token");
  app->add_option("--max-memory", a->max_memory,
                  "Limit of the host's and of the device's memory, of each: a size such as 8G");
  app->add_option("--watch", a->watch,
                  "CALIB.json of nibble calibrate MODEL: fail if inputs of layers are distributed otherwise");
  app->add_option("--html", a->html, "Write the lines as an HTML page");
  addDeviceOptions(*app, a->device);
  addJsonOptions(*app, a->json);
  return {app, [a] { return runValidate(*a); }};
}

}  // namespace nib::tool
