#include "compare_layers.h"

#include "model_text.h"
#include "progress_line.h"
#include "verb.h"

#include "model/eval/layer_outputs.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace nib::tool {

int compareLayers(const Output& output, const DeviceArguments& device_arguments, const DataArguments& data,
                  const std::string& a_path, const std::string& b_path) {
  model::LoadedModel a(a_path), b(b_path);
  const model::EvalOptions options = windowOptions(data, a.config(), 2048);
  checkPositions("B", b.config(), options.window);
  const std::vector<uint32_t> ids = tokensOf(data, a);
  model::cutWindows(ids.size(), options);  // refuses a short text before weights are loaded
  const kit::Device device = openDevice(device_arguments);
  const model::TimedDevice timed(device);
  const model::RunnerOptions runner_options{.max_tokens = options.window, .sequences = 1, .positions = options.window};
  model::Runner of_a(timed, a.view(), a.config(), runner_options), of_b(timed, b.view(), b.config(), runner_options);
  ProgressLine line("compare", "tokens", 1);
  std::vector<model::LayerError> errors =
      model::layerErrors(of_a, of_b, ids, options, [&line](uint64_t done, uint64_t all) { line.show(done, all); });
  line.clear();
  // A NaN is the worst.
  const auto rank = [](const model::LayerError& e) { return e.whole >= 0 ? e.whole : HUGE_VAL; };
  std::stable_sort(errors.begin(), errors.end(),
                   [&rank](const model::LayerError& x, const model::LayerError& y) { return rank(x) > rank(y); });
  Table table({"layer", "relative squared error", "from its own block"}, {false, true, true});
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const model::LayerError& e : errors) {
    table.add({plainName(e.name), numberText("%.3g", e.whole), numberText("%.3g", e.block)});
    rows.push_back({{"name", e.name},
                    {"relative_squared_error", finiteNumber(e.whole)},
                    {"relative_squared_error_block", finiteNumber(e.block)}});
  }
  table.print(output.text());
  if (output.wantsJson()) output.json({{"device", device.info().name}, {"window", options.window}, {"layers", rows}});
  return kExitDone;
}

}  // namespace nib::tool
