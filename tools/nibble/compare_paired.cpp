#include "compare_paired.h"

#include "paired_table.h"
#include "progress_line.h"
#include "verb.h"

#include "model/archive/error.h"
#include "model/eval/paired.h"

#include <cmath>
#include <cstdio>
#include <optional>

namespace nib::tool {
namespace {

std::vector<PairedQuantity> quantitiesOf(const model::WindowMeans& a, const model::WindowMeans& b,
                                         const model::PairedDifferences& differences) {
  std::vector<PairedQuantity> list{
      {"nll", "nll per token", differences.nll, true, meanOf(a.nll), meanOf(b.nll)},
      {"top1_accuracy", "top-1 accuracy", differences.correct, false, meanOf(a.correct), meanOf(b.correct)}};
  if (differences.kl) list.push_back({"kl", "KL from --against", *differences.kl, true, meanOf(a.kl), meanOf(b.kl)});
  return list;
}

nlohmann::ordered_json toJson(const std::string& device, uint32_t window, const std::vector<PairedQuantity>& quantities,
                              const model::WindowMeans& a, const model::WindowMeans& b) {
  nlohmann::ordered_json json = {{"device", device},
                                 {"tokens", a.result.nll.count()},
                                 {"windows", a.result.windows},
                                 {"window", window},
                                 {"resamples", model::kResamples}};
  addPaired(json, quantities);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (size_t i = 0; i < a.nll.size(); ++i) {
    nlohmann::ordered_json row = {{"nll", {a.nll[i], b.nll[i]}}, {"top1_accuracy", {a.correct[i], b.correct[i]}}};
    if (!a.kl.empty()) row["kl"] = {a.kl[i], b.kl[i]};
    rows.push_back(std::move(row));
  }
  json["by_window"] = std::move(rows);
  return json;
}

// Runs one model at a time, so that memory need not hold both.
model::WindowMeans measure(const model::TimedDevice& device, model::LoadedModel& loaded, model::LoadedModel* against,
                           std::span<const uint32_t> ids, const model::EvalOptions& options) {
  const model::RunnerOptions runner_options{.max_tokens = options.window, .sequences = 1, .positions = options.window};
  std::optional<model::Runner> reference;
  if (against != nullptr) reference.emplace(device, against->view(), against->config(), runner_options);
  model::Runner runner(device, loaded.view(), loaded.config(), runner_options);
  ProgressLine line("compare", "tokens", 1);
  return model::measureWindows(runner, reference ? &*reference : nullptr, ids, options,
                               [&line](uint64_t done, uint64_t all) { line.show(done, all); });
}

}  // namespace

int comparePaired(const Output& output, const DeviceArguments& device_arguments, const DataArguments& data,
                  const std::string& a_path, const std::string& b_path, const std::string& against_path) {
  model::LoadedModel a(a_path), b(b_path);
  std::optional<model::LoadedModel> against;
  if (!against_path.empty()) against.emplace(against_path);
  model::EvalOptions options = windowOptions(data, a.config(), 2048);
  if (a.config().encoder) options.masking.emplace(a.tokenizer());
  checkPositions("B", b.config(), options.window);
  if (against) checkPositions("--against", against->config(), options.window);
  const std::vector<uint32_t> ids = tokensOf(data, a, options.window);
  if (isText(data) && tokensOf(data, b, options.window) != ids) {
    throw model::Error("the tokenizers of A and B give other tokens for " + model::shown(data.data) +
                       ": their losses per token cannot be compared");
  }
  if (a.config().encoder != b.config().encoder) throw model::Error("an encoder cannot be compared with a decoder");
  if (options.masking && b.tokenizer().mask() != options.masking->token) {
    throw model::Error("the tokenizers of A and B have other mask tokens");
  }
  if (a.config().vocabulary != b.config().vocabulary) {
    throw model::Error("A and B have vocabularies of " + std::to_string(a.config().vocabulary) + " and " +
                       std::to_string(b.config().vocabulary) + " tokens: their losses cannot be compared");
  }
  if (model::cutWindows(ids.size(), options).size() < 2) {
    throw model::Error(
        "one window does not tell what is chance; give more data, --windows 2 or more, or a smaller "
        "--window");
  }
  const kit::Device device = openDevice(device_arguments);
  const model::TimedDevice timed(device);
  model::LoadedModel* const reference = against ? &*against : nullptr;
  const model::WindowMeans of_a = measure(timed, a, reference, ids, options);
  const model::WindowMeans of_b = measure(timed, b, reference, ids, options);
  const model::PairedDifferences differences = model::pairedDifferences(of_a, of_b);
  const std::vector<PairedQuantity> quantities = quantitiesOf(of_a, of_b, differences);
  printPaired(output.text(), quantities);
  std::fprintf(output.text(), "%llu %stokens predicted, %llu windows of %u, %u resamples of windows, on %s\n",
               (unsigned long long)of_a.result.nll.count(), options.masking ? "masked " : "",
               (unsigned long long)of_a.result.windows, options.window, model::kResamples, device.info().name.c_str());
  if (output.wantsJson()) output.json(toJson(device.info().name, options.window, quantities, of_a, of_b));
  return kExitDone;
}

}  // namespace nib::tool
