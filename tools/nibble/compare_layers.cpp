#include "compare_layers.h"

#include "layer_page.h"
#include "model_text.h"
#include "progress_line.h"
#include "verb.h"

#include "kit/file.h"
#include "model/archive/error.h"
#include "model/eval/layer_outputs.h"
#include "model/mixed/sensitivity.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>

namespace nib::tool {
namespace {

struct Row {
  std::string name;
  std::optional<model::LayerError> error;        // none for the head
  std::optional<model::LayerSensitivity> alone;  // with --sensitivity
};

std::vector<model::LayerError> outputErrors(const model::TimedDevice& device, const model::LoadedModel& a,
                                            const model::LoadedModel& b, std::span<const uint32_t> ids,
                                            const model::EvalOptions& options) {
  const model::RunnerOptions runner_options{.max_tokens = options.window, .sequences = 1, .positions = options.window};
  model::Runner of_a(device, a.view(), a.config(), runner_options), of_b(device, b.view(), b.config(), runner_options);
  ProgressLine line("compare", "tokens", 1);
  return model::layerErrors(of_a, of_b, ids, options, [&line](uint64_t done, uint64_t all) { line.show(done, all); });
}

std::vector<model::LayerSensitivity> sensitivities(const model::TimedDevice& device, const model::LoadedModel& a,
                                                   const model::LoadedModel& b, std::span<const uint32_t> ids,
                                                   const model::EvalOptions& options) {
  std::vector<std::vector<uint32_t>> sequences;
  for (const model::Window& window : model::cutWindows(ids.size(), options)) {
    const std::span<const uint32_t> tokens = ids.subspan(window.begin, options.window);
    sequences.emplace_back(tokens.begin(), tokens.end());
  }
  ProgressLine line("sensitivity", "tokens", 1);
  return model::layerSensitivities(device, a.view(), a.config(), b.view(), sequences,
                                   [&line](uint64_t done, uint64_t all) { line.show(done, all); });
}

std::vector<Row> joined(std::vector<model::LayerError> errors, std::vector<model::LayerSensitivity> alone) {
  std::vector<Row> rows;
  std::map<std::string, size_t> places;
  for (model::LayerError& error : errors) {
    places[error.name] = rows.size();
    rows.push_back({error.name, std::move(error), {}});
  }
  for (model::LayerSensitivity& layer : alone) {
    const auto place = places.find(layer.name);
    if (place == places.end()) {
      rows.push_back({layer.name, {}, std::move(layer)});
    } else {
      rows[place->second].alone = std::move(layer);
    }
  }
  return rows;
}

// The worst first; a NaN is the worst.
void sortRows(std::vector<Row>& rows) {
  const auto rank = [](const Row& row) {
    const double value = row.alone ? row.alone->kl.mean() : row.error->whole;
    return std::isnan(value) ? HUGE_VAL : value;
  };
  std::stable_sort(rows.begin(), rows.end(), [&rank](const Row& x, const Row& y) { return rank(x) > rank(y); });
}

std::string shownMean(const model::Mean& mean, const char* format) {
  return numberText(format, mean.mean()) + " +- " + numberText("%.1g", mean.error());
}

std::vector<BarColumn> columnsOf(const std::vector<Row>& rows, bool sensitivity) {
  BarColumn whole{"relative squared error", {}, {}}, block{"from its own block", {}, {}};
  BarColumn kl{"KL of this layer alone", {}, {}}, nll{"nll difference", {}, {}};
  const auto add = [](BarColumn& column, double value, std::string text) {
    column.values.push_back(value);
    column.texts.push_back(std::move(text));
  };
  for (const Row& row : rows) {
    add(whole, row.error ? row.error->whole : NAN, row.error ? numberText("%.3g", row.error->whole) : "-");
    add(block, row.error ? row.error->block : NAN, row.error ? numberText("%.3g", row.error->block) : "-");
    add(kl, row.alone ? row.alone->kl.mean() : NAN, row.alone ? shownMean(row.alone->kl, "%.3g") : "-");
    add(nll, row.alone ? row.alone->nll_delta.mean() : NAN, row.alone ? shownMean(row.alone->nll_delta, "%+.3g") : "-");
  }
  if (!sensitivity) return {whole, block};
  return {kl, nll, whole, block};
}

nlohmann::ordered_json toJson(const Row& row) {
  nlohmann::ordered_json json = {{"name", row.name}};
  if (row.error) {
    json["relative_squared_error"] = finiteNumber(row.error->whole);
    json["relative_squared_error_block"] = finiteNumber(row.error->block);
  }
  if (row.alone) {
    json["kl"] = finiteNumber(row.alone->kl.mean());
    json["kl_se"] = finiteNumber(row.alone->kl.error());
    json["nll_delta"] = finiteNumber(row.alone->nll_delta.mean());
    json["nll_delta_se"] = finiteNumber(row.alone->nll_delta.error());
  }
  return json;
}

// Throws, before models are run, if B is not another storage of A's network.
void checkSameNetwork(const model::LoadedModel& a, const model::LoadedModel& b) {
  if (a.config().vocabulary == b.config().vocabulary && a.config().hidden == b.config().hidden &&
      a.config().layers == b.config().layers) {
    return;
  }
  throw model::Error("A and B are different networks: their layers cannot be compared");
}

}  // namespace

int compareLayers(const Output& output, const DeviceArguments& device_arguments, const DataArguments& data,
                  const LayerArguments& arguments, const std::string& a_path, const std::string& b_path) {
  model::LoadedModel a(a_path), b(b_path);
  checkSameNetwork(a, b);
  if (arguments.sensitivity) {
    model::refuseEncoder(a.config(), "--sensitivity", "and it measures predictions of what follows");
  }
  const model::EvalOptions options = windowOptions(data, a.config(), 2048);
  checkPositions("B", b.config(), options.window);
  const std::vector<uint32_t> ids = tokensOf(data, a, options.window);
  const size_t windows = model::cutWindows(ids.size(), options).size();  // refuses a short text before weights are read
  const kit::Device device = openDevice(device_arguments);
  const model::TimedDevice timed(device);
  std::vector<model::LayerSensitivity> alone;
  if (arguments.sensitivity) alone = sensitivities(timed, a, b, ids, options);
  std::vector<Row> rows = joined(outputErrors(timed, a, b, ids, options), std::move(alone));
  sortRows(rows);

  const std::vector<BarColumn> columns = columnsOf(rows, arguments.sensitivity);
  std::vector<std::string> titles{"layer"}, names;
  std::vector<bool> right{false};
  for (const BarColumn& column : columns) {
    titles.push_back(column.title);
    right.push_back(true);
  }
  Table table(titles, right);
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (size_t i = 0; i < rows.size(); ++i) {
    names.push_back(plainName(rows[i].name));
    std::vector<std::string> cells{names.back()};
    for (const BarColumn& column : columns) cells.push_back(column.texts[i]);
    table.add(std::move(cells));
    json.push_back(toJson(rows[i]));
  }
  table.print(output.text());
  const std::string about = std::to_string(windows) + " windows of " + std::to_string(options.window) + " tokens of " +
                            model::shown(data.data) + ", on " + device.info().name;
  if (!arguments.html.empty()) {
    const std::string page =
        layerPage("Layers of " + model::shown(b_path) + " against " + model::shown(a_path), {about}, names, columns);
    kit::detail::writeFile(arguments.html, std::as_bytes(std::span(page)));
  }
  if (output.wantsJson()) output.json({{"device", device.info().name}, {"window", options.window}, {"layers", json}});
  return kExitDone;
}

}  // namespace nib::tool
